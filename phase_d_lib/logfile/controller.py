"""The write controller as the LOG shows it: when it decided anew, and how long writes stalled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pandas as pd

from phase_d_lib.logfile.tables import CAUSES, LogTables

SESSION = b"session"
"""The thread of a mark that begins a session: it decides for all column families."""


class Mark(NamedTuple):
    """A sign of one re-evaluation of the write controller, as its thread left it."""

    time_s: float
    order: int
    """0: the decision follows; 1: the decision itself; 2: the decision came before."""
    thread: bytes
    column_family: str | None
    kind: str = ""
    """Of a decision: what it was. Of the others: what silence means; '' for nothing."""
    cause: str = ""
    levels: tuple[int, ...] = ()
    """Of a flush or compaction: files per level after it."""
    flush: bool = False


def controller_states(marks: Iterable[Mark], coarse: bool = False) -> list[Mark]:
    """Return all decisions in order of time, silent ones too; see `stall_seconds_by_cause`."""
    return Decisions(coarse).of(marks)


class Decisions:
    """Finds the decisions among marks, window by window; marks of one window in any order.

    Parameters
    ----------
    coarse : bool
        Whether dates are rounded to milliseconds: then a decision and the event it is of may
        only be told apart by what they are.
    """

    def __init__(self, coarse: bool = False) -> None:
        self.coarse = coarse
        self._levels: dict[str | None, tuple[int, ...]] = {}
        self._families: set[str] = set()

    def of(self, marks: Iterable[Mark]) -> list[Mark]:
        """Return the decisions of a window in order of time.

        A window may end between a mark and its decision only if it ends in a pause of its thread.
        """
        ordered = sorted(marks, key=_in_ms if self.coarse else _in_us)
        threads: dict[bytes, list[Mark]] = {}
        for mark in self._without_idle_flushes(ordered):
            threads.setdefault(mark.thread, []).append(mark)
        found = [mark for own in threads.values() for mark in _decisions(own)]
        self._families.update(m.column_family for m in found if m.column_family is not None)
        if len(self._families) > 1:
            found = [m for m in found if m.column_family is not None or m.thread == SESSION]
        return sorted(found, key=lambda mark: mark.time_s)

    def _without_idle_flushes(self, marks: Iterable[Mark]) -> Iterator[Mark]:
        """Pass on marks; silence after a flush that changed no level means nothing."""
        levels = self._levels
        for mark in marks:
            if mark.levels:
                idle = mark.flush and levels.get(mark.column_family) == mark.levels
                levels[mark.column_family] = mark.levels
                yield mark._replace(kind="") if idle else mark
            else:
                yield mark


def _in_us(mark: Mark) -> tuple[float, int]:
    return mark[:2]


def _in_ms(mark: Mark) -> tuple[float, int, float]:
    return int(mark.time_s * 1000 + 1e-3), mark.order, mark.time_s


def _decisions(marks: list[Mark]) -> Iterator[Mark]:
    """Yield the decisions of one thread from its marks in order of time."""
    opened: Mark | None = None
    unclaimed = False
    for mark in marks:
        if mark.order == 1:
            # A trivial move opens (its kind is '') and closes: its decision is claimed at the end.
            unclaimed = opened is None or not opened.kind
            opened = None
            yield mark
            continue
        if opened is not None and opened.kind:
            yield opened
        if mark.order == 2 and not unclaimed:
            family = opened.column_family if opened and not opened.kind else mark.column_family
            yield mark if family == mark.column_family else mark._replace(column_family=family)
        opened = mark if mark.order == 0 else None
        unclaimed = False
    if opened is not None and opened.kind:
        yield opened


def stall_seconds_by_cause(log: LogTables, start_s: float, end_s: float) -> pd.DataFrame:
    """Return how long the write controller was delaying or stopping writes, by cause.

    RocksDB decides anew whenever a column family installs a super version - a memtable switch, a
    flush, a compaction, a trivial move, an option change - and says so on the spot: a warning if
    writes are delayed or stopped, "Increasing compaction threads" if they are not but compaction
    is behind, nothing if all is well. A state therefore lasts from its warning to the next
    re-evaluation, of whatever outcome. Silent ones are found by thread: decision and event are
    written by one thread under one lock, so a finished flush or compaction, or a new memtable,
    that its thread does not follow by a decision (a trivial move or option change: that none
    precedes) found all well. A flush after which the levels are as before was installed by
    another thread and decided nothing.

    Bias: 'delay' is time under the delayed rate, limiting or not, so the sum is at least what
    ``rocksdb.stall.micros`` counts for one writer. Of several column families the worst state
    counts, earliest cause first. A silent memtable switch is dated a lock wait early; one whose
    column family is not named is left out. The last state holds to the end of the LOG, a killed
    session's to the start of the next. Needs a LOG at level INFO.

    Parameters
    ----------
    log : LogTables
    start_s, end_s : float
        Window in epoch seconds.

    Returns
    -------
    DataFrame
        Six rows: ``cause``, ``kind``, ``seconds``, ``count`` (warnings in the window).
    """
    seconds = {(cause, kind): 0.0 for cause in CAUSES for kind in ("stop", "delay")}
    for begin, end, state in _intervals(log):
        if state in seconds:
            seconds[state] += max(0.0, min(end, end_s) - max(begin, start_s))
    inside = log.stalls[log.stalls["time_s"].between(start_s, end_s, inclusive="left")]
    counts = inside.groupby(["cause", "kind"]).size().to_dict()
    rows = [(*state, spent, int(counts.get(state, 0))) for state, spent in seconds.items()]
    return pd.DataFrame(rows, columns=["cause", "kind", "seconds", "count"])


def _intervals(log: LogTables) -> Iterator[tuple[float, float, tuple[str, str]]]:
    """Yield (begin, end, (cause, kind)) of every stall state; the worst column family counts."""
    stalled = Stalled()
    for time_s, family, kind, cause in log.controller.itertuples(index=False):
        yield from stalled.decided(time_s, family, kind, cause)
    yield from stalled.until(log.last_time_s)


class Stalled:
    """Which state rules, decision by decision in order of time."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[str, str]] = {}
        self._since_s = 0.0

    def decided(
        self, time_s: float, family: str | None, kind: str, cause: str
    ) -> Iterator[tuple[float, float, tuple[str, str]]]:
        """Take a decision; yield the stall that lasted up to it, if any."""
        yield from self.until(time_s)
        self._since_s = time_s
        if kind != "normal":
            self._states[family or ""] = (cause, kind)
        elif isinstance(family, str):
            self._states.pop(family, None)
        else:
            self._states.clear()

    def until(self, time_s: float) -> Iterator[tuple[float, float, tuple[str, str]]]:
        """Yield (begin, end, (cause, kind)) of the stall since the last decision, if any."""
        if self._states:
            yield self._since_s, time_s, _worst(self._states)


def _worst(states: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """Return the (cause, kind) that rules: a stop before a delay, then the order of causes."""
    return min(states.values(), key=lambda state: (state[1] != "stop", CAUSES.index(state[0])))
