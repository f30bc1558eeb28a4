"""What each tuned option does: the tuned set measured again with one dimension set back."""

from __future__ import annotations

from statistics import fmean
from typing import Literal

from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.profiles import OptionChanges, Window
from phase_d_lib.smax import COVARIATES
from phase_d_lib.specs import Frozen, RunSpec
from phase_d_lib.stalls import SATURATED_FRACTION, STALLED_FRACTION
from phase_d_lib.tuning.outcome import Outcome, outcome
from phase_d_lib.tuning.scenarios import TuningScenario
from phase_d_lib.tuning.space import Point, Value, changes_of, point_of, search_space

Bound = Literal["foreground", "limiter", "controller"]


class Reverted(Outcome):
    """A run of the tuned set with one dimension set back to the default's value."""

    dimension: str
    tuned: Value
    default: Value
    bound: Bound
    """What held the rate back in this run."""
    rate_ratio: float | None
    """Held rate of the tuned set over this run's: what the dimension does; None when spoiled."""


class Effects(Frozen):
    """The tuned set, and without each of its dimensions, all in one block of runs."""

    tuned: tuple[Outcome, ...]
    """First, middle and last run of the block."""
    tuned_bound: Bound
    reverted: tuple[Reverted, ...]

    @property
    def spread_fraction(self) -> float | None:
        """Range of the tuned set's own runs over their mean: smaller effects are noise."""
        rates = [run.held_ops_per_s for run in self.tuned if _usable(run)]
        return (max(rates) - min(rates)) / fmean(rates) if len(rates) > 1 else None


def measure_effects(
    laboratory: Laboratory, tuned: TuningScenario, changes: OptionChanges, window: Window, seed: int
) -> Effects:
    """Run the tuned set, then without each dimension in turn, the tuned set again between.

    Dimensions whose return to the default changes no option are left out.
    """
    scenario = tuned.scenario
    own, point = point_of(scenario), point_of(scenario, changes)
    steps: list[tuple[str | None, Point]] = [
        (d.name, {**point, d.name: own[d.name]})
        for d in search_space(tuned.guards).dimensions
        if changes_of({**point, d.name: own[d.name]}, scenario) != changes_of(point, scenario)
    ]
    middle = len(steps) // 2
    order = [(None, point), *steps[:middle], (None, point), *steps[middle:], (None, point)]
    found: list[tuple[str | None, RunSpec, Outcome]] = []
    for number, (dimension, moved) in enumerate(order):
        spec = scenario.spec(
            changes_of(moved, scenario),
            duration_s=window.duration_s,
            warmup_s=window.warmup_s,
            seed=derived_seed(seed, "effects", number),
            repeat=number,
            block=f"effects/{tuned.name}/{dimension or 'tuned'}",
            base_options=scenario.options,
        )
        run = laboratory.run(spec)
        found.append((dimension, spec, Outcome.model_validate(outcome(run))))
    rates = [o.held_ops_per_s for name, _, o in found if name is None and _usable(o)]
    tuned_rate = fmean(rates) if rates else None
    return Effects(
        tuned=tuple(o for name, _, o in found if name is None),
        tuned_bound=bound_of(found[0][1], found[0][2]),
        reverted=tuple(
            Reverted(
                **o.model_dump(),
                dimension=name,
                tuned=point[name],
                default=own[name],
                bound=bound_of(spec, o),
                rate_ratio=tuned_rate / o.held_ops_per_s if tuned_rate and _usable(o) else None,
            )
            for name, spec, o in found
            if name is not None
        ),
    )


def bound_of(spec: RunSpec, measured: Outcome) -> Bound:
    """Name what held the writer back, from measured rate, stalls and written bytes.

    Not stalled: the writer itself. Stalled with the limiter used up: its bytes. Else the write
    controller alone. The thresholds are those of the models.
    """
    if measured.stall_fraction < STALLED_FRACTION:
        return "foreground"
    written = measured.put_ops_per_s * spec.workload.record_bytes
    written *= measured.write_bytes_per_user_byte or 0.0
    limiter = spec.limiter_bytes_per_s
    return "limiter" if limiter and written >= SATURATED_FRACTION * limiter else "controller"


def _usable(run: Outcome) -> bool:
    return not run.verdict.blocked_by(*COVARIATES)
