"""The program that runs the database: found, watched, found again after a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from phase_d_lib.attach.process import LockFile, Process, holds, locked_by, opened_by
from phase_d_lib.attach.result import Change, change
from phase_d_lib.errors import InputError

CHECK_S = 2.0
"""Time between two looks into /proc/locks."""
SEARCH_S = 10.0
"""Time between two looks at the open files of processes, which cost more."""
_NOBODY = (
    "no process found that holds LOCK (those of other users cannot be looked into): "
    "no process figures"
)


class Program:
    """Keeps the process that holds a database.

    Parameters
    ----------
    database : Path
    pid : int, optional
        Its process; None looks for it.

    Attributes
    ----------
    process : Process or None
        None while nobody is known to hold it.
    note : str
        Which program it is, or why none is known.
    gone : bool
        Whether it was seen to end, or to close the database, and no other one since.

    Raises
    ------
    InputError
        When `pid` does not exist or does not hold the database.
    """

    def __init__(self, database: Path, pid: int | None = None) -> None:
        self._database = database
        self._lock = LockFile.of(database)
        self.process: Process | None = None
        self.note = _NOBODY
        self.gone = False
        self._check_due_s = self._search_due_s = 0.0
        if pid is None:
            self._find()
        else:
            self._take(pid)

    @property
    def pid(self) -> int | None:
        """Its process id, if known."""
        return None if self.process is None else self.process.pid

    def look(self) -> Iterator[Change]:
        """Yield what changed: it ended, closed the database, or another one holds it."""
        known, now_s = self.process, time.monotonic()
        if known is not None and not known.alive:
            yield self._lost("ended")
        elif known is not None and now_s >= self._check_due_s and not self._still_holds(known):
            yield self._lost("closed the database")
        if self.process is None and now_s >= self._check_due_s:
            self._check_due_s = now_s + CHECK_S
            found = self._find()
            if found is not None:
                yield change("process", f"process {found.pid} ({self.note})")

    def opened(self) -> None:
        """Note that the LOG says that the database was opened: look again at once."""
        self._check_due_s = self._search_due_s = 0.0
        self.gone = False

    def open_files(self) -> list[Path]:
        """Return what the program holds open, as far as that can be seen."""
        return [] if self.process is None else self.process.open_files()

    def _take(self, pid: int) -> None:
        """Take the process a user named.

        Raises
        ------
        InputError
            When it does not exist or does not hold the database.
        """
        named = Process.of(pid)
        if named is None:
            raise InputError(f"--pid {pid}: no such process")
        held = holds(pid, self._lock) if self._lock is not None else False
        if held is False:
            others = locked_by(self._lock) if self._lock is not None else []
            who = "".join(f"; process {other.pid} ({other.name}) does" for other in others[:1])
            raise InputError(f"--pid {pid} ({named.name}): does not hold {self._database}{who}")
        how = "holds LOCK" if held else "as told; whether it holds LOCK cannot be looked at"
        self.process, self.note = named, f"{named.name}, {how}"

    def _find(self) -> Process | None:
        """Look who holds the database now."""
        self._lock = LockFile.of(self._database)
        if self._lock is None:
            return None
        found, how = locked_by(self._lock), "has locked LOCK"
        if not found and time.monotonic() >= self._search_due_s:
            self._search_due_s = time.monotonic() + SEARCH_S
            found, how = opened_by(self._lock), "has LOCK open"
        if found:
            self.process, self.note, self.gone = found[0], f"{found[0].name}, {how}", False
        return self.process

    def _still_holds(self, known: Process) -> bool:
        assert self._lock is not None
        by_lock = known in locked_by(self._lock)
        self._check_due_s = time.monotonic() + (CHECK_S if by_lock else SEARCH_S)
        return by_lock or holds(known.pid, self._lock) is not False

    def _lost(self, what: str) -> Change:
        assert self.process is not None
        text = f"process {self.process.pid} ({self.process.name}) {what}"
        self.process, self.note, self.gone = None, _NOBODY, True
        self._check_due_s = self._search_due_s = 0.0
        return change("process", text)
