"""Latency histograms with logarithmic buckets: 16 a factor of two, so 4.4 % wide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # the engine process counts buckets and never needs pandas: a second less
    import pandas as pd

_BUCKETS_PER_OCTAVE = 16
QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "p999": 0.999}


def bucket_counts(latencies_us: np.ndarray) -> dict[int, int]:
    """Count latencies by bucket index.

    Parameters
    ----------
    latencies_us : ndarray, shape (n,)
        Microseconds, > 0.
    """
    if len(latencies_us) == 0:
        return {}
    index = np.floor(np.log2(np.maximum(latencies_us, 0.01)) * _BUCKETS_PER_OCTAVE).astype(int)
    buckets, counts = np.unique(index, return_counts=True)
    return {int(b): int(c) for b, c in zip(buckets, counts, strict=True)}


def bucket_upper_us(bucket: int | np.ndarray) -> float | np.ndarray:
    """Upper edge of a bucket, microseconds."""
    return np.exp2((np.asarray(bucket) + 1) / _BUCKETS_PER_OCTAVE)


def interval_quantiles_us(latencies_us: np.ndarray) -> dict[str, float | None]:
    """Exact p50, p95, p99, p999 and max of one sample interval; all None when it is empty."""
    if len(latencies_us) == 0:
        return {**dict.fromkeys(QUANTILES, None), "max": None}
    values = np.quantile(latencies_us, list(QUANTILES.values()))
    named: dict[str, float | None] = dict(zip(QUANTILES, map(float, values), strict=True))
    return {**named, "max": float(latencies_us.max())}


def histogram_quantiles_us(histogram: pd.DataFrame) -> dict[str, float | None]:
    """Quantiles of a latency table, each the upper edge of its bucket, microseconds.

    Parameters
    ----------
    histogram : DataFrame
        Columns bucket and count (one operation kind, any seconds).
    """
    total = histogram.groupby("bucket")["count"].sum().sort_index()
    if total.empty:
        return {**dict.fromkeys(QUANTILES, None), "max": None}
    cumulative = total.to_numpy().cumsum()
    found = {
        name: float(
            bucket_upper_us(int(total.index[np.searchsorted(cumulative, q * cumulative[-1])]))
        )
        for name, q in QUANTILES.items()
    }
    return {**found, "max": float(bucket_upper_us(int(total.index[-1])))}
