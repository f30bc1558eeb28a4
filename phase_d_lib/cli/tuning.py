"""Verbs about tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phase_d_lib.cli.console import say, tell
from phase_d_lib.workspace import find_workspace


def landscape(
    scenario: Annotated[
        str, typer.Option(help="Name of a file in data/scenarios.")
    ] = "equal-budget",
    sitting_s: Annotated[
        float, typer.Option(min=0, help="Seconds to measure now; run it again to go on.")
    ] = 3600.0,
) -> None:
    """Measure a scenario at many configurations, as a table that tuners are compared on."""
    from phase_d_lib.laboratory import Laboratory
    from phase_d_lib.tuning import landscape as landscapes
    from phase_d_lib.tuning.scenarios import load_scenario

    workspace = find_workspace()
    asked = load_scenario(workspace.scenarios, scenario)
    workspace.landscapes.mkdir(parents=True, exist_ok=True)
    file = workspace.landscapes / f"{asked.name}.jsonl"
    laboratory = Laboratory(workspace, announce=tell)
    plan = landscapes.LandscapePlan()
    found = landscapes.measure_landscape(laboratory, asked, file, plan, sitting_s)
    total = len(found.rows) + len(found.missing)
    say(f"written: {file}, {len(found.rows)} of {total} runs")


def online(
    scenario: Annotated[
        str, typer.Option(help="Name of a file in data/scenarios.")
    ] = "equal-budget",
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE the instance begins with; may be repeated."),
    ] = None,
    load_ops_per_s: Annotated[
        float | None, typer.Option(help="Mean Poisson arrivals; default 0.8 of v3's rate.")
    ] = None,
    duration_s: Annotated[float, typer.Option(help="Length of each of the five runs.")] = 300.0,
    calibration: Annotated[
        Path | None, typer.Option(help="File of phase-d calibrate; default: calibrate first.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Default: fresh, recorded.")] = None,
    json: Annotated[bool, typer.Option(help="One JSON object.")] = False,
) -> None:
    """Tune a running instance step by step, beside an untouched twin on the same arrivals."""
    from phase_d_lib.calibration import calibrate, read_calibration
    from phase_d_lib.deployment import Fleet
    from phase_d_lib.laboratory import Laboratory, fresh_seed
    from phase_d_lib.models.base import answer
    from phase_d_lib.profiles import load_profile, read_changes
    from phase_d_lib.tuning import online_study
    from phase_d_lib.tuning.scenarios import load_scenario
    from phase_d_lib.tuning.steps import ModelSteps

    workspace = find_workspace()
    tuned = load_scenario(workspace.scenarios, scenario)
    start = read_changes(change or [])
    tuned.scenario.spec(start)
    laboratory, chosen = Laboratory(workspace, announce=tell), fresh_seed(seed)
    if calibration is None:
        plan = load_profile(workspace.profiles, "quick").integration
        known = calibrate(laboratory, tuned.scenario, plan, chosen)
    else:
        known = read_calibration(calibration)
    fleet = Fleet(known)
    model = fleet.models["v3"]
    propose = ModelSteps(model, fleet.case_of, tuned)
    if load_ops_per_s is None:
        own = answer(model, fleet.case_of(tuned.scenario.spec()), bare=True)
        load_ops_per_s = 0.8 * (own.saturation_ops_per_s or 0.0)
    result = online_study.compare_online(
        laboratory, tuned, start, load_ops_per_s, propose, chosen, duration_s=duration_s
    )
    typer.echo(result.model_dump_json() if json else online_study.table(result))
