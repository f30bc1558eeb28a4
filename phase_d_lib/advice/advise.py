"""Everything one LOG tells, with the twin's back-test before its advice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from phase_d_lib.advice.changes import Outlook, outlook
from phase_d_lib.advice.facts import Facts, facts_of
from phase_d_lib.advice.twin import BackTest, Twin, back_test, twin_of
from phase_d_lib.errors import ModelRefusal
from phase_d_lib.logfile import LogTables, read_log, stall_seconds_by_cause
from phase_d_lib.models.intervals import conformal_interval, pooled_residuals
from phase_d_lib.models.v3 import V3
from phase_d_lib.specs import Frozen
from phase_d_lib.stalls import ROCKSDB_VERSION, SATURATED_FRACTION, STALLED_FRACTION

Binding = Literal["limiter", "compaction_slots", "foreground", "controller"]
TIMELINE_BINS = 72
MAX_STALL_ERROR_POINTS = 10.0
MAX_BYTES_ERROR_FRACTION = 0.15
"""Above either, the back-test failed and the twin's advice is marked as not to be trusted."""


class StallTime(Frozen):
    """Time in one state of the write controller."""

    kind: str
    cause: str
    seconds: float
    fraction: float
    warnings: int


class Level(Frozen):
    """One level at the last stats dump."""

    name: str
    files: int
    size_bytes: float


class Ledger(Frozen):
    """Bytes the LOG accounts for, and what they are per user byte."""

    user_bytes: float
    flush_bytes: float
    compaction_write_bytes: float
    compaction_read_bytes: float

    @property
    def write_amplification(self) -> float:
        """Flush and compaction writes per user byte."""
        return (self.flush_bytes + self.compaction_write_bytes) / self.user_bytes


class Advice(Frozen):
    """What stalled, when, why, what to change and what that would do."""

    version: str | None
    simulated_version: str = ROCKSDB_VERSION
    first_time: str | None
    """As ``2026-11-24 14:52:04 UTC``."""
    last_time: str | None
    length_s: float
    stalls: tuple[StallTime, ...]
    stall_fraction: float
    timeline: tuple[tuple[float, float], ...]
    """Delayed and stopped share of each of so many equal parts of the time."""
    levels: tuple[Level, ...]
    refused: str | None = None
    """Why there is no twin, or no outlook from it; None where there are both."""
    facts: Facts | None = None
    ledger: Ledger | None = None
    binding: Binding | None = None
    back_test: BackTest | None = None
    trusted: bool | None = None
    """Whether the back-test stayed within its bounds."""
    outlook: Outlook | None = None
    cliff_interval_90: tuple[float, float] | None = None
    """From the library's residuals of v3 in the same regime; None without nine of them."""


def advise(paths: Sequence[Path]) -> Advice:
    """Read LOG files of one database and say what can be said.

    Raises
    ------
    InputError
        When a file cannot be read.
    """
    return advice_of(read_log(*paths))


def advice_of(log: LogTables) -> Advice:
    """Advise from a LOG already read."""
    length_s = log.last_time_s - log.first_time_s
    stalls = _stalls(log, length_s)
    told = Advice(
        version=log.version,
        first_time=_utc(log.first_time_s),
        last_time=_utc(log.last_time_s),
        length_s=length_s if length_s == length_s else 0.0,
        stalls=stalls,
        stall_fraction=sum(s.fraction for s in stalls),
        timeline=_timeline(log),
        levels=_levels(log),
    )
    try:
        facts = facts_of(log)
        told = told.model_copy(
            update={"facts": facts, "ledger": _ledger(facts), "binding": _binding(facts)}
        )
        twin = twin_of(facts)
        tested = back_test(twin, facts)
        within = (
            abs(tested.stall_error_points) <= MAX_STALL_ERROR_POINTS
            and abs(tested.bytes_error_fraction) <= MAX_BYTES_ERROR_FRACTION
        )
        told = told.model_copy(update={"back_test": tested, "trusted": within})
        ahead = outlook(twin, facts.second.put_ops_per_s)
    except ModelRefusal as refusal:
        return told.model_copy(update={"refused": str(refusal)})
    interval = _interval(ahead.cliff_ops_per_s, twin)
    return told.model_copy(update={"outlook": ahead, "cliff_interval_90": interval})


def _interval(cliff: float | None, twin: Twin) -> tuple[float, float] | None:
    regime = "limiter" if twin.limiter_bytes_per_s else "compaction_slots"
    return conformal_interval(cliff, pooled_residuals(V3.name, V3.version, "geometry"), regime)


def _stalls(log: LogTables, length_s: float) -> tuple[StallTime, ...]:
    if not length_s > 0:
        return ()
    table = stall_seconds_by_cause(log, log.first_time_s, log.last_time_s)
    rows = [
        StallTime(
            kind=str(row["kind"]),
            cause=str(row["cause"]),
            seconds=float(row["seconds"]),
            fraction=float(row["seconds"]) / length_s,
            warnings=int(row["count"]),
        )
        for row in table.to_dict("records")
        if row["seconds"] > 0 or row["count"] > 0
    ]
    return tuple(sorted(rows, key=lambda row: -row.seconds))


def _timeline(log: LogTables) -> tuple[tuple[float, float], ...]:
    length_s = log.last_time_s - log.first_time_s
    if not length_s > 0 or log.controller.empty:
        return ()
    part_s, parts = length_s / TIMELINE_BINS, []
    for number in range(TIMELINE_BINS):
        start_s = log.first_time_s + number * part_s
        found = stall_seconds_by_cause(log, start_s, start_s + part_s)
        by_kind = found.groupby("kind")["seconds"].sum() / part_s
        parts.append((float(by_kind["delay"]), float(by_kind["stop"])))
    return tuple(parts)


def _levels(log: LogTables) -> tuple[Level, ...]:
    levels = log.stats.levels
    levels = levels[levels["level"].str.match(r"L\d+$").fillna(False)]
    if levels.empty:
        return ()
    last = levels[levels["dump"] == levels["dump"].max()]
    sums = last.groupby("level", sort=True)[["files", "size_bytes"]].sum()
    return tuple(
        Level(name=str(name), files=int(row["files"]), size_bytes=float(row["size_bytes"]))
        for name, row in sums.iterrows()
    )


def _ledger(facts: Facts) -> Ledger:
    halves = (facts.first, facts.second)
    record = facts.key_bytes + facts.value_bytes
    return Ledger(
        user_bytes=sum(half.puts for half in halves) * record,
        flush_bytes=sum(half.flush_bytes for half in halves),
        compaction_write_bytes=sum(half.compaction_bytes for half in halves),
        compaction_read_bytes=sum(half.compaction_read_bytes for half in halves),
    )


def _binding(facts: Facts) -> Binding:
    """Name what held writes back, by the rules the workbench uses for its own runs."""
    stalled = (facts.first.stall_fraction + facts.second.stall_fraction) / 2
    if stalled < STALLED_FRACTION:
        return "foreground"
    if facts.busy_fraction < SATURATED_FRACTION:
        return "controller"
    return "limiter" if facts.limited else "compaction_slots"


def _utc(time_s: float) -> str | None:
    if time_s != time_s:
        return None
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
