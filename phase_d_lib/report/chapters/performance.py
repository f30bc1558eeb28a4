"""What the monitored run did: rate, latency, accuracy of its prediction, stalls, write flow."""

from __future__ import annotations

from collections.abc import Iterator

from phase_d_lib.report.blocks import Block, Heading, Item, ItemList, Paragraph, items
from phase_d_lib.report.documents import performance_report
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.measurement_tables import (
    MAX_ROWS,
    alert_table,
    latency_table,
    ledger_table,
    level_table,
    loop_table,
    stall_table,
    trend_table,
)
from phase_d_lib.report.model_tables import s_max_table
from phase_d_lib.report.origins import LOOPS, integrated, monitored, run_file
from phase_d_lib.report.pictures import BOUNDS, LATENCY, LEVELS, STALLS, Gallery
from phase_d_lib.report.quantities import (
    count,
    interval,
    moment,
    percent,
    puts_per_s,
    rate,
    seconds,
)
from phase_d_lib.report.readings import (
    active_prediction,
    active_score,
    judged_stability,
    prediction_source,
    run_verdict,
    s_max_criterion,
    s_max_sentence,
    score_source,
)
from phase_d_lib.report.sources import attribute, rule
from phase_d_lib.report.wording import (
    INTERVAL_SOURCES,
    REGIMES,
    Judgement,
    accuracy,
    agreement,
    deployment_reason,
    refusal,
)


def blocks(inputs: ReportInputs, gallery: Gallery) -> Iterator[Block]:
    """Everything about the monitored run."""
    yield Heading(2, "성능 분석 결과")
    yield Heading(3, "시스템 성능 메트릭")
    yield _run_facts(inputs)
    yield Paragraph("WA는 쓰기 증폭(write amplification)입니다. 오차는 (예측 - 측정) / 측정입니다.")
    yield loop_table(inputs)
    if len(inputs.monitoring.loops) > MAX_ROWS:
        yield Paragraph("나머지 루프는 `integration_results.json`에 있습니다.")
    yield Heading(4, "QPS (Queries Per Second) 분석")
    yield from _rates(inputs)
    yield Heading(4, "지연시간 (Latency) 분석")
    yield latency_table(inputs)
    yield items(("트렌드", stability_of(inputs, "put_latency_p99_us")))
    yield Paragraph("폐쇄형 부하의 지연시간은 put을 시작한 때부터 잰 값입니다.")
    yield gallery.place(LATENCY)
    yield trend_table(inputs)
    yield Heading(4, "모델 예측 정확도")
    yield _accuracy(inputs)
    yield Heading(3, "쓰기 정체 시간의 원인")
    yield Paragraph(_stall_intro(inputs))
    yield stall_table(inputs)
    yield gallery.place(STALLS)
    yield Heading(3, "쓰기 흐름")
    yield ledger_table(inputs)
    yield level_table(inputs)
    yield gallery.place(LEVELS)
    if BOUNDS in gallery.pictures:
        yield gallery.place(BOUNDS)
    yield Heading(3, "경보")
    yield Paragraph("종류와 원인이 같은 경보를 묶었습니다. 개별 경보는 `alerts.json`에 있습니다.")
    yield alert_table(inputs)


def stability_of(inputs: ReportInputs, metric: str) -> str:
    """Verdict on a metric with value and rule; says so where there is none."""
    trend = next((t for t in inputs.monitoring.trends if t.metric == metric), None)
    return "판정 불가" if trend is None else str(judged_stability(inputs, trend))


def loop_count(inputs: ReportInputs) -> str:
    """Number of monitoring loops."""
    return attribute(f"{count(len(inputs.monitoring.loops))}회", monitored(inputs, "loops", LOOPS))


def saturation(inputs: ReportInputs) -> str:
    """The saturation rate with its interval."""
    found = inputs.monitoring.result.put_rate_ops_per_s
    return attribute(rate(found), monitored(inputs, "put_rate_ops_per_s"))


def _run_facts(inputs: ReportInputs) -> ItemList:
    result = inputs.monitoring.result

    def of(text: str, field: str) -> str:
        return attribute(text, run_file(inputs, "result.json", field))

    begun = of(f"{moment(result.started_at)} 시작", "started_at")
    start = of(seconds(result.window_start_s), "window_start_s")
    end = of(seconds(result.window_end_s), "window_end_s")
    return items(
        ("총 실행 루프", loop_count(inputs)),
        ("실행 시간", f"{of(seconds(result.duration_s), 'duration_s')}({begun})"),
        ("측정 구간", f"{start}부터 {end}까지"),
        ("유효성", run_verdict(inputs)),
    )


def _rates(inputs: ReportInputs) -> Iterator[Block]:
    report = performance_report(inputs)
    loops = (
        ("루프 평균의 표준편차", "loop_rate_sd_ops_per_s"),
        ("루프 최소값", "loop_rate_min_ops_per_s"),
        ("루프 최대값", "loop_rate_max_ops_per_s"),
    )
    yield items(
        ("포화 처리율", saturation(inputs)),
        *(
            (label, attribute(puts_per_s(getattr(report, field)), monitored(inputs, field)))
            for label, field in loops
        ),
        ("트렌드", stability_of(inputs, "put_ops_per_s")),
    )
    yield Paragraph(f"{s_max_sentence(inputs)}.")
    tried = s_max_table(inputs)
    if tried.rows:
        yield Paragraph(f"{s_max_criterion(inputs)}.")
        yield tried


def _accuracy(inputs: ReportInputs) -> ItemList:
    record, score = inputs.integration.record, active_score(inputs)
    reason = deployment_reason(record.active_reason)
    regime = REGIMES[record.regime] if record.regime else "판정 불가"
    predicted = [
        p.saturation_ops_per_s for p in inputs.monitoring.predictions if p.saturation_ops_per_s
    ]
    judged = (agreement(predicted), accuracy(score.median_error_fraction if score else None))
    sources = (
        (prediction_source(inputs), rule("report.wording", "AGREEMENT_LIMIT_FRACTION")),
        (score_source(inputs), rule("report.wording", "ACCURACY_LIMIT_FRACTION")),
    )
    agreed, accurate = (
        str(Judgement(j.word, attribute(j.value, value), attribute(j.rule, limit)))
        for j, (value, limit) in zip(judged, sources, strict=True)
    )
    return ItemList(
        (
            Item(f"`{record.active}`. {reason}" if record.active else reason, "활성 모델"),
            Item(regime, "모델 선택의 기준이 된 제약 자원"),
            Item(_prediction_sentence(inputs), "모니터링 실행의 예측값"),
            Item(agreed, "예측 일관성"),
            Item(accurate, "예측 정확도"),
        )
    )


def _prediction_sentence(inputs: ReportInputs) -> str:
    prediction = active_prediction(inputs)
    if prediction is None:
        return "활성 모델이 없어 예측하지 않았습니다"
    if prediction.saturation_ops_per_s is None:
        return refusal(prediction.refused or "")
    shown = puts_per_s(prediction.saturation_ops_per_s)
    if prediction.interval_90_ops_per_s is None:
        said = f"{shown}(예측구간 없음: 같은 제약 자원의 잔차가 모자랍니다)"
    else:
        source = INTERVAL_SOURCES[prediction.interval_source]
        around = interval(prediction.interval_90_ops_per_s)
        said = f"{shown}(90 % 예측구간 {around}, 출처: {source})"
    return attribute(said, prediction_source(inputs))


def _stall_intro(inputs: ReportInputs) -> str:
    share = percent(inputs.monitoring.result.stall_fraction)
    counted = attribute(share, monitored(inputs, "stall_fraction"))
    return (
        f"정체 계수기로 잰 비율은 {counted}입니다. 아래는 LOG에서 읽은 시간이며, 지연 상태였으나 "
        "속도를 늦추지 않은 시간도 들어 있어 합이 더 클 수 있습니다."
    )


def deployed_count(inputs: ReportInputs) -> str:
    """Number of deployed models."""
    return attribute(f"{count(len(inputs.integration.record.models))}개", integrated("models"))
