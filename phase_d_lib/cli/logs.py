"""What a LOG says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phase_d_lib.cli.console import tell


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

    from phase_d_lib.errors import InputError
    from phase_d_lib.logfile.files import log_files, opened
    from phase_d_lib.logfile.page import page
    from phase_d_lib.logfile.summary import redacted, summarize
    from phase_d_lib.redaction import Redactor
    from phase_d_lib.workspace import claim

    redactor = Redactor()
    try:
        for file in log_files(paths):  # before a directory is made for what can't be read
            with opened(file):
                pass
        summary = summarize(
            paths,
            None if parquet is None else claim(parquet),
            (lambda name: redactor.name("cf", name)) if redact else str,
        )
    except InputError as error:
        raise InputError(redactor.text(str(error)) if redact else str(error)) from None
    record = redacted(summary, redactor) if redact else summary.record
    option = orjson.OPT_INDENT_2
    typer.echo(orjson.dumps(record, option=option).decode() if json else page(record))
    if parquet is not None:
        tell(f"written: {redactor.text(str(parquet)) if redact else parquet}")
