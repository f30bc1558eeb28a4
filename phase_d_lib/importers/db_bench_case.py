"""A case file's fragment from a db_bench output: record, ledger, and options it names."""

from __future__ import annotations

import math

from phase_d_lib.importers.base import CaseFragment, ratio
from phase_d_lib.importers.db_bench_output import Output
from phase_d_lib.importers.db_bench_text import DbBenchResult
from phase_d_lib.specs import OptionsSpec
from phase_d_lib.units import MIB, US_PER_S

_CASE_KEY_BYTES = 16
_OPTION_OF_FLAG = {
    **{name: name for name in OptionsSpec.model_fields},
    "subcompactions": "max_subcompactions",
    "compression_type": "compression",
    "num_levels": "num_levels",
}
_STYLES = {"0": "level", "1": "universal", "2": "fifo"}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def case_fragment(output: Output) -> CaseFragment | None:
    """Return what a case file can take from an output; None where no record size is known."""
    record = record_bytes(output)
    if record is None:
        return None
    options, unread = _options(output.header.flags)
    values: dict[str, object] = {"record_bytes": record, "options": options}
    ledger = _amplification(output)
    if ledger is not None:
        values |= {"amplification": ledger, "amplification_base": "batch"}
    limit = output.header.flags.get("rate_limiter_bytes_per_sec", "")
    if limit.isdecimal() and int(limit) > 0:
        values["limiter_bytes_per_s"] = int(limit)
    wal = output.counters.get("rocksdb.wal.bytes")
    if wal is not None and output.counters.get("rocksdb.bytes.written"):
        values["wal_on"] = wal > 0
    speed = _slot_speed(output)
    if speed is not None:
        values["host"] = {"slot_write_bytes_per_s": speed}
    return CaseFragment(values, tuple(_case_notes(output, unread)))


def record_bytes(output: Output) -> int | None:
    """Return key + value bytes: of the header, else the one size that rate and MB/s allow."""
    if output.header.record_bytes is not None:
        return output.header.record_bytes
    return _size_of(output.chosen) if output.writes_only and output.chosen else None


def _size_of(result: DbBenchResult) -> int | None:
    """Return the whole number of bytes that the rounded rates allow, if it is only one."""
    if not result.mb_per_s or result.ops_per_s < 1:
        return None
    # "%.1f MB/s" is half a digit off at most; ops/s is cut to a whole number.
    low = (result.mb_per_s - 0.05) * MIB / (result.ops_per_s + 1)
    high = (result.mb_per_s + 0.05) * MIB / result.ops_per_s
    return math.floor(high) if math.floor(high) == math.ceil(low) else None


def _amplification(output: Output) -> dict[str, float] | None:
    get = output.counters.get
    parts = [get(f"rocksdb.{name}.bytes") for name in ("wal", "flush.write", "compact.write")]
    wrote = [part for part in parts if part is not None]
    batch = get("rocksdb.bytes.written")
    a_w = ratio(sum(wrote), batch) if len(wrote) == len(parts) else None
    a_c = ratio(parts[2], batch)
    return {"a_w": a_w, "a_c": a_c} if a_w and a_c is not None else None


def _slot_speed(output: Output) -> float | None:
    """Return compaction writes per busy second, unless a limiter may have slowed them."""
    if output.counters.get("rocksdb.number.rate_limiter.drains") != 0:
        return None
    jobs = output.results[0].histograms.get("rocksdb.compaction.times.micros")
    busy_s = None if jobs is None else jobs.sum / US_PER_S
    return ratio(output.counters.get("rocksdb.compact.write.bytes"), busy_s) or None


def _options(flags: dict[str, str]) -> tuple[dict[str, object], list[str]]:
    """Return RocksDB options of db_bench's flags, and the flags that could not be read."""
    options: dict[str, object] = {}
    unread = []
    for flag, given in flags.items():
        if flag == "compaction_style":
            options["compaction_style"] = _STYLES.get(given, given)
        elif flag in ("enable_blob_files", "use_blob_db") and _BOOLEANS.get(given):
            options["enable_blob_files"] = True
        elif flag in _OPTION_OF_FLAG:
            value = _value(_OPTION_OF_FLAG[flag], given)
            if value is None:
                unread.append(f"{flag}={given}")
            else:
                options[_OPTION_OF_FLAG[flag]] = value
    return options, unread


def _value(option: str, given: str) -> object:
    field = OptionsSpec.model_fields.get(option)
    kind = int if field is None else field.annotation
    if kind is bool:
        return _BOOLEANS.get(given.lower())
    if option == "compression":
        return given
    try:
        number = float(given)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if kind is int else number


def _case_notes(output: Output, unread: list[str]) -> list[str]:
    notes = []
    if not output.header.flags:
        notes.append("the output names no option; those left out mean RocksDB 9.8's defaults")
    else:
        notes.append("flags not named have db_bench's defaults, the case file RocksDB 9.8's")
    if unread:
        notes.append(f"flags not understood: {', '.join(unread)[:200]}")
    if output.header.key_bytes not in (None, _CASE_KEY_BYTES):
        notes.append(
            f"keys of {output.header.key_bytes} bytes; a case file counts {_CASE_KEY_BYTES}"
        )
    if not output.alone:
        notes.append("the ledger is that of all benchmarks together")
    return notes
