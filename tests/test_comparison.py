"""Pairs, ratios, intervals, verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from phase_d_lib.guards import Guards
from phase_d_lib.profiles import Scenario
from phase_d_lib.rates import Estimate
from phase_d_lib.specs import OptionsSpec, WorkloadSpec
from phase_d_lib.tuning.comparison import (
    Comparison,
    Trial,
    block_ratio,
    choose,
    compare_with_default,
    effect_of,
)
from phase_d_lib.validity import Reason, Verdict

SCENARIO = Scenario(workload=WorkloadSpec(), options=OptionsSpec())
VALID = Verdict(valid=True)
STOLEN = Verdict(valid=False, reasons=(Reason(code="steal", value=0.4, limit=0.05),))


def trial(
    name: str,
    pair: int,
    rate: float,
    verdict: Verdict = VALID,
    *,
    held: float | None = None,
    space: float = 1.2,
) -> Trial:
    return Trial(
        option_set=name,
        pair=pair,
        order=0,
        run_id="0" * 16,
        put_ops_per_s=rate,
        held_ops_per_s=rate if held is None else held,
        space_amplification=space,
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


def pairs_of(**rates: list[float]) -> list[Trial]:
    return [trial(name, p, rate) for name, row in rates.items() for p, rate in enumerate(row)]


def test_two_sets_give_the_paired_t_interval() -> None:
    ratio = block_ratio(pairs_of(default=[10, 20, 30, 40], x=[12, 26, 37.5, 54]), "x")
    assert ratio is not None
    # Ratios 1.2, 1.3, 1.25, 1.35: mean log 0.24198, sd 0.05069, t(0.975, 3) = 3.1824.
    assert ratio.value == pytest.approx(1.27377, abs=1e-5)
    assert ratio.low == pytest.approx(1.17507, abs=2e-5)
    assert ratio.high == pytest.approx(1.38076, abs=2e-5)


def test_more_sets_share_their_degrees_of_freedom() -> None:
    rates = {"default": [100.0, 105.0], "x": [150.0, 152.0], "y": [90.0, 95.0]}
    alone = block_ratio(pairs_of(default=rates["default"], x=rates["x"]), "x")
    shared = block_ratio(pairs_of(**rates), "x")
    assert alone is not None
    assert shared is not None
    assert shared.value == alone.value
    assert shared.low is not None
    assert alone.low is not None
    assert alone.low < shared.low < shared.value


def test_the_block_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(400):
        noise = rng.normal(0, 0.05, (3, 2)) + rng.normal(0, 0.3, (1, 2))
        rows = np.exp(noise + np.log([[100.0], [150.0], [80.0]]))
        ratio = block_ratio(pairs_of(default=list(rows[0]), x=list(rows[1]), y=list(rows[2])), "x")
        assert ratio is not None
        assert ratio.low is not None
        assert ratio.high is not None
        hits += ratio.low <= 1.5 <= ratio.high
    assert 0.92 <= hits / 400 <= 0.98


def test_one_pair_gives_no_interval_and_no_verdict() -> None:
    ratio = block_ratio(pairs_of(default=[1.0], x=[2.0]), "x")
    assert ratio is not None
    assert (ratio.value, ratio.low) == (pytest.approx(2.0), None)
    assert effect_of(ratio) == "unknown"
    assert block_ratio([], "x") is None


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


def test_a_gain_that_is_borrowed_debt_does_not_count() -> None:
    trials = [trial("default", p, 100.0 + p) for p in range(3)]
    trials += [trial("x", p, 150.0 + p, held=98.0) for p in range(3)]
    result = compare_with_default("x", {}, trials, SCENARIO)
    assert result.borrowed
    assert result.effect == "none"
    assert choose((result,)) == "default"
    paid = [t.model_copy(update={"held_ops_per_s": t.put_ops_per_s}) for t in trials]
    assert compare_with_default("x", {}, paid, SCENARIO).effect == "improved"


def test_a_set_that_breaks_a_guard_is_never_chosen() -> None:
    guards = Guards(memtable_bytes=4 << 20, space_amplification=1.5)
    trials = [trial("default", p, 100.0 + p) for p in range(3)]
    trials += [trial("x", p, 150.0 + p, space=1.6) for p in range(3)]
    result = compare_with_default("x", {}, trials, SCENARIO, guards)
    assert [b.guard for b in result.breaches] == ["space_amplification"]
    assert result.effect == "improved"
    assert choose((result,)) == "default"
    larger = compare_with_default("x", {"write_buffer_size": 8 << 20}, (), SCENARIO, guards)
    assert [b.guard for b in larger.breaches] == ["memtable_bytes"]
