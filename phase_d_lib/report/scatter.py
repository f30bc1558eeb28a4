"""Predicted against measured rates, one mark a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phase_d_lib.monitor import MonitoringResult
from phase_d_lib.report.look import MEASURED, PREDICTED, QUIET, THIRD, head, thousands, use_theme
from phase_d_lib.report.quantities import percent
from phase_d_lib.validation import CaseScore

_MODEL_MARKS = (("o", MEASURED), ("s", PREDICTED), ("^", THIRD), ("D", "#cc78bc"), ("v", "#ca9161"))
PREDICTION_QUESTION = "예측은 실측과 맞습니까?"


def predicted_vs_measured(
    cases: Sequence[CaseScore], monitored: MonitoringResult | None = None
) -> Figure:
    """Held-out cases: predicted against measured rate, one mark a model."""
    use_theme()
    figure, axes = plt.subplots(figsize=(7.0, 4.6), layout="constrained")
    answer = draw_predictions(axes, cases, monitored)
    head(axes, PREDICTION_QUESTION, answer)
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


def prediction_answer(cases: Sequence[CaseScore], monitored: MonitoringResult | None = None) -> str:
    """Answer of :func:`predicted_vs_measured` in one line."""
    marks = _marks(cases, monitored)
    return _prediction_answer(marks) if marks else "비교할 예측이 없습니다"


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
