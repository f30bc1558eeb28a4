"""Where the bytes of a run went, per user byte and per batch byte, and whether that adds up."""

from __future__ import annotations

import numpy as np
import pandas as pd

from phase_d_lib.logfile import LogTables, level_flows
from phase_d_lib.runs import Run
from phase_d_lib.specs import Frozen
from phase_d_lib.validity import write_closure


class LevelTraffic(Frozen):
    """Traffic into one level over the window; flush is level 0."""

    level: int
    write_bytes: float
    read_bytes: float
    jobs: int
    busy_s: float


class Ledger(Frozen):
    """Bytes of one window, from counters (exact) and the LOG (per level)."""

    window_s: float
    user_bytes: float
    batch_bytes: float
    wal_bytes: float
    flush_write_bytes: float
    compaction_write_bytes: float
    compaction_read_bytes: float
    device_write_bytes: float | None
    device_read_bytes: float | None
    write_closure: float | None
    """(flush + compaction writes) / bytes out of the block builder; closed within 3 % of 1."""
    device_closure: float | None
    """Process device writes / (WAL + flush + compaction); 0.95-1.10 is closed."""
    occupied_slot_s: float
    """Compaction slots taken, integrated over the window. Busy time of the LOG is 10-20 % less
    where compactions are short, for it leaves out what comes before and after each."""
    levels: tuple[LevelTraffic, ...] = ()

    @property
    def slot_write_bytes_per_s(self) -> float | None:
        """Compaction writes per second of an occupied slot; None where none was."""
        if self.occupied_slot_s <= 0:
            return None
        return self.compaction_write_bytes / self.occupied_slot_s

    def per_user_byte(self, name: str) -> float:
        """One byte count per user byte, e.g. ``"flush_write_bytes"``; 0 without puts."""
        return float(getattr(self, name)) / self.user_bytes if self.user_bytes else 0.0

    def per_batch_byte(self, name: str) -> float:
        """One byte count per batch byte, the basis of published ledgers."""
        return float(getattr(self, name)) / self.batch_bytes

    @property
    def write_amplification(self) -> float:
        """Flush plus compaction writes per user byte (without WAL)."""
        return self.per_user_byte("flush_write_bytes") + self.per_user_byte(
            "compaction_write_bytes"
        )

    def _repr_html_(self) -> str:
        rows = {
            name: (getattr(self, name), self.per_user_byte(name))
            for name in (
                "wal_bytes",
                "flush_write_bytes",
                "compaction_write_bytes",
                "compaction_read_bytes",
            )
        }
        table = pd.DataFrame(rows, index=["bytes", "per_user_byte"]).T
        return str(table.to_html(float_format=lambda x: f"{x:,.2f}"))


def ledger_of(run: Run) -> Ledger:
    """Close the books of a run over its window."""
    inside = run.window
    change = inside.filter(like="_total").iloc[-1] - inside.filter(like="_total").iloc[0]
    start_s, end_s = inside["unix_time_s"].iloc[0], inside["unix_time_s"].iloc[-1]
    written = float(change["io_write_bytes_total"]) if _readable(inside) else None
    logical = float(
        change["wal_bytes_total"]
        + change["flush_write_bytes_total"]
        + change["compact_write_bytes_total"]
    )
    return Ledger(
        window_s=float(inside["time_s"].iloc[-1] - inside["time_s"].iloc[0]),
        user_bytes=float(change["puts_total"] * run.spec.workload.record_bytes),
        batch_bytes=float(change["batch_bytes_total"]),
        wal_bytes=float(change["wal_bytes_total"]),
        flush_write_bytes=float(change["flush_write_bytes_total"]),
        compaction_write_bytes=float(change["compact_write_bytes_total"]),
        compaction_read_bytes=float(change["compact_read_bytes_total"]),
        device_write_bytes=written,
        device_read_bytes=float(change["io_read_bytes_total"]) if _readable(inside) else None,
        write_closure=write_closure(inside),
        device_closure=written / logical if written is not None and logical > 0 else None,
        occupied_slot_s=float(np.trapezoid(inside["running_compactions"], inside["time_s"])),
        levels=_levels(run.log, start_s, end_s),
    )


def _readable(samples: pd.DataFrame) -> bool:
    return bool((samples["io_write_bytes_total"] >= 0).all())


def _levels(log: LogTables, start_s: float, end_s: float) -> tuple[LevelTraffic, ...]:
    rows = level_flows(log, start_s, end_s).to_dict("records")
    return tuple(LevelTraffic.model_validate(row) for row in rows)
