"""The offline search: one measured run an evaluation, whatever sampler proposes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from phase_d_lib.guards import Breach
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.profiles import OptionChanges, SearchPlan
from phase_d_lib.runs import Run
from phase_d_lib.smax import COVARIATES
from phase_d_lib.specs import Frozen, RunSpec
from phase_d_lib.tuning.outcome import Outcome, breaches_of, outcome
from phase_d_lib.tuning.scenarios import TuningScenario
from phase_d_lib.tuning.space import Point, changes_of, point_of, search_space
from phase_d_lib.tuning.study import (
    distributions,
    finished,
    leaders_by_mean,
    open_study,
    unfinished,
    waiting,
)

Phase = Literal["default", "candidate", "screening", "finalist"]
Leaders = Callable[[optuna.Study, int], list[Point]]
SpaceOf = Callable[[RunSpec], float | None]
"""Spec -> space amplification as a model predicts it, None where it can't."""
MAX_REJECTED = 200
"""Proposals that break a guard before the search gives up."""
_PHASE, _EVALUATION, _REJECTED = "phase", "evaluation", "rejected"


class Evaluation(Outcome):
    """One measured run of the search."""

    number: int
    """From 0, the default's first."""
    phase: Phase
    point: Point
    changes: OptionChanges
    breaches: tuple[Breach, ...] = ()
    """Guards it broke as measured; such an option set is never chosen."""
    usable: bool
    """Not spoiled by the host. Screening counts a run whose tree still changes its size, a
    finalist must be valid in every respect."""


class Rejection(Frozen):
    """An option set that never ran."""

    name: str | None = None
    """Of a given candidate."""
    changes: OptionChanges
    breaches: tuple[Breach, ...]


class SearchResult(Frozen):
    """Everything the search measured, and what it chose."""

    scenario: TuningScenario
    plan: SearchPlan
    sampler: str
    seed: int
    evaluations: tuple[Evaluation, ...]
    rejected: tuple[Rejection, ...]
    chosen: OptionChanges
    """Empty: nothing was found that beats the default."""
    chosen_point: Point

    @property
    def guards_broken(self) -> int:
        """Evaluations that broke a guard as measured."""
        return sum(bool(found.breaches) for found in self.evaluations)

    @property
    def default_ops_per_s(self) -> float | None:
        """Mean held rate of the default's screening runs."""
        rates = [e.held_ops_per_s for e in self.evaluations if not e.changes and e.usable]
        return sum(rates) / len(rates) if rates else None


@dataclass
class Search:
    """One search under way.

    Parameters
    ----------
    laboratory : Laboratory
        Should resume, so that a run a killed search had finished is not repeated.
    tuned : TuningScenario
    plan : SearchPlan
    sampler : BaseSampler
        Proposes points.
    name : str
        Of the sampler.
    seed : int
        Of the runs.
    candidates : mapping
        Option sets to measure first, by name; one that breaks a guard does not run, one outside
        the space is measured at its nearest point.
    journal : Path, optional
        Where the study is kept; None keeps it in memory.
    leaders : callable
        (study, count) -> points to take for finalists, the best first.
    space_of : callable, optional
        Predicts the space amplification, so that a breach is told before a run.
    """

    laboratory: Laboratory
    tuned: TuningScenario
    plan: SearchPlan
    sampler: BaseSampler
    name: str
    seed: int
    candidates: Mapping[str, OptionChanges] = field(default_factory=dict)
    journal: Path | None = None
    leaders: Leaders = leaders_by_mean
    space_of: SpaceOf | None = None

    def __post_init__(self) -> None:
        self._space = search_space(self.tuned.guards)
        self._study = open_study(self.tuned.name, self.sampler, self.journal)

    def run(self) -> SearchResult:
        """Spend the evaluations; return what was measured and chosen."""
        for left in unfinished(self._study):
            self._study.tell(left.number, state=TrialState.FAIL)
            self._enqueue(dict(left.params), left.user_attrs.get(_PHASE, "screening"))
        if not self._study.get_trials(deepcopy=False):
            self._enqueue(point_of(self.tuned.scenario), "default")
            for name, changes in self.candidates.items():
                if not self._refused(name):
                    self._enqueue(point_of(self.tuned.scenario, changes), "candidate")
        while len(self._evaluations()) < self.plan.evaluations - self.plan.finalists:
            self._step("screening")
            if len(self._rejections()) >= MAX_REJECTED:
                break
        while waiting(self._study):  # finalists that a kill left behind
            self._step("finalist")
        measured = [e.point for e in self._evaluations() if e.phase == "finalist"]
        for point in self.leaders(self._study, self.plan.finalists):
            if len(measured) < self.plan.finalists and point not in measured:
                self._enqueue(point, "finalist")
                self._step("finalist")
                measured.append(point)
        return self._result()

    def _refused(self, name: str) -> tuple[Breach, ...]:
        scenario = self.tuned.scenario
        spec = scenario.spec(self.candidates[name])
        return self.tuned.guards.breaches(spec, scenario.workload)

    def _enqueue(self, point: Point, phase: Phase) -> None:
        self._study.enqueue_trial(self._space.held(point), user_attrs={_PHASE: phase})

    def _step(self, phase: Phase) -> None:
        """Ask for a point and evaluate it, unless it breaks a guard."""
        trial = self._study.ask(distributions(self._space))
        phase = trial.user_attrs.get(_PHASE, phase)
        trial.set_user_attr(_PHASE, phase)
        point, number = dict(trial.params), len(self._evaluations())
        spec = self._spec(number, point, phase)
        space = self.space_of(spec) if self.space_of else None
        breaches = self.tuned.guards.breaches(spec, self.tuned.scenario.workload, space)
        if breaches and phase != "default":
            changes = changes_of(point, self.tuned.scenario)
            rejection = Rejection(changes=changes, breaches=breaches)
            trial.set_user_attr(_REJECTED, rejection.model_dump(mode="json"))
            self._study.tell(trial, state=TrialState.PRUNED)
            return
        found = self._evaluation(self.laboratory.run(spec), number, point, phase)
        trial.set_user_attr(_EVALUATION, found.model_dump(mode="json"))
        if found.usable and not found.breaches:
            self._study.tell(trial, found.held_ops_per_s)
        else:
            self._study.tell(trial, state=TrialState.FAIL)

    def _spec(self, number: int, point: Point, phase: Phase) -> RunSpec:
        scenario, plan, final = self.tuned.scenario, self.plan, phase == "finalist"
        return scenario.spec(
            {} if phase == "default" else changes_of(point, scenario),
            duration_s=plan.finalist_s if final else plan.duration_s,
            warmup_s=plan.finalist_warmup_s if final else plan.warmup_s,
            seed=derived_seed(self.seed, "search", number),
            repeat=number,
            block=f"search/{self.tuned.name}/{phase}",
            base_options=scenario.options,
        )

    def _evaluation(self, run: Run, number: int, point: Point, phase: Phase) -> Evaluation:
        fields = outcome(run)
        verdict = fields["verdict"]
        usable = verdict.valid if phase == "finalist" else not verdict.blocked_by(*COVARIATES)
        return Evaluation(
            number=number,
            phase=phase,
            point=point,
            changes={} if phase == "default" else changes_of(point, self.tuned.scenario),
            breaches=breaches_of(self.tuned.guards, run),
            usable=usable,
            **fields,
        )

    def _evaluations(self) -> tuple[Evaluation, ...]:
        kept = (trial.user_attrs.get(_EVALUATION) for trial in finished(self._study))
        return tuple(Evaluation.model_validate(found) for found in kept if found)

    def _rejections(self) -> tuple[Rejection, ...]:
        given = tuple(
            Rejection(name=name, changes=changes, breaches=broken)
            for name, changes in self.candidates.items()
            if (broken := self._refused(name))
        )
        kept = (trial.user_attrs.get(_REJECTED) for trial in finished(self._study))
        return (*given, *(Rejection.model_validate(found) for found in kept if found))

    def _result(self) -> SearchResult:
        evaluations = self._evaluations()
        best = chosen(evaluations)
        return SearchResult(
            scenario=self.tuned,
            plan=self.plan,
            sampler=self.name,
            seed=self.seed,
            evaluations=evaluations,
            rejected=self._rejections(),
            chosen=best.changes if best else {},
            chosen_point=best.point if best else point_of(self.tuned.scenario),
        )


def chosen(evaluations: tuple[Evaluation, ...]) -> Evaluation | None:
    """Return the finalist with the highest held rate, or None when no change beats the default.

    Without a usable finalist the best screening run is taken.
    """
    usable = [e for e in evaluations if e.usable and not e.breaches]
    default = [e.held_ops_per_s for e in usable if not e.changes]
    finalists = [e for e in usable if e.phase == "finalist"] or usable
    best = max(finalists, key=lambda e: e.held_ops_per_s, default=None)
    if best is None or not best.changes:
        return None
    beaten = not default or best.held_ops_per_s > sum(default) / len(default)
    return best if beaten else None
