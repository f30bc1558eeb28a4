"""The results of the stages computed again, from raw runs and what was frozen before each.

Every part is computed from samples, LOG and frozen predictions and from the results of earlier
stages as shown, which are themselves computed again. What no run can tell (seeds, the device grid,
times of deployment, which option sets a search proposed) is left as it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, TypeVar

from phase_d_lib.bundle.reading import FindRun
from phase_d_lib.calibration import (
    DEFAULT,
    Calibration,
    CalibrationRow,
    host_speeds,
    measured_amplification,
    measured_closure,
)
from phase_d_lib.deployment import Choice, DeploymentRecord, Fleet
from phase_d_lib.errors import InputError
from phase_d_lib.ledger import ledger_of
from phase_d_lib.models.base import Case
from phase_d_lib.models.regimes import REGIMES
from phase_d_lib.monitor import describe
from phase_d_lib.profiles import SMaxPlan
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.smax import COVARIATES, SMaxResult, judge, search
from phase_d_lib.smax import Trial as ArrivalTrial
from phase_d_lib.tuning.comparison import choose, compare_with_default
from phase_d_lib.tuning.effects import Effects, bound_of
from phase_d_lib.tuning.outcome import Outcome, breaches_of, outcome
from phase_d_lib.tuning.search import Evaluation, SearchResult
from phase_d_lib.tuning.search import chosen as chosen_evaluation
from phase_d_lib.validation.baselines import BASELINES
from phase_d_lib.validation.held_out import describe_case, design
from phase_d_lib.validation.scores import score_model
from phase_d_lib.validity import Verdict

Measured = TypeVar("Measured", bound=Outcome)


@dataclass(frozen=True)
class Recomputation:
    """What the four stages come to, computed again.

    Parameters
    ----------
    shown : ReportInputs
        The results as the bundle shows them.
    find_run : callable
        Run id -> run of the bundle.
    """

    shown: ReportInputs
    find_run: FindRun

    @cached_property
    def fleet(self) -> Fleet:
        """The models, fitted on the calibration as shown."""
        integration = self.shown.integration
        return Fleet(integration.calibration, integration.record)

    def results(self) -> dict[str, dict[str, Any]]:
        """Return stage -> the fields of its result that can be computed again."""
        return {
            "integration": self.integration(),
            "monitoring": self.monitoring(),
            "tuning": self.tuning(),
            "validation": self.validation(),
        }

    def integration(self) -> dict[str, Any]:
        """Scenario, calibration and deployment."""
        shown = self.shown.integration
        return {
            "scenario": self.shown.profile.scenario,
            "calibration": self._calibration(shown.calibration),
            "record": self._record(shown.record),
        }

    def monitoring(self) -> dict[str, Any]:
        """Everything of the monitored run: it follows from the run alone."""
        shown, plan = self.shown.monitoring, self.shown.profile.monitoring
        run = self.find_run(shown.run_id)
        again = describe(run, shown.active_model, plan.loop_s, self.fleet)
        return {name: getattr(again, name) for name in type(again).model_fields}

    def tuning(self) -> dict[str, Any]:
        """Trials, comparisons, the choice, the search's runs, S_max, effects and factors."""
        shown, plan = self.shown.tuning, self.shown.profile.tuning
        scenario = self.shown.profile.scenario
        compared = tuple(
            compare_with_default(c.option_set, c.changes, shown.trials, scenario, plan.guards)
            for c in shown.comparisons
        )
        chosen = choose(shown.comparisons)
        changes = {c.option_set: c.changes for c in shown.comparisons}
        return {
            "trials": self._measured(shown.trials),
            "comparisons": compared,
            "chosen": chosen,
            "chosen_changes": changes.get(chosen, {}),
            "search": None if shown.search is None else self._search(shown.search),
            "sustained": {
                name: self._s_max(found, plan.s_max) for name, found in shown.sustained.items()
            },
            "effects": None if shown.effects is None else self._effects(shown.effects),
            "factors": self.fleet.calibrate_factors(),
        }

    def validation(self) -> dict[str, Any]:
        """Cases with their errors, scores, and the pairs measured again."""
        shown, fleet = self.shown.validation, self.fleet
        scenario = self.shown.profile.scenario
        drawn = design(scenario, self.shown.profile.validation, shown.seed)
        regimes = {name: regime for name, (regime, _) in drawn.items()}
        options = {name: changes for name, (_, changes) in drawn.items()}
        cases = tuple(
            describe_case(
                self.find_run(case.run_id),
                fleet,
                case.name,
                options.get(case.name, {}),
                regimes.get(case.name),
            )
            for case in shown.cases
        )
        own = [case for case in shown.cases if case.drawn_for is None]
        seen = {case.behaviour.regime for case in shown.cases if case.verdict.valid}
        tuned = shown.tuned
        return {
            "cases": cases,
            "regimes_absent": tuple(regime for regime in REGIMES if regime not in seen),
            "scores": tuple(score_model(model, own) for model in fleet.models),
            "baselines": tuple(score_model(row, own) for row in BASELINES),
            "every_score": tuple(
                score_model(row, shown.cases) for row in (*fleet.models, *BASELINES)
            ),
            "trials": self._measured(shown.trials),
            "tuned": (
                None
                if tuned is None
                else compare_with_default(tuned.option_set, tuned.changes, shown.trials, scenario)
            ),
        }

    def _calibration(self, shown: Calibration) -> Calibration:
        foreground, slots = (
            self.find_run(shown.sources[name])
            for name in ("foreground_ops_per_s", "slot_write_bytes_per_s")
        )
        host, sources = host_speeds(foreground, slots)
        plan = self.shown.profile.integration.s_max
        sustained = None if shown.sustained is None else self._s_max(shown.sustained, plan)
        return shown.model_copy(
            update={
                "measured_at": foreground.result.started_at if foreground.result else "",
                "rocksdb_version": slots.host.rocksdb_version,
                "host": host,
                "sources": sources,
                "sustained": sustained,
                "rows": tuple(self._row(row, shown, sustained) for row in shown.rows),
            }
        )

    def _row(
        self, row: CalibrationRow, shown: Calibration, sustained: SMaxResult | None
    ) -> CalibrationRow:
        run = self.find_run(row.run_id)
        ledger, result = ledger_of(run), run.result
        searched = sustained if row.s_max_ops_per_s is not None and row.name == DEFAULT else None
        case = Case.of(
            run.spec, shown.host, measured_amplification(ledger), closure=measured_closure(ledger)
        )
        fields: dict[str, Any] = {
            "case": case,
            "s_max_ops_per_s": searched.s_max_ops_per_s if searched else None,
        }
        if result is not None:
            fields |= {
                "measured_ops_per_s": result.put_rate_ops_per_s,
                "stall_fraction": result.stall_fraction,
                "verdict": result.validity,
            }
        return row.model_copy(update=fields)

    def _record(self, shown: DeploymentRecord) -> DeploymentRecord:
        """Deploy again after the same choice; the times are those of the first time."""
        plan = self.shown.profile.integration
        own = self.shown.profile.scenario.spec(
            duration_s=plan.duration_s, warmup_s=plan.warmup_s, block=DEFAULT
        )
        before = Choice(
            active=shown.active,
            active_since=shown.active_since,
            previous=shown.previous,
            by_user=shown.active_reason == "chosen_by_user",
        )
        again = self.fleet.deploy(own, before)
        times = {state.model: state.deployed_at for state in shown.models}
        models = tuple(
            state.model_copy(update={"deployed_at": times.get(state.model, state.deployed_at)})
            for state in again.models
        )
        return again.model_copy(update={"models": models, "active_since": shown.active_since})

    def _s_max(self, shown: SMaxResult, plan: SMaxPlan | None) -> SMaxResult:
        """Judge every trial again and let the search take the same steps."""
        if plan is None or not shown.trials:
            return shown
        judged = {
            trial.number: judge(self.find_run(trial.run_id), shown.criterion)
            for trial in shown.trials
            if trial.run_id is not None
        }

        def trial(rate_ops_per_s: float, number: int) -> ArrivalTrial:
            if number not in judged:
                raise InputError(f"the search for S_max goes on to trial {number}: no run of it")
            return judged[number].model_copy(update={"rate_ops_per_s": rate_ops_per_s})

        return search(trial, shown.trials[0].rate_ops_per_s, plan)

    def _measured(self, shown: Iterable[Measured]) -> tuple[Measured, ...]:
        return tuple(one.model_copy(update=outcome(self.find_run(one.run_id))) for one in shown)

    def _search(self, shown: SearchResult) -> SearchResult:
        guards = shown.scenario.guards
        evaluations = []
        for one in shown.evaluations:
            run = self.find_run(one.run_id)
            fields = outcome(run)
            verdict = fields["verdict"]
            usable = verdict.valid if one.phase == "finalist" else _usable(verdict)
            fields |= {"breaches": breaches_of(guards, run), "usable": usable}
            evaluations.append(one.model_copy(update=fields))
        best = chosen_evaluation(shown.evaluations)
        return shown.model_copy(
            update={
                "evaluations": tuple[Evaluation, ...](evaluations),
                "chosen": best.changes if best else {},
                "chosen_point": best.point if best else shown.chosen_point,
            }
        )

    def _effects(self, shown: Effects) -> Effects:
        tuned, first = self._measured(shown.tuned), shown.tuned[0]
        rates = [one.held_ops_per_s for one in shown.tuned if _usable(one.verdict)]
        rate = fmean(rates) if rates else None
        reverted = []
        for one in self._measured(shown.reverted):
            ratio = rate / one.held_ops_per_s if rate and _usable(one.verdict) else None
            bound = bound_of(self.find_run(one.run_id).spec, one)
            reverted.append(one.model_copy(update={"bound": bound, "rate_ratio": ratio}))
        return shown.model_copy(
            update={
                "tuned": tuned,
                "tuned_bound": bound_of(self.find_run(first.run_id).spec, first),
                "reverted": tuple(reverted),
            }
        )


def _usable(verdict: Verdict) -> bool:
    return not verdict.blocked_by(*COVARIATES)
