"""Reports and what they are made of: profiles, runs, clean-up."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from phase_d_lib.cli.console import say
from phase_d_lib.workspace import find_workspace


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
        say("nothing changed since the last report; FORCE=1 measures again")
        say(f"report: {fresh / 'phase_d_report.html'}")
        return
    folder = batch.open_report(workspace, profile, out)
    try:
        stages = batch.run_stages(
            workspace, profile, folder, keys, engine=engine, force=force, say=say
        )
    except KeyboardInterrupt:
        say("interrupted; finished stages are kept, run the same command again to go on")
        raise typer.Exit(130) from None
    bundle.collect(folder, [stage.notebook for stage in stages], workspace)
    if out is None:
        batch.remember(workspace, keys, folder)
    batch.point_latest(workspace, folder)
    say(f"done in {time.monotonic() - start:.0f} s\nreport: {folder / 'phase_d_report.html'}")


def profiles() -> None:
    """List the profiles and what each measures."""
    from phase_d_lib.profiles import load_profile

    folder = find_workspace().profiles
    for file in sorted(folder.glob("*.yaml")):
        loaded = load_profile(folder, file.stem)
        runs_s = "recorded" if loaded.recorded else f"{loaded.planned_s():.0f} s of runs"
        typer.echo(f"{loaded.name:10} {runs_s:18} {loaded.description_ko}")


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


def clean() -> None:
    """Delete cached stages and live databases that this project created."""
    from phase_d_lib import batch

    deleted = batch.clean(find_workspace())
    typer.echo(f"deleted {len(deleted)} directories")
