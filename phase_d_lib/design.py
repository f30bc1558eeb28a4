"""Cases drawn from a recorded seed: for calibration and, from another seed, held out for scoring.

Both come from one design, so that the residuals of the first say how far the second will be off.
"""

from __future__ import annotations

import numpy as np

from phase_d_lib.models.regimes import Regime
from phase_d_lib.profiles import OptionChanges, Scenario
from phase_d_lib.throttle import throttling_available
from phase_d_lib.units import MIB

SHOWN_REGIMES: tuple[Regime, ...] = ("slots", "cpu", "device")
"""Regimes a case can be drawn for beside the scenario's own.

The controller alone is none: while it delays or stops writes a compaction is due, so the limiter,
the device or the slots are busy; a steady state in which none of them is was not found.
"""
_FEWEST_FACTORS, _MOST_FACTORS = 3, 5
_DEVICE_LIMIT_BYTES_PER_S = 40 * MIB
_SCALED = {
    "write_buffer_size": (0.5, 1.5, 2.0, 3.0),
    "max_bytes_for_level_base": (0.5, 1.5, 2.0, 3.0),
    "level0_slowdown_writes_trigger": (0.75, 1.25, 1.5),
    "max_bytes_for_level_multiplier": (0.6, 0.8),
    "keys": (0.5, 1.5, 2.0),
    "value_bytes": (0.5, 2.0),
    "limiter_bytes_per_s": (0.7, 1.3, 1.6),
}
"""Levels as factors of the scenario's own value."""
_SET: dict[str, tuple[OptionChanges, ...]] = {
    "max_background_jobs": ({"max_background_jobs": 3}, {"max_background_jobs": 4}),
    "distribution": ({"distribution": "zipfian", "zipf_s": 0.8},
                     {"distribution": "zipfian", "zipf_s": 0.99}),
    "compression": ({"compression": "lz4", "value_compression_ratio": 0.5},
                    {"compression": "lz4", "value_compression_ratio": 0.8}),
    "level_compaction_dynamic_level_bytes": ({"level_compaction_dynamic_level_bytes": True},),
    "max_write_buffer_number": ({"max_write_buffer_number": 3}, {"max_write_buffer_number": 4}),
}  # fmt: skip
"""Levels as the changes they make."""
_REGIME_FACTORS: dict[Regime, tuple[str, ...]] = {
    "slots": (
        "write_buffer_size",
        "max_bytes_for_level_base",
        "max_bytes_for_level_multiplier",
        "level0_slowdown_writes_trigger",
    ),
    "cpu": ("max_bytes_for_level_multiplier",),
    # A small level base makes compactions wait for reads, and the device idles at times.
    "device": ("write_buffer_size", "max_bytes_for_level_multiplier"),
}


def draw_cases(scenario: Scenario, count: int, seed: int) -> dict[str, OptionChanges]:
    """Draw `count` different cases of the scenario's own regime, three to five factors each.

    Factors: buffer, level base, triggers, multiplier, keys, value size, limiter, jobs,
    distribution, compression, dynamic levels, number of buffers. File size follows the buffer and
    the stop trigger keeps its distance from the slowdown trigger.
    """
    rng = np.random.default_rng(seed)
    names = [n for n in (*_SCALED, *_SET) if n != "limiter_bytes_per_s" or _limited(scenario)]
    cases: dict[str, OptionChanges] = {}
    while len(cases) < count:
        number = int(rng.integers(_FEWEST_FACTORS, _MOST_FACTORS + 1))
        picked = rng.choice(names, size=number, replace=False).tolist()
        changes = _changes(scenario, picked, rng)
        if changes not in cases.values():
            cases[f"case-{len(cases) + 1:02d}"] = changes
    return cases


def draw_regime(
    scenario: Scenario, regime: Regime, count: int, seed: int
) -> dict[str, OptionChanges]:
    """Draw `count` different cases in which another resource than the scenario's own binds.

    slots: no limiter, so the compaction slots are always busy. cpu: no limiter,
    buffers and triggers so large, and keys so few, that compaction keeps up and the writer never
    stalls. device: direct I/O below a cap on
    the device's bandwidth; needs :func:`~phase_d_lib.throttle.throttling_available`.
    """
    rng = np.random.default_rng(seed)
    names = _REGIME_FACTORS[regime]
    cases: dict[str, OptionChanges] = {}
    while len(cases) < count:
        number = int(rng.integers(1, len(names) + 1))
        changes = _changes(scenario, rng.choice(names, size=number, replace=False).tolist(), rng)
        changes |= _held_back_by(scenario, regime, rng)
        if changes not in cases.values():
            cases[f"{regime}-{len(cases) + 1:02d}"] = changes
    return cases


def regimes_shown() -> tuple[Regime, ...]:
    """Regimes beside the scenario's own that cases can be drawn for on this machine."""
    return tuple(r for r in SHOWN_REGIMES if r != "device" or throttling_available())


def _limited(scenario: Scenario) -> bool:
    return scenario.limiter_bytes_per_s is not None


def _own(scenario: Scenario, name: str) -> float:
    for home in (scenario.options, scenario.workload, scenario):
        if hasattr(home, name):
            return float(getattr(home, name))
    raise KeyError(name)


def _changes(scenario: Scenario, names: list[str], rng: np.random.Generator) -> OptionChanges:
    own, changes = scenario.options, OptionChanges()
    for name in names:
        if name in _SCALED:
            changes[name] = round(_own(scenario, name) * float(rng.choice(_SCALED[name])))
        else:
            levels = _SET[name]
            changes |= levels[int(rng.integers(len(levels)))]
    buffer, slowdown = (
        changes.get(name) for name in ("write_buffer_size", "level0_slowdown_writes_trigger")
    )
    if isinstance(buffer, int):
        files_per_memtable = own.target_file_size_base / own.write_buffer_size
        changes["target_file_size_base"] = round(buffer * files_per_memtable)
    if isinstance(slowdown, int):
        distance = own.level0_stop_writes_trigger - own.level0_slowdown_writes_trigger
        changes["level0_stop_writes_trigger"] = slowdown + distance
    return changes


def _held_back_by(scenario: Scenario, regime: Regime, rng: np.random.Generator) -> OptionChanges:
    free: OptionChanges = {"limiter_bytes_per_s": None}
    if regime == "cpu":
        own, workload = scenario.options, scenario.workload
        return free | {
            "keys": round(workload.keys * float(rng.choice((0.25, 0.5)))),
            "value_bytes": round(workload.value_bytes * float(rng.choice((0.5, 1.0)))),
            "write_buffer_size": 8 * own.write_buffer_size,
            "target_file_size_base": 8 * own.target_file_size_base,
            "max_bytes_for_level_base": round(
                8 * own.max_bytes_for_level_base * float(rng.choice((0.75, 1.0, 1.5)))
            ),
            "max_write_buffer_number": int(rng.choice((4, 6, 8))),
            "level0_slowdown_writes_trigger": max(20, 2 * own.level0_slowdown_writes_trigger),
            "level0_stop_writes_trigger": max(36, 3 * own.level0_stop_writes_trigger),
        }
    if regime == "device":
        return free | {
            "use_direct_io_for_flush_and_compaction": True,
            "device_limit_bytes_per_s": round(
                _DEVICE_LIMIT_BYTES_PER_S * float(rng.choice((0.75, 1.0, 1.5)))
            ),
        }
    return free
