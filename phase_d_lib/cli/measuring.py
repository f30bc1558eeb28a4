"""Verbs that measure a real RocksDB."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from phase_d_lib.cli.console import say, tell
from phase_d_lib.workspace import find_workspace


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
    laboratory = Laboratory.of(loaded, workspace, tell)
    chosen = fresh_seed(loaded.seed if seed is None else seed)
    found = calibration.calibrate(laboratory, loaded.scenario, loaded.integration, chosen)
    file = calibration.keep(workspace, found)
    typer.echo(found.model_dump_json() if json else calibration.table(found))
    tell(f"written: {file}")


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
    laboratory = replace(Laboratory.of(loaded, workspace, tell), resumes=True)
    saturation = search.saturation([laboratory.run(spec)])
    found = search.measure(laboratory, spec, saturation.saturation_ops_per_s.value, plan)
    if json:
        both = {"saturation": saturation, "s_max": found}
        shown = {name: part.model_dump(mode="json") for name, part in both.items()}
        typer.echo(orjson.dumps({"seed": chosen, **shown}).decode())
    else:
        typer.echo(search.table(found))
        typer.echo(f"seed {chosen}: give it again to resume")


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
    laboratory = Laboratory.of(loaded, workspace, tell)
    chosen = fresh_seed(loaded.seed if seed is None else seed)
    scenario = loaded.scenario
    if calibration is None:
        known = calibrate(laboratory, scenario, loaded.integration, chosen)
        tell(f"written: {keep(workspace, known)}")
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
    tell(f"seed {chosen}")


def sweep(
    spec: Annotated[
        Path, typer.Argument(help="JSON file of one run's spec, as in a run directory.")
    ],
    engine: Annotated[
        list[str], typer.Option(help="Engine, such as librocksdb=/path/librocksdb.so; repeat it.")
    ],
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Runs of each engine.")] = 3,
    json: Annotated[bool, typer.Option(help="One JSON object.")] = False,
) -> None:
    """Run one spec on several engines, builds or versions, interleaved, and compare them."""
    from phase_d_lib.execution import MAX_RETRIES
    from phase_d_lib.laboratory import Laboratory
    from phase_d_lib.specs import RunSpec, parse
    from phase_d_lib.tuning import sweep as comparison
    from phase_d_lib.workspace import read_json_object

    asked = parse(RunSpec, read_json_object(spec), str(spec))
    laboratory = Laboratory(find_workspace(), retries=MAX_RETRIES, announce=tell)
    found = comparison.sweep(laboratory, asked, engine, repeats)
    typer.echo(found.model_dump_json() if json else comparison.table(found))


def record(
    profile: Annotated[str, typer.Option(help="Recorded profile whose runs to record.")] = "replay",
) -> None:
    """Measure the runs of a recorded profile again and keep them under tests/data/recorded."""
    from phase_d_lib import recording

    recording.record(find_workspace(), profile, say)


def pool(
    seed: Annotated[int | None, typer.Option(min=0, help="Default: fresh, recorded.")] = None,
) -> None:
    """Measure the residual pool again (about 40 minutes) and write it into the library."""
    from phase_d_lib import recording

    file = recording.record_pool(find_workspace(), seed, say)
    say(f"written: {file}")


def bench() -> None:
    """Measure sampling cost and LOG reading; write reports/bench.json."""
    from phase_d_lib import bench as benchmarks

    file = benchmarks.run(find_workspace(), say)
    say(f"written: {file}")
