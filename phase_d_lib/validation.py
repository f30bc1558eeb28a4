"""Held-out cases: drawn from a recorded seed, predicted in writing, then measured and scored."""

from __future__ import annotations

import numpy as np

from phase_d_lib.calibration import measured_amplification
from phase_d_lib.deployment import Fleet
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.ledger import ledger_of
from phase_d_lib.models.base import Case, Model, Prediction, answer
from phase_d_lib.profiles import OptionChanges, Scenario, TuningPlan, ValidationPlan
from phase_d_lib.rates import Estimate
from phase_d_lib.runs import Run
from phase_d_lib.specs import Frozen
from phase_d_lib.tuning.comparison import (
    DEFAULT,
    Comparison,
    Trial,
    as_trial,
    compare_with_default,
    paired_run,
)
from phase_d_lib.validity import Verdict

_FACTORS: dict[str, tuple[float, ...]] = {
    "write_buffer_size": (0.5, 1.0, 1.5, 2.0, 3.0),
    "max_bytes_for_level_base": (0.5, 1.0, 1.5, 2.0, 3.0),
    "level0_slowdown_writes_trigger": (0.75, 1.0, 1.25, 1.5),
    "max_bytes_for_level_multiplier": (0.6, 0.8, 1.0),
}
"""Levels of the held-out design, as factors of the scenario's own options."""


class CaseScore(Frozen):
    """One held-out case: what each model said before, and what was measured."""

    name: str
    run_id: str
    changes: OptionChanges
    measured_ops_per_s: Estimate
    measured_write_bytes_per_user_byte: float | None
    measured_stall_fraction: float
    verdict: Verdict
    predicted_at: str | None
    predictions: tuple[Prediction, ...]
    closures: tuple[Prediction, ...]
    """The same models given the amplification of this very run: an identity check, no accuracy."""


class ModelScore(Frozen):
    """Scores of one model over the held-out cases."""

    model: str
    cases: int
    """Valid cases the model answered."""
    refused: int
    """Cases refused by the model or not valid, counted as misses."""
    median_error_fraction: float | None
    max_error_fraction: float | None
    log_bias: float | None
    """Mean log(predicted / measured)."""
    covered: int | None
    """Cases whose measurement lies inside the 90 % interval; None without intervals."""
    median_closure_error_fraction: float | None


class ValidationResult(Frozen):
    """Held-out scores and the tuned-against-default pairs."""

    seed: int
    cases: tuple[CaseScore, ...]
    scores: tuple[ModelScore, ...]
    trials: tuple[Trial, ...]
    tuned: Comparison | None
    """None when tuning kept the default."""


def draw_cases(scenario: Scenario, count: int, seed: int) -> dict[str, OptionChanges]:
    """Draw `count` different option sets from the design, none equal to the scenario's own."""
    rng = np.random.default_rng(seed)
    own = scenario.options
    stop_distance = own.level0_stop_writes_trigger - own.level0_slowdown_writes_trigger
    files_per_memtable = own.target_file_size_base / own.write_buffer_size
    cases: dict[str, OptionChanges] = {}
    while len(cases) < count:
        picked = {
            name: round(getattr(own, name) * float(rng.choice(factors)))
            for name, factors in _FACTORS.items()
        }
        changes: OptionChanges = {
            **picked,
            "level0_stop_writes_trigger": picked["level0_slowdown_writes_trigger"] + stop_distance,
            "target_file_size_base": round(picked["write_buffer_size"] * files_per_memtable),
        }
        same = all(getattr(own, name) == value for name, value in changes.items())
        if not same and changes not in cases.values():
            cases[f"case-{len(cases) + 1:02d}"] = changes
    return cases


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
    cases = tuple(
        score_case(laboratory, scenario, plan, fleet, name, changes, seed)
        for name, changes in draw_cases(
            scenario, plan.held_out, derived_seed(seed, "design")
        ).items()
    )
    trials = tuned_trials(laboratory, scenario, plan, tuned, seed)
    name, changes = tuned
    return ValidationResult(
        seed=seed,
        cases=cases,
        scores=tuple(score_model(model, cases) for model in fleet.models),
        trials=trials,
        tuned=(
            None if name == DEFAULT else compare_with_default(name, changes, list(trials), scenario)
        ),
    )


def score_case(
    laboratory: Laboratory,
    scenario: Scenario,
    plan: ValidationPlan,
    fleet: Fleet,
    name: str,
    changes: OptionChanges,
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
    frozen = [p.model_dump(mode="json") for p in fleet.predict(spec)]
    run = laboratory.run(spec, predictions=frozen)
    return describe_case(run, fleet, name, changes)


def describe_case(run: Run, fleet: Fleet, name: str, changes: OptionChanges) -> CaseScore:
    """Set the frozen predictions of a finished run beside its measurement."""
    result, written = run.result, run.predictions
    if result is None or written is None:
        raise ValueError(f"run {run.spec.run_id} has no result or no frozen prediction")
    ledger = ledger_of(run)
    given = Case.of(run.spec, fleet.calibration.host, measured_amplification(ledger))
    return CaseScore(
        name=name,
        run_id=run.spec.run_id,
        changes=changes,
        measured_ops_per_s=result.put_rate_ops_per_s,
        measured_write_bytes_per_user_byte=ledger.write_amplification,
        measured_stall_fraction=result.stall_fraction,
        verdict=result.validity,
        predicted_at=written["written_at"],
        predictions=tuple(Prediction.model_validate(p) for p in written["predictions"]),
        closures=tuple(closure(model, given) for model in fleet.models.values()),
    )


def closure(model: Model, given: Case) -> Prediction:
    """Ask a model with the run's own amplification; one that takes none has no closure figure."""
    prediction = answer(model, given)
    if prediction.refused is None and prediction.amplification_source != "given":
        return Prediction(model=model.name, refused="amplification: this model simulates its own")
    return prediction


def tuned_trials(
    laboratory: Laboratory,
    scenario: Scenario,
    plan: ValidationPlan,
    tuned: tuple[str, OptionChanges],
    seed: int,
) -> tuple[Trial, ...]:
    """Measure tuned and default in ABBA order, fresh runs; nothing to do for the default."""
    name, changes = tuned
    if name == DEFAULT:
        return ()
    window = TuningPlan(
        duration_s=plan.duration_s,
        warmup_s=plan.warmup_s,
        pairs=plan.pairs,
        candidates={name: changes},
    )
    trials: list[Trial] = []
    for pair in range(plan.pairs):
        order = (DEFAULT, name) if pair % 2 == 0 else (name, DEFAULT)
        for side in order:
            chosen = changes if side == name else {}
            run = paired_run(
                laboratory,
                scenario,
                window,
                chosen,
                f"validation/{side}",
                pair,
                derived_seed(seed, "tuned"),
            )
            trials.append(as_trial(side, pair, len(trials), run))
    return tuple(trials)


def score_model(model: str, cases: tuple[CaseScore, ...]) -> ModelScore:
    """Score one model; invalid cases and refusals are misses, never dropped."""
    errors, closures, covered, intervals = [], [], 0, 0
    for case in cases:
        prediction = next((p for p in case.predictions if p.model == model), None)
        rate = prediction.saturation_ops_per_s if prediction else None
        if not case.verdict.valid or not rate or prediction is None:
            continue
        measured = case.measured_ops_per_s.value
        errors.append(float(np.log(rate / measured)))
        if prediction.interval_90_ops_per_s:
            intervals += 1
            low, high = prediction.interval_90_ops_per_s
            covered += low <= measured <= high
        closure = next((p.saturation_ops_per_s for p in case.closures if p.model == model), None)
        if closure:
            closures.append(abs(closure / measured - 1.0))
    relative = [abs(np.expm1(e)) for e in errors]
    return ModelScore(
        model=model,
        cases=len(errors),
        refused=len(cases) - len(errors),
        median_error_fraction=float(np.median(relative)) if relative else None,
        max_error_fraction=float(max(relative)) if relative else None,
        log_bias=float(np.mean(errors)) if errors else None,
        covered=covered if intervals else None,
        median_closure_error_fraction=float(np.median(closures)) if closures else None,
    )
