"""Numbers as a reader gets them: the interval decides the digits, every value carries its unit."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from phase_d_lib.rates import Estimate
from phase_d_lib.units import GIB, KIB, MIB

ABSENT = "-"
BYTE_OPTIONS = frozenset(
    {
        "write_buffer_size", "target_file_size_base", "max_bytes_for_level_base",
        "soft_pending_compaction_bytes_limit", "hard_pending_compaction_bytes_limit",
    }
)  # fmt: skip
"""RocksDB options that hold bytes."""
BYTE_RATE_OPTIONS = frozenset({"delayed_write_rate"})


def step_of(estimate: Estimate) -> float:
    """Return the rounding step an interval allows: two digits of its half width.

    Without an interval the value keeps three significant digits.
    """
    if estimate.low is not None and estimate.high is not None and estimate.high > estimate.low:
        # An interval of almost no width makes no digit mean more.
        fine = _power(abs(estimate.value), 6)
        return max(_power(0.5 * (estimate.high - estimate.low), 2), fine)
    return _power(abs(estimate.value), 3)


def number(value: float | None, step: float | None = None) -> str:
    """Round to `step` (three significant digits by default), with thousands separators."""
    if value is None or not math.isfinite(value):
        return ABSENT
    size = step or _power(abs(value), 3)
    places = max(0, -math.floor(math.log10(size) + 1e-9))
    rounded = round(value / size) * size
    text = f"{rounded:,.{places}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text


def count(value: float | None) -> str:
    """Whole number with thousands separators."""
    return ABSENT if value is None else f"{value:,.0f}"


def with_interval(estimate: Estimate | None, unit: str) -> str:
    """Value, unit and interval: ``17,140 puts/s(95 % 신뢰구간 16,800-17,480)``."""
    if estimate is None:
        return ABSENT
    step = step_of(estimate)
    body = f"{number(estimate.value, step)}{unit}"
    if estimate.low is None or estimate.high is None:
        return f"{body}(신뢰구간 없음)"
    confidence = f"{100 * estimate.confidence:.0f} % 신뢰구간"
    return f"{body}({confidence} {_range(estimate.low, estimate.high, step)})"


def rate(estimate: Estimate | None) -> str:
    """Put rate with its interval."""
    return with_interval(estimate, " puts/s")


def ratio(estimate: Estimate | None) -> str:
    """Ratio with its interval: ``1.52배(95 % 신뢰구간 1.40-1.65)``."""
    return with_interval(estimate, "배")


def puts_per_s(value: float | None) -> str:
    """Put rate without an interval, three significant digits."""
    return ABSENT if value is None else f"{number(value)} puts/s"


def interval(pair: tuple[float, float] | None, unit: str = "puts/s") -> str:
    """Two-sided interval alone: ``16,800-17,480 puts/s``."""
    if pair is None:
        return ABSENT
    step = _power(max(abs(pair[1] - pair[0]) / 2, 1e-12), 2)
    return f"{_range(pair[0], pair[1], step)} {unit}".rstrip()


def percent(fraction: float | None, *, signed: bool = False) -> str:
    """Fraction as percent: one decimal below 10 %, none from 100 % on a whole number."""
    if fraction is None or not math.isfinite(fraction):
        return ABSENT
    value = 100.0 * fraction
    places = 1 if abs(value) < 100 else 0
    text = f"{value:+,.{places}f}" if signed else f"{value:,.{places}f}"
    bare = text.lstrip("+-")
    return f"{bare if float(bare.replace(',', '')) == 0 else text} %"


def limit_percent(fraction: float) -> str:
    """Percent of a written limit, without needless decimals: ``5 %``."""
    return f"{100 * fraction:g} %"


def size(value_bytes: float | None) -> str:
    """Bytes as KiB, MiB or GiB, three significant digits."""
    if value_bytes is None:
        return ABSENT
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if abs(value_bytes) >= unit:
            return f"{_short(value_bytes / unit)} {name}"
    return f"{value_bytes:,.0f} B"


def byte_rate(value_bytes_per_s: float | None) -> str:
    """Bytes per second as MiB/s."""
    if value_bytes_per_s is None:
        return ABSENT
    value = value_bytes_per_s / MIB
    return f"{value:.2f} MiB/s" if 0 < value < 1 else f"{_short(value)} MiB/s"


def duration_us(value_us: float | None) -> str:
    """Microseconds as µs, ms or s, three significant digits."""
    if value_us is None or not math.isfinite(value_us):
        return ABSENT
    for factor, name in ((1e6, "s"), (1e3, "ms")):
        if abs(value_us) >= factor:
            return f"{number(value_us / factor)} {name}"
    return f"{number(value_us)} µs"


def seconds(value_s: float | None) -> str:
    """Seconds: two decimals below 1 s, one below 100 s."""
    if value_s is None:
        return ABSENT
    places = 0 if abs(value_s) >= 100 else 2 if 0 < abs(value_s) < 1 else 1
    return f"{value_s:,.{places}f} s"


def p_value(value: float) -> str:
    """Probability of a test: ``p = 0.03`` or ``p < 0.001``."""
    if value < 0.001:
        return "p < 0.001"
    return f"p = {value:.3f}" if value < 0.01 else f"p = {value:.2f}"


def factor(value: float | None) -> str:
    """Plain ratio, two decimals."""
    return ABSENT if value is None else f"{value:,.2f}"


def option_value(name: str, value: object) -> str:
    """Value of a RocksDB option, bytes as MiB."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        if name in BYTE_OPTIONS:
            return size(value)
        return byte_rate(value) if name in BYTE_RATE_OPTIONS else _short(value)
    return str(value)


def moment(iso: str | None) -> str:
    """ISO 8601 time as ``2025-09-17 04:16:09 UTC``; unreadable text as it is."""
    if not iso:
        return ABSENT
    try:
        parsed = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    stamped = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return f"{stamped.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _power(scale: float, digits: int) -> float:
    if scale <= 0 or not math.isfinite(scale):
        return 1.0
    return float(10.0 ** (math.floor(math.log10(scale)) - digits + 1))


def _short(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else number(value)


def _range(low: float, high: float, step: float) -> str:
    joint = "에서 " if low < 0 else "-"
    return f"{number(low, step)}{joint}{number(high, step)}"
