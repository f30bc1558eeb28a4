"""What the alert rules look at: one number each from the samples of the last minute.

None means that these samples can't tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from phase_d_lib.models.base import Prediction
from phase_d_lib.specs import Frozen, OptionsSpec, RunSpec
from phase_d_lib.validity import MIN_MEMTABLE_TURNOVERS

Row = Mapping[str, Any]
"""One raw sample, as the engine writes it."""
HISTORY_S = 60.0
"""How far back a rule may look."""
STEAL_WINDOW_S = 5.0
LATENCY_WINDOW_S = 5.0
RATE_WINDOW_S = 10.0
"""Longer than the stall cycle: the rate of a single sample always swings."""
MIN_DISK_HISTORY_S = 30.0
WRITTEN = ("flush_write_bytes_total", "compact_write_bytes_total")
BUILT = (
    "compressed_to_bytes_total",
    "compression_bypassed_bytes_total",
    "compression_rejected_bytes_total",
)


class Expectations(Frozen):
    """What a run is held against."""

    options: OptionsSpec
    warmup_s: float = 0.0
    """Leading part of the run in which its rate is not judged."""
    put_p999_objective_us: float | None = None
    """Stated objective of the p99.9 put latency; None states none."""
    put_rate_low_ops_per_s: float | None = None
    """Low end of the active model's 90 % interval of the saturation rate."""

    @classmethod
    def of(
        cls,
        spec: RunSpec,
        active: Prediction | None = None,
        put_p999_objective_us: float | None = None,
    ) -> Expectations:
        """Expect of a run what its spec and the active model say.

        An open load sets its own rate, so that the interval of the saturation rate says nothing
        about it.
        """
        closed = spec.workload.arrival.kind == "closed"
        interval = active.interval_90_ops_per_s if active is not None and closed else None
        return cls(
            options=spec.options,
            warmup_s=spec.warmup_s,
            put_p999_objective_us=put_p999_objective_us,
            put_rate_low_ops_per_s=interval[0] if interval is not None else None,
        )


Signal = Callable[[Sequence[Row], Expectations], float | None]
"""Recent samples (oldest first, at least one) and expectations -> a number, or None."""


def last(column: str) -> Signal:
    """Newest value of a column."""
    return lambda rows, _: float(rows[-1][column])


def added(column: str) -> Signal:
    """Growth of a counter since the sample before."""
    return lambda rows, _: float(rows[-1][column] - rows[-2][column]) if len(rows) > 1 else None


def _since(rows: Sequence[Row], span_s: float) -> Sequence[Row]:
    """The newest rows that cover `span_s`; a hair more, for samples come a little late."""
    first_s = rows[-1]["time_s"] - span_s - 1e-6
    return [row for row in rows if row["time_s"] >= first_s]


def steal_fraction(rows: Sequence[Row], _: Expectations) -> float | None:
    """Share of the machine's CPU time that the hypervisor took in the last five seconds."""
    first, last = _since(rows, STEAL_WINDOW_S)[0], rows[-1]
    elapsed_s = last["machine_cpu_s_total"] - first["machine_cpu_s_total"]
    stolen_s = last["machine_steal_s_total"] - first["machine_steal_s_total"]
    return float(stolen_s / elapsed_s) if elapsed_s > 0 else None


def closure_error(rows: Sequence[Row], expected: Expectations) -> float | None:
    """How far (flush + compaction writes) / built bytes is from 1; None under eight memtables.

    A block is counted when built, its file's bytes a little later: a flush and one output file of
    every background job may lie between, and so many bytes are allowed before any error is seen.
    """
    first, last = rows[0], rows[-1]
    change = {name: float(last[name] - first[name]) for name in (*WRITTEN, *BUILT)}
    written, built = (sum(change[name] for name in names) for names in (WRITTEN, BUILT))
    options = expected.options
    buffered = float(last["batch_bytes_total"] - first["batch_bytes_total"])
    if built <= 0 or buffered < MIN_MEMTABLE_TURNOVERS * options.write_buffer_size:
        return None
    under_way = options.write_buffer_size
    under_way += options.max_background_jobs * options.target_file_size_base
    return max(0.0, abs(written - built) - under_way) / built


def put_rate_ops_per_s(rows: Sequence[Row], expected: Expectations) -> float | None:
    """Mean put rate of the last ten seconds; None until they lie behind the warm-up."""
    recent = [row for row in rows if row["time_s"] >= expected.warmup_s]
    if not recent or recent[-1]["time_s"] - recent[0]["time_s"] < RATE_WINDOW_S:
        return None
    inside = _since(recent, max(RATE_WINDOW_S, recent[-1]["time_s"] - recent[-2]["time_s"]))
    puts = inside[-1]["puts_total"] - inside[0]["puts_total"]
    return float(puts / (inside[-1]["time_s"] - inside[0]["time_s"]))


def put_p999_us(rows: Sequence[Row], _: Expectations) -> float | None:
    """Median over the samples of the last five seconds of their p99.9 put latency."""
    seen = [row["put_latency_p999_us"] for row in _since(rows, LATENCY_WINDOW_S)]
    known = [value for value in seen if value is not None and np.isfinite(value)]
    return float(np.median(known)) if known else None


def disk_full_in_s(rows: Sequence[Row], _: Expectations) -> float | None:
    """Seconds until the disk is full at the median of all pairwise slopes of the last minute.

    Infinite while it does not fill; None before thirty seconds are seen. Source of the slope: Sen
    (1968), Journal of the American Statistical Association 63, which a compaction that frees its
    inputs at once does not move.
    """
    times = np.array([row["time_s"] for row in rows], dtype=float)
    free = np.array([row["disk_free_bytes"] for row in rows], dtype=float)
    if times[-1] - times[0] < MIN_DISK_HISTORY_S:
        return None
    older, newer = np.triu_indices(len(times), 1)
    slope = float(np.median((free[newer] - free[older]) / (times[newer] - times[older])))
    return float(free[-1]) / -slope if slope < 0 else float("inf")


def free_fraction(rows: Sequence[Row], _: Expectations) -> float | None:
    """Free share of the disk that holds the database."""
    return float(rows[-1]["disk_free_bytes"]) / float(rows[-1]["disk_total_bytes"])
