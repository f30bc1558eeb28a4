"""Findings: written rules on the numbers, each with its rule and the numbers it was made on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from phase_d_lib.report.inputs import ReportInputs
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
    confirmed,
    dominant_stall,
    verdicts,
)
from phase_d_lib.report.wording import (
    accuracy,
    longest_stall,
    stability,
    verdict,
)
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
    yield Finding(
        rule_id="validity",
        kind="positive" if every else "attention",
        statement_ko=sentence,
        rule_ko="유효성 기준을 모두 만족한 실행만 채점",
        numbers={"runs": len(judged), "valid_runs": valid},
    )


def _unscored(inputs: ReportInputs) -> Iterator[Finding]:
    result = inputs.monitoring.result
    yield Finding(
        rule_id="monitored_run_invalid",
        kind="attention",
        statement_ko=(
            "모니터링 실행이 유효하지 않아 처리율, 정체, 지연시간을 판정하지 않았습니다"
            f"({verdict(result.validity)})"
        ),
        rule_ko="유효하지 않은 실행의 값은 사유와 함께 보이고 판정하지 않음",
        numbers={"reasons": len(result.validity.reasons)},
    )


def _rate(inputs: ReportInputs) -> Iterator[Finding]:
    trend = next((t for t in inputs.monitoring.trends if t.metric == "put_ops_per_s"), None)
    if trend is None:
        return
    judged = stability(trend)
    shown = with_particle(judged.word, "으로/로")
    yield Finding(
        rule_id="rate_stability",
        kind="positive" if trend.stable else "attention",
        statement_ko=f"처리율을 {shown} 판정했습니다({judged.value})",
        rule_ko=judged.rule,
        numbers={"cv_fraction": trend.cv_fraction, "p_value": trend.p_value},
    )


def _stall(inputs: ReportInputs) -> Iterator[Finding]:
    share, longest = inputs.monitoring.result.stall_fraction, dominant_stall(inputs)
    high = share >= HIGH_STALL_FRACTION
    cause = f". {longest_stall(longest)}" if longest else ""
    yield Finding(
        rule_id="stall_share",
        kind="attention" if high else "positive",
        statement_ko=f"쓰기 정체가 시간의 {percent(share)}를 차지했습니다{cause}",
        rule_ko=f"{limit_percent(HIGH_STALL_FRACTION)} 이상이면 개선 필요",
        numbers={"stall_fraction": share, "longest_s": longest.seconds if longest else 0.0},
    )


def _longest_put(inputs: ReportInputs) -> Iterator[Finding]:
    longest = inputs.monitoring.result.put_latency_us.get("max")
    if longest is None:
        return
    yield Finding(
        rule_id="longest_put",
        kind="attention" if longest >= LONG_PUT_US else "positive",
        statement_ko=f"put 하나가 최대 {duration_us(longest)} 걸렸습니다",
        rule_ko=f"{duration_us(LONG_PUT_US)} 이상이면 개선 필요",
        numbers={"put_latency_max_us": longest},
    )


def _ledger(inputs: ReportInputs) -> Iterator[Finding]:
    ledger, judged = inputs.monitoring.ledger, inputs.monitoring.result.validity
    if ledger.user_bytes <= 0 or ledger.write_closure is None:
        return
    closed = not judged.blocked_by("closure")
    amplification = ledger.write_amplification
    yield Finding(
        rule_id="write_ledger",
        kind="positive" if closed else "attention",
        statement_ko=(
            f"쓰기 증폭(WA)은 {factor(amplification)}이고, "
            f"쓰기 장부의 비율은 {with_particle(factor(ledger.write_closure), '으로/로')} "
            f"{'맞습니다' if closed else '맞지 않습니다'}"
        ),
        rule_ko=(
            "플러시와 컴팩션이 쓴 양 / 블록 생성기가 내보낸 양이 "
            f"1 ± {MAX_WRITE_CLOSURE_ERROR:g} 안이면 맞음"
        ),
        numbers={"write_amplification": amplification, "write_closure": ledger.write_closure},
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
    yield Finding(
        rule_id="accuracy",
        kind="positive" if judged.word == "높음" else "attention",
        statement_ko=sentence,
        rule_ko=judged.rule,
        numbers={
            "median_error_fraction": error,
            "scored_cases": score.cases if score else 0,
            "missed_cases": score.refused if score else len(inputs.validation.cases),
        },
    )


def _tuning(inputs: ReportInputs) -> Iterator[Finding]:
    chosen, again = chosen_comparison(inputs), inputs.validation.tuned
    tried = len(inputs.tuning.comparisons)
    numbers = {"option_sets": float(tried), "rate_ratio": None, "confirmed_rate_ratio": None}
    if chosen is None or chosen.rate_ratio is None:
        sentence = f"후보 {count(tried)}개 가운데 기본값보다 낫다고 판정한 것이 없습니다"
    else:
        estimate = again.rate_ratio if again else None
        numbers["rate_ratio"] = chosen.rate_ratio.value
        numbers["confirmed_rate_ratio"] = estimate.value if estimate else None
        told = "같은 결과를 얻었습니다" if confirmed(inputs) else "확인하지 못했습니다"
        shown = f"기본값과 견주어 {ratio(chosen.rate_ratio)}입니다"
        sentence = f"`{chosen.option_set}`의 처리율은 {shown}. 검증에서 {told}"
    yield Finding(
        rule_id="tuning_effect",
        kind="positive" if chosen is not None and confirmed(inputs) else "attention",
        statement_ko=sentence,
        rule_ko="튜닝과 검증 모두에서 95 % 신뢰구간 전체가 1보다 커야 개선",
        numbers=numbers,
    )


def _sampler(inputs: ReportInputs) -> Iterator[Finding]:
    used = inputs.monitoring.result.sampler_cpu_fraction
    yield Finding(
        rule_id="sampler_cost",
        kind="positive" if used <= MAX_SAMPLER_CPU_FRACTION else "attention",
        statement_ko=f"표본 수집은 코어 하나의 {percent(used)}를 썼습니다",
        rule_ko=f"{limit_percent(MAX_SAMPLER_CPU_FRACTION)} 이하이면 측정에 주는 영향이 작음",
        numbers={"sampler_cpu_fraction": used},
    )
