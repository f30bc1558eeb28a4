"""What LOG and host tell, as the sample columns that alert rules and metrics read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phase_d_lib.attach.logstate import Family, LogState, Moved
from phase_d_lib.attach.writestalls import Stall

_CAUSES = {"memtable_limit": "memtable", "l0_file_limit": "l0", "pending_bytes": "pending"}
_KINDS = {"delay": "delays", "stop": "stops"}


def family_columns(family: Family, stall: Stall | None) -> dict[str, Any]:
    """Return the columns of one column family; what the LOG did not tell is left out.

    Parameters
    ----------
    family : Family
    stall : Stall or None
        What the write controller does now for it.
    """
    gauges = {"l0_files": family.l0_files, "pending_compaction_bytes": family.pending_bytes}
    delayed = stall is not None and stall.kind == "delay"
    return {
        **{name: value for name, value in gauges.items() if value is not None},
        **{
            f"{_CAUSES[cause]}_{_KINDS[kind]}_total": family.warnings[cause, kind]
            for cause in _CAUSES
            for kind in _KINDS
        },
        "write_stopped": int(stall is not None and stall.kind == "stop"),
        "delayed_write_rate_bytes_per_s": family.delayed_rate_bytes_per_s if delayed else 0,
    }


def before_stall(columns: Mapping[str, Any], stall: Stall | None) -> dict[str, Any]:
    """Return columns as they were before the stall that holds now, if any, was told of.

    A rule looks at what a counter grew by. Of a stall that holds when the monitor is attached
    there may be no further line, so that it has to count as one.
    """
    if stall is None:
        return dict(columns)
    name = f"{_CAUSES[stall.cause]}_{_KINDS[stall.kind]}_total"
    return {**columns, name: columns[name] - 1}


def whole_row(log: LogState, host: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of the whole database, for metrics.

    Counters are summed over column families; of gauges the largest is taken.

    Parameters
    ----------
    log : LogState
    host, own : mapping
        Columns of the host, and the times of the row.
    """
    row: dict[str, Any] = {}
    for name, family in log.families.items():
        for column, value in family_columns(family, log.stalls.of(name)).items():
            known = row.get(column, 0)
            row[column] = known + value if column.endswith("_total") else max(known, value)
    return {**row, **moved_columns(log.moved), **host, **own}


def moved_columns(moved: Moved) -> dict[str, int]:
    """Return the bytes that finished jobs moved as sample columns."""
    return {
        "flush_write_bytes_total": moved.flush,
        "compact_read_bytes_total": moved.compaction_read,
        "compact_write_bytes_total": moved.compaction_write,
    }
