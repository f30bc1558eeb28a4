"""Change points of a metric: steps of its level that are too large for its own noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from phase_d_lib.monitor.result import ChangePoint
from phase_d_lib.monitor.trends import TREND_ALPHA, block_means
from phase_d_lib.rates import BOOTSTRAP_SEED, block_length_s

MIN_SEGMENT_BLOCKS = 3
"""Blocks a level must last: fewer have no spread to be held against."""
MIN_QUARTER_SAMPLES = 10
PERMUTATIONS = 999


def change_points(samples: pd.DataFrame, metric: str) -> tuple[ChangePoint, ...]:
    """Find the times at which the level of a metric changed, and by how much.

    Samples of one stall cycle depend on each other, so the metric is averaged over blocks longer
    than the cycle (:func:`phase_d_lib.rates.block_length_s`) first. PELT with squared error cuts
    the blocks; a cut costs 2 s^2 ln n, the Schwarz criterion for one more mean and its place, where
    s is the noise of a block, from the median absolute difference of neighbours, which steps hardly
    move. A cut stays only if it is significant: the largest CUSUM of the blocks on both sides is
    compared with that of the same blocks in random order, so that the choice of the place is paid
    for; p-values are held against 0.05 / number of cuts. A straight line with a lower Schwarz
    criterion than the steps makes them a trend, which :func:`~phase_d_lib.monitor.trend` tells.

    Parameters
    ----------
    samples : DataFrame
        Columns time_s, puts_total and `metric`; a rate is that of the interval before its time.

    Returns
    -------
    tuple of ChangePoint
        In order of time; empty where the series is too short or nothing changed.

    Notes
    -----
    Killick, Fearnhead and Eckley (2012), Journal of the American Statistical Association 107, for
    PELT; Yao (1988), Statistics and Probability Letters 6, for the penalty.
    """
    series = samples[["time_s", "puts_total", metric]].dropna()
    if len(series) < 2 * MIN_SEGMENT_BLOCKS:
        return ()
    block_s = _block_s(series)
    times = series["time_s"].to_numpy(dtype=float)
    means = block_means(times, series[metric].to_numpy(dtype=float), block_s)
    cuts = _significant(means, _cuts(means))
    if not cuts or _is_line(means, [cut for cut, _ in cuts]):
        return ()
    edges = [0, *(cut for cut, _ in cuts), len(means)]
    return tuple(
        ChangePoint(
            metric=metric,
            time_s=float(times[0] + cut * block_s),
            resolution_s=block_s,
            before_mean=float(means[edges[n] : cut].mean()),
            after_mean=float(means[cut : edges[n + 2]].mean()),
            p_value=p_value,
        )
        for n, (cut, p_value) in enumerate(cuts)
    )


def _block_s(series: pd.DataFrame) -> float:
    """Median block length of the quarters: over the whole, a step looks like one long cycle."""
    quarter = len(series) // 4
    if quarter < MIN_QUARTER_SAMPLES:
        return block_length_s(series)
    parts = [series.iloc[n * quarter : (n + 1) * quarter] for n in range(4)]
    longest_gap_s = float(series["time_s"].diff().max())
    return max(2.0 * longest_gap_s, float(np.median([block_length_s(part) for part in parts])))


def _noise(means: np.ndarray) -> float:
    """Standard deviation of one block; differences of neighbours carry twice its variance."""
    apart = np.abs(np.diff(means))
    return float(np.median(apart) / (0.6745 * np.sqrt(2.0)))


def _cuts(means: np.ndarray) -> list[int]:
    """First blocks of the levels after the first, by PELT."""
    if len(means) < 2 * MIN_SEGMENT_BLOCKS or np.ptp(means) == 0:
        return []
    from ruptures import Pelt  # type: ignore[import-untyped] # it imports much of scipy

    # Noise-free levels would make the penalty 0 and every block a level of its own.
    variance = max(_noise(means), 1e-3 * float(np.ptp(means))) ** 2
    penalty = 2.0 * variance * np.log(len(means))
    found = Pelt(model="l2", min_size=MIN_SEGMENT_BLOCKS, jump=1).fit(means).predict(pen=penalty)
    return [int(cut) for cut in found[:-1]]


def _significant(means: np.ndarray, cuts: list[int]) -> list[tuple[int, float]]:
    """Drop the least significant cut until all that are left are significant."""
    while cuts:
        edges = [0, *cuts, len(means)]
        tested = [(cut, _p_value(means[edges[n] : edges[n + 2]])) for n, cut in enumerate(cuts)]
        worst, p_value = max(tested, key=lambda pair: pair[1])
        if p_value <= TREND_ALPHA / len(cuts):
            return tested
        cuts = [cut for cut in cuts if cut != worst]
    return []


def _p_value(values: np.ndarray) -> float:
    """Permutation p-value of the largest standardised CUSUM of a series."""
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    orders = rng.permuted(np.tile(values - values.mean(), (PERMUTATIONS, 1)), axis=1)
    places = np.arange(1, len(values))
    weight = np.sqrt(places * (len(values) - places))
    largest = (np.abs(np.cumsum(orders, axis=1)[:, :-1]) / weight).max(axis=1)
    own = float((np.abs(np.cumsum(values - values.mean())[:-1]) / weight).max())
    # A tie counts against the cut; the tolerance is for sums taken in another order.
    return float((1 + np.sum(largest >= own * (1 - 1e-9))) / (1 + PERMUTATIONS))


def _is_line(means: np.ndarray, cuts: Sequence[int]) -> bool:
    """Whether one straight line has a lower Schwarz criterion than the steps."""
    places = np.arange(len(means))
    off_line = means - np.polyval(np.polyfit(places, means, 1), places)
    off_steps = np.concatenate([part - part.mean() for part in np.split(means, list(cuts))])
    tiny = 1e-12 * float(means @ means) + 1e-300
    # Two parameters of the line; a mean a level and the place of each cut.
    criteria = [
        len(means) * np.log(float(off @ off) + tiny) + parameters * np.log(len(means))
        for off, parameters in ((off_line, 2), (off_steps, 2 * len(cuts) + 1))
    ]
    return bool(criteria[0] < criteria[1])
