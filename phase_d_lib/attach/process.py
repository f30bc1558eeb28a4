"""Processes as /proc shows them: who holds the lock of a database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_STARTED = 19  # place of the start time behind the name in /proc/PID/stat


@dataclass(frozen=True)
class LockFile:
    """The file ``LOCK`` of a database, which the program that opened it has locked.

    Attributes
    ----------
    device, inode : int
        They stay the same while it is held, whatever becomes of its name.
    """

    device: int
    inode: int

    @classmethod
    def of(cls, database: Path) -> LockFile | None:
        """Return that of a database; None when there is none to be seen."""
        try:
            status = (database / "LOCK").stat()
        except OSError:
            return None
        return cls(status.st_dev, status.st_ino)


@dataclass(frozen=True)
class Process:
    """A process that runs.

    Attributes
    ----------
    pid : int
    started_ticks : int
        Clock ticks from boot to its start: the same pid with another start is another process.
    name : str
    """

    pid: int
    started_ticks: int
    name: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Return a process by its id; None when there is none, or it only waits to be reaped."""
        try:
            front, _, behind = (_PROC / str(pid) / "stat").read_text().rpartition(")")
        except OSError:
            return None
        words = behind.split()
        name = front.partition("(")[2]
        return None if words[0] in "ZX" else cls(pid, int(words[_STARTED]), name)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        now = Process.of(self.pid)
        return now is not None and now.started_ticks == self.started_ticks

    def open_files(self) -> list[Path]:
        """Return the files it holds open; empty when that may not be looked at."""
        return [target for _, target in _descriptors(self.pid)]


def locked_by(lock: LockFile) -> list[Process]:
    """Return the processes that /proc/locks names for a lock file, for a few microseconds."""
    here = f"{os.major(lock.device):02x}:{os.minor(lock.device):02x}:{lock.inode}"
    pids = []
    with suppress(OSError):
        for line in (_PROC / "locks").read_text().splitlines():
            # "1: POSIX  ADVISORY  WRITE 9985 fe:00:2451793 0 EOF"; one that waits has "->"
            words = line.split()
            if len(words) == 8 and words[5] == here and words[4].isdigit():
                pids.append(int(words[4]))
    return _oldest_first(pids)


def opened_by(lock: LockFile) -> list[Process]:
    """Return the processes that have a lock file open, which means to look at all processes.

    /proc/locks does not name it on file systems whose device number is not that of their files.
    Children that inherited the file are no holders: the first one is.
    """
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return _oldest_first([pid for pid in pids if _has_open(pid, lock)])


def holds(pid: int, lock: LockFile) -> bool | None:
    """Return whether a process holds a lock file; None when it may not be looked into."""
    if pid in [process.pid for process in locked_by(lock)] or _has_open(pid, lock):
        return True
    return False if os.access(_PROC / str(pid) / "fd", os.R_OK | os.X_OK) else None


def _oldest_first(pids: list[int]) -> list[Process]:
    found = [process for pid in pids if (process := Process.of(pid)) is not None]
    return sorted(found, key=lambda process: process.started_ticks)


def _has_open(pid: int, lock: LockFile) -> bool:
    for descriptor, target in _descriptors(pid):
        if not target.name.startswith("LOCK"):  # also "LOCK (deleted)"
            continue
        with suppress(OSError):
            status = descriptor.stat()
            if (status.st_dev, status.st_ino) == (lock.device, lock.inode):
                return True
    return False


def _descriptors(pid: int) -> Iterator[tuple[Path, Path]]:
    """Yield (entry of /proc/PID/fd, what it links to)."""
    with suppress(OSError):
        for entry in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                yield entry, entry.readlink()
