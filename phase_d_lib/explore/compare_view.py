"""Compared runs as tables and a figure."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from phase_d_lib.explore.html import figure_picture, paragraph, table_html
from phase_d_lib.explore.runset import (
    differences,
    names_of,
    ratio,
    result_of,
    written_per_user_byte,
)
from phase_d_lib.explore.whatif_view import changed_value
from phase_d_lib.rates import Estimate
from phase_d_lib.report.look import MEASURED, QUIET, head, label, thousands, use_theme
from phase_d_lib.report.quantities import (
    ABSENT,
    duration_us,
    factor,
    interval,
    number,
    percent,
    puts_per_s,
)
from phase_d_lib.report.wording import verdict
from phase_d_lib.runs import Run

_CAVEAT = (
    "신뢰구간은 실행 하나 안의 변동만 담습니다. 같은 구성을 다시 재면 그보다 더 다를 수 있으므로 "
    "어느 쪽이 빠른지는 짝지은 반복(`03_tuning.ipynb`)으로 판정합니다."
)


def comparison_html(runs: Sequence[Run]) -> str:
    """Render at least two runs; the first is what the others are compared with."""
    names = names_of(runs)
    figure = comparison_figure(runs)
    return "".join(
        [
            paragraph(f"비교 기준은 처음 고른 실행 `{names[0]}`입니다.", strong=True),
            _table(runs, names),
            _differences(runs, names),
            figure_picture(figure, "실행마다 포화 처리율과 95 % 신뢰구간"),
            paragraph(f"{_absent(runs)}{_CAVEAT}"),
        ]
    )


def _absent(runs: Sequence[Run]) -> str:
    """Say why some runs have no interval."""
    told = [result_of(run).put_rate_ops_per_s for run in runs]
    short = any(estimate.low is None for estimate in told)
    return "신뢰구간이 없는 실행은 구간을 내기에 측정이 짧았습니다. " if short else ""


def _table(runs: Sequence[Run], names: Sequence[str]) -> str:
    base = result_of(runs[0]).put_rate_ops_per_s
    rows = []
    for name, run in zip(names, runs, strict=True):
        result = result_of(run)
        measured = result.put_rate_ops_per_s
        gained = "1(기준)" if run is runs[0] else _times(ratio(measured, base))
        rows.append(
            (
                f"`{name}`",
                puts_per_s(measured.value),
                _interval(measured, "puts/s"),
                gained,
                percent(result.stall_fraction),
                factor(written_per_user_byte(result)),
                duration_us(result.put_latency_us.get("p999")),
                verdict(result.validity),
            )
        )
    columns = "실행|처리율>|95 % 신뢰구간>|기준 대비>|정체 시간>|WA>|p99.9>|판정"
    return table_html(columns, rows, "실행별 결과")


def _interval(estimate: Estimate, unit: str) -> str:
    if estimate.low is None or estimate.high is None:
        return ABSENT
    return interval((estimate.low, estimate.high), unit)


def _times(gained: Estimate | None) -> str:
    if gained is None:
        return ABSENT
    if gained.low is None or gained.high is None:
        return f"{factor(gained.value)}배"
    return f"{factor(gained.value)}배({factor(gained.low)}-{factor(gained.high)})"


def _differences(runs: Sequence[Run], names: Sequence[str]) -> str:
    found = differences(runs)
    if not found:
        return paragraph("고른 실행은 구성이 모두 같습니다.")
    rows = [
        (f"`{name}`", *(changed_value(name, value) for value in values))
        for name, values in found.items()
    ]
    heads = "|".join(f"{name.replace('|', ' ')}>" for name in names)
    return table_html(f"옵션|{heads}", rows, "구성의 차이")


def comparison_figure(runs: Sequence[Run]) -> Figure:
    """Draw the rate of each run with its interval; hollow where the run is not valid."""
    use_theme()
    height = 1.7 + 0.42 * len(runs)
    figure = Figure(figsize=(9, height), layout="constrained")
    axes = figure.subplots()
    for place, run in enumerate(runs):
        result = result_of(run)
        told = result.put_rate_ops_per_s
        colour = QUIET if place == 0 else MEASURED
        if told.low is not None and told.high is not None:
            axes.plot([told.low, told.high], [place, place], color=colour, linewidth=2.5)
        filled = colour if result.validity.valid else "white"
        axes.plot(told.value, place, "o", color=colour, markersize=9, markerfacecolor=filled)
    base = result_of(runs[0]).put_rate_ops_per_s.value
    axes.axvline(base, color=QUIET, linestyle="--", linewidth=1)
    names = [label(name) for name in names_of(runs)]
    axes.set(yticks=range(len(runs)), yticklabels=names, xlabel="처리율(puts/s)", xlim=(0, None))
    axes.set_ylim(len(runs) - 0.5, -0.5)
    thousands(axes, "x")
    head(axes, "어느 실행이 더 빨랐습니까?", _answer(runs))
    return figure


def _answer(runs: Sequence[Run]) -> str:
    best = max(runs, key=lambda run: result_of(run).put_rate_ops_per_s.value)
    measured = result_of(best).put_rate_ops_per_s.value
    over = measured / result_of(runs[0]).put_rate_ops_per_s.value
    name = label(names_of(runs)[list(runs).index(best)])
    return f"가장 빠른 실행 {name}: {puts_per_s(measured)}, 기준의 {number(over)}배"
