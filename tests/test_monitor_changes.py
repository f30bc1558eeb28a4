"""Change points and anomalies on series whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phase_d_lib.monitor import anomalies, change_points

TIMES = np.arange(0.0, 80.0, 0.5)


def series(values: np.ndarray) -> pd.DataFrame:
    steps = np.diff(TIMES, prepend=TIMES[0])
    puts = np.cumsum(np.maximum(values, 0.0) * steps)
    return pd.DataFrame({"time_s": TIMES, "puts_total": puts, "put_ops_per_s": values})


def noise(seed: int, spread: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, spread, len(TIMES))


def test_a_step_is_found_with_both_means() -> None:
    values = np.where(TIMES <= 40.0, 20_000.0, 14_000.0) + noise(1, 800.0)
    (found,) = change_points(series(values), "put_ops_per_s")
    assert abs(found.time_s - 40.0) <= found.resolution_s
    assert found.before_mean == pytest.approx(20_000, rel=0.02)
    assert found.after_mean == pytest.approx(14_000, rel=0.02)
    assert found.p_value <= 0.05


def test_there_and_back_are_two_changes() -> None:
    away = (TIMES > 25.0) & (TIMES <= 55.0)
    values = np.where(away, 14_000.0, 20_000.0) + noise(2, 500.0)
    found = change_points(series(values), "put_ops_per_s")
    assert [round(change.time_s / 5) * 5 for change in found] == [25, 55]


def test_noise_and_a_stall_cycle_rarely_change() -> None:
    cycle = 5_000.0 * np.sign(np.sin(2 * np.pi * TIMES / 3.1))
    found = [
        change_points(series(20_000.0 + part + noise(seed, 1_000.0)), "put_ops_per_s")
        for seed in range(20)
        for part in (0.0, cycle)
    ]
    assert sum(bool(changes) for changes in found) <= 4


def test_a_slope_is_a_trend_and_no_step() -> None:
    values = 10_000.0 + 100.0 * TIMES + noise(3, 300.0)
    assert change_points(series(values), "put_ops_per_s") == ()


def test_a_constant_short_or_empty_series_has_no_change() -> None:
    flat = series(np.full(len(TIMES), 3.0))
    assert change_points(flat, "put_ops_per_s") == ()
    assert change_points(flat.head(4), "put_ops_per_s") == ()
    assert change_points(flat.assign(x=np.nan), "x") == ()


def test_an_outlier_is_one_anomaly_with_its_median() -> None:
    values = 20_000.0 + noise(4, 300.0)
    values[100:103] = [4_000.0, 3_000.0, 5_000.0]
    (found,) = anomalies(series(values), "put_ops_per_s")
    assert (found.start_s, found.end_s, found.value) == (50.0, 51.0, 3_000.0)
    assert found.median == pytest.approx(20_000, rel=0.02)
    assert found.score < -3.5


def test_a_stall_cycle_is_no_anomaly() -> None:
    # Three samples in four fast: MAD alone calls the fourth one an anomaly.
    values = np.where(np.arange(len(TIMES)) % 4 == 3, 2_000.0, 20_000.0) + noise(5, 200.0)
    assert anomalies(series(values), "put_ops_per_s") == ()


def test_a_constant_series_that_moves_is_an_anomaly_and_missing_values_are_none() -> None:
    values = np.zeros(len(TIMES))
    values[60] = 9.0
    (found,) = anomalies(series(values), "put_ops_per_s")
    assert (found.start_s, found.median) == (30.0, 0.0)
    assert anomalies(series(values).assign(x_us=np.nan), "x_us") == ()
