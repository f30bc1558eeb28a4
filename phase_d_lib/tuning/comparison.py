"""Compare option sets with the scenario's own, in pairs from one settled tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from phase_d_lib.calibration import DEFAULT
from phase_d_lib.deployment import Fleet
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.models.factors import FactorCalibration
from phase_d_lib.profiles import OptionChanges, Scenario, TuningPlan
from phase_d_lib.rates import Estimate
from phase_d_lib.runs import Run
from phase_d_lib.specs import Frozen
from phase_d_lib.validity import Verdict

Effect = Literal["improved", "none", "worse", "unknown"]


class Trial(Frozen):
    """One run of one option set."""

    option_set: str
    pair: int
    order: int
    """Position in the whole sequence, from 0."""
    run_id: str
    put_ops_per_s: float
    put_latency_p999_us: float | None
    stall_fraction: float
    write_bytes_per_user_byte: float | None
    verdict: Verdict


class Comparison(Frozen):
    """One option set against the default, over the pairs whose two runs are both valid."""

    option_set: str
    changes: OptionChanges
    pairs: int
    rate_ratio: Estimate | None
    """Geometric mean of rate / default rate inside pairs (:func:`block_ratio`)."""
    effect: Effect
    memtable_bytes_ratio: float
    """Memtable memory allowed, over the default's: a gain may be bought with memory."""


class TuningResult(Frozen):
    """The whole comparison."""

    seed: int
    trials: tuple[Trial, ...]
    comparisons: tuple[Comparison, ...]
    chosen: str
    """Name of the option set to use; ``default`` when nothing improved."""
    chosen_changes: OptionChanges
    factors: FactorCalibration = FactorCalibration()
    """Factors of the models, fitted on the calibration."""


def compare(
    laboratory: Laboratory, scenario: Scenario, plan: TuningPlan, seed: int, fleet: Fleet
) -> TuningResult:
    """Run the default and every candidate once per pair, each pair in reversed order.

    Every run starts from a clone of the tree loaded with the default options. The factors of the
    fleet's models are fitted beside.
    """
    names = [DEFAULT, *plan.candidates]
    trials: list[Trial] = []
    for pair in range(plan.pairs):
        for name in names if pair % 2 == 0 else reversed(names):
            changes = plan.candidates.get(name, {})
            run = paired_run(laboratory, scenario, plan, changes, f"tuning/{name}", pair, seed)
            trials.append(as_trial(name, pair, len(trials), run))
    comparisons = tuple(
        compare_with_default(name, changes, trials, scenario)
        for name, changes in plan.candidates.items()
    )
    chosen = choose(comparisons)
    return TuningResult(
        seed=seed,
        trials=tuple(trials),
        comparisons=comparisons,
        chosen=chosen,
        chosen_changes=plan.candidates.get(chosen, {}),
        factors=fleet.calibrate_factors(),
    )


def paired_run(
    laboratory: Laboratory,
    scenario: Scenario,
    window: TuningPlan,
    changes: OptionChanges,
    block: str,
    pair: int,
    seed: int,
) -> Run:
    """Run one option set from the default's tree; both sides of a pair share keys and arrivals."""
    spec = scenario.spec(
        changes,
        duration_s=window.duration_s,
        warmup_s=window.warmup_s,
        seed=derived_seed(seed, "pair", pair),
        repeat=pair,
        block=block,
        base_options=scenario.options,
    )
    return laboratory.run(spec)


def as_trial(name: str, pair: int, order: int, run: Run) -> Trial:
    """Condense a finished run."""
    result = run.result
    if result is None:
        raise ValueError(f"run {run.spec.run_id} is not finished")
    parts = (result.flush_bytes_per_user_byte, result.compaction_write_bytes_per_user_byte)
    return Trial(
        option_set=name,
        pair=pair,
        order=order,
        run_id=run.spec.run_id,
        put_ops_per_s=result.put_rate_ops_per_s.value,
        put_latency_p999_us=result.put_latency_us["p999"],
        stall_fraction=result.stall_fraction,
        write_bytes_per_user_byte=None if None in parts else sum(p for p in parts if p is not None),
        verdict=result.validity,
    )


def compare_with_default(
    name: str, changes: OptionChanges, trials: Sequence[Trial], scenario: Scenario
) -> Comparison:
    """Ratio of one option set to the default over the pairs in which both runs are valid."""
    ratio = block_ratio(trials, name)
    options, default = scenario.spec(changes).options, scenario.options
    memory = options.write_buffer_size * options.max_write_buffer_number
    return Comparison(
        option_set=name,
        changes=changes,
        pairs=ratio.blocks if ratio else 0,
        rate_ratio=ratio,
        effect=effect_of(ratio),
        memtable_bytes_ratio=memory / (default.write_buffer_size * default.max_write_buffer_number),
    )


def block_ratio(trials: Sequence[Trial], name: str) -> Estimate | None:
    """Geometric mean of rate over the default's rate inside pairs, with a 95 % interval.

    A randomised block design on log rates: each pair is a block, each option set a treatment. The
    error is the residual of the additive model over the sets valid in all of these pairs, so a few
    pairs of several sets share their degrees of freedom. With only this set and the default it
    is the paired t interval. A single block, or no degree of freedom, gives no interval.
    Source: Montgomery, Design and Analysis of Experiments, ch. 4.
    """
    rates = {(t.option_set, t.pair): np.log(t.put_ops_per_s) for t in trials if t.verdict.valid}
    both = [p for p in sorted({t.pair for t in trials}) if {(name, p), (DEFAULT, p)} <= set(rates)]
    if not both:
        return None
    mean = float(np.mean([rates[name, p] - rates[DEFAULT, p] for p in both]))
    # Only sets that are valid in all of these pairs can lend their degrees of freedom.
    sets = [
        option_set
        for option_set in sorted({option_set for option_set, _ in rates})
        if all((option_set, p) in rates for p in both)
    ]
    table = np.array([[rates[option_set, p] for p in both] for option_set in sets])
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    if freedom < 1:
        return Estimate(value=float(np.exp(mean)), blocks=len(both))
    residual = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    error = np.sqrt((residual**2).sum() / freedom * 2 / len(both))
    margin = float(stdtrit(freedom, 0.975) * error)
    return Estimate(
        value=float(np.exp(mean)),
        low=float(np.exp(mean - margin)),
        high=float(np.exp(mean + margin)),
        blocks=len(both),
    )


def effect_of(ratio: Estimate | None) -> Effect:
    """Improved / worse when the whole interval lies on one side of 1, none when it holds 1."""
    if ratio is None or ratio.low is None or ratio.high is None:
        return "unknown"
    if ratio.low > 1.0:
        return "improved"
    return "worse" if ratio.high < 1.0 else "none"


def choose(comparisons: tuple[Comparison, ...]) -> str:
    """Pick the improved set with the highest ratio, or the default."""
    improved = [c for c in comparisons if c.effect == "improved" and c.rate_ratio is not None]
    if not improved:
        return DEFAULT
    return max(improved, key=lambda c: c.rate_ratio.value if c.rate_ratio else 0.0).option_set
