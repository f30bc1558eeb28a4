"""What a LOG says of an instance, or why it says too little."""

from __future__ import annotations

import pandas as pd

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.logfile import LogTables, stall_seconds_by_cause
from phase_d_lib.optionsfile import spec_of
from phase_d_lib.specs import Frozen, OptionsSpec

MIN_LENGTH_S = 20.0
"""A shorter LOG does not hold two halves of several stall cycles."""
MIN_FLUSHES = 12
MIN_COMPACTIONS = 4
MAX_OTHER_FAMILIES_FRACTION = 0.05
"""Bytes flushed by other column families, above which they compete."""
_ENTRY_TAG_BYTES = 8
"""Sequence number and type, which RocksDB counts to the key of an entry."""


class Half(Frozen):
    """What happened in one half of a LOG."""

    start_s: float
    end_s: float
    """Epoch seconds."""
    puts: float
    """Entries flushed."""
    flush_bytes: float
    compaction_bytes: float
    compaction_read_bytes: float
    stall_s: dict[str, float]
    """Seconds by ``kind:cause`` as the LOG names them, those above 0."""

    @property
    def length_s(self) -> float:
        """Seconds."""
        return self.end_s - self.start_s

    @property
    def put_ops_per_s(self) -> float:
        """Mean rate of puts."""
        return self.puts / self.length_s

    @property
    def stall_fraction(self) -> float:
        """Share of the time writes were delayed or stopped."""
        return sum(self.stall_s.values()) / self.length_s

    @property
    def background_bytes_per_s(self) -> float:
        """Flush and compaction writes."""
        return (self.flush_bytes + self.compaction_bytes) / self.length_s


class Facts(Frozen):
    """An instance as its LOG shows it."""

    version: str | None
    column_family: str
    options: OptionsSpec
    limited: bool
    """Whether a rate limiter is set; the LOG does not say how fast."""
    key_bytes: int
    value_bytes: int
    start_level_bytes: tuple[float, ...]
    """At the first stats dump, else what was compacted before it could tell; empty if unknown."""
    stored_bytes_per_put_byte: float
    """Table-file bytes over key and value bytes: below 1 where compression saves."""
    slot_write_bytes_per_s: float | None
    """Compaction output over the time compactions ran, one at a time."""
    busy_fraction: float
    """Share of the time at least one flush or compaction ran."""
    first_dropped_fraction: float
    """Of the entries flushed in the first half, the share that compactions dropped there."""
    first: Half
    second: Half


def facts_of(log: LogTables) -> Facts:
    """Gather what a twin needs.

    Raises
    ------
    ModelRefusal
        With the field that is missing or not covered.
    """
    family = _only_family(log)
    spoken = {**log.options, **log.column_families.get(family, {})}
    options = _options(spoken)
    flushes = log.flushes[log.flushes["column_family"] == family]
    merges = log.compactions[log.compactions["kind"] != "trivial_move"]
    length_s = log.last_time_s - log.first_time_s
    if not length_s >= MIN_LENGTH_S:
        raise ModelRefusal("time_range", f"{length_s:.0f} s of LOG; {MIN_LENGTH_S:.0f} are needed")
    if len(flushes) < MIN_FLUSHES or len(merges) < MIN_COMPACTIONS:
        raise ModelRefusal(
            "events",
            f"{len(flushes)} flushes and {len(merges)} compactions; "
            f"{MIN_FLUSHES} and {MIN_COMPACTIONS} are needed",
        )
    key_bytes, value_bytes = _record(log, family)
    middle_s = log.first_time_s + length_s / 2
    entries = float(flushes["entries"].sum())
    return Facts(
        version=log.version,
        column_family=family,
        options=options,
        limited=spoken.get("rate_limiter", "") not in _NO_LIMITER,
        key_bytes=key_bytes,
        value_bytes=value_bytes,
        start_level_bytes=_level_bytes(log, family),
        stored_bytes_per_put_byte=(
            float(flushes["output_bytes"].sum()) / (entries * (key_bytes + value_bytes))
        ),
        slot_write_bytes_per_s=_slot_speed(merges),
        busy_fraction=_busy_fraction(flushes, merges, log.first_time_s, log.last_time_s),
        first_dropped_fraction=_dropped(flushes, merges, middle_s),
        first=_half(log, flushes, merges, log.first_time_s, middle_s),
        second=_half(log, flushes, merges, middle_s, log.last_time_s),
    )


_NO_LIMITER = ("", "(nil)", "nullptr", "0x0", "0")


def _only_family(log: LogTables) -> str:
    """Return the column family that writes; several that compete are refused."""
    flushed = log.flushes.groupby("column_family", dropna=False)["output_bytes"].sum()
    flushed = flushed[flushed > 0].sort_values(ascending=False)
    if flushed.empty:
        raise ModelRefusal("flush_finished", "no flush is in the LOG: is it at level INFO?")
    if flushed.iloc[1:].sum() > MAX_OTHER_FAMILIES_FRACTION * flushed.sum():
        names = ", ".join(map(str, flushed.index[:4]))
        raise ModelRefusal("column_families", f"several compete for writes: {names}")
    return str(flushed.index[0])


def _options(spoken: dict[str, str]) -> OptionsSpec:
    """Read the options the twin needs from the ``Options.name: value`` lines."""
    style = spoken.get("compaction_style", "kCompactionStyleLevel")
    if style != "kCompactionStyleLevel":
        raise ModelRefusal("compaction_style", f"{style} is not simulated, level compaction is")
    options, missing = spec_of(spoken)
    if missing:
        raise ModelRefusal("options", f"the LOG does not print {', '.join(missing)}")
    return options


def _record(log: LogTables, family: str) -> tuple[int, int]:
    """Mean key and value bytes of an entry."""
    stored = log.stored[log.stored["column_family"] == family]
    entries = float(stored["entries"].sum())
    if entries <= 0:
        raise ModelRefusal("table_properties", "no table file created in the LOG tells its entries")
    key = float(stored["key_bytes"].sum()) / entries - _ENTRY_TAG_BYTES
    return max(1, round(key)), max(1, round(float(stored["value_bytes"].sum()) / entries))


def _level_bytes(log: LogTables, family: str) -> tuple[float, ...]:
    """Sizes of all levels at the first stats dump."""
    levels = log.stats.levels
    levels = levels[(levels["column_family"] == family) & levels["level"].str.match(r"L\d+$")]
    if levels.empty:
        return ()
    first = levels[levels["dump"] == levels["dump"].min()]
    sizes = {
        int(name[1:]): float(size)
        for name, size in zip(first["level"], first["size_bytes"], strict=True)
    }
    return tuple(sizes.get(level, 0.0) for level in range(max(sizes) + 1))


def _slot_speed(merges: pd.DataFrame) -> float | None:
    busy_s = float(merges["compaction_time_s"].sum())
    return float(merges["output_bytes"].sum()) / busy_s if busy_s > 0 else None


def _busy_fraction(
    flushes: pd.DataFrame, merges: pd.DataFrame, start_s: float, end_s: float
) -> float:
    """Share of the time in which at least one job ran."""
    jobs = pd.concat([flushes, merges])[["start_time_s", "end_time_s"]].dropna()
    busy_s, reached_s = 0.0, start_s
    for begin, end in jobs.sort_values("start_time_s").itertuples(index=False):
        busy_s += max(0.0, end - max(begin, reached_s))
        reached_s = max(reached_s, end)
    return busy_s / (end_s - start_s)


def _dropped(flushes: pd.DataFrame, merges: pd.DataFrame, until_s: float) -> float:
    done = merges[merges["end_time_s"] <= until_s]
    dropped = float((done["num_input_records"] - done["num_output_records"]).sum())
    flushed = float(flushes.loc[flushes["end_time_s"] <= until_s, "entries"].sum())
    return max(0.0, dropped / flushed) if flushed > 0 else 0.0


def _half(
    log: LogTables, flushes: pd.DataFrame, merges: pd.DataFrame, start_s: float, end_s: float
) -> Half:
    own, done = (t[t["end_time_s"].between(start_s, end_s, "right")] for t in (flushes, merges))
    stalls = stall_seconds_by_cause(log, start_s, end_s)
    return Half(
        start_s=start_s,
        end_s=end_s,
        puts=float(own["entries"].sum()),
        flush_bytes=float(own["output_bytes"].sum()),
        compaction_bytes=float(done["output_bytes"].sum()),
        compaction_read_bytes=float(done["input_bytes"].sum()),
        stall_s={
            f"{kind}:{cause}": seconds
            for kind, cause, seconds in zip(
                stalls["kind"], stalls["cause"], stalls["seconds"].astype(float), strict=True
            )
            if seconds > 0
        },
    )
