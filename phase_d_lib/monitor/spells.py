"""Quiet spells between the stalls of a run, and the risk of the next one at each of their samples.

Risk is how far a straight line through level 0 or compaction debt gets to its limit within the
horizon; 1 says that it gets there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from phase_d_lib.runs import Run
from phase_d_lib.specs import OptionsSpec

Target = Literal["slowdown", "stop"]
"""What is warned of: any delay or stop, or stops alone."""
MIN_QUIET_S = 2.0
"""A stall after a shorter pause is the same stall going on, no transition."""
MIN_HISTORY_SAMPLES = 3


@dataclass(frozen=True)
class Spell:
    """Scored samples of one quiet spell: none delayed or stopped, for two seconds or more."""

    times_s: np.ndarray
    risks: np.ndarray
    levels: np.ndarray
    """Risk without the slope."""
    soon: np.ndarray
    """Whether a transition comes within the horizon."""
    ends_in_stall: bool
    end_s: float
    horizon_s: float

    def warnings(self, threshold: float) -> list[tuple[int, int]]:
        """Half-open ranges of consecutive samples at or above the threshold."""
        above = (self.risks >= threshold).astype(int)
        edges = np.flatnonzero(np.diff(above, prepend=0, append=0))
        return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def stalled(samples: pd.DataFrame, target: Target) -> np.ndarray:
    """Whether the interval before each sample, or the sample itself, was delayed or stopped."""
    kinds = ("stops",) if target == "stop" else ("stops", "delays")
    counters = [f"{c}_{kind}_total" for c in ("memtable", "l0", "pending") for kind in kinds]
    added = samples[counters].diff().fillna(0.0).sum(axis=1).to_numpy() > 0
    held = samples["write_stopped"].to_numpy() > 0
    if target == "slowdown":
        held = held | (samples["delayed_write_rate_bytes_per_s"].to_numpy() > 0)
    found: np.ndarray = added | held
    return found


def risks(
    samples: pd.DataFrame, options: OptionsSpec, horizon_s: float, target: Target
) -> tuple[np.ndarray, np.ndarray]:
    """Risk at each sample with and without the slope; NaN where too little lies behind."""
    stop = target == "stop"
    limits = {
        "l0_files": options.level0_stop_writes_trigger
        if stop
        else options.level0_slowdown_writes_trigger,
        "pending_compaction_bytes": options.hard_pending_compaction_bytes_limit
        if stop
        else options.soft_pending_compaction_bytes_limit,
    }
    times = samples["time_s"].to_numpy(dtype=float)
    parts = [
        (samples[name].to_numpy(dtype=float) / limit) for name, limit in limits.items() if limit
    ]
    level = np.max(parts, axis=0)
    ahead = np.max([x + horizon_s * _slopes(times, x, horizon_s) for x in parts], axis=0)
    return ahead, level


def _slopes(times_s: np.ndarray, values: np.ndarray, history_s: float) -> np.ndarray:
    """Least-squares slope over the history before each sample, per second."""
    found = np.full(len(times_s), np.nan)
    # Samples come a little late; half a period more keeps the one at the edge.
    slack_s = float(np.median(np.diff(times_s))) / 2 if len(times_s) > 1 else 0.0
    starts = np.searchsorted(times_s, times_s - history_s - slack_s)
    for n, start in enumerate(starts):
        far_enough = times_s[n] - times_s[start] >= history_s - 2 * slack_s
        if n + 1 - start >= MIN_HISTORY_SAMPLES and far_enough:
            centred = times_s[start : n + 1] - times_s[start : n + 1].mean()
            found[n] = centred @ values[start : n + 1] / (centred @ centred)
    return found


def spells_of(run: Run, horizon_s: float, target: Target) -> list[Spell]:
    """Cut the samples of a run into quiet spells and score each sample.

    The last horizon of a spell that ends with the run is left out: nobody knows what came after.
    """
    samples = run.samples
    if len(samples) < MIN_HISTORY_SAMPLES:
        return []
    times = samples["time_s"].to_numpy(dtype=float)
    ahead, level = risks(samples, run.spec.options, horizon_s, target)
    held_back = stalled(samples, target)
    edges = [0, *(int(n) + 1 for n in np.flatnonzero(np.diff(held_back))), len(held_back)]
    found = []
    for start, end in pairwise(edges):
        if held_back[start] or times[end - 1] - times[start] < MIN_QUIET_S:
            continue
        ends_in_stall, left_s = end < len(held_back), times[end - 1] - times[start:end]
        known = np.isfinite(ahead[start:end]) & (ends_in_stall | (left_s >= horizon_s))
        found.append(
            Spell(
                times_s=times[start:end][known],
                risks=ahead[start:end][known],
                levels=level[start:end][known],
                soon=(left_s < horizon_s)[known] & ends_in_stall,
                ends_in_stall=ends_in_stall,
                end_s=float(times[end - 1]),
                horizon_s=horizon_s,
            )
        )
    return found
