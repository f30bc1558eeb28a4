"""Whether a run may be scored. Only covariates decide, never the size of an error."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from phase_d_lib.rates import drift_fraction
from phase_d_lib.specs import Frozen, RunSpec

MAX_STEAL_FRACTION = 0.05
MAX_FOREIGN_CPU_FRACTION = 0.25
MIN_WINDOW_S = 5.0
MIN_MEMTABLE_TURNOVERS = 8.0
MAX_DRIFT_FRACTION = 0.25
MAX_WRITE_CLOSURE_ERROR = 0.03


Code = Literal["incomplete", "short", "turnover", "steal", "foreign", "drift", "closure"]


class Reason(Frozen):
    """One reason against a run: a code for wording, the value seen and the limit."""

    code: Code
    value: float
    limit: float

    def __str__(self) -> str:
        return _REASONS[self.code].format(value=self.value, limit=self.limit)


_REASONS = {
    "incomplete": "the run ended {value:.1f} s after its start, planned were {limit:.1f} s",
    "short": "window {value:.1f} s is shorter than {limit:.1f} s",
    "turnover": "{value:.1f} memtables were written in the window, {limit:.0f} are needed",
    "steal": "CPU steal {value:.1%} is above {limit:.0%}",
    "foreign": "other processes used {value:.0%} of the CPU, above {limit:.0%}",
    "drift": "live data size drifted by {value:+.0%} inside the window, allowed {limit:.0%}",
    "closure": "write ledger closes to {value:.3f}, allowed is 1 within {limit:.2f}",
}


class Verdict(Frozen):
    """Valid or not, and every reason why not."""

    valid: bool
    reasons: tuple[Reason, ...] = ()
    write_closure: float | None = None
    """(flush + compaction writes) / bytes that left the block builder."""
    foreign_cpu_fraction: float | None = None
    """Share of the machine's CPU used by other processes."""

    def blocked_by(self, *codes: str) -> bool:
        """Return whether any of these reasons holds (calibration runs need only some)."""
        return any(reason.code in codes for reason in self.reasons)


def judge(spec: RunSpec, samples: pd.DataFrame, *, complete: bool) -> Verdict:
    """Judge a run from the samples of its window.

    Parameters
    ----------
    spec : RunSpec
    samples : DataFrame
        Samples of the window, at least two.
    complete : bool
        Whether the run reached its planned end.
    """
    change = _change(samples)
    closure, foreign = write_closure(samples), foreign_cpu_fraction(samples)
    end_s, length_s = float(samples["time_s"].iloc[-1]), float(np.ptp(samples["time_s"]))
    turnovers = change["batch_bytes_total"] / spec.options.write_buffer_size
    steal = change["machine_steal_s_total"] / change["machine_cpu_s_total"]
    drift = drift_fraction(samples, "live_sst_bytes")
    tests: list[tuple[bool, Code, float, float]] = [
        (complete, "incomplete", end_s, spec.duration_s),
        (length_s >= MIN_WINDOW_S, "short", length_s, MIN_WINDOW_S),
        (turnovers >= MIN_MEMTABLE_TURNOVERS, "turnover", turnovers, MIN_MEMTABLE_TURNOVERS),
        (steal <= MAX_STEAL_FRACTION, "steal", steal, MAX_STEAL_FRACTION),
        (foreign <= MAX_FOREIGN_CPU_FRACTION, "foreign", foreign, MAX_FOREIGN_CPU_FRACTION),
        (abs(drift) <= MAX_DRIFT_FRACTION, "drift", drift, MAX_DRIFT_FRACTION),
        (_closes(closure), "closure", closure or 0.0, MAX_WRITE_CLOSURE_ERROR),
    ]
    reasons = tuple(
        Reason(code=code, value=float(value), limit=limit)
        for passed, code, value, limit in tests
        if not passed
    )
    return Verdict(
        valid=not reasons, reasons=reasons, write_closure=closure, foreign_cpu_fraction=foreign
    )


def _closes(closure: float | None) -> bool:
    return closure is None or abs(closure - 1.0) <= MAX_WRITE_CLOSURE_ERROR


def write_closure(samples: pd.DataFrame) -> float | None:
    """(flush + compaction writes) / (compressed.to + bypassed + rejected); None where unknown."""
    change = _change(samples)
    built = (
        change["compressed_to_bytes_total"]
        + change["compression_bypassed_bytes_total"]
        + change["compression_rejected_bytes_total"]
    )
    if not built > 0:  # nothing was written, or the engine lacks one of the counters
        return None
    return float((change["flush_write_bytes_total"] + change["compact_write_bytes_total"]) / built)


def foreign_cpu_fraction(samples: pd.DataFrame) -> float:
    """Share of the machine's CPU time spent busy outside the engine process."""
    change = _change(samples)
    outside_s = change["machine_busy_s_total"] - change["process_cpu_s_total"]
    return max(0.0, float(outside_s / change["machine_cpu_s_total"]))


def _change(samples: pd.DataFrame) -> pd.Series[float]:
    counters = samples.filter(like="_total")
    return counters.iloc[-1] - counters.iloc[0]
