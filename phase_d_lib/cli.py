"""The command line: ``phase-d VERB``, the same as ``python -m phase_d_lib VERB``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

# nbformat imports an optional URL grammar that costs over a second and is never used here; only
# a whole process may decide that, so the library itself does not.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import typer  # noqa: E402

from phase_d_lib.errors import ModelRefusal, PhaseDError  # noqa: E402
from phase_d_lib.workspace import find_workspace  # noqa: E402

app = typer.Typer(
    help="Predict, measure, watch, tune and validate how fast a RocksDB can keep writing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.command()
def report(
    profile: Annotated[str, typer.Option(help="Name of a file in data/profiles.")] = "quick",
    out: Annotated[
        Path | None, typer.Option(help="Report directory; default reports/<id>.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Engine; default the profile's.")] = "",
    force: Annotated[bool, typer.Option(help="Measure again even when nothing changed.")] = False,
) -> None:
    """Run the five stage notebooks and write the Korean report."""
    from phase_d_lib.engines import find_engine
    from phase_d_lib.profiles import load_profile

    workspace, start = find_workspace(), time.monotonic()
    load_profile(workspace.profiles, profile)
    if engine:
        find_engine(engine)
    from phase_d_lib import batch  # papermill takes a second: a wrong name is told before
    from phase_d_lib.report import bundle

    keys = batch.stage_keys(workspace, profile, engine)
    fresh = None if force or out else batch.up_to_date(workspace, keys)
    if fresh is not None:
        batch.point_latest(workspace, fresh)
        _say("nothing changed since the last report; FORCE=1 measures again")
        _say(f"report: {fresh / 'phase_d_report.html'}")
        return
    folder = batch.open_report(workspace, profile, out)
    try:
        stages = batch.run_stages(
            workspace, profile, folder, keys, engine=engine, force=force, say=_say
        )
    except KeyboardInterrupt:
        _say("interrupted; finished stages are kept, run the same command again to go on")
        raise typer.Exit(130) from None
    bundle.collect(folder, [stage.notebook for stage in stages], workspace)
    if out is None:
        batch.remember(workspace, keys, folder)
    batch.point_latest(workspace, folder)
    _say(f"done in {time.monotonic() - start:.0f} s\nreport: {folder / 'phase_d_report.html'}")


@app.command()
def profiles() -> None:
    """List the profiles and what each measures."""
    from phase_d_lib.profiles import load_profile

    folder = find_workspace().profiles
    for file in sorted(folder.glob("*.yaml")):
        loaded = load_profile(folder, file.stem)
        runs_s = "recorded" if loaded.recorded else f"{loaded.planned_s():.0f} s of runs"
        typer.echo(f"{loaded.name:10} {runs_s:18} {loaded.description_ko}")


@app.command()
def runs(json: Annotated[bool, typer.Option(help="One JSON array.")] = False) -> None:
    """List the runs in data/runs, newest first."""
    import orjson

    from phase_d_lib.runs import find_runs

    rows = [
        {
            "run_id": run.spec.run_id,
            "block": run.spec.block,
            "status": run.result.status if run.result else "unfinished",
            "put_ops_per_s": run.result.put_rate_ops_per_s.value if run.result else None,
            "valid": run.valid,
        }
        for run in find_runs(find_workspace().runs)
    ]
    if json:
        typer.echo(orjson.dumps(rows).decode())
        return
    for row in rows:
        rate = f"{row['put_ops_per_s']:,.0f} puts/s" if row["put_ops_per_s"] else "-"
        verdict = "valid" if row["valid"] else "not valid"
        typer.echo(f"{row['run_id']}  {row['status']:10} {rate:>16}  {verdict:9}  {row['block']}")


@app.command()
def calibrate(
    profile: Annotated[str, typer.Option(help="Name of a file in data/profiles.")] = "quick",
    seed: Annotated[int | None, typer.Option(min=0, help="Default: profile's or fresh.")] = None,
    json: Annotated[bool, typer.Option(help="The calibration as one JSON object.")] = False,
) -> None:
    """Measure device, host and known configurations; keep the result in data/calibration."""
    from phase_d_lib import calibration
    from phase_d_lib.laboratory import Laboratory, fresh_seed
    from phase_d_lib.profiles import load_profile

    workspace = find_workspace()
    loaded = load_profile(workspace.profiles, profile)
    laboratory = Laboratory.of(loaded, workspace, _tell)
    chosen = fresh_seed(loaded.seed if seed is None else seed)
    found = calibration.calibrate(laboratory, loaded.scenario, loaded.integration, chosen)
    file = calibration.keep(workspace, found)
    typer.echo(found.model_dump_json() if json else calibration.table(found))
    _tell(f"written: {file}")


@app.command()
def smax(
    profile: Annotated[str, typer.Option(help="Profile whose scenario to measure.")] = "quick",
    change: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE that differs; may be repeated.")
    ] = None,
    arrival: Annotated[str, typer.Option(help="constant or poisson.")] = "constant",
    trial_s: Annotated[float, typer.Option(help="Length of one trial, seconds.")] = 30.0,
    warmup_s: Annotated[float, typer.Option(help="Leading part that counts not.")] = 10.0,
    budget_s: Annotated[float, typer.Option(help="Seconds of trials to spend.")] = 600.0,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed resumes.")] = None,
    json: Annotated[bool, typer.Option(help="One JSON object.")] = False,
) -> None:
    """Measure the saturation rate and the sustainable put rate S_max of a configuration."""
    import orjson

    from phase_d_lib import smax as search
    from phase_d_lib.laboratory import Laboratory, fresh_seed
    from phase_d_lib.profiles import SMaxPlan, load_profile, read_changes
    from phase_d_lib.specs import parse

    workspace = find_workspace()
    loaded = load_profile(workspace.profiles, profile)
    chosen = fresh_seed(loaded.seed if seed is None else seed)
    plan = parse(
        SMaxPlan,
        {
            "arrival": arrival,
            "trial_s": trial_s,
            "warmup_s": warmup_s,
            "budget_s": budget_s,
            "seed": chosen,
        },
        "smax",
    )
    spec = loaded.scenario.spec(
        read_changes(change or []),
        duration_s=plan.trial_s,
        warmup_s=plan.warmup_s,
        seed=chosen,
        block=f"smax/{profile}",
    )
    laboratory = Laboratory.of(loaded, workspace, _tell)
    saturation = search.saturation([search.resumed(laboratory, spec)])
    found = search.measure(laboratory, spec, saturation.saturation_ops_per_s.value, plan)
    if json:
        both = {"saturation": saturation, "s_max": found}
        shown = {name: part.model_dump(mode="json") for name, part in both.items()}
        typer.echo(orjson.dumps({"seed": chosen, **shown}).decode())
    else:
        typer.echo(search.table(found))
        typer.echo(f"seed {chosen}: give it again to resume")


@app.command()
def adapt(
    profile: Annotated[str, typer.Option(help="Profile whose scenario to trace.")] = "standard",
    calibration: Annotated[
        Path | None, typer.Option(help="File of phase-d calibrate; default: calibrate first.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Default: fresh, recorded.")] = None,
    json: Annotated[bool, typer.Option(help="One JSON object.")] = False,
) -> None:
    """Let v5 follow changes of load and options live, beside predictors that know no model."""
    from phase_d_lib import adaptation
    from phase_d_lib.calibration import calibrate, keep, read_calibration
    from phase_d_lib.deployment import Fleet
    from phase_d_lib.errors import InputError
    from phase_d_lib.laboratory import Laboratory, fresh_seed
    from phase_d_lib.models.base import answer
    from phase_d_lib.models.v5 import V5
    from phase_d_lib.profiles import load_profile

    workspace = find_workspace()
    loaded = load_profile(workspace.profiles, profile)
    laboratory = Laboratory.of(loaded, workspace, _tell)
    chosen = fresh_seed(loaded.seed if seed is None else seed)
    scenario = loaded.scenario
    if calibration is None:
        known = calibrate(laboratory, scenario, loaded.integration, chosen)
        _tell(f"written: {keep(workspace, known)}")
    else:
        known = read_calibration(calibration)
    fleet = Fleet(known)
    model = fleet.models.get(V5.name)
    if not isinstance(model, V5):
        raise InputError("model v5 is not installed; run make setup")
    own = answer(model, fleet.case_of(scenario.spec()))
    if own.saturation_ops_per_s is None:
        raise InputError(f"v5 can't follow this scenario: {own.refused}")
    traces = adaptation.standard_traces(scenario, own.saturation_ops_per_s, chosen)
    result = adaptation.measure(laboratory, traces, model, fleet.case_of)
    typer.echo(result.model_dump_json() if json else adaptation.table(result))
    _tell(f"seed {chosen}")


@app.command()
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


@app.command()
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


@app.command()
def clean() -> None:
    """Delete cached stages and live databases that this project created."""
    from phase_d_lib import batch

    deleted = batch.clean(find_workspace())
    typer.echo(f"deleted {len(deleted)} directories")


@app.command()
def record(
    profile: Annotated[str, typer.Option(help="Recorded profile whose runs to record.")] = "replay",
) -> None:
    """Measure the runs of a recorded profile again and keep them under tests/data/recorded."""
    from phase_d_lib import recording

    recording.record(find_workspace(), profile, _say)


@app.command()
def pool(
    seed: Annotated[int | None, typer.Option(min=0, help="Default: fresh, recorded.")] = None,
) -> None:
    """Measure the residual pool again (about 40 minutes) and write it into the library."""
    from phase_d_lib import recording

    file = recording.record_pool(find_workspace(), seed, _say)
    _say(f"written: {file}")


@app.command()
def bench() -> None:
    """Measure sampling cost and LOG reading; write reports/bench.json."""
    from phase_d_lib import bench as benchmarks

    file = benchmarks.run(find_workspace(), _say)
    _say(f"written: {file}")


def _say(line: str) -> None:
    print(line, flush=True)


def _tell(line: str) -> None:
    """Say something that is no result, so that standard output stays data."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Run the command line; every known error is one line and its exit code."""
    try:
        app()
    except PhaseDError as error:
        print(f"phase-d: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
