"""Split-conformal intervals: which residuals count, how wide they are, that they cover."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phase_d_lib.models import intervals
from phase_d_lib.models.base import MeasuredCase
from phase_d_lib.models.intervals import Residual, conformal_interval
from phase_d_lib.models.v1 import V1
from phase_d_lib.specs import OptionsSpec
from tests.test_models import case


def residuals(values: list[float], binding: str = "limiter") -> list[Residual]:
    return [Residual(log_ratio=value, binding=binding) for value in values]


def test_the_ninth_of_nine_sets_the_width() -> None:
    found = conformal_interval(1000.0, residuals([0.01 * k for k in range(1, 10)]), "limiter")
    assert found == pytest.approx((1000 * math.exp(-0.09), 1000 * math.exp(0.09)))


def test_too_few_residuals_or_none_of_the_regime_give_no_interval() -> None:
    assert conformal_interval(1000.0, residuals([0.1] * 8), "limiter") is None
    assert conformal_interval(1000.0, residuals([0.1] * 20), "compaction_slots") is None
    assert conformal_interval(None, residuals([0.1] * 20), "limiter") is None


def test_names_of_one_regime_share_their_residuals() -> None:
    mixed = residuals([0.1] * 5, "device_write") + residuals([0.2] * 5, "mixed_device")
    assert conformal_interval(1000.0, mixed, "device") is not None


def test_intervals_cover_nine_in_ten_new_cases() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        seen = residuals(list(rng.normal(0.0, 0.05, size=12)))
        found = conformal_interval(1.0, seen, "limiter")
        assert found is not None
        covered += found[0] <= math.exp(rng.normal(0.0, 0.05)) <= found[1]
    # Twelve residuals give rank 12 of 12: coverage 12/13 = 0.923 in expectation.
    assert 0.88 <= covered / 400 <= 0.96


def test_a_fitted_model_takes_its_own_residuals_before_the_pool() -> None:
    runs = [
        MeasuredCase(case=case(limiter_bytes_per_s=50_000_000 + k), saturation_ops_per_s=12_000.0)
        for k in range(9)
    ]
    fitted = V1().fit(runs)
    prediction = fitted.predict(case(limiter_bytes_per_s=50_000_004))
    assert prediction.interval_source == "conformal"
    assert prediction.inside_calibration is True
    outside = fitted.predict(case(limiter_bytes_per_s=60_000_000))
    assert outside.inside_calibration is False
    other = fitted.predict(
        case(limiter_bytes_per_s=50_000_004, options=OptionsSpec(max_background_jobs=8))
    )
    assert other.inside_calibration is False


def test_the_ratio_of_s_max_is_learned_and_said_to_be() -> None:
    assert V1().predict(case()).s_max_ops_per_s is None
    run = MeasuredCase(case=case(), saturation_ops_per_s=10_000.0, s_max_ops_per_s=8_000.0)
    prediction = V1().fit([run]).predict(case())
    assert prediction.s_max_source == "ratio"
    assert prediction.s_max_ops_per_s == pytest.approx(0.8 * 25_000)


def test_the_pool_is_of_registered_models_and_says_where_it_was_measured() -> None:
    pool = intervals.residual_pool()
    assert pool is not None
    assert pool.rocksdb_version
    assert {row.model for row in pool.residuals} >= {"v1", "v2_1", "v3", "v4", "v5"}
    assert all(abs(row.log_ratio) < 5 for row in pool.residuals)
