"""Where a database keeps its LOG and its OPTIONS file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from phase_d_lib.errors import InputError
from phase_d_lib.optionsfile import OptionsFile, parse_options

_OPTIONS_NAME = re.compile(r"OPTIONS-\d+")
_NOT_KEPT = re.compile(r"[^A-Za-z0-9\-._]")


def checked_database(path: Path) -> Path:
    """Return the path of a database directory.

    Raises
    ------
    InputError
        When there is no such directory, or no ``CURRENT`` in it.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such directory; --db takes the directory of a RocksDB")
    if not (path / "CURRENT").is_file():
        raise InputError(f"{path}: not a RocksDB, it holds no CURRENT; for a LOG: phase-d log")
    return path


def read_options(database: Path) -> OptionsFile | None:
    """Return the newest OPTIONS file of a database; None when none can be read."""
    try:
        names = [file.name for file in database.iterdir()]
    except OSError:
        return None
    found = [name for name in names if _OPTIONS_NAME.fullmatch(name)]
    for name in sorted(found, key=_number, reverse=True):
        try:
            return parse_options((database / name).read_text(errors="replace"))
        except OSError:  # RocksDB deletes the older ones at any time: then the next will do
            continue
    return None


def log_of(
    database: Path,
    options: OptionsFile | None,
    open_files: Callable[[], Sequence[Path]] = tuple,
) -> Path:
    """Return the path of the LOG that a database's program writes, there or not.

    With the option ``db_log_dir`` RocksDB writes it to that directory and names it after the path
    by which the program opened the database, every character but letters, digits and ``-._``
    made ``_`` (``GetInfoLogPrefix`` of file/filename.cc).

    Whoever opens a database renames its LOG before asking for the lock. After a vain try the
    program that holds it goes on writing to ``LOG.old.*``: what it has open tells.

    Parameters
    ----------
    database : Path
    options : OptionsFile or None
    open_files : callable
        No argument -> what the program holds open.
    """
    folder = options.db.get("db_log_dir", "") if options is not None else ""
    log = _named_after(database, Path(folder)) if folder else database / "LOG"
    logs = [file for file in open_files() if "LOG" in file.name]
    names = [file.name for file in logs if file.parent.resolve() == log.parent.resolve()]
    renamed = [name for name in names if name.startswith(f"{log.name}.old.")]
    if renamed and log.name not in names:
        return log.with_name(max(renamed))
    held = [name for name in names if name.endswith("_LOG")]
    return log.with_name(held[0]) if len(held) == 1 and not log.exists() else log


def checked_log(database: Path, log: Path) -> Path:
    """Return the path of a LOG that can be read.

    Raises
    ------
    InputError
        When it is not there or may not be read.
    """
    try:
        with log.open("rb"):
            return log
    except FileNotFoundError:
        raise InputError(f"{database}: no LOG, looked for {log}") from None
    except OSError as error:
        raise InputError(f"{log}: cannot be read ({error.strerror})") from None


def _number(name: str) -> int:
    return int(name.partition("-")[2])


def _named_after(database: Path, folder: Path) -> Path:
    """Return the LOG in a directory that is named after a database by any of its paths."""
    paths = [str(database.absolute()), str(database.resolve())]
    wanted = [_words(path) for path in paths]
    try:
        logs = [file for file in folder.iterdir() if file.name.endswith("_LOG")]
    except OSError:
        logs = []
    named = [file for file in logs if _words(file.name.removesuffix("_LOG")) in wanted]
    return max(named, key=_changed_s, default=folder / f"{_prefix(paths[0])}_LOG")


def _prefix(path: str) -> str:
    return _NOT_KEPT.sub("_", path.removeprefix("/"))


def _words(path: str) -> list[str]:
    """Split a path as RocksDB writes it, so that ``/a//./b/`` and ``/a/b`` are the same."""
    return [word for word in _prefix(path).split("_") if word not in ("", ".")]


def _changed_s(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
