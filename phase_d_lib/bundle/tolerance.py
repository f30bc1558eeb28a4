"""Within what range a second measurement counts as the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

from phase_d_lib.bundle.spread import RELATIVE, Quantity, Spread, over_runs
from phase_d_lib.report.quantities import duration_us, factor, interval, percent
from phase_d_lib.report.sources import Source, attribute
from phase_d_lib.tuning.comparison import Trial

MIN_REPEATS = 3
"""Runs of one option set from which on their own spread counts for a tolerance."""


def second_measurement(
    quantity: Quantity,
    value: float | None,
    blocks: Spread | None,
    repeats: Spread | None,
    source: Source,
) -> str:
    """Widest of what blocks of the run and repeated runs let a second measurement be."""
    spreads = []
    if blocks:  # a new mean of as many blocks is as uncertain as this one
        spreads.append(math.sqrt(2.0) * blocks.half_width())
    if repeats and repeats.parts >= MIN_REPEATS:  # the interval of one further run
        spreads.append(math.sqrt(1.0 + repeats.parts) * repeats.half_width())
    if not spreads or value is None:
        return "구간을 구할 만큼 긴 실행이 없어 정하지 못했습니다"
    width = max(spreads)
    low, high = (value * math.exp(end * width) for end in (-1, 1))
    if quantity == "rate":
        within = interval((low, high))
    elif quantity == "p999":
        within = f"{duration_us(low)}에서 {duration_us(high)} 사이"
    elif quantity == "wa":
        within = f"{factor(low)}에서 {factor(high)} 사이"
    else:
        low, high = max(0.0, value - width), min(1.0, value + width)
        within = f"{percent(low)}에서 {percent(high)} 사이"
    return attribute(within, source)


def two_apart(half_width_log: float) -> float:
    """Relative difference of two measurements whose intervals have this half width in log."""
    return math.expm1(math.sqrt(2.0) * half_width_log)


def repeats_of(quantity: Quantity, trials: Sequence[Trial]) -> Spread | None:
    """Spread of one quantity over trials."""
    return over_runs(trial_values(trials, quantity), relative=quantity in RELATIVE)


def trial_values(trials: Sequence[Trial], quantity: Quantity) -> list[float | None]:
    """One quantity of every trial."""
    read: dict[Quantity, str] = {
        "rate": "put_ops_per_s",
        "p999": "put_latency_p999_us",
        "stall": "stall_fraction",
        "wa": "write_bytes_per_user_byte",
    }
    return [getattr(trial, read[quantity]) for trial in trials]
