"""Verbs that watch runs: alerts, metrics for Prometheus, and how early a stall can be foreseen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phase_d_lib.cli.console import say, tell
from phase_d_lib.workspace import find_workspace


def watch(
    run: Annotated[Path, typer.Argument(help="Run directory, going or over; read only.")],
    p999_ms: Annotated[
        float | None, typer.Option(min=0.001, help="Objective of the p99.9 put latency, ms.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve /metrics here; 0: a free port.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address /metrics is bound to.")] = "127.0.0.1",
    json: Annotated[bool, typer.Option(help="One JSON object an alert that opened.")] = False,
) -> None:
    """Apply the alert rules to a run as it goes, or to one that is over; serve its metrics."""
    from contextlib import nullcontext

    from phase_d_lib.metrics import serve
    from phase_d_lib.monitor import AlertBook, Expectations
    from phase_d_lib.monitor.tail import sample_rows
    from phase_d_lib.runs import Run

    objective_us = None if p999_ms is None else 1e3 * p999_ms
    expected = Expectations.of(Run(run).spec, put_p999_objective_us=objective_us)
    book = AlertBook(expected)
    with nullcontext() if port is None else serve(port, host, expected=expected) as exporter:
        if exporter is not None:
            tell(f"metrics: {exporter.url}")
        for row in sample_rows(run):
            if exporter is not None:
                exporter.observe(row)
            for alert in book.observe(row):
                line = f"{alert.start_s:8.1f} s  {alert.severity:8}  {alert.kind}: {alert.cause}"
                say(alert.model_dump_json() if json else f"{line}  {alert.action}")
    for rule in book.inactive:
        tell(f"not watched: {rule.kind} ({rule.cause}): {rule.reason}")
    tell(f"{len(book.all())} alerts; at the end {book.state}")


def attach(
    db: Annotated[Path, typer.Option(help="Directory of the database; read only.")],
    pid: Annotated[
        int | None, typer.Option(min=1, help="Process that holds it; default: found by its LOCK.")
    ] = None,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between status lines.")] = 10.0,
    duration: Annotated[
        float | None, typer.Option(min=0.5, help="Seconds after which it ends by itself.")
    ] = None,
    once: Annotated[bool, typer.Option(help="Tell the present state and end.")] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve /metrics here; 0: a free port.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address /metrics is bound to.")] = "127.0.0.1",
    json: Annotated[bool, typer.Option(help="One JSON object a line.")] = False,
) -> None:
    """Watch a RocksDB that another program runs: its LOG, OPTIONS and /proc, read only."""
    from phase_d_lib.attach.ending import Ending

    with Ending() as ending:  # before the imports below, which take a second
        from contextlib import closing, nullcontext

        from phase_d_lib.attach.attachment import Attachment
        from phase_d_lib.attach.rules import expectations_of
        from phase_d_lib.attach.session import follow
        from phase_d_lib.attach.wording import line_of
        from phase_d_lib.metrics import serve

        with closing(Attachment(db, pid)) as attachment:
            expected, _ = expectations_of(attachment.source.options.cf.get("default", {}))
            with nullcontext() if port is None else serve(port, host, expected=expected) as served:
                if served is not None:
                    tell(f"metrics: {served.url}")
                follow(
                    attachment,
                    ending,
                    lambda told: say(told.model_dump_json() if json else line_of(told)),
                    every_s=every,
                    duration_s=duration,
                    once=once,
                    exporter=served,
                )


def early_warning(
    horizon_s: Annotated[float, typer.Option(min=0.5, help="Seconds to look ahead.")] = 5.0,
    target: Annotated[str, typer.Option(help="slowdown or stop.")] = "slowdown",
    runs: Annotated[
        Path | None, typer.Option(help="Folder of runs; default data/runs of the project.")
    ] = None,
    json: Annotated[bool, typer.Option(help="One JSON object.")] = False,
) -> None:
    """Score the early warning of stalls over recorded runs: AUC, lead time, false alarms."""
    from phase_d_lib.errors import InputError
    from phase_d_lib.monitor import early_warning as warning
    from phase_d_lib.monitor.spells import Target
    from phase_d_lib.runs import find_runs

    if target not in ("slowdown", "stop"):
        raise InputError(f"target {target!r}: allowed are slowdown and stop")
    found = find_runs(find_workspace().runs if runs is None else runs)
    complete = [run for run in found if run.result is not None]
    chosen: Target = "stop" if target == "stop" else "slowdown"
    scored = warning.score(complete, horizon_s, chosen)
    typer.echo(scored.model_dump_json() if json else warning.table(scored))
