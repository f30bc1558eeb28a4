"""Which model speaks, and what it says of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.workspace import find_workspace


def predict(
    inputs: Annotated[Path, typer.Option(help="Case file; its schema: data/schemas.")],
    calibration: Annotated[
        Path | None, typer.Option(help="File written by phase-d calibrate, for the intervals.")
    ] = None,
    json: Annotated[bool, typer.Option(help="One JSON array, a record a model.")] = False,
) -> None:
    """Predict the put rate of the configuration in a case file; needs no checkout and no run."""
    import orjson

    from phase_d_lib import casefile, cases

    asked = casefile.read_case(inputs)
    case, models = casefile.to_case(asked, inputs), None
    if calibration is not None:
        from phase_d_lib.calibration import read_calibration
        from phase_d_lib.deployment import Fleet

        models = Fleet(read_calibration(calibration)).models
    answers = cases.answers(asked, case, models)
    if json:
        typer.echo(orjson.dumps([answer.record() for answer in answers]).decode())
    else:
        typer.echo(cases.table(answers))
    if all(answer.refused is not None for answer in answers):
        raise typer.Exit(ModelRefusal.exit_code)


def deploy(
    activate: Annotated[str, typer.Option(help="Model to make active.")] = "",
    rollback: Annotated[bool, typer.Option(help="Return to the one before.")] = False,
    auto: Annotated[bool, typer.Option(help="Let cross-validation choose again.")] = False,
) -> None:
    """Show which model is active, choose another, or roll back."""
    from phase_d_lib import deployment
    from phase_d_lib.errors import InputError

    workspace = find_workspace()
    if sum((bool(activate), rollback, auto)) > 1:
        raise InputError("--activate, --rollback and --auto contradict each other; give one")
    if activate:
        deployment.activate(workspace, activate)
    elif rollback:
        deployment.roll_back(workspace)
    elif auto:
        deployment.choose_by_error(workspace)
    choice = deployment.read_choice(workspace)
    if choice is None:
        typer.echo("no model is active yet; make report or phase-d deploy --activate MODEL")
        return
    why = "by its user" if choice.by_user else "by cross-validated error"
    typer.echo(f"active: {choice.active}, {why}, since {choice.active_since}")
    typer.echo(f"before: {choice.previous or '-'}")
