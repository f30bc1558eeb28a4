"""Figures of one run: how latency spreads over time, where bytes are written, what could bind."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from phase_d_lib.ledger import Ledger
from phase_d_lib.models.base import Prediction
from phase_d_lib.report.look import (
    MEASURED,
    PREDICTED,
    QUIET,
    THIRD,
    head,
    microseconds,
    thousands,
    use_theme,
)
from phase_d_lib.report.quantities import duration_us, factor, percent, puts_per_s
from phase_d_lib.report.wording import BINDINGS
from phase_d_lib.runs import Run

LATENCY_QUESTION = "느린 put은 언제 몰립니까?"
LEVEL_QUESTION = "어느 레벨에 쓰는 바이트가 많습니까?"
BOUND_QUESTION = "어느 자원이 먼저 한계에 닿습니까?"
_BANDS_A_DECADE = 4
_LONG_US = 10_000.0
"""A put that takes longer was held back, not slow: the delay of one controller step is 1 ms."""
_ABOVE: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "fontsize": "small"}
_TALLEST = 40.0
"""A bound so many times the measured rate is drawn cut off."""


def latency_heatmap(run: Run) -> Figure:
    """Puts by second and latency, the colour their number on a logarithmic scale."""
    use_theme()
    figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
    puts = run.latency[run.latency["operation"] == "put"]
    seconds = np.arange(int(puts["second"].max()) + 2) if len(puts) else np.arange(2)
    upper = puts["upper_us"].to_numpy(dtype=float)
    low, high = (upper.min(), upper.max()) if len(puts) else (1.0, 10.0)
    first = np.floor(np.log10(low) * _BANDS_A_DECADE) - 1
    last = np.ceil(np.log10(high) * _BANDS_A_DECADE)
    edges = 10.0 ** (np.arange(first, last + 1) / _BANDS_A_DECADE)
    counts, _, _ = np.histogram2d(
        puts["second"], upper * 0.999, bins=(seconds, edges), weights=puts["count"]
    )
    mesh = axes.pcolormesh(
        seconds,
        edges,
        np.ma.masked_less_equal(counts.T, 0.0),
        cmap="cividis",
        norm=LogNorm(1.0, max(2.0, counts.max())),
        rasterized=True,
    )
    axes.axvspan(0, run.spec.warmup_s, color="#eeeeee", zorder=0)
    axes.set(yscale="log", xlabel="시간(s)", ylabel="put 지연시간(로그 축)")
    microseconds(axes.yaxis)
    axes.grid(visible=False)
    figure.colorbar(mesh, ax=axes, label="put 수(로그 색)", pad=0.01)
    head(axes, LATENCY_QUESTION, latency_answer(run))
    return figure


def latency_answer(run: Run) -> str:
    """Answer of :func:`latency_heatmap` in one line."""
    puts = run.latency[
        (run.latency["operation"] == "put") & (run.latency["second"] >= int(run.spec.warmup_s))
    ]
    long = puts[puts["upper_us"] > _LONG_US]
    total = puts["second"].nunique()
    if not total:
        return "측정 구간에 put이 없습니다"
    hit = long["second"].nunique()
    longest = duration_us(float(puts["upper_us"].max()))
    return (
        f"{_LONG_US / 1e3:g} ms를 넘긴 put이 있는 초는 전체의 {percent(hit / total)}, "
        f"가장 긴 put은 {longest} 이하"
    )


def level_flows(ledger: Ledger) -> Figure:
    """Bytes written and read by each level per user byte; flush is level 0."""
    use_theme()
    height = 1.3 + 0.5 * max(1, len(ledger.levels))
    figure, axes = plt.subplots(figsize=(7, height), layout="constrained")
    scale = ledger.user_bytes or 1.0
    for place, level in enumerate(ledger.levels):
        written, read = level.write_bytes / scale, level.read_bytes / scale
        axes.barh(place - 0.19, written, height=0.36, color=MEASURED, label=_once(place, "쓰기"))
        axes.barh(place + 0.19, read, height=0.36, color=THIRD, label=_once(place, "읽기"))
        axes.annotate(
            factor(written), (written, place - 0.19), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize="small",
        )  # fmt: skip
    names = ["L0(플러시)" if n.level == 0 else f"L{n.level}(컴팩션)" for n in ledger.levels]
    axes.set(
        yticks=range(len(names)),
        yticklabels=names,
        xlabel="사용자 1바이트당 바이트",
        ylim=(max(1, len(names)) - 0.4, -0.6),
    )
    axes.margins(x=0.12)
    if names:
        axes.legend(ncols=2, **_ABOVE)
    head(axes, LEVEL_QUESTION, level_answer(ledger))
    return figure


def _once(place: int, name: str) -> str | None:
    return name if place == 0 else None


def level_answer(ledger: Ledger) -> str:
    """Answer of :func:`level_flows` in one line."""
    if not ledger.levels or not ledger.user_bytes:
        return "LOG에 플러시와 컴팩션이 없습니다"
    most = max(ledger.levels, key=lambda level: level.write_bytes)
    share = most.write_bytes / sum(level.write_bytes for level in ledger.levels)
    return (
        f"쓰기 증폭 {factor(ledger.write_amplification)} 가운데 L{most.level} "
        f"{factor(most.write_bytes / ledger.user_bytes)}({percent(share)})"
    )


def bound_chart(prediction: Prediction, measured_ops_per_s: float) -> Figure:
    """Put rate at which each resource is used up, on a log axis, beside the measured rate.

    Parameters
    ----------
    prediction : Prediction
        Of a model that names the bound of every resource.
    """
    use_theme()
    known = _known(prediction)
    figure, axes = plt.subplots(figsize=(7, 1.6 + 0.36 * max(1, len(known))), layout="constrained")
    for place, (name, bound) in enumerate(known):
        binds = name == prediction.binding
        shown = min(bound, _TALLEST * measured_ops_per_s)
        axes.barh(place, shown, height=0.6, color=PREDICTED if binds else QUIET)
        axes.annotate(
            puts_per_s(bound) + (" 이상" if shown < bound else ""), (shown, place),
            xytext=(4, 0), textcoords="offset points", va="center", fontsize="small",
        )  # fmt: skip
    axes.axvline(measured_ops_per_s, color=MEASURED, linewidth=2, label="실측")
    axes.set(
        xscale="log",
        yticks=range(len(known)),
        yticklabels=[BINDINGS.get(name, name) for name, _ in known],
        xlabel="그 자원을 다 쓰는 처리율(puts/s, 로그 축)",
        ylim=(max(1, len(known)) - 0.4, -0.6),
    )
    low = min([measured_ops_per_s, *(bound for _, bound in known)])
    axes.set_xlim(low / 2, 3 * _TALLEST * measured_ops_per_s)
    thousands(axes, "x")
    axes.legend(**_ABOVE)
    head(axes, BOUND_QUESTION, bound_answer(prediction, measured_ops_per_s))
    return figure


def bound_answer(prediction: Prediction, measured_ops_per_s: float) -> str:
    """Answer of :func:`bound_chart` in one line."""
    known = _known(prediction)
    if not known:
        return "모델이 자원의 한계를 내지 않았습니다"
    (name, bound), *rest = known
    answer = f"{BINDINGS.get(name, name)} {puts_per_s(bound)}, 실측은 그 "
    answer += percent(measured_ops_per_s / bound)
    if rest:
        second, further = rest[0]
        answer += f". 다음은 {BINDINGS.get(second, second)}({factor(further / bound)}배)"
    return answer


def _known(prediction: Prediction) -> list[tuple[str, float]]:
    """Measured bounds, the tightest first."""
    bounds = prediction.bounds_ops_per_s.items()
    return sorted(((n, b) for n, b in bounds if b is not None), key=lambda pair: pair[1])
