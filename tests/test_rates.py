"""Steady rates and latency quantiles on series whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phase_d_lib.latency import bucket_counts, bucket_upper_us, histogram_quantiles_us
from phase_d_lib.rates import block_length_s, counter_rate, drift_fraction, steady_rate, window


def series(rate_of_time: object, duration_s: float = 60.0, period_s: float = 0.5) -> pd.DataFrame:
    times = np.arange(0.0, duration_s + 1e-9, period_s)
    rates = np.array([rate_of_time(t) for t in times])  # type: ignore[operator]
    return pd.DataFrame({"time_s": times, "puts_total": np.cumsum(rates * period_s)})


def test_the_mean_is_exact_and_the_interval_holds_it() -> None:
    cycle = series(lambda t: 1000.0 + 900.0 * np.sin(2 * np.pi * t / 3.0))
    estimate = steady_rate(cycle)
    assert estimate.value == counter_rate(cycle, "puts_total")
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low <= estimate.value <= estimate.high
    # A pure cycle averages out within a block; the interval stays far below the amplitude.
    assert estimate.high - estimate.low < 0.25 * estimate.value


def test_blocks_are_longer_than_the_stall_cycle() -> None:
    cycle = series(lambda t: 1000.0 + 900.0 * np.sin(2 * np.pi * t / 4.0))
    assert block_length_s(cycle) >= 4.0


def test_coverage_of_the_interval_on_dependent_noise() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(100):
        noise = np.convolve(rng.normal(0, 200, 130), np.ones(4) / 4, mode="valid")
        estimate = steady_rate(series(lambda t, n=noise: 1000.0 + n[int(t * 2)]), resamples=400)
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= 1000.0 <= estimate.high
    assert hits >= 90


def test_coverage_with_only_a_few_blocks() -> None:
    rng = np.random.default_rng(3)
    hits = given = 0
    for _ in range(200):
        cycle, noise = rng.uniform(0, 3), np.repeat(rng.normal(0, 150, 12), 2)
        estimate = steady_rate(
            series(
                lambda t, c=cycle, n=noise: (
                    1000 + 800 * np.sin(2 * np.pi * (t + c) / 2.0) + n[int(t) % 12]
                ),
                duration_s=12.0,
                period_s=0.25,
            ),
            resamples=400,
        )
        if estimate.low is not None and estimate.high is not None:
            given += 1
            hits += estimate.low <= 1000.0 <= estimate.high
    assert given >= 100
    assert hits / given >= 0.90


def test_blocks_are_longer_than_twice_the_longest_gap() -> None:
    table = series(lambda t: 1000.0, duration_s=40.0)
    stalled = table[(table["time_s"] < 10.0) | (table["time_s"] > 13.0)]
    assert block_length_s(stalled) >= 6.0


def test_a_short_window_has_no_interval() -> None:
    estimate = steady_rate(series(lambda t: 5.0, duration_s=3.0))
    assert (estimate.low, estimate.high) == (None, None)


def test_drift_compares_first_and_last_third() -> None:
    table = pd.DataFrame({"x": [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]})
    assert drift_fraction(table, "x") == pytest.approx(0.5)
    assert drift_fraction(pd.DataFrame({"x": [0.0, 0.0, 0.0]}), "x") == 0.0


def test_window_keeps_its_edges() -> None:
    table = series(lambda t: 1.0, duration_s=10.0)
    assert window(table, 2.0, 4.0)["time_s"].tolist() == [2.0, 2.5, 3.0, 3.5, 4.0]


def test_histogram_quantiles_are_within_a_bucket() -> None:
    latencies = np.random.default_rng(4).lognormal(2.0, 1.0, 20_000)
    counts = bucket_counts(latencies)
    table = pd.DataFrame({"bucket": list(counts), "count": list(counts.values())})
    quantiles = histogram_quantiles_us(table)
    for name, q in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)):
        value = quantiles[name]
        assert value is not None
        assert 0.999 <= value / np.quantile(latencies, q) <= 2 ** (1 / 16) * 1.01
    assert sum(counts.values()) == 20_000


def test_an_empty_histogram_has_no_quantiles() -> None:
    assert bucket_counts(np.array([])) == {}
    assert set(histogram_quantiles_us(pd.DataFrame({"bucket": [], "count": []})).values()) == {None}
    assert bucket_upper_us(-1) == 1.0
