"""Steady-state rates from samples: mean over a window, block-bootstrap interval, drift."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from phase_d_lib.specs import Frozen

MIN_BLOCKS = 4
L0_FILES_UNIT, L0_ROUNDS_UNIT = 2.0, 2.0
"""Rise of debt that is still bounded: level-0 files, and level-0 rounds of pending bytes."""
MIN_ASHMAN_D = 2.0
MIN_GAP_SPREADS = 3.0
MIN_STATE_DIFFERENCE = 0.08
MIN_REPEATED = 0.5
MIN_OF_HIGHEST_PEAK = 0.5
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


def counters_at(samples: pd.DataFrame, times_s: np.ndarray) -> pd.DataFrame:
    """Counters (``_total``) at given times, one row each, interpolated between samples.

    A stall can swallow a window's edge; interpolated, nothing is counted twice or lost.
    """
    counters = samples.filter(like="_total")
    return pd.DataFrame(
        {name: np.interp(times_s, samples["time_s"], counters[name]) for name in counters}
    )


def binomial_interval(hits: int, trials: int) -> tuple[float, float] | None:
    """Clopper-Pearson 95 % interval of a share (Biometrika 26, 1934); None without a trial."""
    if trials == 0:
        return None
    from scipy.stats import binomtest  # half a second to import

    found = binomtest(hits, trials).proportion_ci(0.95)
    return float(found.low), float(found.high)


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


def two_states(values: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """Group the rates of repeated runs: one group, or two where runs settle in two states.

    The sorted values are split at their largest gap. The halves are two states only if each has
    two members or more, Ashman's D = sqrt(2) |m1 - m2| / sqrt(s1^2 + s2^2) exceeds 2, the gap
    exceeds three times the pooled standard deviation inside the groups, and their means differ by
    more than 8 % of the mean of all. D alone does not do: halves of one normal sample often pass
    it. Six values of one normal state with 5 % variation are split in 7 %.
    Source: Ashman, Bird and Zepf (1994), Astronomical Journal 108, 2348, for D.

    Returns
    -------
    tuple of tuple of float
        Ascending groups of ascending values; one group, perhaps empty, where there is one state.
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    whole = (tuple(map(float, ordered)),)
    if len(ordered) < 4:
        return whole
    gaps = np.diff(ordered)
    cut = int(gaps.argmax()) + 1
    low, high = ordered[:cut], ordered[cut:]
    if min(len(low), len(high)) < 2:
        return whole
    apart = float(high.mean() - low.mean())
    # Products, not quotients: groups without any spread are far apart too.
    separated = np.sqrt(2.0) * apart > MIN_ASHMAN_D * np.hypot(low.std(ddof=1), high.std(ddof=1))
    squares = float(((low - low.mean()) ** 2).sum() + ((high - high.mean()) ** 2).sum())
    clear = gaps.max() > MIN_GAP_SPREADS * np.sqrt(squares / (len(ordered) - 2))
    if not (separated and clear and apart > MIN_STATE_DIFFERENCE * abs(ordered.mean())):
        return whole
    return tuple(map(float, low)), tuple(map(float, high))


def cycle_length_s(times_s: ArrayLike, puts_total: ArrayLike) -> float | None:
    """Return the length of the dominant stall cycle of a cumulative counter, or None without one.

    Rates on a regular grid, their linear trend taken off, repeat themselves after a whole cycle:
    the length is the first peak of their autocorrelation behind its first zero, refined by a
    parabola. There is a cycle if at some peak at least half of the variance comes back, three
    standard errors of white noise or more; a peak half as high before it is the cycle itself.
    Where a stall thinned the samples out, the rate counts as constant over the gap.

    Parameters
    ----------
    times_s, puts_total : array_like
        Ascending times and the counter at each. Cycles that vary by 8 % are mostly found within
        10 % if they last from 3.5 periods of the samples to a third of the time covered.
    """
    times = np.asarray(times_s, dtype=float)
    if len(times) < 8:
        return None
    period_s = float(np.median(np.diff(times)))
    grid = np.arange(times[0], times[-1] + 0.01 * period_s, period_s)
    rates = np.diff(np.interp(grid, times, np.asarray(puts_total, dtype=float)))
    count, places = len(rates), np.arange(len(rates))
    rates = rates - np.polyval(np.polyfit(places, rates, 1), places)
    variance = float(rates @ rates) / count
    if variance <= 1e-12 * float(np.ptp(np.asarray(puts_total, dtype=float))) ** 2 / count**2:
        return None
    lags = np.arange(count // 2 + 2)
    repeated = np.array([np.mean(rates[: count - lag] * rates[lag:]) for lag in lags]) / variance
    if not (repeated <= 0.0).any():
        return None
    behind = range(max(2, int(np.argmax(repeated <= 0.0))), len(lags) - 1)
    peaks = [n for n in behind if repeated[n - 1] < repeated[n] >= repeated[n + 1]]
    real = [n for n in peaks if repeated[n] > max(MIN_REPEATED, 3.0 / np.sqrt(count - n))]
    if not real:
        return None
    # A whole number of periods may fit two or three cycles better than one.
    highest = max(repeated[n] for n in real)
    peak = next(n for n in peaks if repeated[n] >= MIN_OF_HIGHEST_PEAK * highest)
    left, top, right = repeated[peak - 1 : peak + 2]
    return period_s * (peak + 0.5 * float((left - right) / (left - 2.0 * top + right)))


def outer_thirds(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last third of a series."""
    third = max(1, len(values) // 3)
    return values[:third], values[-third:]


def outer_rise(gauge: ArrayLike, unit: float) -> float:
    """How far a whole distribution rose between the outer thirds, over what would be bounded."""
    first, last = (
        np.quantile(part, (0.1, 0.5, 0.9)) for part in outer_thirds(np.asarray(gauge, dtype=float))
    )
    return float((last - first).min() / max(unit, 0.25 * (first[2] - first[0])))


def drift_fraction(samples: pd.DataFrame, gauge: str) -> float:
    """Relative change of a gauge between the first and the last third of the window."""
    values = samples[gauge].to_numpy(dtype=float)
    third = max(1, len(values) // 3)
    first, last = values[:third].mean(), values[-third:].mean()
    scale = max(abs(first), abs(last))
    return 0.0 if scale == 0 else float((last - first) / scale)
