"""Held-out cases: drawn from a recorded seed, predicted in writing, then measured and scored."""

from __future__ import annotations

from phase_d_lib.calibration import DEFAULT, measured_amplification, measured_closure
from phase_d_lib.deployment import Fleet
from phase_d_lib.design import draw_cases, draw_regime, regimes_shown
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.ledger import ledger_of
from phase_d_lib.models.base import Case, Prediction, PutRateModel, answer
from phase_d_lib.models.regimes import REGIMES, Regime
from phase_d_lib.profiles import OptionChanges, Scenario, ValidationPlan
from phase_d_lib.runs import Run
from phase_d_lib.specs import Frozen
from phase_d_lib.tuning.comparison import (
    Comparison,
    Trial,
    compare_with_default,
    run_pairs,
)
from phase_d_lib.validation.baselines import BASELINES, baselines
from phase_d_lib.validation.behaviour import behaviour
from phase_d_lib.validation.scores import CaseScore, ModelScore, score_model, split_error


class ValidationResult(Frozen):
    """Held-out scores and the tuned-against-default pairs."""

    seed: int
    cases: tuple[CaseScore, ...]
    regimes_absent: tuple[Regime, ...]
    """Regimes no held-out case was measured to be in."""
    scores: tuple[ModelScore, ...]
    """Of the models, over the cases of the scenario's own regime."""
    baselines: tuple[ModelScore, ...]
    """Of the rows to beat, over the same cases."""
    every_score: tuple[ModelScore, ...]
    """Of models and rows to beat over all cases, other regimes included."""
    trials: tuple[Trial, ...]
    tuned: Comparison | None
    """None when tuning kept the default."""


def validate(
    laboratory: Laboratory,
    scenario: Scenario,
    plan: ValidationPlan,
    fleet: Fleet,
    tuned: tuple[str, OptionChanges],
    seed: int,
) -> ValidationResult:
    """Predict, measure and score held-out cases; measure the tuned set against the default again.

    Parameters
    ----------
    tuned : (name, option changes)
        What tuning chose; the name ``default`` skips the pairs.
    """
    drawn = design(scenario, plan, seed)
    cases = tuple(
        score_case(laboratory, scenario, plan, fleet, name, changes, regime, seed)
        for name, (regime, changes) in drawn.items()
    )
    name, changes = tuned
    trials: tuple[Trial, ...] = ()
    if name != DEFAULT:
        fresh = derived_seed(seed, "tuned")
        trials = run_pairs(laboratory, scenario, plan, {name: changes}, "validation", fresh)
    own = [case for case in cases if case.drawn_for is None]
    seen = {case.behaviour.regime for case in cases if case.verdict.valid}
    return ValidationResult(
        seed=seed,
        cases=cases,
        regimes_absent=tuple(regime for regime in REGIMES if regime not in seen),
        scores=tuple(score_model(model, own) for model in fleet.models),
        baselines=tuple(score_model(row, own) for row in BASELINES),
        every_score=tuple(score_model(row, cases) for row in (*fleet.models, *BASELINES)),
        trials=trials,
        tuned=(None if name == DEFAULT else compare_with_default(name, changes, trials, scenario)),
    )


def design(
    scenario: Scenario, plan: ValidationPlan, seed: int
) -> dict[str, tuple[Regime | None, OptionChanges]]:
    """Draw the held-out cases: of the scenario's own regime, then of each other one shown here."""
    own = draw_cases(scenario, plan.held_out, derived_seed(seed, "design"))
    drawn: dict[str, tuple[Regime | None, OptionChanges]] = {n: (None, c) for n, c in own.items()}
    for regime in regimes_shown() if plan.held_out_per_regime else ():
        cases = draw_regime(
            scenario, regime, plan.held_out_per_regime, derived_seed(seed, "design", regime)
        )
        drawn |= {name: (regime, changes) for name, changes in cases.items()}
    return drawn


def score_case(
    laboratory: Laboratory,
    scenario: Scenario,
    plan: ValidationPlan,
    fleet: Fleet,
    name: str,
    changes: OptionChanges,
    drawn_for: Regime | None,
    seed: int,
) -> CaseScore:
    """Freeze the predictions of one case, run it, and set both side by side."""
    spec = scenario.spec(
        changes,
        duration_s=plan.duration_s,
        warmup_s=plan.warmup_s,
        seed=derived_seed(seed, name),
        block=f"validation/{name}",
    )
    predictions = fleet.predict(spec) + baselines(fleet.case_of(spec), fleet.calibration)
    frozen = [p.model_dump(mode="json") for p in predictions]
    run = laboratory.run(spec, predictions=frozen)
    return describe_case(run, fleet, name, changes, drawn_for)


def describe_case(
    run: Run, fleet: Fleet, name: str, changes: OptionChanges, drawn_for: Regime | None = None
) -> CaseScore:
    """Set the frozen predictions of a finished run beside its measurement."""
    result, written = run.result, run.predictions
    if result is None or written is None:
        raise ValueError(f"run {run.spec.run_id} has no result or no frozen prediction")
    ledger, host = ledger_of(run), fleet.calibration.host
    given = Case.of(
        run.spec,
        host,
        measured_amplification(ledger),
        fleet.calibration.envelope,
        measured_closure(ledger),
    )
    measured = behaviour(run, ledger, given.device)
    frozen = [Prediction.model_validate(p) for p in written["predictions"]]
    predictions = tuple(p for p in frozen if p.model not in BASELINES)
    splits = {
        p.model: split
        for p in predictions
        if result.validity.valid
        and (split := split_error(p, measured, host.slot_write_bytes_per_s)) is not None
    }
    return CaseScore(
        name=name,
        run_id=run.spec.run_id,
        changes=changes,
        drawn_for=drawn_for,
        measured_ops_per_s=result.put_rate_ops_per_s,
        behaviour=measured,
        verdict=result.validity,
        predicted_at=written["written_at"],
        predictions=predictions,
        baselines=tuple(p for p in frozen if p.model in BASELINES),
        closures=tuple(closure(model, given) for model in fleet.models.values()),
        splits=splits,
    )


def closure(model: PutRateModel, given: Case) -> Prediction:
    """Ask a model with the run's own amplification; one that takes none has no closure figure."""
    if model.simulates:
        return Prediction(model=model.name, refused="amplification: this model simulates its own")
    return answer(model, given, bare=True)
