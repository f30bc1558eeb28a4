"""The four objectives of Phase-D: criterion, value, met or not."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.origins import (
    SAMPLES,
    integrated,
    monitored,
    run_file,
    validated,
)
from phase_d_lib.report.quantities import count, limit_percent, percent, ratio, seconds
from phase_d_lib.report.readings import (
    active_score,
    chosen_comparison,
    chosen_source,
    confirmation_source,
    confirmed,
    run_verdict,
    score_source,
)
from phase_d_lib.report.sources import attribute, plain, rule
from phase_d_lib.specs import Frozen, RunSpec

MIN_SAMPLES_FRACTION = 0.95
MAX_MEDIAN_ERROR_FRACTION = 0.10

_MAX_ERROR = rule("report.objectives", "MAX_MEDIAN_ERROR_FRACTION")

ObjectiveName = Literal["integration", "monitoring", "tuning", "validation"]


class Objective(Frozen):
    """One objective."""

    name: ObjectiveName
    title_ko: str
    criterion_ko: str
    value: float | None
    """The number that is compared; None when there is none."""
    value_name: str
    """What the number is, with its unit."""
    limit: float
    comparison: Literal[">=", ">", "<="]
    conditions: dict[str, bool]
    """Further conditions that must all hold."""
    met: bool
    evidence_ko: str


def objectives(inputs: ReportInputs, samples: pd.DataFrame) -> tuple[Objective, ...]:
    """Judge the four objectives in the order of the stages.

    Parameters
    ----------
    samples : DataFrame
        Samples of the monitored run.
    """
    return (
        _integration(inputs),
        _monitoring(inputs, samples),
        _tuning(inputs),
        _validation(inputs),
    )


def unmarked(objective: Objective) -> Objective:
    """The same objective as plain text, for a JSON file."""
    texts = {
        name: plain(getattr(objective, name))
        for name in ("title_ko", "criterion_ko", "evidence_ko")
    }
    return objective.model_copy(update=texts)


def planned_samples(spec: RunSpec) -> int:
    """Samples a run of this length and period should hold, without the closing one."""
    return max(1, round(spec.duration_s / spec.sample_period_s))


def samples_fraction(samples: pd.DataFrame, spec: RunSpec) -> float:
    """Share of the planned sampling slots that hold a sample.

    A put that stalls longer than a period holds the sampler up, so slots stay empty; several
    samples in one slot count once.
    """
    # A sample a little early still belongs to the slot it was planned for.
    slots = np.floor(samples["time_s"].to_numpy(dtype=float) / spec.sample_period_s + 0.1)
    planned = planned_samples(spec)
    return len(np.unique(slots[slots < planned])) / planned


def _integration(inputs: ReportInputs) -> Objective:
    validated = [
        d for d in inputs.integration.record.models if d.cross_validated_error_fraction is not None
    ]
    error = next(
        (d.cross_validated_error_fraction for d in validated if d.status == "active"), None
    )
    names = ", ".join(
        attribute(
            f"{d.model} {percent(d.cross_validated_error_fraction)}", integrated(f"models/{n}")
        )
        for n, d in enumerate(inputs.integration.record.models)
        if d.cross_validated_error_fraction is not None
    )
    evidence = (
        f"교차검증 오차: {names}" if validated else "교차검증 오차가 있는 모델이 하나도 없습니다"
    )
    return Objective(
        name="integration",
        title_ko="모델 통합(Production Integration)",
        criterion_ko=attribute(
            "모델을 배포하고 활성 모델의 교차검증 오차가 "
            f"{limit_percent(MAX_MEDIAN_ERROR_FRACTION)} 이하",
            _MAX_ERROR,
        ),
        value=error,
        value_name="active_cross_validated_error_fraction",
        limit=MAX_MEDIAN_ERROR_FRACTION,
        comparison="<=",
        conditions={"model_deployed": bool(validated)},
        met=error is not None and error <= MAX_MEDIAN_ERROR_FRACTION,
        evidence_ko=evidence,
    )


def _monitoring(inputs: ReportInputs, samples: pd.DataFrame) -> Objective:
    monitoring = inputs.monitoring
    gap_s = monitoring.result.longest_gap_s
    fraction, judged = samples_fraction(samples, monitoring.spec), monitoring.result.validity
    collected = attribute(percent(fraction), monitored(inputs, "slots_filled_fraction", SAMPLES))
    gap = attribute(seconds(gap_s), run_file(inputs, "result.json", "longest_gap_s"))
    return Objective(
        name="monitoring",
        title_ko="실시간 모니터링(Real-time Monitoring)",
        criterion_ko=attribute(
            f"계획한 표본의 {limit_percent(MIN_SAMPLES_FRACTION)} 이상을 모으고 실행이 유효",
            rule("report.objectives", "MIN_SAMPLES_FRACTION"),
        ),
        value=fraction,
        value_name="samples_fraction",
        limit=MIN_SAMPLES_FRACTION,
        comparison=">=",
        conditions={"run_valid": judged.valid},
        met=fraction >= MIN_SAMPLES_FRACTION and judged.valid,
        evidence_ko=(f"표본 {collected}(가장 긴 공백 {gap}), 실행 {run_verdict(inputs)}"),
    )


def _tuning(inputs: ReportInputs) -> Objective:
    comparison, again = chosen_comparison(inputs), inputs.validation.tuned
    estimate = comparison.rate_ratio if comparison else None
    if comparison is None:
        evidence = "기본값보다 나은 후보를 찾지 못했습니다"
    else:
        first = attribute(ratio(estimate), chosen_source(inputs))
        repeated = attribute(ratio(again.rate_ratio if again else None), confirmation_source())
        evidence = f"`{comparison.option_set}`의 처리율: 튜닝 {first}, 검증 {repeated}"
    return Objective(
        name="tuning",
        title_ko="자동 튜닝(Auto-tuning)",
        criterion_ko=attribute(
            "95 % 신뢰구간 전체가 1보다 큰 후보가 있고 검증에서 같은 결과를 확인",
            rule("rates", "Estimate"),
        ),
        value=estimate.low if estimate else None,
        value_name="rate_ratio_low",
        limit=1.0,
        comparison=">",
        conditions={"confirmed_in_validation": confirmed(inputs)},
        met=comparison is not None and comparison.effect == "improved" and confirmed(inputs),
        evidence_ko=evidence,
    )


def _validation(inputs: ReportInputs) -> Objective:
    cases, score = inputs.validation.cases, active_score(inputs)
    valid = sum(case.verdict.valid for case in cases)
    error = score.median_error_fraction if score else None
    every = bool(cases) and valid == len(cases)
    answered = score is not None and score.refused == 0
    shown = (
        "활성 모델의 오차 없음" if error is None else f"활성 모델의 오차 중앙값 {percent(error)}"
    )
    checked = attribute(
        f"구성 {count(len(cases))}개 가운데 {count(valid)}개가 유효", validated("held_out_cases")
    )
    return Objective(
        name="validation",
        title_ko="성능 검증(Performance Validation)",
        criterion_ko=attribute(
            "검증용 구성이 모두 유효하고 활성 모델의 오차 중앙값이 "
            f"{limit_percent(MAX_MEDIAN_ERROR_FRACTION)} 이하",
            _MAX_ERROR,
        ),
        value=error,
        value_name="median_error_fraction",
        limit=MAX_MEDIAN_ERROR_FRACTION,
        comparison="<=",
        conditions={"every_case_valid": every, "every_case_answered": answered},
        met=every and answered and error is not None and error <= MAX_MEDIAN_ERROR_FRACTION,
        evidence_ko=f"{checked}, {attribute(shown, score_source(inputs))}",
    )
