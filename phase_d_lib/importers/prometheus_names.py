"""What a Prometheus metric of a RocksDB means, however its exporter spells it.

Exporters take RocksDB's ticker or property names, put underscores in and a prefix before them:
``rocksdb_bytes_written``, ``mysql_global_status_rocksdb_bytes_written`` (MyRocks),
``flink_..._rocksdb_bytes_written`` (Flink), ``kafka_stream_state_bytes_written_total`` (Kafka
Streams). TiKV puts the name into a label, ``tikv_engine_flow_bytes{type="bytes_written"}``; others
the whole of it, ``rocksdb_ticker{ticker="rocksdb.bytes.written"}``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from phase_d_lib.importers.prometheus_text import Series
from phase_d_lib.units import US_PER_S

Form = Literal["counter", "rate", "gauge"]

_OWNED = re.compile(
    r"^(.*[_:]|)(?:rocksdb|forst|stream_state_metrics|stream_state|tikv_engine)_(.+)$"
)
"""Prefix, and the name after the last word that says whose metric it is."""
PART_LABELS = frozenset(
    {
        "cause",
        "cf",
        "cf_name",
        "column_family",
        "column_family_name",
        "columnfamily",
        "family",
        "kind",
        "le",
        "level",
        "property",
        "quantile",
        "stat",
        "ticker",
        "type",
    }
)
"""Labels that tell parts of one database from each other, not databases."""
_NAMING_LABELS = ("ticker", "property", "stat", "name", "metric", "type")
"""Labels that may hold a name of RocksDB's."""
_COUNTERS: dict[str, dict[str, float]] = {
    "batch_bytes": {"bytes_written": 1, "flow_bytes/bytes_written": 1},
    "keys_written": {
        "number_keys_written": 1,
        "keys_written": 1,
        "puts": 1,
        "flow_bytes/keys_written": 1,
    },
    "keys_read": {"number_keys_read": 1, "keys_read": 1, "gets": 1, "flow_bytes/keys_read": 1},
    "wal_bytes": {"wal_bytes": 1, "wal_file_bytes": 1, "flow_bytes/wal_file_bytes": 1},
    "flush_bytes": {
        "flush_write_bytes": 1,
        "memtable_bytes_flushed": 1,
        "flushed_bytes": 1,
        "flow_bytes/flush_write_bytes": 1,
    },
    "compact_write_bytes": {
        "compact_write_bytes": 1,
        "compaction_write_bytes": 1,
        "compacted_bytes_written": 1,
        "bytes_written_compaction": 1,
        "compaction_flow_bytes/bytes_written": 1,
    },
    "compact_read_bytes": {
        "compact_read_bytes": 1,
        "compaction_read_bytes": 1,
        "compacted_bytes_read": 1,
        "bytes_read_compaction": 1,
        "compaction_flow_bytes/bytes_read": 1,
    },
    "compressed_bytes": {"bytes_compressed_to": 1},
    "bypassed_bytes": {"bytes_compression_bypassed": 1},
    "rejected_bytes": {"bytes_compression_rejected": 1},
    "stall_us": {"stall_micros": 1, "stall_micro_seconds": 1, "stall_seconds": US_PER_S},
    "compaction_us": {"compaction_times_micros_sum": 1},
    "flush_us": {"db_flush_micros_sum": 1},
}
"""What each counter is the sum of: its names, and what makes them bytes, keys or microseconds."""
_GAUGES: dict[str, tuple[str, ...]] = {
    "running_compactions": ("num_running_compactions",),
    "running_flushes": ("num_running_flushes",),
    "l0_files": ("num_files_at_level0", "num_files_at_level/0"),
    "pending_bytes": (
        "estimate_pending_compaction_bytes",
        "pending_compaction_bytes",
        "estimated_pending_compaction",
    ),
    "delayed_rate": ("actual_delayed_write_rate", "actual_delayed_write_rate_bytes_per_second"),
    "stopped": ("is_write_stopped",),
}
SUMMED_GAUGES = frozenset({"pending_bytes"})
"""Gauges of a column family that add up; of the others the largest counts."""
AMBIGUOUS = {
    "write_stall_duration": (
        "write_stall_duration was left out: Kafka Streams calls it milliseconds and adds up "
        "RocksDB's microseconds"
    )
}
"""Metrics whose unit is not what it is said to be, and the sentence on it."""
_SUFFIXES = ("_total", "_count", "_bytes")
"""What exporters add: OpenMetrics, Redis-like text, Micrometer's base unit."""
_RATE = "_rate"
_KAFKA = "stream_state"
"""Its rates are per second; what another exporter calls a rate may be in any unit."""


@dataclass(frozen=True)
class Meaning:
    """What a series is of.

    Attributes
    ----------
    role : str
        For example 'batch_bytes'.
    form : str
        'counter', 'rate' (already per second) or 'gauge'.
    factor : float
        Times the value, in the unit of the role's name.
    prefix : str
        What stands in front of the name; of two databases in one process it may differ.
    """

    role: str
    form: Form
    factor: float
    prefix: str


def owned_name(series: Series) -> tuple[str, str] | None:
    """Return prefix and bare name of a RocksDB metric, in lower case; None for any other.

    The bare name of a metric that holds its name in a label is that name.
    """
    name = _plain(series.name)
    for label in _NAMING_LABELS:
        value = _plain(series.labels.get(label, ""))
        if value.startswith("rocksdb_"):
            return "", value.removeprefix("rocksdb_")
    found = _OWNED.match(name)
    return None if found is None else (found[1], found[2])


def meaning_of(series: Series) -> Meaning | None:
    """Return what a series means; None when it is no RocksDB metric that is used here."""
    owned = owned_name(series)
    if owned is None:
        return None
    prefix, bare = owned
    part = series.labels.get("type") or series.labels.get("level", "").removeprefix("L")
    for name in _spellings(bare):
        for spelled in (f"{name}/{part}", name):
            if spelled in _OF_COUNTER:
                role, factor = _OF_COUNTER[spelled]
                return Meaning(role, "counter", factor, prefix)
            if spelled in _OF_GAUGE:
                return Meaning(_OF_GAUGE[spelled], "gauge", 1.0, prefix)
    is_rate = _KAFKA in _plain(series.name) and bare.endswith(_RATE)
    if is_rate and bare.removesuffix(_RATE) in _OF_COUNTER:
        role, factor = _OF_COUNTER[bare.removesuffix(_RATE)]
        return Meaning(role, "rate", factor, prefix)
    return None


def database_of(series: Series) -> dict[str, str]:
    """Return the labels that tell which database a series is of."""
    return {
        label: value
        for label, value in series.labels.items()
        if label not in PART_LABELS
        and not (label in _NAMING_LABELS and _plain(value).startswith("rocksdb_"))
    }


def ambiguity(series: Series) -> str | None:
    """Return why a metric is not used although its name is known; None for any other."""
    owned = owned_name(series)
    return (
        None
        if owned is None
        else next((why for name, why in AMBIGUOUS.items() if owned[1].startswith(name)), None)
    )


def _plain(name: str) -> str:
    return re.sub(r"[.-]", "_", name.strip().lower())


def _spellings(bare: str) -> list[str]:
    """Return a name as it is, and then without each suffix an exporter may have added."""
    found = [bare]
    for suffix in _SUFFIXES:
        if found[-1].endswith(suffix):
            found.append(found[-1].removesuffix(suffix))
    return found


_OF_COUNTER = {
    name: (role, float(factor))
    for role, names in _COUNTERS.items()
    for name, factor in names.items()
}
_OF_GAUGE = {name: role for role, names in _GAUGES.items() for name in names}
