"""Which bounded step to try next on a running instance, by a model's prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from phase_d_lib.models.base import Case, PutRateModel, answer
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

    Parameters
    ----------
    model : PutRateModel
        One that simulates also says how large the tree gets, so that a step that would break the
        guard on space is left out.
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
            rate = self._rate(options.model_copy(update=changes))
            if rate is not None:
                steps.append(Step(dimension=dimension, changes=changes, predicted_ratio=rate / now))
        return sorted(steps, key=lambda step: -step.predicted_ratio)

    def _moves(self, options: OptionsSpec) -> list[tuple[str, OptionChanges]]:
        scenario = self._tuned.scenario
        here = point_of(scenario, options.model_dump())
        found: list[tuple[str, OptionChanges]] = []
        for dimension, point in self._space.neighbours(here, self._factor):
            spec = scenario.spec(changes_of(point, scenario))
            new = spec.options.model_dump()
            changes = {n: new[n] for n, old in options.model_dump().items() if new[n] != old}
            allowed = not self._tuned.guards.breaches(spec, scenario.workload)
            if changes and allowed and changes not in [c for _, c in found]:
                found.append((dimension, changes))
        return found

    def _rate(self, options: OptionsSpec) -> float | None:
        spec = self._tuned.scenario.spec(options.model_dump(), duration_s=30.0, warmup_s=10.0)
        return answer(self._model, self._case_of(spec), bare=True).saturation_ops_per_s
