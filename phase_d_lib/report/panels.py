"""The six-panel figure of a report: each panel asks a question and answers it with a number."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import FuncFormatter

from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.look import (
    DELAY,
    MEASURED,
    PREDICTED,
    QUIET,
    STOP,
    THIRD,
    head,
    microseconds,
    sampled,
    thousands,
    use_theme,
)
from phase_d_lib.report.quantities import (
    byte_rate,
    duration_us,
    factor,
    number,
    percent,
    puts_per_s,
    rate,
    size,
)
from phase_d_lib.report.readings import active_prediction
from phase_d_lib.report.scatter import draw_predictions
from phase_d_lib.runs import Run
from phase_d_lib.units import MIB

FIGURE_NAME = "phase_d_analysis_visualization.png"
_SIZE_IN = (19.0, 12.0)
_LEGEND: dict[str, Any] = {"fontsize": "small", "columnspacing": 1.0, "handlelength": 1.4}


def six_panels(inputs: ReportInputs, run: Run) -> Figure:
    """Draw ``phase_d_analysis_visualization.png``; the caller saves and closes it.

    Parameters
    ----------
    inputs : ReportInputs
    run : Run
        The monitored run.
    """
    use_theme(font_scale=1.25)
    figure = plt.figure(figsize=_SIZE_IN)
    grid = figure.add_gridspec(
        2, 3, left=0.062, right=0.955, top=0.86, bottom=0.065, wspace=0.44, hspace=0.4
    )
    samples = sampled(run.samples)
    _rates(figure.add_subplot(grid[0, 0]), inputs, samples)
    _latency(figure.add_subplot(grid[0, 1]), inputs, samples)
    _resources(figure.add_subplot(grid[0, 2]), inputs, samples)
    _flows(figure, grid[1, 0], inputs, samples)
    middle = figure.add_subplot(grid[1, 1])
    answer = draw_predictions(middle, inputs.validation.cases, inputs.monitoring)
    head(middle, "예측 대 실측: 예측이 맞습니까?", answer)
    _distributions(figure, grid[1, 2], inputs, run, samples)
    _headline(figure, inputs)
    return figure


def _headline(figure: Figure, inputs: ReportInputs) -> None:
    result = inputs.monitoring.result
    valid = "유효" if result.validity.valid else "무효, 채점하지 않음"
    note = ", 참고용" if inputs.profile.indicative else ""
    estimate = rate(result.put_rate_ops_per_s)
    figure.suptitle(
        f"Phase-D 종합 분석: 포화 처리율 {estimate}, 모니터링 실행 {valid}"
        f"(프로필 {inputs.profile.name}{note})",
        x=0.012,
        y=0.975,
        ha="left",
        fontweight="bold",
        fontsize="x-large",
    )


def _mark_warmup(axes: Axes, inputs: ReportInputs, label: str = "") -> None:
    axes.axvspan(0, inputs.monitoring.spec.warmup_s, color="#eeeeee", zorder=0, label=label)


def _rates(axes: Axes, inputs: ReportInputs, samples: pd.DataFrame) -> None:
    _mark_warmup(axes, inputs, "예열(제외)")
    axes.step(
        samples["time_s"], samples["put_ops_per_s"], where="pre", color=MEASURED, alpha=0.45,
        linewidth=1.2, label="표본",
    )  # fmt: skip
    for loop in inputs.monitoring.loops:
        axes.hlines(
            loop.put_ops_per_s, loop.start_s, loop.end_s, color=MEASURED, linewidth=3.5,
            label="루프 평균" if loop.number == 1 else "",
        )  # fmt: skip
    prediction = active_prediction(inputs)
    if prediction is not None and prediction.saturation_ops_per_s:
        axes.axhline(
            prediction.saturation_ops_per_s, color=PREDICTED, linestyle="--", linewidth=2,
            label=f"예측({prediction.model})",
        )  # fmt: skip
        if prediction.interval_90_ops_per_s:
            axes.axhspan(*prediction.interval_90_ops_per_s, color=PREDICTED, alpha=0.12)
    trend = next((t for t in inputs.monitoring.trends if t.metric == "put_ops_per_s"), None)
    answer = puts_per_s(inputs.monitoring.result.put_rate_ops_per_s.value)
    if trend is not None:
        answer += f", 루프 평균의 변동계수 {percent(trend.cv_fraction)}"
    head(axes, "QPS 추세: 처리율은 일정합니까?", answer)
    axes.set(xlabel="시간(s)", ylabel="처리율(puts/s)")
    axes.set_xlim(0, float(samples["time_s"].max()))
    axes.set_ylim(0, 1.3 * float(samples["put_ops_per_s"].max()))
    thousands(axes)
    axes.legend(loc="upper right", ncols=2, **_LEGEND)


def _latency(axes: Axes, inputs: ReportInputs, samples: pd.DataFrame) -> None:
    _mark_warmup(axes, inputs)
    lines = (
        ("put_latency_p50_us", "p50", THIRD),
        ("put_latency_p99_us", "p99", MEASURED),
        ("put_latency_p999_us", "p99.9", DELAY),
        ("put_latency_max_us", "최대", STOP),
    )
    for column, name, colour in lines:
        values = samples[["time_s", column]].dropna()
        axes.plot(
            values["time_s"], values[column], color=colour, marker=".", markersize=5,
            linewidth=1.4, label=name,
        )  # fmt: skip
    axes.set_yscale("log")
    microseconds(axes.yaxis)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 6)
    worst = inputs.monitoring.result.put_latency_us.get("max")
    head(axes, "지연시간 추세: put은 얼마나 걸립니까?", f"예열 뒤 가장 긴 put {duration_us(worst)}")
    axes.set(xlabel="시간(s)", ylabel="put 지연시간(로그 축)")
    axes.set_xlim(0, float(samples["time_s"].max()))
    axes.legend(loc="upper right", ncols=4, **_LEGEND)


def _resources(axes: Axes, inputs: ReportInputs, samples: pd.DataFrame) -> None:
    cores, time_s = inputs.integration.host.cores, samples["time_s"]
    axes.plot(time_s, 100 * samples["machine_busy_fraction"], color=QUIET, label="CPU 전체")
    axes.plot(time_s, 100 * samples["process_cpu_cores"] / cores, color=MEASURED, label="CPU 엔진")
    axes.plot(time_s, 100 * samples["steal_fraction"], color=STOP, label="steal")
    axes.set(xlabel="시간(s)", ylabel="CPU(전체 코어의 %)", ylim=(0, 130), yticks=range(0, 101, 20))
    axes.set_xlim(0, float(samples["time_s"].max()))
    memory = axes.twinx()
    memory.plot(
        time_s, samples["rss_bytes"] / MIB, color=THIRD, linestyle="--", label="메모리(오른쪽 축)"
    )
    memory.set_ylabel("엔진의 상주 메모리(MiB)")
    memory.set_ylim(0, 1.45 * float(samples["rss_bytes"].max()) / MIB)
    memory.grid(visible=False)
    handles = [*axes.get_legend_handles_labels()[0], *memory.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, loc="upper right", ncols=2, **_LEGEND)
    result = inputs.monitoring.result
    answer = (
        f"엔진 CPU {number(result.cpu_cores_used)}코어, steal {percent(result.steal_fraction)}, "
        f"메모리 최대 {size(float(samples['rss_bytes'].max()))}"
    )
    head(axes, "시스템 자원: CPU와 메모리가 남습니까?", answer)


def _halves(figure: Figure, place: SubplotSpec, hspace: float) -> tuple[Axes, Axes]:
    halves = place.subgridspec(2, 1, hspace=hspace)
    return figure.add_subplot(halves[0]), figure.add_subplot(halves[1])


def _flows(figure: Figure, place: SubplotSpec, inputs: ReportInputs, samples: pd.DataFrame) -> None:
    upper, lower = _halves(figure, place, 0.12)
    upper.tick_params(labelbottom=False)
    upper.sharex(lower)
    time_s = samples["time_s"]
    for column, colour, name in (
        ("compact_write_bytes_per_s", MEASURED, "컴팩션 쓰기"),
        ("flush_write_bytes_per_s", DELAY, "플러시 쓰기"),
    ):
        upper.step(time_s, samples[column] / MIB, where="pre", color=colour, label=name)
    limit = inputs.monitoring.spec.limiter_bytes_per_s
    if limit is not None:
        upper.axhline(limit / MIB, color=STOP, linestyle="--", label="속도 제한")
    tops = [samples["compact_write_bytes_per_s"].max(), samples["flush_write_bytes_per_s"].max()]
    upper.set_ylim(0, 1.45 * max([*tops, limit or 0.0]) / MIB)
    upper.set_ylabel("MiB/s")
    upper.legend(loc="upper right", ncols=3, **_LEGEND)
    lower.step(time_s, samples["l0_files"], where="post", color=MEASURED, label="L0 파일")
    trigger = inputs.monitoring.spec.options.level0_slowdown_writes_trigger
    lower.axhline(trigger, color=DELAY, linestyle="--", label="지연 기준")
    lower.set(xlabel="시간(s)", ylabel="L0 파일 수")
    lower.set_ylim(0, 1.6 * max(float(samples["l0_files"].max()), trigger))
    lower.set_xlim(0, float(time_s.max()))
    debt = lower.twinx()
    debt.plot(
        time_s,
        samples["pending_compaction_bytes"] / MIB,
        color=THIRD,
        label="대기량(오른쪽)",
    )
    debt.set_ylabel("MiB")
    debt.set_ylim(0, 1.6 * max(1.0, float(samples["pending_compaction_bytes"].max()) / MIB))
    debt.grid(visible=False)
    handles = [*lower.get_legend_handles_labels()[0], *debt.get_legend_handles_labels()[0]]
    lower.legend(handles=handles, loc="upper right", ncols=3, **_LEGEND)
    ledger = inputs.monitoring.ledger
    written = (ledger.flush_write_bytes + ledger.compaction_write_bytes) / ledger.window_s
    answer = (
        f"쓰기 {byte_rate(written)}, 쓰기 증폭 {factor(ledger.write_amplification)}, "
        f"L0 평균 {number(inputs.monitoring.result.mean_l0_files)}개"
    )
    head(upper, "입출력과 컴팩션: 컴팩션이 따라갑니까?", answer)


def _distributions(
    figure: Figure, place: SubplotSpec, inputs: ReportInputs, run: Run, samples: pd.DataFrame
) -> None:
    upper, lower = _halves(figure, place, 0.5)
    inside = samples[samples["time_s"] >= inputs.monitoring.spec.warmup_s]
    rates, weights = inside["put_ops_per_s"], inside["gap_s"]
    mean = float(np.average(rates, weights=weights))
    # Samples are far apart where writes stand still, so each counts with its time.
    upper.hist(rates, bins=24, weights=weights, color=MEASURED, alpha=0.8)
    upper.axvline(mean, color=PREDICTED, linestyle="--", label="평균")
    upper.set(xlabel="표본 간격의 처리율(puts/s)", ylabel="시간(s)")
    upper.legend(loc="upper right", **_LEGEND)
    upper.locator_params(axis="x", nbins=6)
    thousands(upper, "x")
    _latency_tail(lower, inputs, run)
    slower = float(weights[rates < mean].sum() / weights.sum())
    p999 = duration_us(inputs.monitoring.result.put_latency_us.get("p999"))
    answer = f"시간의 {percent(slower)}가 평균보다 느림, 지연시간 p99.9 {p999}"
    head(upper, "분포: 평균이 실제를 대표합니까?", answer)


def _latency_tail(axes: Axes, inputs: ReportInputs, run: Run) -> None:
    """Share of puts that took longer, on two logarithmic axes."""
    axes.set(xscale="log", yscale="log", xlabel="put 지연시간", ylabel="더 오래 걸린 비율")
    puts = run.latency[
        (run.latency["operation"] == "put")
        & (run.latency["second"] >= int(inputs.monitoring.result.window_start_s))
    ]
    counts = puts.groupby("upper_us")["count"].sum().sort_index()
    if counts.empty:
        axes.text(0.5, 0.5, "put이 없습니다", ha="center", transform=axes.transAxes)
        return
    beyond = 1.0 - counts.cumsum() / counts.sum()
    axes.step(counts.index, np.maximum(beyond, 0.1 / counts.sum()), where="post", color=MEASURED)
    microseconds(axes.xaxis)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.set_ylim(0.5 / counts.sum(), 1.5)
