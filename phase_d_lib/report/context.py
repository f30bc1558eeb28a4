"""What the report's template is filled with: tables, judged sentences, and plain results."""

from __future__ import annotations

from typing import Any

from phase_d_lib.report import provenance, sections
from phase_d_lib.report.documents import performance_report
from phase_d_lib.report.findings import findings
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.markup import Table
from phase_d_lib.report.objectives import Objective
from phase_d_lib.report.panels import FIGURE_NAME
from phase_d_lib.report.particles import with_particle
from phase_d_lib.report.quantities import count, interval, percent, puts_per_s, rate
from phase_d_lib.report.readings import (
    active_prediction,
    active_score,
    binding,
    chosen_comparison,
    dominant_stall,
    judged_stability,
    s_max_criterion,
    s_max_sentence,
)
from phase_d_lib.report.recommendations import (
    future_work,
    not_shown,
    outlook,
    recommendations,
)
from phase_d_lib.report.wording import (
    INTERVAL_SOURCES,
    REGIMES,
    accuracy,
    agreement,
    deployment_reason,
    effect,
    longest_stall,
    refusal,
    verdict,
)
from phase_d_lib.report.wording import binding as binding_name

_GLOSSARY = (
    ("saturation rate", "포화 처리율", "쓰기 스레드가 쉬지 않을 때 자리 잡는 put 처리율"),
    (
        "sustainable put rate(S_max)",
        "지속 가능 처리율(S_max)",
        "쓰기 정지 없이 유지할 수 있는 최대 도착률",
    ),
    ("open loop, closed loop", "개방형 부하, 폐쇄형 부하", "정해진 시각에 도착, 응답 뒤에 도착"),
    ("write stall", "쓰기 정체", "RocksDB가 쓰기를 늦추거나 멈춘 상태"),
    ("slowdown, stop", "지연(slowdown), 정지(stop)", "정체의 두 단계"),
    ("level 0(L0)", "레벨 0(L0)", "플러시한 파일이 처음 놓이는 레벨"),
    ("write-ahead log(WAL)", "쓰기 선행 로그(WAL)", "멤테이블과 함께 쓰는 복구용 로그"),
    ("memtable, flush, compaction", "멤테이블, 플러시, 컴팩션", "LSM 트리의 쓰기 경로"),
    ("compression", "압축", "값을 줄여 저장하는 것"),
    ("pending compaction bytes", "컴팩션 대기량", "컴팩션이 아직 처리하지 못한 양"),
    ("write amplification", "쓰기 증폭(WA)", "사용자 1바이트당 플러시와 컴팩션이 쓰는 바이트"),
    ("binding resource", "제약 자원", "상한이 가장 낮은 자원"),
    ("rate limiter", "속도 제한기", "플러시와 컴팩션의 쓰기를 묶는 RocksDB 기능"),
    ("held-out case", "검증용 구성(학습·보정에 쓰지 않음)", "예측을 적은 뒤에 재는 구성"),
    ("prediction, confidence interval", "예측구간, 신뢰구간", "새 측정이 들 구간, 평균이 들 구간"),
    ("calibration", "보정", "모델에 필요한 값을 재는 것"),
    ("baseline", "기준선", "비교의 출발점"),
    ("guard, rollback", "안전 조건, 되돌리기(rollback)", "나빠지면 원래 값으로 돌리는 규칙"),
    ("twin", "복제 모형(twin)", "실제 트리를 따라 도는 모형"),
)  # fmt: skip


def template_context(inputs: ReportInputs, judged: tuple[Objective, ...]) -> dict[str, Any]:
    """Gather everything the Markdown template names.

    Parameters
    ----------
    judged : tuple of Objective
        The four objectives of this report.
    """
    return {**_overview(inputs, judged), **_measurements(inputs), **_tuning(inputs)}


def _overview(inputs: ReportInputs, judged: tuple[Objective, ...]) -> dict[str, Any]:
    found, advice = findings(inputs), recommendations(inputs)
    met = sum(objective.met for objective in judged)
    total = len(judged)
    again = "같은 구성을 다시 재어 결과를 확인합니다"
    status = f"네 단계 완료, 목표 {count(total)}개 가운데 {count(met)}개 달성"
    return {
        "profile": inputs.profile,
        "report_id": inputs.report_id,
        "generated_at": inputs.generated_at,
        "figure": FIGURE_NAME,
        "status": status,
        "objectives": judged,
        "objective_table": sections.objective_table(judged),
        "summary": summary_table(inputs, judged),
        "environment_table": provenance.environment_table(inputs),
        "option_table": provenance.option_table(inputs.monitoring.spec),
        "host_speed_table": provenance.host_speed_table(inputs),
        "validity_table": provenance.validity_table(inputs),
        "time_table": provenance.time_table(inputs),
        "file_table": provenance.file_table(),
        "glossary": Table.of("용어 | 한국어 | 뜻", _GLOSSARY),
        "positive": [f for f in found if f.kind == "positive"],
        "attention": [f for f in found if f.kind == "attention"],
        "recommendations": advice,
        "future_work": future_work(inputs),
        "outlook": outlook(inputs),
        "next_step": advice[0].statement_ko if advice else again,
        "reproduce": _reproduction(inputs),
        "integration_seed": inputs.integration.seed,
        "tuning_seed": inputs.tuning.seed,
        "validation_seed": inputs.validation.seed,
    }


def _measurements(inputs: ReportInputs) -> dict[str, Any]:
    monitoring, record = inputs.monitoring, inputs.integration.record
    score = active_score(inputs)
    predicted = [p.saturation_ops_per_s for p in monitoring.predictions if p.saturation_ops_per_s]
    reason = deployment_reason(record.active_reason)
    return {
        "spec": monitoring.spec,
        "run_id": monitoring.run_id,
        "result": monitoring.result,
        "run_verdict": verdict(monitoring.result.validity),
        "workload": provenance.workload_sentence(monitoring.spec),
        "loops": monitoring.loops,
        "alerts": monitoring.alerts,
        "more_loops": len(monitoring.loops) > sections.MAX_ROWS,
        "performance": performance_report(inputs),
        "s_max": s_max_sentence(inputs),
        "s_max_criterion": s_max_criterion(inputs),
        "s_max_table": sections.s_max_table(inputs),
        "stability": {t.metric: judged_stability(inputs, t) for t in monitoring.trends},
        "active": f"`{record.active}`: {reason}" if record.active else reason,
        "active_prediction": _prediction_sentence(inputs),
        "agreement": agreement(predicted),
        "accuracy": accuracy(score.median_error_fraction if score else None),
        "deployed": len(record.models),
        "present_regime": REGIMES[record.regime] if record.regime else "판정 불가",
        "regime_table": sections.regime_table(inputs),
        "regimes_absent": sections.absent_regimes(inputs),
        "detail_table": sections.detail_table(inputs),
        "split_table": sections.split_table(inputs),
        "device_table": provenance.device_table(inputs),
        "device_sentence": provenance.device_sentence(inputs),
        "loop_table": sections.loop_table(inputs),
        "followed_table": sections.followed_table(inputs),
        "followed_refused": refusal(monitoring.followed_refused or ""),
        "latency_table": sections.latency_table(inputs),
        "trend_table": sections.trend_table(inputs),
        "stall_table": sections.stall_table(inputs),
        "ledger_table": sections.ledger_table(inputs),
        "level_table": sections.level_table(inputs),
        "alert_table": sections.alert_table(inputs),
        "rate_table": sections.rate_table(inputs),
        "model_table": sections.model_table(inputs),
        "case_table": sections.case_table(inputs),
        "calibration_table": provenance.calibration_table(inputs),
    }


def _tuning(inputs: ReportInputs) -> dict[str, Any]:
    tuning = inputs.tuning
    return {
        "comparisons": tuning.comparisons,
        "chosen": tuning.chosen,
        "tuning_runs": sum(t.option_set in {c.option_set for c in tuning.comparisons}
                           for t in tuning.trials),
        "parameters": sorted({name for c in tuning.comparisons for name in c.changes}),
        "tuning_effect": _tuning_effect(inputs),
        "adjustment_table": sections.adjustment_table(inputs),
        "effect_table": sections.effect_table(inputs),
        "trial_table": sections.trial_table(tuning.trials),
        "confirmation_trials": inputs.validation.trials,
        "confirmation_table": sections.trial_table(inputs.validation.trials),
    }  # fmt: skip


def _reproduction(inputs: ReportInputs) -> str:
    name, seed = inputs.profile.name, inputs.integration.seed
    alone = ".venv/bin/papermill notebooks/01_integration.ipynb out.ipynb"
    return f"make report PROFILE={name}\n{alone} -p profile {name} -p seed {seed}"


def summary_table(inputs: ReportInputs, judged: tuple[Objective, ...]) -> Table:
    """The first screen: the rate, what binds, what to change, what is not shown."""
    result, resource = inputs.monitoring.result, binding(inputs)
    shown = rate(result.put_rate_ops_per_s)
    if not result.validity.valid:
        shown += f". {verdict(result.validity)}. 채점하지 않았습니다"
    met = [o.title_ko.partition("(")[0] for o in judged if o.met]
    named = f"({', '.join(met)})" if met else ""
    rows = [
        ("포화 처리율", shown),
        ("지속 가능 처리율", s_max_sentence(inputs)),
        ("제약 자원", f"{binding_name(resource[0])}. 근거: {resource[1]}"),
        ("쓰기 정체", _stall_sentence(inputs)),
        ("바꿀 것", _change_sentence(inputs)),
        ("목표", f"{count(len(judged))}개 가운데 {count(len(met))}개 달성{named}"),
        ("이 보고서가 다루지 않는 것", ". ".join(not_shown(inputs))),
    ]
    return Table.of("요약 | 결과", rows)


def _stall_sentence(inputs: ReportInputs) -> str:
    share, longest = inputs.monitoring.result.stall_fraction, dominant_stall(inputs)
    return ". ".join(filter(None, (f"시간의 {percent(share)}", longest_stall(longest))))


def _change_sentence(inputs: ReportInputs) -> str:
    advice = recommendations(inputs)
    apply = next((a for a in advice if a.rule_id == "apply_tuned_options"), None)
    if apply is not None:
        return apply.statement_ko
    bound = next((a for a in advice if a.rule_id.startswith("binding_")), None)
    chosen = chosen_comparison(inputs)
    kept = "확인한 개선이 없어 옵션은 기본값을 유지합니다"
    if chosen is not None:
        gain = with_particle(f"`{chosen.option_set}`", "은/는")
        kept = f"{gain} 튜닝의 이득을 검증에서 확인하지 못해 기본값을 유지합니다"
    return f"{kept}. {bound.statement_ko}" if bound else kept


def _prediction_sentence(inputs: ReportInputs) -> str:
    prediction = active_prediction(inputs)
    if prediction is None:
        return "활성 모델이 없어 예측하지 않았습니다"
    if prediction.saturation_ops_per_s is None:
        return refusal(prediction.refused or "")
    shown = puts_per_s(prediction.saturation_ops_per_s)
    if prediction.interval_90_ops_per_s is None:
        return f"{shown}(예측구간 없음: 같은 제약 자원의 잔차가 모자랍니다)"
    source = INTERVAL_SOURCES[prediction.interval_source]
    return f"{shown}(90 % 예측구간 {interval(prediction.interval_90_ops_per_s)}, 출처: {source})"


def _tuning_effect(inputs: ReportInputs) -> str:
    chosen, again = chosen_comparison(inputs), inputs.validation.tuned
    if chosen is None:
        return "개선한 조합 없음. 기본값을 유지했습니다"
    first = effect(chosen.effect, chosen.rate_ratio)
    found = f"`{chosen.option_set}` 튜닝에서 {first.word}, {first.value}"
    if again is None:
        return f"{found}. 검증에서 다시 재지 않았습니다"
    second = effect(again.effect, again.rate_ratio)
    return f"{found}. 검증에서 {second.word}, {second.value}. 규칙: {second.rule}"
