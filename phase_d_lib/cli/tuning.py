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


def tune(
    profile: Annotated[
        str, typer.Option(help="Profile that says how much is measured.")
    ] = "standard",
    scenario: Annotated[
        str, typer.Option(help="Name of a file in data/scenarios.")
    ] = "equal-budget",
    sampler: Annotated[
        str, typer.Option(help="Who proposes option sets: guided, random or tpe.")
    ] = "guided",
    calibration: Annotated[
        Path | None, typer.Option(help="File of phase-d calibrate; default: measure U and mu.")
    ] = None,
    apply_cmd: Annotated[
        str, typer.Option(help="Template of apply.sh, with {name} and {value}; never run.")
    ] = "your-tool set {name}={value}",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Default: go on with an unfinished one, or fresh.")
    ] = None,
    json: Annotated[bool, typer.Option(help="One JSON object.")] = False,
) -> None:
    """Search for a faster option set, prove it against the default in pairs, and hand it over."""
    from phase_d_lib.calibration import calibrate, read_calibration
    from phase_d_lib.deployment import Fleet
    from phase_d_lib.laboratory import Laboratory, fresh_seed
    from phase_d_lib.profiles import load_profile
    from phase_d_lib.report.tuning_summary import summary_page
    from phase_d_lib.tuning import records
    from phase_d_lib.tuning.handover import handover
    from phase_d_lib.tuning.protocol import check_sampler, make_search, tune_scenario
    from phase_d_lib.tuning.scenarios import load_scenario
    from phase_d_lib.workspace import claim, write_atomically

    workspace = find_workspace()
    loaded = load_profile(workspace.profiles, profile)
    tuned = load_scenario(workspace.scenarios, scenario)
    check_sampler(sampler)
    handover(tuned.scenario.options, {"write_buffer_size": 1}, "commands", apply_cmd)
    given = None if calibration is None else read_calibration(calibration)
    asked = records.Assignment(
        tuned=tuned, plan=loaded.tuning, sampler=sampler, seed=fresh_seed(seed)
    )
    folder, asked = records.open_tuning(claim(workspace.tunings), asked, seed)
    tell(f"tuning {scenario} in {folder}")
    laboratory = Laboratory(workspace, retries=1, announce=tell, resumes=True)
    plan = loaded.integration.host_only
    fleet = Fleet(given or calibrate(laboratory, tuned.scenario, plan, asked.seed))
    search = make_search(
        laboratory, tuned, asked.plan, asked.seed, fleet, sampler, folder / records.JOURNAL
    )
    result = tune_scenario(laboratory, tuned, asked.plan, asked.seed, fleet, search)
    found = records.close_tuning(folder, asked, result, apply_cmd)
    page = summary_page(asked, result, found)
    write_atomically(folder / "summary.ko.md", page)
    typer.echo(found.model_dump_json() if json else page)


def tuners(
    scenario: Annotated[
        str, typer.Option(help="Name of a landscape in data/landscapes.")
    ] = "equal-budget",
    calibration: Annotated[
        Path | None, typer.Option(help="File of phase-d calibrate; default: measure U and mu.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Repeats of every tuner.")] = 20,
    json: Annotated[bool, typer.Option(help="One JSON object.")] = False,
) -> None:
    """Compare tuners on a measured landscape: evaluations until each has found a good set."""
    from phase_d_lib.calibration import calibrate, read_calibration
    from phase_d_lib.deployment import Fleet
    from phase_d_lib.laboratory import Laboratory, fresh_seed
    from phase_d_lib.profiles import load_profile
    from phase_d_lib.tuning import benchmark
    from phase_d_lib.tuning.landscape import read_landscape
    from phase_d_lib.tuning.protocol import GUIDED, make_screen
    from phase_d_lib.tuning.study import BASELINE_SAMPLERS

    workspace = find_workspace()
    measured = read_landscape(workspace.landscapes / f"{scenario}.jsonl")
    tuned = measured.scenario
    if calibration is None:
        plan = load_profile(workspace.profiles, "standard").integration.host_only
        laboratory = Laboratory(workspace, announce=tell)
        known = calibrate(laboratory, tuned.scenario, plan, fresh_seed(None))
    else:
        known = read_calibration(calibration)
    blind = {name: benchmark.on_pool(make) for name, make in BASELINE_SAMPLERS.items()}
    ours = benchmark.guided_on_pool(make_screen(tuned, Fleet(known)))
    found = benchmark.compare_tuners(measured, {GUIDED: ours, **blind}, range(seeds))
    typer.echo(found.model_dump_json() if json else benchmark.table(found))


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
