"""Findings: written rules on the numbers, each with its rule and the numbers it was made on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.origins import COMPREHENSIVE, monitored, reported, run_file
from phase_d_lib.report.particles import with_particle
from phase_d_lib.report.quantities import (
    count,
    duration_us,
    factor,
    limit_percent,
    percent,
    ratio,
)
from phase_d_lib.report.readings import (
    active_score,
    chosen_comparison,
    chosen_source,
    confirmation_source,
    confirmed,
    dominant_stall,
    judged_stability,
    run_verdict,
    score_source,
    stall_sentence,
    verdicts,
)
from phase_d_lib.report.sources import Source, attribute, plain, rule
from phase_d_lib.report.wording import accuracy
from phase_d_lib.specs import Frozen
from phase_d_lib.validity import MAX_WRITE_CLOSURE_ERROR

HIGH_STALL_FRACTION = 0.5
LONG_PUT_US = 100_000.0
MAX_SAMPLER_CPU_FRACTION = 0.01


class Finding(Frozen):
    """One statement, the rule that made it, and the numbers it was made on."""

    rule_id: str
    kind: Literal["positive", "attention", "recommendation", "future"]
    statement_ko: str
    rule_ko: str
    numbers: dict[str, float | None]


def found_by(
    rule_id: str,
    good: bool | None,
    statement: str,
    rule_text: str,
    source: Source,
    numbers: dict[str, float | None],
    limit: Source | None = None,
) -> Finding:
    """Build a finding whose numbers carry their source.

    Parameters
    ----------
    good : bool or None
        None for something that calls for attention whatever its number.
    source : Source
        Of the numbers in `statement` that carry none yet.
    limit : Source, optional
        Of the numbers in `rule_text`; without it the rule is in the report's own JSON file.
    """
    return Finding(
        rule_id=rule_id,
        kind="positive" if good else "attention",
        statement_ko=attribute(statement, source),
        rule_ko=attribute(rule_text, limit or reported("findings", COMPREHENSIVE)),
        numbers=numbers,
    )


def unmarked(found: Finding) -> Finding:
    """The same finding as plain text, for a JSON file."""
    return found.model_copy(
        update={"statement_ko": plain(found.statement_ko), "rule_ko": plain(found.rule_ko)}
    )


def findings(inputs: ReportInputs) -> tuple[Finding, ...]:
    """What the numbers say, good and bad, in a fixed order of rules."""
    scored = (_rate, _stall, _longest_put, _ledger)
    watched = scored if inputs.monitoring.result.validity.valid else (_unscored,)
    rules = (_validity, *watched, _accuracy, _tuning, _sampler)
    return tuple(found for rule in rules for found in rule(inputs))


def _validity(inputs: ReportInputs) -> Iterator[Finding]:
    judged = verdicts(inputs)
    valid = sum(v.valid for v in judged)
    every = valid == len(judged)
    total = f"실행 {count(len(judged))}개"
    if every:
        sentence = f"{total}가 모두 유효합니다"
    elif valid == 0:
        sentence = f"{total}가 모두 유효하지 않아 하나도 채점하지 않았습니다"
    else:
        invalid = count(len(judged) - valid)
        sentence = f"{total} 가운데 {invalid}개가 유효하지 않아 채점하지 않았습니다"
    yield found_by(
        "validity",
        every,
        sentence,
        "유효성 기준을 모두 만족한 실행만 채점",
        reported("findings/0/numbers", COMPREHENSIVE),
        {"runs": len(judged), "valid_runs": valid},
    )


def _unscored(inputs: ReportInputs) -> Iterator[Finding]:
    yield found_by(
        "monitored_run_invalid",
        None,
        "모니터링 실행이 유효하지 않아 처리율, 정체, 지연시간을 판정하지 않았습니다"
        f"({run_verdict(inputs)})",
        "유효하지 않은 실행의 값은 사유와 함께 보이고 판정하지 않음",
        monitored(inputs, "validity"),
        {"reasons": len(inputs.monitoring.result.validity.reasons)},
    )


def _rate(inputs: ReportInputs) -> Iterator[Finding]:
    trend = next((t for t in inputs.monitoring.trends if t.metric == "put_ops_per_s"), None)
    if trend is None:
        return
    judged = judged_stability(inputs, trend)
    shown = with_particle(judged.word, "으로/로")
    yield found_by(
        "rate_stability",
        trend.stable,
        f"처리율을 {shown} 판정했습니다({judged.value})",
        judged.rule,
        monitored(inputs, "rate_cv_fraction"),
        {"cv_fraction": trend.cv_fraction, "p_value": trend.p_value},
    )


def _stall(inputs: ReportInputs) -> Iterator[Finding]:
    share, longest = inputs.monitoring.result.stall_fraction, dominant_stall(inputs)
    cause = f". {stall_sentence(inputs)}" if longest else ""
    yield found_by(
        "stall_share",
        share < HIGH_STALL_FRACTION,
        f"쓰기 정체가 시간의 {percent(share)}를 차지했습니다{cause}",
        f"{limit_percent(HIGH_STALL_FRACTION)} 이상이면 개선 필요",
        monitored(inputs, "stall_fraction"),
        {"stall_fraction": share, "longest_s": longest.seconds if longest else 0.0},
        rule("report.findings", "HIGH_STALL_FRACTION"),
    )


def _longest_put(inputs: ReportInputs) -> Iterator[Finding]:
    longest = inputs.monitoring.result.put_latency_us.get("max")
    if longest is None:
        return
    yield found_by(
        "longest_put",
        longest < LONG_PUT_US,
        f"put 하나가 최대 {duration_us(longest)} 걸렸습니다",
        f"{duration_us(LONG_PUT_US)} 이상이면 개선 필요",
        monitored(inputs, "put_latency_us/max"),
        {"put_latency_max_us": longest},
        rule("report.findings", "LONG_PUT_US"),
    )


def _ledger(inputs: ReportInputs) -> Iterator[Finding]:
    ledger, judged = inputs.monitoring.ledger, inputs.monitoring.result.validity
    if ledger.user_bytes <= 0 or ledger.write_closure is None:
        return
    closed = not judged.blocked_by("closure")
    amplification = ledger.write_amplification
    ratio_shown = with_particle(factor(ledger.write_closure), "으로/로")
    yield found_by(
        "write_ledger",
        closed,
        f"쓰기 증폭(WA)은 {factor(amplification)}이고, 쓰기 장부의 비율은 {ratio_shown} "
        f"{'맞습니다' if closed else '맞지 않습니다'}",
        "플러시와 컴팩션이 쓴 양 / 블록 생성기가 내보낸 양이 "
        f"1 ± {MAX_WRITE_CLOSURE_ERROR:g} 안이면 맞음",
        monitored(inputs, "ledger"),
        {"write_amplification": amplification, "write_closure": ledger.write_closure},
        rule("validity", "MAX_WRITE_CLOSURE_ERROR"),
    )


def _accuracy(inputs: ReportInputs) -> Iterator[Finding]:
    active, score = inputs.integration.record.active, active_score(inputs)
    error = score.median_error_fraction if score else None
    judged = accuracy(error)
    if active is None:
        sentence = "활성 모델이 없어 예측 정확도를 판정하지 못했습니다"
    else:
        shown = with_particle(judged.word, "으로/로")
        sentence = f"활성 모델 {active}의 예측 정확도를 {shown} 판정했습니다({judged.value})"
    yield found_by(
        "accuracy",
        judged.word == "높음",
        sentence,
        judged.rule,
        score_source(inputs),
        {
            "median_error_fraction": error,
            "scored_cases": score.cases if score else 0,
            "missed_cases": score.refused if score else len(inputs.validation.cases),
        },
        rule("report.wording", "ACCURACY_LIMIT_FRACTION"),
    )


def _tuning(inputs: ReportInputs) -> Iterator[Finding]:
    chosen, again = chosen_comparison(inputs), inputs.validation.tuned
    tried = len(inputs.tuning.comparisons)
    numbers: dict[str, float | None] = {
        "option_sets": float(tried), "rate_ratio": None, "confirmed_rate_ratio": None
    }  # fmt: skip
    if chosen is None or chosen.rate_ratio is None:
        sentence = f"후보 {count(tried)}개 가운데 기본값보다 낫다고 판정한 것이 없습니다"
    else:
        estimate = again.rate_ratio if again else None
        numbers["rate_ratio"] = chosen.rate_ratio.value
        numbers["confirmed_rate_ratio"] = estimate.value if estimate else None
        told = "확인하지 못했습니다"
        if confirmed(inputs):
            repeated = attribute(ratio(estimate), confirmation_source())
            told = f"다시 재어 {with_particle(repeated, '을/를')} 얻었습니다"
        shown = f"기본값의 {ratio(chosen.rate_ratio)}입니다"
        sentence = f"`{chosen.option_set}`의 처리율은 {shown}. 검증에서 {told}"
    yield found_by(
        "tuning_effect",
        chosen is not None and confirmed(inputs),
        sentence,
        "튜닝과 검증 모두에서 95 % 신뢰구간 전체가 1보다 커야 개선",
        chosen_source(inputs),
        numbers,
        rule("rates", "Estimate"),
    )


def _sampler(inputs: ReportInputs) -> Iterator[Finding]:
    used = inputs.monitoring.result.sampler_cpu_fraction
    yield found_by(
        "sampler_cost",
        used <= MAX_SAMPLER_CPU_FRACTION,
        f"표본 수집은 코어 하나의 {percent(used)}를 썼습니다",
        f"{limit_percent(MAX_SAMPLER_CPU_FRACTION)} 이하이면 측정에 주는 영향이 작음",
        run_file(inputs, "result.json", "sampler_cpu_fraction"),
        {"sampler_cpu_fraction": used},
        rule("report.findings", "MAX_SAMPLER_CPU_FRACTION"),
    )
