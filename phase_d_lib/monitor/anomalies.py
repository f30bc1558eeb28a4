"""Anomalies: samples far outside the window just before them, by median and MAD."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from phase_d_lib.monitor.result import Anomaly

ANOMALY_WINDOW_S = 20.0
"""Several stall cycles, so that the cycle itself is no anomaly."""
MIN_ANOMALY_SAMPLES = 12
ANOMALY_SCORE = 3.5
MIN_SPREAD_FRACTION = 0.01
"""Least standard deviation, as a share of the median: a constant series knows none."""


def anomalies(samples: pd.DataFrame, metric: str) -> tuple[Anomaly, ...]:
    """Find samples far outside the twenty seconds before them: robust z beyond 3.5, and new.

    z = 0.6745 (x - median) / MAD over the samples of the twenty seconds before, at least twelve,
    the sample itself left out; the spread is at least 1 % of the median, or, for a metric whose
    median is 0, of the largest value seen. A stall cycle has two levels, and MAD sees only the
    commoner one: an anomaly also lies outside everything those twenty seconds held, by more than
    half of their range. Latencies (``_us``) are compared by their logarithm, for they are skewed.
    Consecutive anomalous samples on one side are one anomaly. Source: Iglewicz and Hoaglin (1993),
    How to Detect and Handle Outliers, for z and 3.5.

    Parameters
    ----------
    samples : DataFrame
        Columns time_s and `metric`.
    """
    series = samples[["time_s", metric]].dropna()
    times = series["time_s"].to_numpy(dtype=float)
    values = series[metric].to_numpy(dtype=float)
    medians, scores = _scores(times, values, logarithmic=metric.endswith("_us"))
    found = []
    for start, end in _stretches(np.sign(scores)):
        worst = start + int(np.abs(scores[start:end]).argmax())
        found.append(
            Anomaly(
                metric=metric,
                start_s=float(times[start]),
                end_s=float(times[end - 1]),
                value=float(values[worst]),
                median=float(medians[worst]),
                score=float(scores[worst]),
            )
        )
    return tuple(found)


def _scores(
    times_s: np.ndarray, values: np.ndarray, *, logarithmic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Median before each anomalous sample and its robust z; NaN and 0 for any other.

    An anomaly is held against what came before it, not against itself; one that outlasts that
    window is the new normal.
    """
    compared = np.log(np.maximum(values, 1e-9)) if logarithmic else values
    medians, scores = np.full(len(values), np.nan), np.zeros(len(values))
    starts = np.searchsorted(times_s, times_s - ANOMALY_WINDOW_S)
    end = 0
    for n, start in enumerate(starts):
        end = end if n and scores[n - 1] else n
        if end - start < MIN_ANOMALY_SAMPLES:
            continue
        before = compared[start:end]
        largest = float(np.abs(compared[: n + 1]).max())
        median, score = _robust_score(compared[n], before, None if logarithmic else largest)
        if abs(score) > ANOMALY_SCORE and not _inside(compared[n], before):
            medians[n] = np.exp(median) if logarithmic else median
            scores[n] = score
    return medians, scores


def _robust_score(value: float, before: np.ndarray, largest: float | None) -> tuple[float, float]:
    """Median of the values before, and how many robust deviations a value lies from it.

    `largest` is None for logarithms, whose spread is relative already.
    """
    median = float(np.median(before))
    spread = float(np.median(np.abs(before - median))) / 0.6745
    least = MIN_SPREAD_FRACTION * (1.0 if largest is None else abs(median) or largest)
    return median, (value - median) / max(spread, least, 1e-12)


def _inside(value: float, before: np.ndarray) -> bool:
    """Whether a value lies in the range of those before it, widened by half of it either way."""
    low, high = float(before.min()), float(before.max())
    return low - (high - low) / 2 <= value <= high + (high - low) / 2


def _stretches(signs: np.ndarray) -> list[tuple[int, int]]:
    """Half-open ranges of equal signs that are not 0."""
    edges = np.flatnonzero(np.diff(signs, prepend=0.0, append=0.0))
    return [(int(a), int(b)) for a, b in pairwise(edges) if signs[int(a)] != 0]
