"""Steady-state rates from samples: mean over a window, block-bootstrap interval, drift."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from phase_d_lib.specs import Frozen

MIN_BLOCKS = 4
BOOTSTRAP_SEED = 20_250_917
"""Seed of every resampling in the library, so that the same run gives the same interval."""


class Estimate(Frozen):
    """A value with a two-sided interval.

    ``low`` and ``high`` are None where too few independent blocks exist for an interval.
    """

    value: float
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    blocks: int = 0


def window(samples: pd.DataFrame, start_s: float, end_s: float | None = None) -> pd.DataFrame:
    """Return the samples with start_s <= time_s <= end_s; the first is the baseline of counters."""
    inside = samples["time_s"] >= start_s
    if end_s is not None:
        inside &= samples["time_s"] <= end_s
    return samples.loc[inside]


def counter_rate(samples: pd.DataFrame, counter: str) -> float:
    """Mean rate of a cumulative counter over the samples, units of the counter per second."""
    elapsed_s = samples["time_s"].iloc[-1] - samples["time_s"].iloc[0]
    return float(samples[counter].iloc[-1] - samples[counter].iloc[0]) / float(elapsed_s)


def block_length_s(samples: pd.DataFrame, minimum_s: float = 2.0, maximum_s: float = 10.0) -> float:
    """Choose a block longer than the stall cycle and than twice the longest gap.

    Rates are put on a regular grid first, because stalls thin the samples out; the first lag at
    which their autocorrelation falls to zero is a quarter of a cycle, and a block is a whole one.

    Parameters
    ----------
    samples : DataFrame
        Columns time_s and puts_total.
    """
    times = samples["time_s"].to_numpy(dtype=float)
    longest_gap_s, period_s = float(np.diff(times).max()), float(np.median(np.diff(times)))
    floor_s = max(minimum_s, 2.0 * longest_gap_s)
    grid = np.arange(times[0], times[-1], period_s)
    rates = np.diff(np.interp(grid, times, samples["puts_total"].to_numpy(dtype=float)))
    centred = rates - rates.mean() if len(rates) else rates
    variance = float(centred @ centred)
    if len(rates) < 8 or variance == 0.0:
        return floor_s
    lags = len(rates) // 2
    correlation = [float(centred[:-lag] @ centred[lag:]) / variance for lag in range(1, lags)]
    dip = next((i for i, value in enumerate(correlation, start=1) if value <= 0.0), lags)
    return max(floor_s, min(4.0 * dip * period_s, maximum_s))


def steady_rate(
    samples: pd.DataFrame, counter: str = "puts_total", *, resamples: int = 2000
) -> Estimate:
    """Estimate the mean rate of a counter with a 95 % moving-block bootstrap interval.

    The window is cut into time blocks longer than the stall cycle; whole blocks are resampled,
    so the dependence inside a cycle stays inside a block. The standard error of the resampled means
    is scaled by Student's t of the number of blocks, for there are few. Fewer than four blocks give
    no interval. Source: Kuensch (1989), Annals of Statistics 17(3).
    """
    mean = counter_rate(samples, counter)
    times = samples["time_s"].to_numpy(dtype=float)
    length_s = block_length_s(samples)
    count = int((times[-1] - times[0]) // length_s)
    if count < MIN_BLOCKS:
        return Estimate(value=mean, blocks=count)
    values = samples[counter].to_numpy(dtype=float)
    starts = np.linspace(times[0], times[-1] - length_s, num=16 * count)
    ends = np.interp(starts + length_s, times, values)
    block_rates = (ends - np.interp(starts, times, values)) / length_s
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    picks = rng.integers(0, len(block_rates), size=(resamples, count))
    # Resampling n blocks underestimates the variance by (n - 1) / n.
    error = float(block_rates[picks].mean(axis=1).std()) * np.sqrt(count / (count - 1))
    margin = float(stdtrit(count - 1, 0.975)) * error
    return Estimate(value=mean, low=max(0.0, mean - margin), high=mean + margin, blocks=count)


def drift_fraction(samples: pd.DataFrame, gauge: str) -> float:
    """Relative change of a gauge between the first and the last third of the window."""
    values = samples[gauge].to_numpy(dtype=float)
    third = max(1, len(values) // 3)
    first, last = values[:third].mean(), values[-third:].mean()
    scale = max(abs(first), abs(last))
    return 0.0 if scale == 0 else float((last - first) / scale)
