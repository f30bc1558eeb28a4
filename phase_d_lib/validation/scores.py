"""Scores of the models over held-out cases, and where each error came from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phase_d_lib.models.base import Prediction
from phase_d_lib.models.regimes import Regime, regime_of
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.rates import Estimate, binomial_interval
from phase_d_lib.specs import Frozen
from phase_d_lib.validation.behaviour import Behaviour
from phase_d_lib.validity import Verdict

MISS_PROBABILITY = 0.1
"""Of a 90 % interval."""


class ErrorSplit(Frozen):
    """log(predicted / measured) of one case, split; the parts add up to the total.

    With the amplification *a* and the background write rate *C* of the run and of the prediction,
    S = C / a in both, so the error is log(a_measured / a_predicted), the geometry, plus
    log(C_predicted / C_measured). The second part belongs to what was measured to bind: under a
    limiter to the controller, which decides how much of it is used; under busy slots to their
    speed, as far as that was off, and to the controller for the rest; to the device; or, where the
    writer was its own limit, the whole error to the CPU.
    """

    total_log: float
    geometry_log: float = 0.0
    controller_log: float = 0.0
    slots_cpu_log: float = 0.0
    device_log: float = 0.0
    unexplained_log: float = 0.0
    """All of it where the prediction names no amplification."""


class CaseScore(Frozen):
    """One held-out case: what each model said before, and what was measured."""

    name: str
    run_id: str
    changes: OptionChanges
    drawn_for: Regime | None
    """Regime the case was drawn for; None for the scenario's own."""
    measured_ops_per_s: Estimate
    behaviour: Behaviour
    verdict: Verdict
    predicted_at: str | None
    predictions: tuple[Prediction, ...]
    baselines: tuple[Prediction, ...]
    """Rows to beat, frozen with the predictions."""
    closures: tuple[Prediction, ...]
    """The same models given the amplification of this very run: an identity check, no accuracy."""
    splits: dict[str, ErrorSplit]
    """Model -> split of its error; only of a valid case it answered."""


class RegimeScore(Frozen):
    """Error in the cases measured to be in one regime."""

    regime: Regime
    cases: int
    """Valid cases the model answered."""
    refused: int
    """Valid cases it refused: misses."""
    median_error_fraction: float | None
    max_error_fraction: float | None


class ModelScore(Frozen):
    """Scores of one model, or of a row to beat, over the held-out cases."""

    model: str
    cases: int
    """Valid cases the model answered."""
    refused: int
    """Cases refused by the model or not valid, counted as misses."""
    median_error_fraction: float | None
    p90_error_fraction: float | None
    max_error_fraction: float | None
    log_bias: float | None
    """Mean log(predicted / measured)."""
    intervals: int
    """Cases with a 90 % interval."""
    covered: int | None
    """Those whose measurement lies inside; None without intervals."""
    coverage_95: tuple[float, float] | None
    """Clopper-Pearson interval of the coverage; it should contain 0.9."""
    median_interval_width_fraction: float | None
    """Upper over lower end, less one."""
    interval_score_log: float | None
    """Mean interval score on the log scale; less is better."""
    median_wa_error_fraction: float | None
    median_stall_error: float | None
    """Median |predicted - measured| share of time stalled."""
    regime_hits: int | None
    """Answered cases whose regime it named; None for a row that names none."""
    stall_regime_hits: int | None
    """Answered cases whose longest stall state it named; None for a model that names none."""
    regimes: tuple[RegimeScore, ...]
    median_closure_error_fraction: float | None


def split_error(
    prediction: Prediction, measured: Behaviour, slot_write_bytes_per_s: float | None
) -> ErrorSplit | None:
    """Split the error of one prediction; None without a rate.

    Parameters
    ----------
    slot_write_bytes_per_s : float or None
        mu as calibrated.
    """
    rate, own_a = prediction.saturation_ops_per_s, prediction.write_bytes_per_user_byte
    if not rate or measured.put_ops_per_s <= 0:
        return None
    total = float(np.log(rate / measured.put_ops_per_s))
    if not own_a or measured.write_bytes_per_user_byte <= 0:
        return ErrorSplit(total_log=total, unexplained_log=total)
    if measured.regime == "cpu":
        return ErrorSplit(total_log=total, slots_cpu_log=total)
    geometry = float(np.log(measured.write_bytes_per_user_byte / own_a))
    supply = total - geometry
    if measured.regime == "device":
        return ErrorSplit(total_log=total, geometry_log=geometry, device_log=supply)
    speed = 0.0
    if measured.regime == "slots" and slot_write_bytes_per_s and measured.slot_write_bytes_per_s:
        speed = float(np.log(slot_write_bytes_per_s / measured.slot_write_bytes_per_s))
    return ErrorSplit(
        total_log=total,
        geometry_log=geometry,
        slots_cpu_log=speed,
        controller_log=supply - speed,
    )


def score_model(model: str, cases: Sequence[CaseScore]) -> ModelScore:
    """Score one model; invalid cases and refusals are misses, never dropped."""
    answered = [
        (case, asked)
        for case in cases
        if case.verdict.valid
        and (asked := _named((*case.predictions, *case.baselines), model)) is not None
        and asked.saturation_ops_per_s
    ]
    errors = np.array(
        [np.log((p.saturation_ops_per_s or 1.0) / c.measured_ops_per_s.value) for c, p in answered]
    )
    relative = np.abs(np.expm1(errors))
    ends = [(c, p.interval_90_ops_per_s) for c, p in answered if p.interval_90_ops_per_s]
    inside = [low <= c.measured_ops_per_s.value <= high for c, (low, high) in ends]
    closures = [
        abs(closed.saturation_ops_per_s / case.measured_ops_per_s.value - 1.0)
        for case, _ in answered
        if (closed := _named(case.closures, model)) is not None and closed.saturation_ops_per_s
    ]
    named = [(c, p) for c, p in answered if p.binding is not None]
    stalls = [(c, p) for c, p in answered if p.stall_regime is not None]
    return ModelScore(
        model=model,
        cases=len(answered),
        refused=len(cases) - len(answered),
        median_error_fraction=_median(relative),
        p90_error_fraction=float(np.quantile(relative, 0.9)) if len(relative) else None,
        max_error_fraction=float(relative.max()) if len(relative) else None,
        log_bias=float(errors.mean()) if len(errors) else None,
        intervals=len(ends),
        covered=sum(inside) if ends else None,
        coverage_95=binomial_interval(sum(inside), len(inside)),
        median_interval_width_fraction=_median([high / low - 1.0 for _, (low, high) in ends]),
        interval_score_log=_interval_score(ends),
        median_wa_error_fraction=_median(
            [
                abs(p.write_bytes_per_user_byte / c.behaviour.write_bytes_per_user_byte - 1.0)
                for c, p in answered
                if p.write_bytes_per_user_byte and c.behaviour.write_bytes_per_user_byte > 0
            ]
        ),
        median_stall_error=_median(
            [
                abs(p.stall_fraction - c.behaviour.stall_fraction)
                for c, p in answered
                if p.stall_fraction is not None
            ]
        ),
        regime_hits=(
            sum(regime_of(p.binding) == c.behaviour.regime for c, p in named) if named else None
        ),
        stall_regime_hits=(
            sum(p.stall_regime == c.behaviour.stall_regime for c, p in stalls) if stalls else None
        ),
        regimes=_by_regime(cases, [c for c, _ in answered], relative),
        median_closure_error_fraction=_median(closures),
    )


def _named(predictions: Sequence[Prediction], model: str) -> Prediction | None:
    return next((p for p in predictions if p.model == model), None)


def _median(values: Sequence[float] | np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None


def _by_regime(
    cases: Sequence[CaseScore], answered: Sequence[CaseScore], relative: np.ndarray
) -> tuple[RegimeScore, ...]:
    found = []
    for regime in dict.fromkeys(c.behaviour.regime for c in cases if c.verdict.valid):
        valid = sum(c.verdict.valid and c.behaviour.regime == regime for c in cases)
        own = relative[[c.behaviour.regime == regime for c in answered]] if answered else relative
        found.append(
            RegimeScore(
                regime=regime,
                cases=len(own),
                refused=valid - len(own),
                median_error_fraction=_median(own),
                max_error_fraction=float(own.max()) if len(own) else None,
            )
        )
    return tuple(found)


def _interval_score(ends: Sequence[tuple[CaseScore, tuple[float, float]]]) -> float | None:
    """Gneiting and Raftery (2007), JASA 102: width plus 2/alpha times the distance missed by."""
    scores = []
    for case, (low, high) in ends:
        measured = case.measured_ops_per_s.value
        missed = max(0.0, np.log(low / measured), np.log(measured / high))
        scores.append(np.log(high / low) + 2.0 / MISS_PROBABILITY * missed)
    return float(np.mean(scores)) if scores else None
