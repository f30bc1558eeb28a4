"""A monitor attached to a RocksDB that another program runs, look by look."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from phase_d_lib.attach.hostside import host_columns
from phase_d_lib.attach.logstate import LogState
from phase_d_lib.attach.place import checked_database
from phase_d_lib.attach.program import Program
from phase_d_lib.attach.result import Happening, LogError, Unwatched, change, now
from phase_d_lib.attach.rules import Watch
from phase_d_lib.attach.samples import before_stall, family_columns, moved_columns, whole_row
from phase_d_lib.attach.source import Source

POLL_S = 0.5
"""Time between two looks that is meant: what the LOG says is told within it."""
HOST_PERIOD_S = 1.0
"""Time between two samples of /proc and disk, which cost more than a look at the LOG."""


class Attachment:
    """Watches one database; reads only.

    Parameters
    ----------
    database : Path
        Directory of a RocksDB, open in another program or not.
    pid : int, optional
        The process that holds it; None looks for it.

    Attributes
    ----------
    program : Program
    source : Source
    log : LogState
    watch : Watch
    host : dict
        Newest sample of the host, by column.

    Raises
    ------
    InputError
        When `database` is no RocksDB, its LOG cannot be read, or `pid` does not hold it.
    """

    def __init__(self, database: Path, pid: int | None = None) -> None:
        self.database = checked_database(database)
        self.program = Program(database, pid)
        self.source = Source(database, self.program.open_files)
        self.log, self.watch = LogState(), Watch()
        self._start_s = time.monotonic()
        self._host_due_s = 0.0
        self._unwatched: dict[tuple[str, str], Unwatched] = {}
        for text in self.source.there():
            self.log.take(text)
        if self.program.process is None:
            self._nobody_stalls()
        self.host = host_columns(database, self.program.process)

    @property
    def attached_s(self) -> float:
        """Seconds since the monitor was attached."""
        return time.monotonic() - self._start_s

    def look(self) -> list[Happening]:
        """Return what happened since the last look."""
        told: list[Happening] = []
        for found in self.source.look():
            told += self._read(found) if isinstance(found, bytes) else [found]
            if not isinstance(found, bytes) and found.subject == "session":
                self.program.opened()
        told += self.program.look()
        if self.program.gone:
            self._nobody_stalls()
        told += self._judge_families()
        if self.attached_s >= self._host_due_s:
            self._host_due_s = self.attached_s + HOST_PERIOD_S
            told += self._judge_host()
            told += self._see_rules()
        return told

    def row(self, before_s: float) -> dict[str, Any]:
        """Return what is known now as one sample of the whole database.

        Parameters
        ----------
        before_s : float
            `attached_s` of the sample before.
        """
        now_s = self.attached_s
        times = {"time_s": now_s, "gap_s": now_s - before_s, "unix_time_s": time.time()}
        return whole_row(self.log, self.host, times)

    def close(self) -> None:
        """Let go of the LOG."""
        self.source.close()

    def _nobody_stalls(self) -> None:
        """Note that no program runs: what the LOG said last held until its last line."""
        self.log.stalls.end(self.log.time_range_s()[1])

    def _read(self, text: bytes) -> list[Happening]:
        return [
            LogError(time=now(), severity=error.severity, words=error.kind, count=error.count)
            for error in self.log.take(text)
        ]

    def _judge_families(self) -> Iterator[Happening]:
        """Hold each column family against its options."""
        families = self.source.options.cf
        for name in families.keys() - self.log.families.keys():
            self.log.family(name)
        for name, family in self.log.families.items():
            yield from self.watch.expect(name, families.get(name, {}))
            stall = self.log.stalls.of(name)
            columns = family_columns(family, stall)
            if not self.watch.has_seen(name):
                yield from self.watch.observe(name, before_stall(columns, stall), self.attached_s)
            yield from self.watch.observe(name, columns, self.attached_s)

    def _judge_host(self) -> Iterator[Happening]:
        """Sample the host, and hold it against the rules of disk and CPU."""
        self.host = host_columns(self.database, self.program.process)
        yield from self.watch.expect(None, {})
        columns = {**moved_columns(self.log.moved), **self.host}
        yield from self.watch.observe(None, columns, self.attached_s)

    def _see_rules(self) -> Iterator[Happening]:
        """Tell which rules cannot be watched, when that changes."""
        before, self._unwatched = self._unwatched, self.watch.unwatched()
        yield from (rule for key, rule in self._unwatched.items() if key not in before)
        for kind, cause in before.keys() - self._unwatched.keys():
            yield change("rules", f"now watched: {kind} ({cause})")
