"""What a LOG says."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phase_d_lib.cli.console import tell

if TYPE_CHECKING:
    from phase_d_lib.logfile.summary import Summary
    from phase_d_lib.redaction import Redactor

_PATH_OPTIONS = ("db_log_dir", "wal_dir")
_HOST_OPTION = "db_host_id"
_HEADER_BYTES = 1 << 16
"""Where a LOG names the directories of its database, and so their owner."""


def log(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="LOG files, or database directories.")
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    redact: Annotated[
        bool, typer.Option("--redact", help="Replace names, paths and ids by tokens.")
    ] = False,
    parquet: Annotated[
        Path | None, typer.Option(help="New or own directory for the tables as Parquet.")
    ] = None,
) -> None:
    """Read the LOG of any RocksDB, also inside another log, and say what it holds."""
    import orjson

    from phase_d_lib.logfile.files import log_files, opened
    from phase_d_lib.logfile.page import page
    from phase_d_lib.logfile.summary import redacted, summarize
    from phase_d_lib.redaction import Redactor
    from phase_d_lib.workspace import claim

    redactor = Redactor()
    redactor.know("path", [str(path) for path in (*paths, parquet) if path is not None])
    with redactor.errors() if redact else nullcontext():
        for file in log_files(paths):  # before a directory is made for what can't be read
            with opened(file) as stream:
                redactor.learn(stream.read(_HEADER_BYTES).decode("utf-8", "replace"))
        summary = summarize(
            paths,
            None if parquet is None else claim(parquet),
            (lambda name: redactor.name("cf", name)) if redact else str,
        )
    if redact:
        _know_names(summary, redactor)
    record = redacted(summary, redactor) if redact else summary.record
    option = orjson.OPT_INDENT_2
    typer.echo(orjson.dumps(record, option=option).decode() if json else page(record))
    if parquet is not None:
        tell(f"written: {redactor.name('path', str(parquet)) if redact else parquet}")


def _know_names(summary: Summary, redactor: Redactor) -> None:
    """Make known what stands in the texts of a LOG and does not give itself away by its shape."""
    options = summary.record["options"]
    redactor.learn(summary.record)
    redactor.know("path", [options[name] for name in _PATH_OPTIONS if name in options])
    redactor.know("host", [options[_HOST_OPTION]] if _HOST_OPTION in options else [])
