"""Which bounded step to try next on a running instance, by a model's prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from phase_d_lib.models.base import Case, PutRateModel, answer
from phase_d_lib.models.geometry import simulated_space_amplification
from phase_d_lib.optionsfile import LIVE_OPTIONS
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.specs import Frozen, OptionsSpec, RunSpec
from phase_d_lib.tuning.scenarios import TuningScenario
from phase_d_lib.tuning.space import SearchSpace, changes_of, point_of, search_space


class Step(Frozen):
    """A change of live options, and what a model expects of it."""

    dimension: str
    changes: OptionChanges
    """Option -> new value; only what differs from the options now."""
    predicted_ratio: float
    """Predicted saturation rate over that of the options now."""


Propose = Callable[[OptionsSpec], Sequence[Step]]
"""Options now -> steps, the most promising first."""


class ModelSteps:
    """Ranks every single live step by the saturation rate a model predicts for it.

    A step that breaks a guard is left out, the guard on space by the simulated size of the tree.

    Parameters
    ----------
    model : PutRateModel
    case_of : callable
        All that may be known of a run before it starts.
    tuned : TuningScenario
    factor : float
        How far one step goes.
    """

    def __init__(
        self,
        model: PutRateModel,
        case_of: Callable[[RunSpec], Case],
        tuned: TuningScenario,
        factor: float = 2.0,
    ) -> None:
        self._model, self._case_of, self._tuned, self._factor = model, case_of, tuned, factor
        live = search_space(tuned.guards).dimensions
        self._space = SearchSpace(dimensions=tuple(d for d in live if d.safety == "online"))

    def __call__(self, options: OptionsSpec) -> list[Step]:
        """Return the steps from `options`, the largest predicted rate first."""
        now = self._rate(options)
        if now is None:
            return []
        steps = []
        for dimension, changes in self._moves(options):
            moved = options.model_copy(update=changes)
            rate = self._rate(moved)
            if rate is not None and self._allowed(moved):
                steps.append(Step(dimension=dimension, changes=changes, predicted_ratio=rate / now))
        return sorted(steps, key=lambda step: -step.predicted_ratio)

    def _moves(self, options: OptionsSpec) -> list[tuple[str, OptionChanges]]:
        scenario = self._tuned.scenario
        here = point_of(scenario, options.model_dump())
        # A point rounds sizes, which is no step: what differs is told from the rounded options.
        now = scenario.spec(changes_of(here, scenario)).options.model_dump()
        found: list[tuple[str, OptionChanges]] = []
        for dimension, point in self._space.neighbours(here, self._factor):
            new = scenario.spec(changes_of(point, scenario)).options.model_dump()
            changes = {name: new[name] for name, old in now.items() if new[name] != old}
            # A smaller number of buffers may force an option that only an opening sets.
            live = LIVE_OPTIONS.issuperset(changes)
            if changes and live and changes not in [c for _, c in found]:
                found.append((dimension, changes))
        return found

    def _spec(self, options: OptionsSpec) -> RunSpec:
        return self._tuned.scenario.spec(options.model_dump(), duration_s=30.0, warmup_s=10.0)

    def _allowed(self, options: OptionsSpec) -> bool:
        spec = self._spec(options)
        workload = self._tuned.scenario.workload
        space = simulated_space_amplification(self._case_of(spec))
        return not self._tuned.guards.breaches(spec, workload, space)

    def _rate(self, options: OptionsSpec) -> float | None:
        case = self._case_of(self._spec(options))
        return answer(self._model, case, bare=True).saturation_ops_per_s
