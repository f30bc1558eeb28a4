"""Small figures, one question each: rate over time, stalls by cause, option sets in pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from phase_d_lib.calibration import DEFAULT
from phase_d_lib.rates import counter_rate
from phase_d_lib.report.look import (
    DELAY,
    MEASURED,
    PREDICTED,
    QUIET,
    STOP,
    head,
    label,
    sampled,
    thousands,
    use_theme,
)
from phase_d_lib.report.quantities import puts_per_s, seconds
from phase_d_lib.report.scatter import predicted_vs_measured as predicted_vs_measured
from phase_d_lib.report.wording import STALL_CAUSES, STALL_KINDS
from phase_d_lib.runs import Run
from phase_d_lib.tuning.comparison import Trial

_STALL_COLOURS = {"delay": DELAY, "stop": STOP}
STALL_QUESTION = "쓰기는 왜 막힙니까?"
PAIR_QUESTION = "어느 조합이 더 빠릅니까?"


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
    start_s = _time_zero(run)
    causes = list(STALL_CAUSES)
    for begin, length, kind, cause in controller_spans(run, start_s):
        states.broken_barh(
            [(begin, length)], (causes.index(cause) - 0.35, 0.7), color=_STALL_COLOURS[kind]
        )
    states.set(yticks=range(len(causes)), yticklabels=[STALL_CAUSES[c] for c in causes])
    states.set_ylim(len(causes) - 0.5, -0.5)
    for kind, colour in _STALL_COLOURS.items():
        states.plot([], [], color=colour, linewidth=6, label=STALL_KINDS[kind])
    states.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize="small")
    head(states, STALL_QUESTION, stall_answer(run))
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


def stall_answer(run: Run) -> str:
    """Answer of :func:`stall_timeline` in one line."""
    totals = dict.fromkeys(_STALL_COLOURS, 0.0)
    for _, length, kind, _ in controller_spans(run, _time_zero(run)):
        totals[kind] += length
    shown = [f"{STALL_KINDS[kind]} {seconds(total)}" for kind, total in totals.items()]
    return f"{', '.join(shown)}(LOG 기준, 예열 포함)"


def _time_zero(run: Run) -> float:
    """Epoch second at which the run's own clock stood at zero."""
    return float(run.samples["unix_time_s"].iloc[0]) - float(run.samples["time_s"].iloc[0])


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
    axes.set(
        yticks=range(len(names)),
        yticklabels=[label(name) for name in names],
        xlabel="기본값 대비 처리율(배)",
    )
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)
    head(axes, PAIR_QUESTION, pair_answer(trials, label))
    return figure


def pair_answer(trials: Sequence[Trial], write: Callable[[str], str] = str) -> str:
    """Answer of :func:`paired_rates` in one line.

    Parameters
    ----------
    write : callable
        How names are written; the figure cuts them.
    """
    base = {t.pair: t for t in trials if t.option_set == DEFAULT}
    ratios: dict[str, list[float]] = {}
    compared = [t for t in trials if t.option_set != DEFAULT and t.pair in base]
    for trial in compared:
        if trial.verdict.valid and base[trial.pair].verdict.valid:
            gained = trial.put_ops_per_s / base[trial.pair].put_ops_per_s
            ratios.setdefault(trial.option_set, []).append(gained)
    if not ratios:
        return f"두 실행이 모두 유효한 쌍이 없습니다(쌍 {len(compared)}개)"
    means = {name: float(np.exp(np.mean(np.log(found)))) for name, found in ratios.items()}
    best = max(means, key=lambda name: means[name])
    return f"가장 빠른 {write(best)}: 기본값의 {means[best]:.2f}배(유효한 쌍 {len(ratios[best])}개)"
