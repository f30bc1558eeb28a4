"""The tree: files as key ranges with expected entries, level sizes, level targets and debt.

Keys are numbers in [0, 1). A file does not hold keys but how many distinct ones it is expected to
hold in each popularity class, spread evenly over its range (mean field).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from phase_d_lib.specs import OptionsSpec

LEVELS = 7
"""``num_levels``, default."""
_NEVER = float("inf")
_low = attrgetter("low")
_high = attrgetter("high")


@dataclass(slots=True, eq=False)
class File:
    """One table file; compared by identity.

    Attributes
    ----------
    low, high : float
        Key range [low, high).
    entries : list of float
        Expected entries per popularity class.
    size_bytes : float
    busy : bool
        Being compacted.
    loaded : list of float or None
        Of the entries, those whose key the load wrote and whose first copy is or was here: no
        other file has such a copy of these keys. None for none.
    """

    low: float
    high: float
    entries: list[float]
    size_bytes: float
    busy: bool = False
    loaded: list[float] | None = None


def total_bytes(files: Iterable[File]) -> float:
    """Sum of file sizes, bytes; exactly rounded, so that every Python version runs alike."""
    return math.fsum([file.size_bytes for file in files])


@dataclass(frozen=True, slots=True)
class LevelTargets:
    """Where level 0 compacts to and how large each level may be.

    Attributes
    ----------
    base_level : int
        Output level of level 0.
    target_bytes : tuple of float
        Per level; infinite where no compaction may start because of size.
    lowest_unnecessary_level : int
        Dynamic levels: levels from the base to this one should drain; -1 if none.
    """

    base_level: int
    target_bytes: tuple[float, ...]
    lowest_unnecessary_level: int = -1


def static_targets(options: OptionsSpec) -> LevelTargets:
    """Level targets without dynamic level bytes: base, then times the multiplier per level."""
    base, factor = options.max_bytes_for_level_base, options.max_bytes_for_level_multiplier
    return LevelTargets(1, (float(base), *(base * factor ** (n - 1) for n in range(1, LEVELS))))


def dynamic_targets(options: OptionsSpec, level_bytes: Sequence[float]) -> LevelTargets:
    """Level targets with dynamic level bytes (``VersionStorageInfo::CalculateBaseBytes``, 9.8).

    The largest level sets the target of the last one, each level above is smaller by the
    multiplier, and the base level is the one whose target falls to the level base or below. No
    target is below the level base.
    """
    last = LEVELS - 1
    largest = max(level_bytes[1:])
    if largest <= 0:
        return LevelTargets(last, (_NEVER,) * LEVELS)
    maximum = float(options.max_bytes_for_level_base)
    factor = options.max_bytes_for_level_multiplier
    minimum = maximum // factor
    first = next(level for level in range(1, LEVELS) if level_bytes[level] > 0)
    base, size, unnecessary = first, largest, -1
    for level in range(last - 1, first - 1, -1):
        size //= factor
        if unnecessary == -1 and size <= minimum:
            unnecessary = level
    if size <= minimum:
        size = minimum + 1
    else:
        while base > 1 and size > maximum:
            base -= 1
            size //= factor
        size = max(1.0, min(size, maximum))
    targets = [_NEVER] * base
    targets += [max(size * factor ** (level - base), maximum) for level in range(base, LEVELS)]
    return LevelTargets(base, tuple(targets), unnecessary)


@dataclass(slots=True)
class Tree:
    """Files by level, and what RocksDB derives from them at each install.

    Attributes
    ----------
    options : OptionsSpec
    levels : list of list of File
        Level 0 from oldest to newest, the others by key and without overlap.
    level_bytes : list of float
    targets : LevelTargets
    pending_bytes : float
        Estimated compaction debt.
    """

    options: OptionsSpec
    levels: list[list[File]] = field(default_factory=lambda: [[] for _ in range(LEVELS)])
    level_bytes: list[float] = field(default_factory=lambda: [0.0] * LEVELS)
    targets: LevelTargets = field(init=False)
    pending_bytes: float = 0.0

    def __post_init__(self) -> None:
        """Derive the targets of the empty tree."""
        self.targets = static_targets(self.options)
        self._derive()

    @property
    def l0_files(self) -> int:
        """Level-0 files, those being compacted included (what the stall triggers count)."""
        return len(self.levels[0])

    def bottommost_bytes(self) -> float:
        """Bytes of the deepest level that holds data; 0 if that is level 0."""
        return next((size for size in reversed(self.level_bytes[1:]) if size > 0), 0.0)

    def overlapping(self, level: int, low: float, high: float) -> list[File]:
        """Files of a level >= 1 that share part of [low, high), in key order."""
        files = self.levels[level]
        return files[bisect_right(files, low, key=_high) : bisect_left(files, high, key=_low)]

    def inside(self, level: int, low: float, high: float) -> list[File]:
        """Files of a level >= 1 that lie wholly in [low, high], in key order."""
        files = self.levels[level]
        return files[bisect_left(files, low, key=_low) : bisect_right(files, high, key=_high)]

    def grandparents(self, output_level: int, low: float, high: float) -> list[File]:
        """Files overlapping [low, high) in the first level below `output_level` that has any."""
        for level in range(output_level + 1, LEVELS):
            found = self.overlapping(level, low, high)
            if found:
                return found
        return []

    def add_flushed(self, file: File) -> None:
        """Install a flushed file as the newest of level 0."""
        self.levels[0].append(file)
        self._resize(0)
        self._derive()

    def replace(
        self,
        level: int,
        upper: Sequence[File],
        output_level: int,
        lower: Sequence[File],
        output: Sequence[File],
    ) -> None:
        """Install a compaction: take `upper` and `lower` out, put `output` in.

        Files written back to level 0 take the place of the oldest file they replace.
        """
        at = self.levels[0].index(upper[0]) if output_level == 0 else 0
        self._remove(level, upper)
        self._remove(output_level, lower)
        files = self.levels[output_level]
        if output and output_level > 0:  # inputs left a gap that all of the output fits in
            at = bisect_left(files, output[0].low, key=_low)
        files[at:at] = output
        for changed in {level, output_level}:
            self._resize(changed)
        self._derive()

    def _remove(self, level: int, gone: Sequence[File]) -> None:
        if gone:
            ids = {id(file) for file in gone}
            self.levels[level] = [file for file in self.levels[level] if id(file) not in ids]

    def _resize(self, level: int) -> None:
        self.level_bytes[level] = total_bytes(self.levels[level])

    def _derive(self) -> None:
        if self.options.level_compaction_dynamic_level_bytes:
            self.targets = dynamic_targets(self.options, self.level_bytes)
        self.pending_bytes = self._estimate_pending_bytes()

    def _estimate_pending_bytes(self) -> float:
        """Return the debt as ``VersionStorageInfo::EstimateCompactionBytesNeeded`` counts it.

        Level 0 once it qualifies, the base level with it, and from each level what exceeds its
        target times one plus the size ratio to the next level.
        """
        sizes, targets, options = self.level_bytes, self.targets, self.options
        debt = incoming = 0.0
        triggered = (
            len(self.levels[0]) >= options.level0_file_num_compaction_trigger
            or sizes[0] >= options.max_bytes_for_level_base
        )
        if triggered:
            debt = incoming = sizes[0]
            debt += sizes[targets.base_level]
        for level in range(targets.base_level, LEVELS - 1):
            size = sizes[level] + incoming
            incoming = 0.0
            if size > targets.target_bytes[level]:
                incoming = size - targets.target_bytes[level]
                if sizes[level + 1] > 0:
                    debt += incoming * (sizes[level + 1] / size + 1.0)
        return debt
