"""Small charts as SVG text: a live view is redrawn every second beside a measurement.

matplotlib needs a fifth of a second of CPU a picture, which the run that is being measured would
miss; these need a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from phase_d_lib.report.look import KOREAN, MEASURED, PREDICTED, QUIET
from phase_d_lib.report.quantities import number

WIDTH = 900
_LEFT, _RIGHT, _HEAD, _STRIP, _FOOT = 62, 225, 20, 66, 34
_STEPS = (1.0, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_HEADROOM = 1.04
_FONT = f"{KOREAN}, 'Noto Sans KR', 'Malgun Gothic', 'Apple SD Gothic Neo', sans-serif"
_FILL_OPACITY = 0.28


@dataclass(frozen=True)
class Level:
    """A horizontal line with its name, for example a trigger."""

    value: float
    name: str
    colour: str
    band: tuple[float, float] | None = None
    """Interval around it."""


@dataclass(frozen=True)
class Strip:
    """One quantity over time.

    Attributes
    ----------
    title : str
        Quantity and unit.
    times_s, values : sequence of float
    levels : tuple of Level
    top : float or None
        End of the value axis; None fits it.
    between : bool
        Whether a value holds for the interval that ends at its time, not at that time alone.
    """

    title: str
    times_s: Sequence[float]
    values: Sequence[float]
    levels: tuple[Level, ...] = ()
    top: float | None = None
    between: bool = False

    def end(self) -> float:
        """Upper end of the value axis."""
        if self.top is not None:
            return self.top
        marks = [level.band[1] if level.band else level.value for level in self.levels]
        return nice_end(_HEADROOM * max([*self.values, *marks, 0.0]))


@dataclass(frozen=True)
class Span:
    """A stretch of time in one lane."""

    lane: str
    start_s: float
    end_s: float
    colour: str


def nice_end(value: float) -> float:
    """Smallest round number, which quarters well, that is not below `value`."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _STEPS if step * power >= value * (1 - 1e-9))


def strips_svg(strips: Sequence[Strip], lanes: Sequence[str], spans: Sequence[Span],
               end_s: float) -> str:  # fmt: skip
    """Draw strips below each other over one time axis, and spans in named lanes below them.

    Parameters
    ----------
    end_s : float
        End of the time axis, which begins at 0.
    """
    parts, y = [], 0.0
    for strip in strips:
        parts.append(_strip(strip, y, end_s))
        y += _HEAD + _STRIP + 10
    if lanes:
        parts.append(_lanes(lanes, spans, y, end_s))
        y += _HEAD + 18 * len(lanes) + 6
    parts.append(_time_axis(y, end_s))
    return _svg(y + _FOOT, parts)


def bars_svg(rows: Sequence[tuple[str, float, tuple[float, float] | None, float | None]],
             unit: str, marks_name: str) -> str:  # fmt: skip
    """Draw named values as bars with their intervals and one further mark each.

    Parameters
    ----------
    rows : sequence of (name, value, interval, mark)
    marks_name : str
        What the mark is, for the legend.
    """
    tops = [max(value, pair[1] if pair else 0.0, mark or 0.0) for _, value, pair, mark in rows]
    end = nice_end(max(tops, default=1.0))
    colours = [QUIET, MEASURED]
    parts = [_bar(row, 8 + 34 * n, end, colours[n % 2]) for n, row in enumerate(rows)]
    y = 8 + 34 * len(rows)
    ticks = [_text(_x(share, 1.0), y + 16, f"{share * end:,.0f}", "middle")
             for share in (0.0, 0.25, 0.5, 0.75, 1.0)]  # fmt: skip
    legend = f"{unit}. 가는 선은 90 % 예측구간, 마름모는 {marks_name}"
    return _svg(y + 44, [*parts, *ticks, _text(_x(0.0, 1.0), y + 36, legend, "start", QUIET)])


def _bar(
    row: tuple[str, float, tuple[float, float] | None, float | None], y: float, end: float,
    colour: str,
) -> str:  # fmt: skip
    name, value, pair, mark = row
    middle, right = y + 11, _x(value, end)
    parts = [
        _text(_LEFT - 6, middle + 4, name, "end"),
        f"<rect x='{_LEFT}' y='{y:.1f}' width='{right - _LEFT:.1f}' height='22' "
        f"fill='{colour}' fill-opacity='0.75'/>",
    ]
    if pair is not None:
        low, high = (_x(edge, end) for edge in pair)
        parts.append(
            f"<path d='M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 6}v12M{high:.1f} "
            f"{middle - 6}v12' stroke='#222222' stroke-width='1.6' fill='none'/>"
        )
    if mark is not None:
        x = _x(mark, end)
        parts.append(
            f"<path d='M{x:.1f} {middle - 8}l6 8l-6 8l-6 -8z' fill='{PREDICTED}' "
            "stroke='white' stroke-width='1'/>"
        )
    edge = max(right, _x(pair[1], end) if pair else 0.0)
    parts.append(_text(edge + 8, middle + 4, number(value), "start"))
    return "".join(parts)


def _strip(strip: Strip, top: float, end_s: float) -> str:
    base, end = top + _HEAD + _STRIP, strip.end()
    right = _x(1.0, 1.0)

    def y(value: float) -> float:
        return base - min(1.05, max(0.0, value / end)) * _STRIP

    parts = [
        _text(_LEFT, top + 14, strip.title, "start", weight="bold"),
        f"<path d='M{_LEFT} {base}H{right}M{_LEFT} {base - _STRIP}H{right}' stroke='#dddddd'/>",
        _text(_LEFT - 6, base + 4, "0", "end", QUIET),
        _text(_LEFT - 6, base - _STRIP + 5, _tick(end), "end", QUIET),
    ]
    parts += [_level(level, y, right) for level in strip.levels]
    if strip.values:
        points = " ".join(f"{_x(t, end_s):.1f},{y(v):.1f}" for t, v in _points(strip))
        parts.append(
            f"<polyline points='{points}' fill='none' stroke='{MEASURED}' stroke-width='1.6'/>"
        )
    return "".join(parts)


def _points(strip: Strip) -> Iterator[tuple[float, float]]:
    before_s = strip.times_s[0]
    for time_s, value in zip(strip.times_s, strip.values, strict=True):
        if strip.between:
            yield before_s, value
        yield time_s, value
        before_s = time_s


def _level(level: Level, y: Callable[[float], float], right: float) -> str:
    at = y(level.value)
    parts = []
    if level.band is not None:
        low, high = (y(edge) for edge in level.band)
        parts.append(
            f"<rect x='{_LEFT}' y='{high:.1f}' width='{right - _LEFT}' height='{low - high:.1f}' "
            f"fill='{level.colour}' fill-opacity='{_FILL_OPACITY}'/>"
        )
    parts.append(
        f"<path d='M{_LEFT} {at:.1f}H{right}' stroke='{level.colour}' stroke-dasharray='5 3'/>"
    )
    parts.append(_text(right + 6, at + 4, level.name, "start", level.colour))
    return "".join(parts)


def _lanes(lanes: Sequence[str], spans: Sequence[Span], top: float, end_s: float) -> str:
    place = {name: top + _HEAD + 18 * n for n, name in enumerate(lanes)}
    right = _x(1.0, 1.0)
    parts = [_text(_LEFT, top + 14, "열린 경보", "start", weight="bold")]
    for name, y in place.items():
        parts.append(f"<path d='M{_LEFT} {y + 16}H{right}' stroke='#eeeeee'/>")
        parts.append(_text(right + 6, y + 12, name, "start", QUIET))
    for span in spans:
        left, width = _x(span.start_s, end_s), _x(span.end_s, end_s) - _x(span.start_s, end_s)
        parts.append(
            f"<rect x='{left:.1f}' y='{place[span.lane] + 2}' width='{max(1.5, width):.1f}' "
            f"height='12' fill='{span.colour}'/>"
        )
    return "".join(parts)


def _time_axis(y: float, end_s: float) -> str:
    ticks = [_text(_x(share, 1.0), y + 12, f"{share * end_s:,.0f}", "middle", QUIET)
             for share in (0.0, 0.25, 0.5, 0.75, 1.0)]  # fmt: skip
    return "".join([*ticks, _text(_x(0.5, 1.0), y + 27, "시간(s)", "middle", QUIET)])


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def _x(value: float, end: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, value / end if end > 0 else 0.0)


def _text(
    x: float, y: float, text: str, anchor: str, colour: str = "#222222", weight: str = "normal"
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{colour}' "
        f"font-weight='{weight}'>{escape(text)}</text>"
    )


def _svg(height: float, parts: Sequence[str]) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height:.0f}' "
        f"viewBox='0 0 {WIDTH} {height:.0f}' font-family=\"{_FONT}\" font-size='12'>"
        f"<rect width='100%' height='100%' fill='white'/>{''.join(parts)}</svg>"
    )
