"""Figures of a search: how it converged, and what each tuned option does."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from phase_d_lib.report.look import DELAY, MEASURED, PREDICTED, QUIET, head, label, use_theme
from phase_d_lib.report.quantities import count, factor, percent
from phase_d_lib.tuning.effects import Effects
from phase_d_lib.tuning.search import Evaluation, SearchResult

CONVERGENCE_QUESTION = "몇 번을 재어 찾았습니까?"
EFFECT_QUESTION = "어느 옵션이 효과를 냅니까?"


def convergence(search: SearchResult) -> Figure:
    """Held rate of every evaluation over the default's, and the best so far."""
    use_theme()
    figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
    base = search.default_ops_per_s or 1.0
    best = np.maximum.accumulate(
        [e.held_ops_per_s / base if _counts(e) else 0.0 for e in search.evaluations]
    )
    for phase, marker, name in (("screening", "o", "선별"), ("finalist", "D", "결선")):
        for usable in (True, False):
            chosen = [e for e in search.evaluations if _phase(e) == phase and _counts(e) is usable]
            axes.plot(
                [e.number + 1 for e in chosen],
                [e.held_ops_per_s / base for e in chosen],
                marker,
                color=MEASURED,
                markerfacecolor=MEASURED if usable else "white",
                label=name if usable else None,
            )
    axes.step(
        [e.number + 1 for e in search.evaluations],
        np.where(best > 0, best, np.nan),
        where="post",
        color=PREDICTED,
        label="지금까지의 최고",
    )
    axes.axhline(1.0, color=QUIET, linestyle="--", label="기본값")
    axes.set(xlabel="평가 횟수", ylabel="기본값 대비 처리율(배)", ylim=(0, None))
    axes.legend(loc="lower right", ncols=4, fontsize="small")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    head(axes, CONVERGENCE_QUESTION, convergence_answer(search))
    return figure


def convergence_answer(search: SearchResult) -> str:
    """Answer of :func:`convergence` in one line."""
    base = search.default_ops_per_s
    counted = [e for e in search.evaluations if _counts(e)]
    if not base or not counted:
        return f"평가 {count(len(search.evaluations))}회, 쓸 수 있는 측정이 없습니다"
    best = max(counted, key=lambda e: e.held_ops_per_s)
    return (
        f"평가 {count(len(search.evaluations))}회 가운데 {count(best.number + 1)}번째에서 "
        f"한 번 잰 값의 최고 {factor(best.held_ops_per_s / base)}배"
    )


def option_effects(effects: Effects) -> Figure:
    """Rate of the tuned set over that without each dimension; the band is its own spread."""
    use_theme()
    known = sorted(
        (r for r in effects.reverted if r.rate_ratio is not None), key=lambda r: r.rate_ratio or 0.0
    )
    height = 1.4 + 0.34 * max(1, len(known))
    figure, axes = plt.subplots(figsize=(7, height), layout="constrained")
    for place, row in enumerate(known):
        ratio = row.rate_ratio or 1.0
        colour = MEASURED if ratio >= 1.0 else DELAY
        axes.barh(place, ratio - 1.0, left=1.0, height=0.6, color=colour)
    spread = effects.spread_fraction
    if spread is not None:
        axes.axvspan(1.0 - spread, 1.0 + spread, color=QUIET, alpha=0.2, linewidth=0)
    axes.axvline(1.0, color=QUIET, linestyle="--")
    axes.set(
        yticks=range(len(known)),
        yticklabels=[label(row.dimension) for row in known],
        xlabel="그 옵션만 기본값으로 되돌린 실행 대비 처리율(배)",
    )
    head(axes, EFFECT_QUESTION, effect_answer(effects))
    return figure


def effect_answer(effects: Effects) -> str:
    """Answer of :func:`option_effects` in one line."""
    known = [row for row in effects.reverted if row.rate_ratio is not None]
    if not known:
        return "되돌려 잰 실행 가운데 쓸 수 있는 것이 없습니다"
    best = max(known, key=lambda row: row.rate_ratio or 0.0)
    spread = effects.spread_fraction
    noise = "" if spread is None else f", 같은 조합을 다시 잰 폭 {percent(spread)}"
    return f"효과가 가장 큰 것은 {label(best.dimension)} {factor(best.rate_ratio)}배{noise}"


def _counts(evaluation: Evaluation) -> bool:
    return evaluation.usable and not evaluation.breaches


def _phase(evaluation: Evaluation) -> str:
    return "finalist" if evaluation.phase == "finalist" else "screening"
