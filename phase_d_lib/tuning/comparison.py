"""Compare option sets with the scenario's own, in pairs from one settled tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from phase_d_lib.calibration import DEFAULT
from phase_d_lib.guards import Breach, Guards, memtable_bytes
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.profiles import OptionChanges, PairsPlan, Scenario
from phase_d_lib.rates import Estimate
from phase_d_lib.specs import Frozen
from phase_d_lib.tuning.outcome import Outcome, outcome

Effect = Literal["improved", "none", "worse", "unknown"]


class Trial(Outcome):
    """One run of one option set within a pair."""

    option_set: str
    pair: int
    order: int
    """Position in the whole sequence, from 0."""


class Comparison(Frozen):
    """One option set against the default, over the pairs whose two runs are both valid."""

    option_set: str
    changes: OptionChanges
    pairs: int
    rate_ratio: Estimate | None
    """Geometric mean of rate / default rate inside pairs (:func:`block_ratio`)."""
    held_ratio: Estimate | None = None
    """The same of the rates without borrowed debt."""
    effect: Effect
    memtable_bytes_ratio: float
    """Memtable memory allowed, over the default's: a gain may be bought with memory."""
    breaches: tuple[Breach, ...] = ()
    """Guards the option set breaks, as set or as measured; such a set is never chosen."""

    @property
    def borrowed(self) -> bool:
        """Whether it is faster only by compaction debt that it leaves behind."""
        rate, held = self.rate_ratio, self.held_ratio
        return bool(rate and rate.low and rate.low > 1.0 and held and held.value <= 1.0)


def run_pairs(
    laboratory: Laboratory,
    scenario: Scenario,
    plan: PairsPlan,
    candidates: Mapping[str, OptionChanges],
    block: str,
    seed: int,
) -> tuple[Trial, ...]:
    """Run the default and every candidate once a pair, every second pair in reversed order.

    All start from a clone of the tree loaded with the default options; the runs of a pair share
    keys and arrivals.

    Parameters
    ----------
    block : str
        First part of the runs' block names.
    """
    trials: list[Trial] = []
    names = [DEFAULT, *candidates]
    for pair in range(plan.pairs):
        for name in names if pair % 2 == 0 else reversed(names):
            spec = scenario.spec(
                candidates.get(name, {}),
                duration_s=plan.duration_s,
                warmup_s=plan.warmup_s,
                seed=derived_seed(seed, "pair", pair),
                repeat=pair,
                block=f"{block}/{name}",
                base_options=scenario.options,
            )
            found = outcome(laboratory.run(spec))
            trials.append(Trial(option_set=name, pair=pair, order=len(trials), **found))
    return tuple(trials)


def compare_with_default(
    name: str,
    changes: OptionChanges,
    trials: Sequence[Trial],
    scenario: Scenario,
    guards: Guards | None = None,
) -> Comparison:
    """Ratio of one option set to the default over the pairs in which both runs are valid."""
    spec = scenario.spec(changes)
    own = [trial for trial in trials if trial.option_set == name and trial.verdict.valid]
    space = fmean([trial.space_amplification for trial in own]) if own else None
    ratio = block_ratio(trials, name)
    found = Comparison(
        option_set=name,
        changes=changes,
        pairs=ratio.blocks if ratio else 0,
        rate_ratio=ratio,
        held_ratio=block_ratio(trials, name, rate="held_ops_per_s"),
        effect=effect_of(ratio),
        memtable_bytes_ratio=memtable_bytes(spec.options) / memtable_bytes(scenario.options),
        breaches=guards.breaches(spec, scenario.workload, space) if guards else (),
    )
    return found.model_copy(update={"effect": "none"}) if found.borrowed else found


def block_ratio(
    trials: Sequence[Trial],
    name: str,
    rate: Literal["put_ops_per_s", "held_ops_per_s"] = "put_ops_per_s",
) -> Estimate | None:
    """Geometric mean of rate over the default's rate inside pairs, with a 95 % interval.

    A randomised block design on log rates: each pair is a block, each option set a treatment. The
    error is the residual of the additive model over the sets valid in all of these pairs, so a few
    pairs of several sets share their degrees of freedom. With only this set and the default it
    is the paired t interval. A single block, or no degree of freedom, gives no interval.
    Source: Montgomery, Design and Analysis of Experiments, ch. 4.
    """
    rates = {(t.option_set, t.pair): np.log(getattr(t, rate)) for t in trials if t.verdict.valid}
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
    """Pick the improved set with the highest ratio that breaks no guard, or the default."""
    improved = [
        c for c in comparisons if c.effect == "improved" and c.rate_ratio and not c.breaches
    ]
    if not improved:
        return DEFAULT
    return max(improved, key=lambda c: c.rate_ratio.value if c.rate_ratio else 0.0).option_set
