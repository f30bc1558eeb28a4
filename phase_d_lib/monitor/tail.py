"""Follow the samples of a run directory while another process writes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from phase_d_lib.errors import InputError
from phase_d_lib.monitor.signals import Row
from phase_d_lib.runs import Run

POLL_S = 0.5


def sample_rows(path: Path, sleep: Callable[[float], None] = time.sleep) -> Iterator[Row]:
    """Yield the samples a run has, then each new one, until its ``result.json`` is there.

    Parameters
    ----------
    path : Path
        Run directory; read only.
    sleep : callable
        Called with seconds between two looks.

    Raises
    ------
    InputError
        When `path` is not a run directory, or holds a damaged line.
    """
    run, lines, seen, torn = Run(path), path / "samples.jsonl", 0, b""
    offset = 0
    while not (path / "result.json").is_file():
        fresh = _read_from(lines, offset)
        offset += len(fresh)
        *whole, torn = (torn + fresh).split(b"\n")
        for line in whole:
            yield _row(line, lines)
            seen += 1
        if not fresh:
            sleep(POLL_S)
    for row in run.samples.iloc[seen:].to_dict("records"):
        yield {str(key): value for key, value in row.items()}


def _read_from(file: Path, offset: int) -> bytes:
    """What a file holds behind an offset; nothing while it is not there."""
    try:
        with file.open("rb") as stream:
            stream.seek(offset)
            return stream.read()
    except FileNotFoundError:
        return b""


def _row(line: bytes, file: Path) -> Row:
    try:
        row: Row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{file} holds a damaged line: {error}") from None
    return row
