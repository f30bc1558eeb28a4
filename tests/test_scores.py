"""Scores over held-out cases, and the split of an error, worked by hand."""

from __future__ import annotations

import math

import pytest

from phase_d_lib.models.base import Prediction
from phase_d_lib.models.regimes import Regime
from phase_d_lib.rates import Estimate
from phase_d_lib.validation.behaviour import Behaviour
from phase_d_lib.validation.scores import CaseScore, score_model, split_error
from phase_d_lib.validity import Verdict


def did(regime: Regime = "limiter", **changes: float) -> Behaviour:
    values = {
        "put_ops_per_s": 10_000.0, "write_bytes_per_user_byte": 4.0, "stall_fraction": 0.8,
        "slot_write_bytes_per_s": 50e6, "busy_slots": 0.9,
    }  # fmt: skip
    return Behaviour.model_validate(
        {**values, **changes, "regime": regime, "stall_regime": "delayed:l0_files"}
    )


def said(rate: float, wa: float | None = 4.0, **more: object) -> Prediction:
    return Prediction(
        model="m",
        saturation_ops_per_s=rate,
        write_bytes_per_user_byte=wa,
        **more,  # type: ignore[arg-type]
    )


def case(rate: float, measured: float = 10_000.0, valid: bool = True, **more: object) -> CaseScore:
    return CaseScore(
        name="case", run_id="0" * 16, changes={}, drawn_for=None,
        measured_ops_per_s=Estimate(value=measured), behaviour=did(put_ops_per_s=measured),
        verdict=Verdict(valid=valid), predicted_at=None, predictions=(said(rate, **more),),
        baselines=(), closures=(), splits={},
    )  # fmt: skip


def test_geometry_takes_what_a_wrong_amplification_makes() -> None:
    # 10 % too little amplification, the same background rate: 1/0.9 too fast.
    split = split_error(said(10_000 / 0.9, wa=3.6), did(), 60e6)
    assert split is not None
    assert split.geometry_log == pytest.approx(-math.log(0.9))
    assert split.controller_log == pytest.approx(0.0, abs=1e-12)
    # Right amplification, 5 % too much of the limiter used: the controller's share.
    split = split_error(said(10_500), did(), 60e6)
    assert split is not None
    assert (split.geometry_log, split.controller_log) == (0.0, pytest.approx(math.log(1.05)))


def test_busy_slots_answer_for_their_speed_and_the_writer_for_itself() -> None:
    split = split_error(said(12_000), did("slots"), 55e6)
    assert split is not None
    assert split.slots_cpu_log == pytest.approx(math.log(1.1))
    assert split.controller_log == pytest.approx(math.log(1.2 / 1.1))
    split = split_error(said(12_000, wa=2.0), did("cpu"), 55e6)
    assert split is not None
    assert split.slots_cpu_log == split.total_log == pytest.approx(math.log(1.2))
    split = split_error(said(12_000), did("device"), 55e6)
    assert split is not None
    assert split.device_log == pytest.approx(math.log(1.2))


def test_without_an_amplification_nothing_is_explained() -> None:
    split = split_error(said(12_000, wa=None), did(), 55e6)
    assert split is not None
    assert split.unexplained_log == split.total_log
    assert split_error(Prediction(model="m", refused="x"), did(), 55e6) is None


def test_scores_by_hand() -> None:
    cases = [
        case(11_000, interval_90_ops_per_s=(9_500, 12_000), binding="limiter",
             stall_regime="delayed:l0_files", stall_fraction=0.7),
        case(9_000, interval_90_ops_per_s=(8_000, 9_500), binding="compaction_slots",
             stall_regime="normal:none", stall_fraction=0.9),
        case(10_300, valid=False),
    ]  # fmt: skip
    score = score_model("m", cases)
    assert (score.cases, score.refused) == (2, 1)
    assert score.median_error_fraction == pytest.approx(0.1)
    assert score.max_error_fraction == pytest.approx(0.1)
    assert score.p90_error_fraction == pytest.approx(0.1)
    assert score.log_bias == pytest.approx((math.log(1.1) + math.log(0.9)) / 2)
    assert (score.covered, score.intervals) == (1, 2)
    assert score.coverage_95 == pytest.approx((0.0126, 0.9874), abs=1e-3)
    # Width of both, and twenty times the log distance by which the second missed.
    widths = math.log(12_000 / 9_500) + math.log(9_500 / 8_000)
    missed = 20 * math.log(10_000 / 9_500)
    assert score.interval_score_log == pytest.approx((widths + missed) / 2)
    assert (score.regime_hits, score.stall_regime_hits) == (1, 1)
    assert score.median_stall_error == pytest.approx(0.1)
    assert score.median_wa_error_fraction == 0.0
    assert [(r.regime, r.cases) for r in score.regimes] == [("limiter", 2)]


def test_a_model_that_answers_nothing_has_no_scores() -> None:
    score = score_model("other", [case(10_000)])
    assert (score.cases, score.refused) == (0, 1)
    assert score.median_error_fraction is None
    assert score.coverage_95 is None
    assert [(r.cases, r.refused) for r in score.regimes] == [(0, 1)]  # a miss, not left out
