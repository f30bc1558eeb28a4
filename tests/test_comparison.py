"""Pairs, ratios, intervals, verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from phase_d_lib.profiles import Scenario
from phase_d_lib.rates import Estimate
from phase_d_lib.specs import OptionsSpec, WorkloadSpec
from phase_d_lib.tuning.comparison import (
    Comparison,
    Trial,
    choose,
    compare_with_default,
    effect_of,
    log_ratio_estimate,
)
from phase_d_lib.validity import Reason, Verdict

SCENARIO = Scenario(workload=WorkloadSpec(), options=OptionsSpec())
VALID = Verdict(valid=True)
STOLEN = Verdict(valid=False, reasons=(Reason(code="steal", value=0.4, limit=0.05),))


def trial(name: str, pair: int, rate: float, verdict: Verdict = VALID) -> Trial:
    return Trial(
        option_set=name,
        pair=pair,
        order=0,
        run_id="0" * 16,
        put_ops_per_s=rate,
        put_latency_p999_us=None,
        stall_fraction=0.5,
        write_bytes_per_user_byte=4.0,
        verdict=verdict,
    )


def test_the_ratio_is_taken_inside_pairs() -> None:
    trials = [
        trial("default", 0, 100.0), trial("x", 0, 150.0),
        trial("default", 1, 10.0), trial("x", 1, 15.0),
    ]  # fmt: skip
    result = compare_with_default("x", {"write_buffer_size": 8 << 20}, trials, SCENARIO)
    assert result.pairs == 2
    assert result.rate_ratio is not None
    assert result.rate_ratio.value == pytest.approx(1.5)
    assert result.rate_ratio.low == pytest.approx(1.5)
    assert result.effect == "improved"
    assert result.memtable_bytes_ratio == 4.0


def test_a_pair_with_an_invalid_side_does_not_count() -> None:
    trials = [trial("default", 0, 100.0, STOLEN), trial("x", 0, 500.0)]
    result = compare_with_default("x", {}, trials, SCENARIO)
    assert (result.pairs, result.rate_ratio, result.effect) == (0, None, "unknown")


def test_the_t_interval_by_hand() -> None:
    ratio = log_ratio_estimate(np.log([1.2, 1.3, 1.25, 1.35]))
    assert ratio is not None
    # mean log 0.24253, sd 0.05066, t(0.975, 3) = 3.1824
    assert ratio.value == pytest.approx(1.2738, abs=2e-4)
    assert ratio.low == pytest.approx(1.1751, abs=2e-4)
    assert ratio.high == pytest.approx(1.3807, abs=2e-4)


def test_one_pair_gives_no_interval_and_no_verdict() -> None:
    ratio = log_ratio_estimate(np.log([2.0]))
    assert ratio is not None
    assert ratio.low is None
    assert effect_of(ratio) == "unknown"
    assert log_ratio_estimate(np.array([])) is None


@pytest.mark.parametrize(
    ("low", "high", "effect"), [(1.01, 2.0, "improved"), (0.5, 0.99, "worse"), (0.9, 1.1, "none")]
)
def test_effects_follow_the_interval(low: float, high: float, effect: str) -> None:
    assert effect_of(Estimate(value=1.0, low=low, high=high)) == effect


def test_only_a_proven_improvement_is_chosen() -> None:
    def comparison(name: str, ratio: float, effect: str) -> Comparison:
        return Comparison.model_validate(
            {
                "option_set": name, "changes": {}, "pairs": 2, "effect": effect,
                "rate_ratio": Estimate(value=ratio), "memtable_bytes_ratio": 1.0,
            }
        )  # fmt: skip

    none, good = comparison("a", 3.0, "none"), comparison("b", 1.2, "improved")
    assert choose((none,)) == "default"
    assert choose((none, good)) == "b"
    assert choose(()) == "default"
