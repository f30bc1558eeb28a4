"""v4: measured device envelope and a ledger that closes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.models.base import (
    Amplification,
    Case,
    LedgerClosure,
    MeasuredCase,
    Prediction,
    PutRateModel,
)
from phase_d_lib.models.bounds import (
    capped_mix_bytes_per_s,
    resource_bounds_ops_per_s,
    tightest,
)
from phase_d_lib.stalls import job_limits
from phase_d_lib.units import KIB, MIB

READAHEAD_BYTES = 2 * MIB
"""``compaction_readahead_size`` of 9.8: the block of a compaction's reads (include/options.h)."""
WRITABLE_FILE_BUFFER_BYTES = 1 * MIB
"""``writable_file_max_buffer_size`` of 9.8: the block of a background job's writes."""
JOB_DEPTH = 1
"""A background job waits for each read and each write before it issues the next."""
WRITE_CLOSURE_RANGE = (0.98, 1.03)
"""Table metadata is written beside the blocks."""
DEVICE_CLOSURE_RANGE = (0.95, 1.10)


class V4(PutRateModel):
    r"""Bandwidth interpolated on the measured grid, for a ledger that was seen to close.

    .. math::

        S = \min\left(\frac{B(\rho, q, n, b)}{a_r + a_w}, \ldots\right), \qquad
        \rho = \frac{a_r}{a_r + a_w}

    with the other bounds of v1. RocksDB's traffic is a point of the grid: *n* jobs are the
    compaction slots (when the device binds, all are busy), each with depth *q* = 1, and the block
    *b* is the compaction readahead for reads and the writable-file buffer for writes, mixed on the
    log scale by :math:`\rho`. Outside the grid the nearest edge is taken and named. Where the
    device reads are not known, buffered compactions are taken to read from the page cache
    (:math:`\rho` = 0), which is named too.

    Once fitted, the model speaks only if the ledgers of the calibration runs close: the median
    write closure within 0.98-1.03 and device closure within 0.95-1.10; a given amplification must
    come from a ledger that does.
    """

    name = "v4"
    version = "4.0"

    def __init__(self) -> None:
        super().__init__()
        self.closure_: LedgerClosure | None = None

    def fit(self, runs: Sequence[MeasuredCase]) -> Self:
        """Learn whether the ledgers close, then as every model."""
        closures = [run.closure for run in runs if run.closure is not None]
        self.closure_ = LedgerClosure(
            write=_median([closure.write for closure in closures]),
            device=_median([closure.device for closure in closures]),
        )
        return super().fit(runs)

    def estimate(self, case: Case) -> Prediction:
        """Predict the saturation rate, the binding resource and how busy the slots are."""
        for closure in (case.closure, self.closure_):
            _must_close(closure)
        amplification, grid = case.amplification, case.device.grid
        if amplification is None:
            raise ModelRefusal("amplification", "neither given nor predicted for this case")
        if grid is None:
            raise ModelRefusal("grid_csv", "v4 interpolates a measured device grid; none is given")
        if not grid.is_factorial:
            raise ModelRefusal("grid_csv", "the grid lacks combinations of its own levels")
        written = amplification.background_bytes_per_user_byte
        if case.wal_on_same_device:
            written += amplification.wal_bytes_per_user_byte
        read, outside = _device_reads(case, amplification)
        rho = read / (read + written)
        block_bytes = WRITABLE_FILE_BUFFER_BYTES * (
            (READAHEAD_BYTES / WRITABLE_FILE_BUFFER_BYTES) ** rho
        )
        slots = job_limits(case.options, parallel=True).compactions
        at = grid.bandwidth(rho, JOB_DEPTH, slots, block_bytes / KIB)
        bandwidth = min(at.bytes_per_s, capped_mix_bytes_per_s(case.device, rho))
        bounds = resource_bounds_ops_per_s(case)
        for replaced in ("device_write", "device_read"):
            bounds.pop(replaced)
        record = case.workload.record_bytes
        bounds = {"device": bandwidth / ((read + written) * record), **bounds}
        prediction = tightest(self.name, case, bounds)
        return prediction.model_copy(
            update={
                "outside": (*outside, *at.clamped),
                "busy_slots_fraction": _busy_slots(prediction, bounds["compaction_slots"]),
            }
        )

    def summary(self) -> str:
        """Equation in one line."""
        return "v4: S = min(B(rho, depth 1, n jobs, block)/(a_r+a_w), v1's other bounds)"


def _must_close(closure: LedgerClosure | None) -> None:
    if closure is None:
        return
    checks = (
        ("write closure", closure.write, WRITE_CLOSURE_RANGE),
        ("device closure", closure.device, DEVICE_CLOSURE_RANGE),
    )
    for name, value, (low, high) in checks:
        if value is not None and not low <= value <= high:
            raise ModelRefusal("ledger", f"{name} is {value:.3f}, closed is {low} to {high}")


def _device_reads(case: Case, amplification: Amplification) -> tuple[float, tuple[str, ...]]:
    """Device reads per user byte, and what had to be assumed for them."""
    read = amplification.device_read_bytes_per_user_byte
    if read is not None:
        return read, ()
    if case.options.use_direct_io_for_flush_and_compaction:
        raise ModelRefusal("a_r", "under direct I/O the device serves all reads; not given")
    return 0.0, ("device_reads",)


def _busy_slots(prediction: Prediction, slots_bound_ops_per_s: float | None) -> float | None:
    rate = prediction.saturation_ops_per_s
    if rate is None or slots_bound_ops_per_s is None:
        return None
    return rate / slots_bound_ops_per_s


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
