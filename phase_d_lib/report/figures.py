"""Small figures for notebooks, and the look that every figure of the report shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from phase_d_lib.calibration import DEFAULT
from phase_d_lib.errors import InputError
from phase_d_lib.monitor import MonitoringResult
from phase_d_lib.rates import counter_rate
from phase_d_lib.report.quantities import percent, puts_per_s
from phase_d_lib.report.wording import STALL_CAUSES, STALL_KINDS
from phase_d_lib.runs import Run
from phase_d_lib.tuning.comparison import Trial
from phase_d_lib.validation import CaseScore

MEASURED, PREDICTED, DELAY, STOP, QUIET, THIRD = (
    "#0173b2", "#d55e00", "#de8f05", "#b3261e", "#7f7f7f", "#029e73"
)  # fmt: skip
"""Colours of seaborn's colour-blind palette, and a dark red for stops."""
_CARRIER = "koreanize_matplotlib"
_MODEL_MARKS = (("o", MEASURED), ("s", PREDICTED), ("^", THIRD), ("D", "#cc78bc"), ("v", "#ca9161"))
_STALL_COLOURS = {"delay": DELAY, "stop": STOP}


@cache
def register_korean_font() -> str:
    """Register NanumGothic with matplotlib once and return its family name.

    Raises
    ------
    InputError
        When the package that carries the font is not installed.
    """
    # Only its files are used: importing it fails on Python 3.12 and later.
    spec = find_spec(_CARRIER)
    fonts = (
        sorted(Path(spec.origin).parent.rglob("NanumGothic*.ttf")) if spec and spec.origin else []
    )
    if not fonts:
        raise InputError("no NanumGothic font found; install koreanize-matplotlib (make setup)")
    for font in fonts:
        font_manager.fontManager.addfont(str(font))
    return "NanumGothic"


def use_theme(font_scale: float = 1.0) -> None:
    """Set seaborn's theme with the Korean font and embedded TrueType in PDF."""
    family = [register_korean_font(), "DejaVu Sans"]
    sns.set_theme(
        style="whitegrid",
        palette="colorblind",
        font_scale=font_scale,
        rc={
            "font.family": family,
            "font.sans-serif": family,
            "pdf.fonttype": 42,
            "axes.unicode_minus": False,
            "axes.titlelocation": "left",
            "grid.color": "#e2e2e2",
            "axes.edgecolor": "#888888",
            "legend.frameon": True,
            "legend.framealpha": 0.9,
            "legend.edgecolor": "#dddddd",
        },
    )


def head(axes: Axes, question: str, answer: str) -> None:
    """Title a panel with its question, and its answer below in smaller type."""
    line = float(plt.rcParams["font.size"])
    _above(axes, question, 2.4 * line, fontweight="bold", fontsize="large")
    _above(axes, answer, 0.7 * line, color="#444444", fontsize=0.94 * line)


def _above(axes: Axes, text: str, lift_points: float, **style: Any) -> None:
    axes.annotate(
        text,
        (0.0, 1.0),
        xytext=(0, lift_points),
        xycoords="axes fraction",
        textcoords="offset points",
        va="bottom",
        **style,
    )


def thousands(axes: Axes, which: str = "y") -> None:
    """Write the ticks of an axis with thousands separators."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def sampled(samples: pd.DataFrame) -> pd.DataFrame:
    """Leave out samples that end an interval too short for a rate (under half the usual)."""
    inside = samples.iloc[1:]
    return inside[inside["gap_s"] >= 0.5 * inside["gap_s"].median()]


def rate_timeline(samples: pd.DataFrame, predicted_ops_per_s: float | None = None) -> Figure:
    """Put rate over time, with a predicted rate as a line.

    Parameters
    ----------
    samples : DataFrame
        Samples of a run.
    predicted_ops_per_s : float, optional
    """
    use_theme()
    figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
    inside = sampled(samples)
    axes.step(inside["time_s"], inside["put_ops_per_s"], where="pre", color=MEASURED, label="실측")
    if predicted_ops_per_s is not None:
        axes.axhline(predicted_ops_per_s, color=PREDICTED, linestyle="--", label="예측")
        axes.legend(loc="upper right")
    mean = puts_per_s(counter_rate(samples, "puts_total"))
    head(axes, "처리율은 일정합니까?", f"전체 평균 {mean}")
    axes.set(xlabel="시간(s)", ylabel="처리율(puts/s)", ylim=(0, None))
    thousands(axes)
    return figure


def stall_timeline(run: Run) -> Figure:
    """When writes were delayed or stopped and why, from the LOG, above level-0 files."""
    use_theme()
    figure, (states, files) = plt.subplots(
        2, 1, figsize=(9, 4.2), sharex=True, height_ratios=(1, 1.2), layout="constrained"
    )
    start_s = float(run.samples["unix_time_s"].iloc[0]) - float(run.samples["time_s"].iloc[0])
    causes = list(STALL_CAUSES)
    stalled_s = 0.0
    for begin, length, kind, cause in controller_spans(run, start_s):
        stalled_s += length
        states.broken_barh(
            [(begin, length)], (causes.index(cause) - 0.35, 0.7), color=_STALL_COLOURS[kind]
        )
    states.set(yticks=range(len(causes)), yticklabels=[STALL_CAUSES[c] for c in causes])
    states.set_ylim(len(causes) - 0.5, -0.5)
    for kind, colour in _STALL_COLOURS.items():
        states.plot([], [], color=colour, linewidth=6, label=STALL_KINDS[kind])
    states.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize="small")
    head(states, "쓰기는 왜 막힙니까?", f"지연과 정지를 더해 {stalled_s:.1f} s(LOG 기준)")
    files.step(run.samples["time_s"], run.samples["l0_files"], where="post", color=MEASURED)
    options = run.spec.options
    for value, colour, name in (
        (options.level0_slowdown_writes_trigger, DELAY, "지연 기준"),
        (options.level0_stop_writes_trigger, STOP, "정지 기준"),
    ):
        files.axhline(value, color=colour, linestyle="--", label=name)
    files.set(xlabel="시간(s)", ylabel="L0 파일 수")
    files.set_ylim(0, 1.35 * max(files.get_ylim()[1], options.level0_slowdown_writes_trigger))
    files.legend(loc="upper right", ncols=2, fontsize="small")
    return figure


def controller_spans(run: Run, start_s: float) -> list[tuple[float, float, str, str]]:
    """Spans in which the write controller held writes back: begin, length, kind, cause.

    Parameters
    ----------
    start_s : float
        Epoch second of the run's time zero; begins are relative to it.
    """
    log = run.log.controller
    times = log["time_s"].to_numpy(dtype=float)
    ends = np.append(times[1:], run.log.last_time_s)
    end_s = start_s + float(run.samples["time_s"].iloc[-1])
    spans = []
    for begin, end, kind, cause in zip(times, ends, log["kind"], log["cause"], strict=True):
        low, high = max(begin, start_s), min(end, end_s)
        if kind in _STALL_COLOURS and cause in STALL_CAUSES and high > low:
            spans.append((low - start_s, high - low, str(kind), str(cause)))
    return spans


def predicted_vs_measured(
    cases: Sequence[CaseScore], monitored: MonitoringResult | None = None
) -> Figure:
    """Held-out cases: predicted against measured rate, one mark a model."""
    use_theme()
    figure, axes = plt.subplots(figsize=(5.2, 4.8), layout="constrained")
    answer = draw_predictions(axes, cases, monitored)
    head(axes, "예측은 실측과 맞습니까?", answer)
    return figure


def draw_predictions(
    axes: Axes, cases: Sequence[CaseScore], monitored: MonitoringResult | None
) -> str:
    """Draw predicted against measured rates and return the answer in one line.

    Marks of runs that are not valid are hollow.
    """
    marks = _marks(cases, monitored)
    axes.set(xlabel="예측한 포화 처리율(puts/s)", ylabel="측정한 포화 처리율(puts/s)")
    if not marks:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "예측한 모델이 없습니다", ha="center", transform=axes.transAxes)
        return "비교할 예측이 없습니다"
    models = sorted({mark.model for mark in marks})
    for place, model in enumerate(models):
        shape, colour = _MODEL_MARKS[place % len(_MODEL_MARKS)]
        # Models that agree lie on one spot, so later ones are smaller.
        size = max(6.0, 16.0 - 4.5 * place)
        for mark in (m for m in marks if m.model == model):
            _draw_mark(axes, mark, shape, colour, size)
        axes.plot([], [], shape, color=colour, label=model)
    if monitored is not None:
        axes.plot([], [], "*", color=QUIET, markersize=11, label="모니터링 실행")
    if not all(mark.valid for mark in marks):
        axes.plot([], [], "o", color=QUIET, markerfacecolor="white", label="무효(채점하지 않음)")
    low = 0.92 * min(min(mark.predicted, mark.low) for mark in marks)
    high = 1.08 * max(max(mark.predicted, mark.high) for mark in marks)
    axes.plot([low, high], [low, high], color=QUIET, linestyle="--", zorder=1, label="예측 = 실측")
    axes.set(xlim=(low, high), ylim=(low, high))
    axes.locator_params(nbins=5)
    thousands(axes, "x")
    thousands(axes)
    axes.legend(loc="upper left", fontsize="small", handlelength=1.4)
    return _prediction_answer(marks)


@dataclass(frozen=True)
class _Mark:
    """One prediction beside the measurement it was made for."""

    model: str
    predicted: float
    measured: float
    low: float
    high: float
    valid: bool
    held_out: bool


def _marks(cases: Sequence[CaseScore], monitored: MonitoringResult | None) -> list[_Mark]:
    measured = [(c.measured_ops_per_s, c.verdict, c.predictions, True) for c in cases]
    if monitored is not None:
        result = monitored.result
        measured.append((result.put_rate_ops_per_s, result.validity, monitored.predictions, False))
    return [
        _Mark(
            model=prediction.model,
            predicted=prediction.saturation_ops_per_s,
            measured=rate.value,
            low=rate.value if rate.low is None else rate.low,
            high=rate.value if rate.high is None else rate.high,
            valid=judged.valid,
            held_out=held_out,
        )
        for rate, judged, predictions, held_out in measured
        for prediction in predictions
        if prediction.saturation_ops_per_s
    ]


def _draw_mark(axes: Axes, mark: _Mark, shape: str, colour: str, size: float) -> None:
    axes.errorbar(
        mark.predicted,
        mark.measured,
        yerr=[[mark.measured - mark.low], [mark.high - mark.measured]],
        fmt=shape if mark.held_out else "*",
        markersize=size if mark.held_out else size + 9,
        markerfacecolor=colour if mark.valid else "white",
        markeredgecolor="white" if mark.valid else colour,
        color=colour,
        elinewidth=1.4,
        capsize=3,
    )


def _prediction_answer(marks: list[_Mark]) -> str:
    errors: dict[str, list[float]] = {}
    for mark in marks:
        if mark.valid and mark.held_out:
            errors.setdefault(mark.model, []).append(abs(mark.predicted / mark.measured - 1.0))
    if not errors:
        return "채점할 수 있는 검증용 구성이 없습니다"
    shown = [f"{model} {percent(float(np.median(e)))}" for model, e in sorted(errors.items())]
    return f"오차 중앙값: {', '.join(shown)}"


def paired_rates(trials: Sequence[Trial]) -> Figure:
    """Rate of every option set over the default's in the same pair; hollow when not valid."""
    use_theme()
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    base = {t.pair: t for t in trials if t.option_set == DEFAULT}
    names = list(dict.fromkeys(t.option_set for t in trials if t.option_set != DEFAULT))
    for place, name in enumerate(names):
        for trial in (t for t in trials if t.option_set == name and t.pair in base):
            other = base[trial.pair]
            valid = trial.verdict.valid and other.verdict.valid
            axes.plot(
                trial.put_ops_per_s / other.put_ops_per_s,
                place + 0.12 * (trial.pair % 3 - 1),
                "o",
                color=MEASURED,
                markersize=9,
                markerfacecolor=MEASURED if valid else "white",
            )
    axes.axvline(1.0, color=QUIET, linestyle="--")
    axes.set(yticks=range(len(names)), yticklabels=names, xlabel="기본값 대비 처리율(배)")
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)
    head(axes, "어느 조합이 더 빠릅니까?", _paired_answer(trials, base))
    return figure


def _paired_answer(trials: Sequence[Trial], base: dict[int, Trial]) -> str:
    compared = [t for t in trials if t.option_set != DEFAULT and t.pair in base]
    valid = sum(t.verdict.valid and base[t.pair].verdict.valid for t in compared)
    return f"두 실행이 모두 유효한 비교 {valid}개, 전체 {len(compared)}개(무효는 빈 점)"
