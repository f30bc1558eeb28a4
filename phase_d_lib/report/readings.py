"""Selections from the inputs that several parts of the report share."""

from __future__ import annotations

from phase_d_lib.calibration import DEFAULT
from phase_d_lib.models.base import Prediction
from phase_d_lib.monitor import StallShare, Trend
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.origins import (
    DASHBOARD,
    PERFORMANCE,
    confirmed_by,
    integrated,
    monitored,
    run_file,
    sustained,
    tuned,
    validated,
)
from phase_d_lib.report.quantities import duration_us, limit_percent, percent, puts_per_s, rate
from phase_d_lib.report.sources import Source, attribute, rule
from phase_d_lib.report.wording import (
    S_MAX_ABSENT,
    Judgement,
    longest_stall,
    stability,
    unscored,
    verdict,
)
from phase_d_lib.tuning.comparison import Comparison
from phase_d_lib.validation import ModelScore
from phase_d_lib.validity import Verdict

LIMITER_USE_FRACTION = 0.9
"""Measured use from which the rate limiter is called binding without a model."""


def active_score(inputs: ReportInputs) -> ModelScore | None:
    """Return the held-out score of the active model."""
    active = inputs.integration.record.active
    return next((s for s in inputs.validation.scores if s.model == active), None)


def chosen_comparison(inputs: ReportInputs) -> Comparison | None:
    """Return the comparison of the option set tuning chose; None when it kept the default."""
    chosen = inputs.tuning.chosen
    return next((c for c in inputs.tuning.comparisons if c.option_set == chosen), None)


def confirmed(inputs: ReportInputs) -> bool:
    """Whether the gain of the chosen option set was found again in fresh runs."""
    tuned, chosen = inputs.validation.tuned, inputs.tuning.chosen
    return tuned is not None and tuned.option_set == chosen and tuned.effect == "improved"


def active_prediction(inputs: ReportInputs) -> Prediction | None:
    """Return what the active model said about the monitored run before it started."""
    active = inputs.monitoring.active_model
    return next((p for p in inputs.monitoring.predictions if p.model == active), None)


def bounding_prediction(inputs: ReportInputs) -> Prediction | None:
    """Return what a model said of every resource: the one that names most bounds, or None."""
    known = {
        p.model: sum(bound is not None for bound in p.bounds_ops_per_s.values())
        for p in inputs.monitoring.predictions
    }
    best = max(known, key=lambda model: known[model], default=None)
    if best is None or known[best] == 0:
        return None
    return next(p for p in inputs.monitoring.predictions if p.model == best)


def limiter_use_fraction(inputs: ReportInputs) -> float | None:
    """Measured flush and compaction writes over what the rate limiter allows."""
    limit, ledger = inputs.monitoring.spec.limiter_bytes_per_s, inputs.monitoring.ledger
    if limit is None or ledger.window_s <= 0:
        return None
    written = ledger.flush_write_bytes + ledger.compaction_write_bytes
    return written / ledger.window_s / limit


def binding(inputs: ReportInputs) -> tuple[str | None, str]:
    """Return the binding resource and what says so: the active model or a measured use."""
    prediction, use = active_prediction(inputs), limiter_use_fraction(inputs)
    if prediction is not None and prediction.binding is not None:
        return prediction.binding, f"활성 모델 `{prediction.model}`의 예측"
    valid = inputs.monitoring.result.validity.valid
    if valid and use is not None and use >= LIMITER_USE_FRACTION:
        said = f"측정한 속도 제한기 사용률 {percent(use)}"
        return "limiter", attribute(said, monitored(inputs, "ledger"))
    return None, "예측한 활성 모델이 없고 유효한 측정에서도 드러나지 않았습니다"


def s_max_sentence(inputs: ReportInputs) -> str:
    """Say the measured sustainable rate with its interval and its share of saturation."""
    found = inputs.integration.calibration.sustained
    if found is None:
        said = active_prediction(inputs)
        if said is None or said.s_max_ops_per_s is None:
            return S_MAX_ABSENT
        shown = f"`{said.model}`의 예측은 {puts_per_s(said.s_max_ops_per_s)}입니다"
        return f"{S_MAX_ABSENT}. {attribute(shown, prediction_source(inputs))}"
    if found.s_max_ops_per_s is None:
        return "시험한 도착률에서는 지속 가능 처리율(S_max)을 정하지 못했습니다"
    own = next(row for row in inputs.integration.calibration.rows if row.name == DEFAULT)
    share = found.s_max_ops_per_s.value / own.measured_ops_per_s.value
    shown = (
        f"지속 가능 처리율(S_max)은 {rate(found.s_max_ops_per_s)}로, "
        f"포화 처리율의 {percent(share)}입니다"
    )
    return attribute(shown, sustained())


def s_max_criterion(inputs: ReportInputs) -> str:
    """Say when an arrival rate counted as sustained; empty where none was tried."""
    found = inputs.integration.calibration.sustained
    if found is None:
        return ""
    limits = found.criterion
    said = (
        "도착률을 바꾸며 개방형 부하를 걸었습니다. 쓰기 정지 없이 도착률의 "
        f"{limit_percent(1 - limits.max_shortfall_fraction)} 이상을 처리하고, 도착할 시각부터 잰 "
        f"p99.9가 {duration_us(1e3 * limits.max_p999_ms)} 이하이며, "
        "컴팩션 대기량이 계속 늘지 않으면 유지한 것으로 판정했습니다"
    )
    return attribute(said, Source("integration", PERFORMANCE, "s_max/criterion"))


def judged_stability(inputs: ReportInputs, trend: Trend) -> Judgement:
    """Judge a trend of the monitored run; no judgement when that run is not valid."""
    judged = stability(trend)
    place = inputs.monitoring.trends.index(trend)
    sourced = Judgement(
        judged.word,
        attribute(judged.value, monitored(inputs, f"trends/{place}", DASHBOARD)),
        attribute(judged.rule, rule("monitor", "STABLE_CV_FRACTION")),
    )
    return sourced if inputs.monitoring.result.validity.valid else unscored(sourced)


def run_verdict(inputs: ReportInputs) -> str:
    """Say whether the monitored run is valid, and every reason why not."""
    shown = verdict(inputs.monitoring.result.validity)
    return attribute(shown, monitored(inputs, "validity/reasons"))


def stall_sentence(inputs: ReportInputs) -> str:
    """Name the stall that lasted longest, as a sentence; empty without one."""
    return attribute(longest_stall(dominant_stall(inputs)), monitored(inputs, "stalls"))


def prediction_source(inputs: ReportInputs) -> Source:
    """Where what was predicted for the monitored run is written."""
    return run_file(inputs, "prediction.json", "predictions")


def score_source(inputs: ReportInputs) -> Source:
    """Where the held-out score of the active model is written."""
    active = inputs.integration.record.active
    names = [score.model for score in inputs.validation.scores]
    return validated(f"scores/{names.index(active)}" if active in names else "scores")


def chosen_source(inputs: ReportInputs) -> Source:
    """Where the effect of the chosen option set is written."""
    names = [comparison.option_set for comparison in inputs.tuning.comparisons]
    chosen = inputs.tuning.chosen
    return tuned(f"records/{names.index(chosen)}" if chosen in names else "records")


def confirmation_source() -> Source:
    """Where the effect of the chosen option set, measured again, is written."""
    return confirmed_by("confirmation")


def calibration_source(inputs: ReportInputs, place: int) -> Source:
    """Where one calibrated configuration is written."""
    row = inputs.integration.calibration.rows[place]
    return integrated(f"calibration/{place}", row.run_id)


def dominant_stall(inputs: ReportInputs) -> StallShare | None:
    """Return the stall state and cause with most seconds."""
    longest = max(inputs.monitoring.stalls, key=lambda s: s.seconds, default=None)
    return longest if longest is not None and longest.seconds > 0 else None


def verdicts(inputs: ReportInputs) -> list[Verdict]:
    """Return the verdict of every run the report judges."""
    return [
        inputs.monitoring.result.validity,
        *(row.verdict for row in inputs.integration.calibration.rows),
        *(trial.verdict for trial in inputs.tuning.trials),
        *(case.verdict for case in inputs.validation.cases),
        *(trial.verdict for trial in inputs.validation.trials),
    ]
