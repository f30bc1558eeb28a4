"""Recommendations: written rules on the numbers that say what to do next."""

from __future__ import annotations

from collections.abc import Iterator

from phase_d_lib.report.findings import Finding
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.origins import COMPREHENSIVE, host_of, reported, tuned
from phase_d_lib.report.particles import with_particle
from phase_d_lib.report.quantities import count, factor, option_value, ratio
from phase_d_lib.report.readings import (
    binding,
    chosen_comparison,
    chosen_source,
    confirmation_source,
    confirmed,
    limiter_use_fraction,
    s_max_sentence,
    verdicts,
)
from phase_d_lib.report.sources import attribute
from phase_d_lib.report.wording import BINDING_MEANING, BINDINGS, REGIMES, S_MAX_ABSENT


def recommendations(inputs: ReportInputs) -> tuple[Finding, ...]:
    """What to do next, each from a rule on the numbers."""
    rules = (_apply_tuned, _tune_again, _binding_advice, _measure_again, _firmer_profile)
    found = [found for rule in rules for found in rule(inputs)]
    return tuple(_sourced(one, f"recommendations/{n}") for n, one in enumerate(found))


def future_work(inputs: ReportInputs) -> tuple[Finding, ...]:
    """What the report cannot answer yet."""
    rules = (_absent_regimes, _s_max, _search)
    found = [found for rule in rules for found in rule(inputs)]
    return tuple(_sourced(one, f"future_work/{n}") for n, one in enumerate(found))


def _sourced(found: Finding, field: str) -> Finding:
    """Give numbers that carry no source the finding's own numbers in the JSON file."""
    source = reported(f"{field}/numbers", COMPREHENSIVE)
    texts = {name: attribute(getattr(found, name), source) for name in ("statement_ko", "rule_ko")}
    return found.model_copy(update=texts)


def outlook(inputs: ReportInputs) -> tuple[str, ...]:
    """What stands and what is left, for the closing section."""
    names = ", ".join(d.model for d in inputs.integration.record.models)
    models = f"예측 모델 {with_particle(names, '을/를')} 배포했습니다"
    fitted = inputs.tuning.factors.fitted
    kept = sum(factor.status == "kept" for factor in fitted)
    among = f"식에 자리가 있는 모델 계수 {len(fitted)}개 가운데"
    factors = f"{among} {kept}개를 보정했습니다" if kept else f"{among} 보정한 것은 없습니다"
    return (models, s_max_sentence(inputs), attribute(factors, tuned("factors/fitted")))


def not_shown(inputs: ReportInputs) -> tuple[str, ...]:
    """What a reader must not take from this report."""
    host = inputs.integration.host
    engine = host.rocksdb_version or "버전 미상"
    lines = [
        *([S_MAX_ABSENT] if inputs.integration.calibration.sustained is None else []),
        attribute(
            f"호스트 한 대({host.cpu_model}, 코어 {count(host.cores)}개)와 "
            f"RocksDB {engine}에서 잰 값이므로 다른 환경의 값은 알 수 없습니다",
            host_of("host"),
        ),
    ]
    if inputs.profile.indicative:
        lines.insert(0, "참고용 프로필이므로 짧은 실행과 적은 반복에서 얻은 값입니다")
    if not inputs.monitoring.result.validity.valid:
        lines.insert(0, "모니터링 실행이 유효하지 않아 포화 처리율을 채점하지 않았습니다")
    return tuple(lines)


def _apply_tuned(inputs: ReportInputs) -> Iterator[Finding]:
    chosen, again = chosen_comparison(inputs), inputs.validation.tuned
    if chosen is None or again is None or not confirmed(inputs) or again.rate_ratio is None:
        return
    default = inputs.profile.scenario.options.model_dump()
    changes = ", ".join(
        attribute(
            f"`{k}` {option_value(k, default[k])} → {option_value(k, v)}",
            tuned(f"{chosen_source(inputs).field}/adjustments/{n}"),
        )
        for n, (k, v) in enumerate(chosen.changes.items())
    )
    memory = attribute(
        f"멤테이블 메모리는 기본값의 {factor(chosen.memtable_bytes_ratio)}배입니다",
        chosen_source(inputs),
    )
    gain = attribute(ratio(again.rate_ratio), confirmation_source())
    yield Finding(
        rule_id="apply_tuned_options",
        kind="recommendation",
        statement_ko=(
            f"옵션을 바꿉니다: {changes}. 검증에서 다시 재니 처리율은 기본값의 {gain}이고, {memory}"
        ),
        rule_ko="튜닝과 검증에서 모두 개선",
        numbers={
            "rate_ratio": again.rate_ratio.value,
            "memtable_bytes_ratio": chosen.memtable_bytes_ratio,
        },
    )


def _tune_again(inputs: ReportInputs) -> Iterator[Finding]:
    if confirmed(inputs):
        return
    pairs = max((c.pairs for c in inputs.tuning.comparisons), default=0)
    chosen = chosen_comparison(inputs)
    name = f"`{chosen.option_set}`" if chosen else "후보 조합"
    yield Finding(
        rule_id="repeat_tuning",
        kind="recommendation",
        statement_ko=f"기본값을 유지하고, {name}의 비교 쌍을 늘려 다시 잽니다",
        rule_ko="검증에서 확인한 개선이 없으면 옵션을 바꾸지 않음",
        numbers={"valid_pairs": pairs},
    )


_BINDING_ADVICE = {
    "limiter": (
        "속도 제한기의 한도를 높이거나 쓰기 증폭을 줄이는 조합(큰 멤테이블, 압축)을 먼저 시험합니다"
    ),
    "device": "쓰기 증폭을 줄이거나 대역폭이 더 큰 디바이스에서 다시 잽니다",
    "device_write": "쓰기 증폭을 줄이거나 쓰기 대역폭이 더 큰 디바이스에서 다시 잽니다",
    "device_read": "컴팩션 읽기를 줄이거나 페이지 캐시를 늘려 다시 잽니다",
    "mixed_device": "쓰기 증폭을 낮춰 읽기와 쓰기를 함께 줄이는 방법부터 시험합니다",
    "compaction_slots": "`max_background_jobs`와 `max_subcompactions`를 늘려 시험합니다",
    "foreground": "배치 쓰기와 쓰기 스레드 수를 바꾸어 시험합니다",
    "controller": "L0 기준과 `delayed_write_rate`를 바꾸어 시험합니다",
    "cpu": "압축 방식과 백그라운드 작업 수를 바꾸어 CPU 사용을 줄입니다",
}


def _binding_advice(inputs: ReportInputs) -> Iterator[Finding]:
    code, source = binding(inputs)
    if code is None or code not in _BINDING_ADVICE:
        return
    yield Finding(
        rule_id=f"binding_{code}",
        kind="recommendation",
        statement_ko=f"{BINDING_MEANING[code]}. {_BINDING_ADVICE[code]}",
        rule_ko=f"제약 자원: {BINDINGS[code]}, 근거: {source}",
        numbers={"limiter_use_fraction": limiter_use_fraction(inputs)},
    )


def _measure_again(inputs: ReportInputs) -> Iterator[Finding]:
    judged = verdicts(inputs)
    invalid = [v for v in judged if not v.valid]
    if not invalid:
        return
    disturbed = sum(v.blocked_by("foreign", "steal") for v in invalid)
    short = sum(v.blocked_by("short", "turnover", "incomplete", "drift") for v in invalid)
    parts = []
    if disturbed:
        parts.append(f"다른 부하가 없는 호스트에서 {count(disturbed)}개")
    if short:
        parts.append(f"더 긴 구간으로 {count(short)}개")
    if not parts:
        parts.append(f"{count(len(invalid))}개")
    yield Finding(
        rule_id="measure_again",
        kind="recommendation",
        statement_ko=f"유효하지 않은 실행을 다시 잽니다: {', '.join(parts)}",
        rule_ko="유효하지 않은 실행이 하나라도 있음",
        numbers={"invalid_runs": len(invalid), "disturbed_runs": disturbed, "short_runs": short},
    )


def _firmer_profile(inputs: ReportInputs) -> Iterator[Finding]:
    if not inputs.profile.indicative:
        return
    yield Finding(
        rule_id="firmer_profile",
        kind="recommendation",
        statement_ko="결론을 내리기 전에 `make report PROFILE=standard`로 다시 측정합니다",
        rule_ko="참고용 프로필로 만든 보고서",
        numbers={"held_out_cases": len(inputs.validation.cases)},
    )


def _absent_regimes(inputs: ReportInputs) -> Iterator[Finding]:
    absent = inputs.validation.regimes_absent
    if not absent:
        return
    names = ", ".join(REGIMES[regime] for regime in absent)
    yield Finding(
        rule_id="regimes_absent",
        kind="future",
        statement_ko=f"검증 범위 확대: {with_particle(names, '이/가')} 제약인 구성을 더 잽니다",
        rule_ko="검증용 구성 가운데 그 자원이 제약이었던 것이 없음",
        numbers={"regimes_absent": len(absent)},
    )


def _s_max(inputs: ReportInputs) -> Iterator[Finding]:
    if inputs.integration.calibration.sustained is not None:
        return
    yield Finding(
        rule_id="measure_s_max",
        kind="future",
        statement_ko="S_max 측정: `make report PROFILE=standard`로 개방형 부하를 걸어 찾습니다",
        rule_ko="S_max를 측정하지 않음",
        numbers={"s_max_ops_per_s": None},
    )


def _search(inputs: ReportInputs) -> Iterator[Finding]:
    tried = len(inputs.tuning.comparisons)
    if inputs.tuning.search is not None:
        return
    yield Finding(
        rule_id="search_options",
        kind="future",
        statement_ko="튜닝 알고리즘 개선: 정해 둔 후보의 비교를 넘어 모델로 옵션 공간을 탐색합니다",
        rule_ko=f"정해 둔 후보 {tried}개만 비교함",
        numbers={"candidates": tried},
    )
