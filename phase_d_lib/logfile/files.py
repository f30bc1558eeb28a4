"""Which files make up the LOG of one database, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from phase_d_lib.errors import InputError
from phase_d_lib.logfile.blocks import Readable, plain
from phase_d_lib.logfile.framing import SAMPLE_BYTES, Framing
from phase_d_lib.logfile.lines import DATED_LINE


def log_files(paths: Iterable[str | Path]) -> list[Path]:
    """Return the LOG files named: of a directory its LOG and LOG.old.*, each file once.

    Raises
    ------
    InputError
        If a directory holds no LOG.
    """
    files: dict[Path, Path] = {}
    for path in map(Path, paths):
        found = [path]
        if path.is_dir():
            names = ("LOG", "LOG.gz", "LOG.old.*")
            found = [file for name in names for file in sorted(path.glob(name)) if file.is_file()]
            if not found:
                raise InputError(f"{path}: no LOG or LOG.old.* in this directory; name a LOG file")
        for file in found:
            files.setdefault(file.resolve(), file)
    return list(files.values())


@contextmanager
def opened(file: Path) -> Iterator[Readable]:
    """Open a LOG file, plain or gzip.

    Raises
    ------
    InputError
        If it cannot be opened or read.
    """
    try:
        with file.open("rb") as stream:
            yield plain(stream)
    except OSError as error:
        raise InputError(f"LOG {file}: cannot be read ({error.strerror})") from None


def in_order(files: Iterable[Path]) -> list[Path]:
    """Return files in order of the first date in them; an unreadable one raises when read."""
    known = list(files)
    return sorted(known, key=_first_date) if len(known) > 1 else known


def _first_date(path: Path) -> bytes:
    """Return the first date of a file; empty when there is none to read."""
    try:
        with opened(path) as stream:
            sample = stream.read(SAMPLE_BYTES)
    except InputError:
        return b""
    found = DATED_LINE.search(Framing(sample).own_text(sample))
    return found.group() if found else b""
