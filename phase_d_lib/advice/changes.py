"""How far the instance is from its cliff, and which change of options would move it most."""

from __future__ import annotations

import math
from dataclasses import replace

from phase_d_lib.advice.twin import Twin
from phase_d_lib.errors import InputError, ModelRefusal
from phase_d_lib.optionsfile import LIVE_OPTIONS
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.specs import Frozen, OptionsSpec, parse

BEST = 3
"""Changes told."""
MIN_GAIN_FRACTION = 0.03
"""Smaller effects are within what the twin is off by, and are not told."""
STALL_FREE_FRACTION = 0.01
MAX_SHORTFALL_FRACTION = 0.02
_SEEN_FRACTION = 0.9
"""Of the unstalled speed a twin was given without seeing it; a rate above it tells nothing."""
_WARM_FILLS, _SCORED_FILLS = 60, 240
_BISECTIONS = 6
_LOWEST_SHARE = 0.2


class Effect(Frozen):
    """One change of options and what the twin says it does."""

    changes: OptionChanges
    before: OptionChanges
    rate_ratio: float
    """Saturation rate with the change over that without."""
    stall_fraction: float
    """With the change, the writer always ready."""
    memtable_bytes_added: int
    """More memory that memtables may take; 0 or less: none."""
    live: bool
    """Whether SetOptions can make it; else a restart."""


class Outlook(Frozen):
    """Where the instance stands, and what would help."""

    saturation_ops_per_s: float
    stall_fraction: float
    """At saturation."""
    cliff_ops_per_s: float | None
    """Highest constant arrival rate without stalls; None: none above a fifth of saturation."""
    present_ops_per_s: float
    effects: tuple[Effect, ...]
    """The most useful first."""

    @property
    def headroom_fraction(self) -> float | None:
        """How much the present rate may grow before writes stall; negative: it is beyond."""
        if self.cliff_ops_per_s is None:
            return None
        return self.cliff_ops_per_s / self.present_ops_per_s - 1.0


def outlook(twin: Twin, present_ops_per_s: float) -> Outlook:
    """Ask the twin for the cliff and for the effect of every single change.

    Raises
    ------
    ModelRefusal
        When the answer would be the writers' own speed, which a LOG without stalls does not show.
    """
    seen = _saturated(twin)
    if seen is None:
        raise ModelRefusal("options", "the twin does not run with the options of the LOG")
    now, stall = seen
    if twin.arrival_ops_per_s is not None and now >= _SEEN_FRACTION * twin.foreground_ops_per_s:
        raise ModelRefusal(
            "foreground_ops_per_s",
            "writes hardly stalled and background work could serve "
            f"{now / present_ops_per_s:.0f} times the present rate: "
            "what the writers themselves can do is not in the LOG",
        )
    found = [
        effect
        for changes in moves(twin.options)
        if (effect := _effect(twin, now, changes)) is not None
        and effect.rate_ratio >= 1.0 + MIN_GAIN_FRACTION
    ]
    found.sort(key=lambda effect: -effect.rate_ratio)
    return Outlook(
        saturation_ops_per_s=now,
        stall_fraction=stall,
        cliff_ops_per_s=_cliff(twin, now),
        present_ops_per_s=present_ops_per_s,
        effects=tuple(_one_an_option(found)[:BEST]),
    )


def moves(options: OptionsSpec) -> list[OptionChanges]:
    """Single bounded changes worth asking about, each within what RocksDB allows."""
    own = options
    found: list[OptionChanges] = [
        {"write_buffer_size": 2 * own.write_buffer_size},
        {"max_write_buffer_number": own.max_write_buffer_number + 2},
        {"level0_file_num_compaction_trigger": 2 * own.level0_file_num_compaction_trigger},
        {
            "level0_slowdown_writes_trigger": 2 * own.level0_slowdown_writes_trigger,
            "level0_stop_writes_trigger": 2 * own.level0_stop_writes_trigger,
        },
        {"max_bytes_for_level_base": 2 * own.max_bytes_for_level_base},
        {"max_bytes_for_level_base": own.max_bytes_for_level_base // 2},
        {"max_bytes_for_level_multiplier": own.max_bytes_for_level_multiplier / 2},
        {"target_file_size_base": 2 * own.target_file_size_base},
        {"target_file_size_base": own.target_file_size_base // 2},
        {"max_background_jobs": 2 * own.max_background_jobs},
        {"max_subcompactions": 2 * own.max_subcompactions},
        {"delayed_write_rate": 2 * own.delayed_write_rate},
        {
            "level_compaction_dynamic_level_bytes": not own.level_compaction_dynamic_level_bytes,
        },
    ]
    if own.compression == "none":
        found.append({"compression": "lz4"})
    return found


def _effect(twin: Twin, now_ops_per_s: float, changes: OptionChanges) -> Effect | None:
    """Ask for one change; None where the spec or the simulation does not allow it."""
    own = twin.options.model_dump()
    try:
        options = parse(OptionsSpec, {**own, **changes}, "change")
    except InputError:
        return None
    told = _saturated(replace(twin, options=options))
    if told is None:
        return None
    rate, stall = told
    memory = options.write_buffer_size * options.max_write_buffer_number
    own_memory = twin.options.write_buffer_size * twin.options.max_write_buffer_number
    return Effect(
        changes=changes,
        before={name: own[name] for name in changes},
        rate_ratio=rate / now_ops_per_s,
        stall_fraction=stall,
        memtable_bytes_added=memory - own_memory,
        live=LIVE_OPTIONS.issuperset(changes),
    )


def _one_an_option(effects: list[Effect]) -> list[Effect]:
    """Keep the best change of each set of options."""
    kept: dict[tuple[str, ...], Effect] = {}
    for effect in effects:
        kept.setdefault(tuple(sorted(effect.changes)), effect)
    return list(kept.values())


def _lengths_s(twin: Twin) -> tuple[float, float]:
    """Warm-up and scored time: so many memtables at the twin's unstalled rate or less."""
    cap = twin.limiter_bytes_per_s or twin.slot_write_bytes_per_s or math.inf
    bytes_per_s = min(cap, twin.foreground_ops_per_s * twin.workload.record_bytes)
    fill_s = twin.options.write_buffer_size / bytes_per_s
    return _WARM_FILLS * fill_s, _SCORED_FILLS * fill_s


def _saturated(twin: Twin) -> tuple[float, float] | None:
    """Put rate and stall share with the writer always ready; None where it does not run."""
    try:
        told = replace(twin, arrival_ops_per_s=None).halves(_lengths_s(twin))[1]
    except ModelRefusal:
        return None
    return (told.put_ops_per_s, told.stall_fraction) if told.put_ops_per_s > 0 else None


def _cliff(twin: Twin, saturation_ops_per_s: float) -> float | None:
    """Bisect for the highest constant arrival rate that is served without stalls."""
    low, high = _LOWEST_SHARE * saturation_ops_per_s, saturation_ops_per_s
    if not _served(twin, low):
        return None
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        if _served(twin, middle):
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def _served(twin: Twin, arrival_ops_per_s: float) -> bool:
    told = replace(twin, arrival_ops_per_s=arrival_ops_per_s).halves(_lengths_s(twin))[1]
    return (
        told.stall_fraction <= STALL_FREE_FRACTION
        and told.put_ops_per_s >= (1.0 - MAX_SHORTFALL_FRACTION) * arrival_ops_per_s
    )
