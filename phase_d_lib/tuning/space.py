"""The search space: which RocksDB options a tuner may move, how far, and at what risk.

A point names every dimension; :func:`changes_of` turns it into options. Dimensions are chosen so
that the order of the level-0 triggers and the memory bound hold for every point: the triggers are
factors of one another, the buffer is a share of the memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from scipy.stats import qmc

from phase_d_lib.guards import Guards
from phase_d_lib.optionsfile import LIVE_OPTIONS
from phase_d_lib.profiles import OptionChanges, Scenario
from phase_d_lib.specs import Frozen
from phase_d_lib.units import KIB, MIB

Scale = Literal["log", "log_integer", "integer", "choice"]
Safety = Literal["online", "restart"]
Value = float | int | bool | str
Point = dict[str, Value]
"""Dimension -> value."""
_STEP_BYTES = 64 * KIB


class Dimension(Frozen):
    """One thing a tuner moves.

    Attributes
    ----------
    name : str
    options : tuple of str
        RocksDB options it decides.
    scale : str
        ``log`` real, ``log_integer``, ``integer``, or ``choice``.
    low, high : float
        Range, both ends included; of a choice 0.
    choices : tuple
        Of a choice.
    why : str
        What it moves.
    """

    name: str
    options: tuple[str, ...]
    scale: Scale
    low: float = 0.0
    high: float = 0.0
    choices: tuple[bool | str, ...] = ()
    why: str

    @property
    def safety(self) -> Safety:
        """``online``: SetOptions changes it while running; ``restart``: only opening does."""
        return "online" if LIVE_OPTIONS.issuperset(self.options) else "restart"

    def at(self, share: float) -> Value:
        """Value at a share of the range, 0 to 1, on its scale."""
        if self.scale == "choice":
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        if self.scale == "integer":
            return min(int(self.low + share * (self.high - self.low + 1)), int(self.high))
        value = float(self.low * (self.high / self.low) ** share)
        return round(value) if self.scale == "log_integer" else value

    def share_of(self, value: Value) -> float:
        """Where a value lies in the range, 0 to 1; the middle of its class for a choice."""
        if self.scale == "choice":
            return (self.choices.index(value) + 0.5) / len(self.choices)
        if self.high == self.low:
            return 0.5
        number = float(value)
        if self.scale == "integer":
            return (number - self.low + 0.5) / (self.high - self.low + 1)
        return math.log(number / self.low) / math.log(self.high / self.low)

    def held(self, value: Value) -> Value:
        """Return the value, or the end of the range it lies beyond."""
        if self.scale == "choice":
            return value
        inside = min(max(float(value), self.low), self.high)
        return inside if self.scale == "log" else round(inside)

    def steps(self, value: Value, factor: float) -> Iterator[Value]:
        """Yield the values one step away from a value, down before up."""
        if self.scale == "choice":
            yield from (choice for choice in self.choices if choice != value)
            return
        number = float(value)
        for moved in (number / factor, number * factor):
            if self.scale != "log":
                moved = number + max(1, round(abs(moved - number))) * (1 if moved > number else -1)
            held = self.held(moved)
            if held != number:
                yield held


class SearchSpace(Frozen):
    """All dimensions of one scenario under its guards."""

    dimensions: tuple[Dimension, ...]

    def point(self, shares: np.ndarray) -> Point:
        """Return the point at the given share of each dimension."""
        return {d.name: d.at(float(s)) for d, s in zip(self.dimensions, shares, strict=True)}

    def shares(self, point: Mapping[str, Value]) -> np.ndarray:
        """Coordinates of a point, shape (dimensions,), each clipped to 0 to 1."""
        return np.array(
            [min(max(d.share_of(point[d.name]), 0.0), 1.0) for d in self.dimensions], dtype=float
        )

    def held(self, point: Mapping[str, Value]) -> Point:
        """Return the point, or the nearest inside: rounded sizes may lie just outside."""
        return {d.name: d.held(point[d.name]) for d in self.dimensions}

    def fill(self, seed: int) -> Iterator[Point]:
        """Yield space-filling points without end: a scrambled Sobol sequence."""
        sequence = qmc.Sobol(len(self.dimensions), rng=seed)
        while True:
            for shares in sequence.random(64):
                yield self.point(shares)

    def neighbours(self, point: Mapping[str, Value], factor: float) -> Iterator[tuple[str, Point]]:
        """Yield the points one bounded step away: one dimension, up or down, by a factor.

        Integers move by one at least; a choice moves to each of its others. A step that leaves the
        range ends at its edge; one that moves nothing is left out.
        """
        for d in self.dimensions:
            for value in d.steps(point[d.name], factor):
                yield d.name, {**point, d.name: value}


def key_of(point: Mapping[str, Value]) -> tuple[Value, ...]:
    """Values of a point in the order of its dimensions' names, to tell points apart."""
    return tuple(point[name] for name in sorted(point))


def search_space(guards: Guards) -> SearchSpace:
    """Return the space within what the guards allow.

    Left out on purpose: the write-ahead log and its syncing (durability), the pending-bytes limits
    (raising them borrows debt), subcompactions and direct I/O (nothing to gain where a rate
    limiter is the device).
    """
    return SearchSpace(
        dimensions=(
            Dimension(
                name="memtable_bytes",
                options=("write_buffer_size",),
                scale="log",
                low=min(1 * MIB, guards.memtable_bytes / 2),
                high=guards.memtable_bytes,
                why="larger level-0 files merge less often",
            ),
            Dimension(
                name="max_write_buffer_number",
                options=("max_write_buffer_number", "write_buffer_size"),
                scale="integer",
                low=2,
                high=8,
                why="more buffers absorb a late flush; each is smaller for the same memory",
            ),
            Dimension(
                name="min_write_buffer_number_to_merge",
                options=("min_write_buffer_number_to_merge",),
                scale="integer",
                low=1,
                high=3,
                why="a flush of several buffers drops overwritten keys",
            ),
            Dimension(
                name="target_file_size_base",
                options=("target_file_size_base",),
                scale="log",
                low=MIB / 2,
                high=16 * MIB,
                why="small files overlap less of the next level, many files cost time",
            ),
            Dimension(
                name="max_bytes_for_level_base",
                options=("max_bytes_for_level_base",),
                scale="log",
                low=2 * MIB,
                high=128 * MIB,
                why="decides how many levels the data needs and what a level-0 merge rewrites",
            ),
            Dimension(
                name="max_bytes_for_level_multiplier",
                options=("max_bytes_for_level_multiplier",),
                scale="log",
                low=3.0,
                high=20.0,
                why="bytes rewritten per level against the number of levels",
            ),
            Dimension(
                name="level0_file_num_compaction_trigger",
                options=("level0_file_num_compaction_trigger",),
                scale="log_integer",
                low=2,
                high=16,
                why="more files per merge into level 1",
            ),
            Dimension(
                name="slowdown_over_trigger",
                options=("level0_slowdown_writes_trigger",),
                scale="log",
                low=1.0,
                high=8.0,
                why="how far level 0 may grow before writes are delayed",
            ),
            Dimension(
                name="stop_over_slowdown",
                options=("level0_stop_writes_trigger",),
                scale="log",
                low=1.0,
                high=3.0,
                why="how far before writes stop",
            ),
            Dimension(
                name="delayed_write_rate",
                options=("delayed_write_rate",),
                scale="log",
                low=8 * MIB,
                high=128 * MIB,
                why="ceiling of the delayed rate: decides between delay and stop",
            ),
            Dimension(
                name="max_background_jobs",
                options=("max_background_jobs",),
                scale="integer",
                low=min(2, guards.background_jobs),
                high=guards.background_jobs,
                why="compactions at once",
            ),
            Dimension(
                name="compression",
                options=("compression",),
                scale="choice",
                choices=("none", "snappy", "lz4", "zstd"),
                why="fewer bytes to write for CPU time",
            ),
            Dimension(
                name="level_compaction_dynamic_level_bytes",
                options=("level_compaction_dynamic_level_bytes",),
                scale="choice",
                choices=(False, True),
                why="fills levels from the last one: less space, another write amplification",
            ),
        )
    )


def changes_of(point: Mapping[str, Value], scenario: Scenario) -> OptionChanges:
    """Options a point sets, without those the scenario has anyway.

    Sizes are rounded to 64 KiB, down, so that a bound on memory holds.
    """
    buffers = int(point["max_write_buffer_number"])
    trigger = int(point["level0_file_num_compaction_trigger"])
    slowdown = round(trigger * float(point["slowdown_over_trigger"]))
    merged = min(int(point["min_write_buffer_number_to_merge"]), buffers - 1)
    options: OptionChanges = {
        "write_buffer_size": _size(float(point["memtable_bytes"]) / buffers),
        "max_write_buffer_number": buffers,
        "min_write_buffer_number_to_merge": merged,
        "target_file_size_base": _size(float(point["target_file_size_base"])),
        "max_bytes_for_level_base": _size(float(point["max_bytes_for_level_base"])),
        "max_bytes_for_level_multiplier": round(float(point["max_bytes_for_level_multiplier"]), 2),
        "level0_file_num_compaction_trigger": trigger,
        "level0_slowdown_writes_trigger": slowdown,
        "level0_stop_writes_trigger": round(slowdown * float(point["stop_over_slowdown"])),
        "delayed_write_rate": _size(float(point["delayed_write_rate"])),
        "max_background_jobs": int(point["max_background_jobs"]),
        "compression": str(point["compression"]),
        "level_compaction_dynamic_level_bytes": bool(point["level_compaction_dynamic_level_bytes"]),
    }
    own = scenario.options.model_dump()
    return {name: value for name, value in options.items() if own[name] != value}


def point_of(scenario: Scenario, changes: OptionChanges | None = None) -> Point:
    """Return the point of the scenario's own options with `changes`: the inverse of changes_of."""
    options = scenario.spec(changes).options
    return {
        "memtable_bytes": options.write_buffer_size * options.max_write_buffer_number,
        "max_write_buffer_number": options.max_write_buffer_number,
        "min_write_buffer_number_to_merge": options.min_write_buffer_number_to_merge,
        "target_file_size_base": options.target_file_size_base,
        "max_bytes_for_level_base": options.max_bytes_for_level_base,
        "max_bytes_for_level_multiplier": options.max_bytes_for_level_multiplier,
        "level0_file_num_compaction_trigger": options.level0_file_num_compaction_trigger,
        "slowdown_over_trigger": (
            options.level0_slowdown_writes_trigger / options.level0_file_num_compaction_trigger
        ),
        "stop_over_slowdown": (
            options.level0_stop_writes_trigger / options.level0_slowdown_writes_trigger
        ),
        "delayed_write_rate": options.delayed_write_rate,
        "max_background_jobs": options.max_background_jobs,
        "compression": options.compression,
        "level_compaction_dynamic_level_bytes": options.level_compaction_dynamic_level_bytes,
    }


def _size(value: float) -> int:
    """Round a size down to the step, one step at least."""
    return max(1, int(value / _STEP_BYTES)) * _STEP_BYTES
