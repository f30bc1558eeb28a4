"""Which compaction runs next: RocksDB 9.8's leveled picker, in the order of its decisions.

Sources: ``db/compaction/compaction_picker_level.cc`` (LevelCompactionBuilder),
``db/compaction/compaction_picker.cc`` (SetupOtherInputs, FindIntraL0Compaction) and
``VersionStorageInfo::ComputeCompactionScore`` / ``SortFileByOverlappingRatio`` in
``db/version_set.cc``. The compaction priority is the default, minimal overlapping ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from phase_d_lib.lsm.merge import MAX_COMPACTION_FILES
from phase_d_lib.lsm.tree import LEVELS, File, Tree, total_bytes

MIN_INTRA_L0_FILES = 4
MAX_MOVED_FILES = 4
_DYNAMIC_SCORE_SCALE = 10.0


class CompactionKind(StrEnum):
    """What a compaction does with its files."""

    MERGE = "merge"
    MOVE = "move"
    INTRA_L0 = "intra_l0"


@dataclass(frozen=True, slots=True)
class Pick:
    """A compaction that may start.

    Attributes
    ----------
    kind : CompactionKind
    level, output_level : int
    upper, lower : list of File
        Inputs from `level` and from `output_level`.
    low, high : float
        Key range of all inputs.
    """

    kind: CompactionKind
    level: int
    output_level: int
    upper: list[File]
    lower: list[File]
    low: float
    high: float


def scores(tree: Tree) -> list[tuple[float, int]]:
    """Scores of the levels that are due (>= 1), highest first; busy files do not count."""
    free = [_free_bytes(tree, level) for level in range(LEVELS - 1)]
    waiting = len([file for file in tree.levels[0] if not file.busy])
    rate = _dynamic_scores if tree.options.level_compaction_dynamic_level_bytes else _static_scores
    due = [(score, level) for level, score in enumerate(rate(tree, free, waiting)) if score >= 1.0]
    return sorted(due, key=lambda pair: (-pair[0], pair[1]))


def _free_bytes(tree: Tree, level: int) -> float:
    files = tree.levels[level]
    if not files:
        return 0.0
    busy = [file.size_bytes for file in files if file.busy]
    return tree.level_bytes[level] - math.fsum(busy) if busy else tree.level_bytes[level]


def _static_scores(tree: Tree, free_bytes: Sequence[float], l0_files: int) -> list[float]:
    """Scores with static levels: L0 by files or by bytes over the base, Ln by bytes over target."""
    options, targets = tree.options, tree.targets.target_bytes
    by_files = l0_files / options.level0_file_num_compaction_trigger
    by_bytes = free_bytes[0] / options.max_bytes_for_level_base
    return [max(by_files, by_bytes), *(free_bytes[n] / targets[n] for n in range(1, LEVELS - 1))]


def _dynamic_scores(tree: Tree, free_bytes: Sequence[float], l0_files: int) -> list[float]:
    """Scores with dynamic levels: those over 1 are scaled by 10 and discounted by incoming data."""
    options, targets, sizes = tree.options, tree.targets, tree.level_bytes
    base = targets.base_level
    score = l0_files / options.level0_file_num_compaction_trigger
    if free_bytes[0] >= options.max_bytes_for_level_base:
        score = max(score, 1.01)
    if free_bytes[0] > targets.target_bytes[base]:
        score = max(score, free_bytes[0] / max(sizes[base], targets.target_bytes[base]))
    result = [score * _DYNAMIC_SCORE_SCALE if score > 1.0 else score]
    incoming = sizes[0]
    for level in range(1, LEVELS - 1):
        target = targets.target_bytes[level]
        score = free_bytes[level] / target
        if score >= 1.0:
            score = free_bytes[level] / (target + incoming) * _DYNAMIC_SCORE_SCALE
        unnecessary = level <= targets.lowest_unnecessary_level
        if unnecessary and free_bytes[level] > 0:
            depth = targets.lowest_unnecessary_level - level
            score = max(score, _DYNAMIC_SCORE_SCALE * (1.001 + 0.001 * depth))
        result.append(score)
        incoming += sizes[level] if unnecessary else max(0.0, sizes[level] - target)
    return result


def pick(tree: Tree, running: Sequence[Pick]) -> Pick | None:
    """Pick the next compaction beside the running ones, or None.

    Levels are tried by score. Where level 0 is due but blocked, a compaction inside level 0 is
    tried, and the base level is passed over so that it does not starve level 0.
    """
    blocked = False
    for _, level in scores(tree):
        if level > 0:
            if blocked and level == tree.targets.base_level:
                continue
            found = _pick_from_level(tree, level, running)
        else:
            found = _pick_from_l0(tree, running)
            if found is None:
                blocked = True
                found = _pick_intra_l0(tree)
        if found is not None:
            # The whole inputs may overlap a running compaction where the first file did not;
            # RocksDB then starts nothing at all.
            return None if _conflicts(found, running) else found
    return None


def _overlaps_running(running: Sequence[Pick], output_level: int, low: float, high: float) -> bool:
    return any(
        job.output_level == output_level and job.high > low and job.low < high for job in running
    )


def _conflicts(found: Pick, running: Sequence[Pick]) -> bool:
    if found.output_level == 0:
        return False
    return _overlaps_running(running, found.output_level, found.low, found.high)


def _pick_from_l0(tree: Tree, running: Sequence[Pick]) -> Pick | None:
    """Take all of level 0 to the base level, unless level 0 or the base level is in the way."""
    by_size = _pick_size_based_intra_l0(tree)
    if by_size is not None or any(job.level == 0 for job in running):
        return by_size
    upper = list(tree.levels[0])
    base = tree.targets.base_level
    low, high = min(file.low for file in upper), max(file.high for file in upper)
    lower = tree.overlapping(base, low, high)
    if any(file.busy for file in lower) or _overlaps_running(running, base, low, high):
        return None
    kind = CompactionKind.MOVE if len(upper) == 1 and not lower else CompactionKind.MERGE
    return _complete(kind, 0, base, upper, lower)


def _newest_free_l0(tree: Tree) -> list[File]:
    """Level-0 files from the newest back to the first busy one, newest first."""
    free = []
    for file in reversed(tree.levels[0]):
        if file.busy:
            break
        free.append(file)
    return free


def _pick_size_based_intra_l0(tree: Tree) -> Pick | None:
    """Merge inside level 0 while it is tiny beside the base level (a 20th at multiplier 10)."""
    options = tree.options
    minimum = max(2, options.level0_file_num_compaction_trigger)
    ratio = 2 * max(10.0, options.max_bytes_for_level_multiplier)
    if tree.l0_files < minimum:
        return None
    if tree.level_bytes[tree.targets.base_level] <= ratio * tree.level_bytes[0]:
        return None
    files = _newest_free_l0(tree)
    return _intra_l0(files) if len(files) >= minimum else None


def _pick_intra_l0(tree: Tree) -> Pick | None:
    """Merge the newest level-0 files while work per file removed falls, at least four."""
    options = tree.options
    if tree.l0_files < options.level0_file_num_compaction_trigger + 2:
        return None
    free = _newest_free_l0(tree)
    if not free:
        return None
    limit = MAX_COMPACTION_FILES * options.target_file_size_base
    work, per_file, taken = free[0].size_bytes, float("inf"), 1
    for file in free[1:]:
        work += file.size_bytes
        if work / taken > per_file or work > limit:
            break
        per_file = work / taken
        taken += 1
    return _intra_l0(free[:taken]) if taken >= MIN_INTRA_L0_FILES else None


def _intra_l0(newest_first: list[File]) -> Pick:
    return _complete(CompactionKind.INTRA_L0, 0, 0, newest_first[::-1], [])


def _pick_from_level(tree: Tree, level: int, running: Sequence[Pick]) -> Pick | None:
    """Take the free file of least overlap ratio whose output range is free, with its company."""
    output_level = level + 1
    for file in by_overlap_ratio(tree.levels[level], tree.levels[output_level]):
        if file.busy or _overlaps_running(running, output_level, file.low, file.high):
            continue
        lower = tree.overlapping(output_level, file.low, file.high)
        if any(other.busy for other in lower):
            continue
        if lower:
            upper = _expand(tree, level, file, lower)
            return _complete(CompactionKind.MERGE, level, output_level, upper, lower)
        upper = _extend_move(tree, level, file)
        kind = _move_or_rewrite(tree, output_level, upper)
        return _complete(kind, level, output_level, upper, [])
    return None


def by_overlap_ratio(files: Sequence[File], below: Sequence[File]) -> list[File]:
    """Sort files by overlapping bytes of the next level per own byte, smaller keys first in ties.

    Ratios are whole 1024ths, as RocksDB's are; both levels in key order.
    """
    bytes_before = list(accumulate([file.size_bytes for file in below], initial=0.0))
    keyed, first, end, count = [], 0, 0, len(below)
    for number, file in enumerate(files):
        low, high = file.low, file.high
        while first < count and below[first].high <= low:
            first += 1
        while end < count and below[end].low < high:
            end += 1
        overlap = bytes_before[end] - bytes_before[first] if end > first else 0.0
        keyed.append((int(overlap * 1024.0 / file.size_bytes), number))
    keyed.sort()
    return [files[number] for _, number in keyed]


def _expand(tree: Tree, level: int, file: File, lower: list[File]) -> list[File]:
    """Add upper files that come without further lower files (``SetupOtherInputs``).

    First every upper file overlapping the range of all inputs, if those need no other lower file;
    else those wholly inside it. Either within twice ``max_compaction_bytes``.
    """
    limit = 2 * MAX_COMPACTION_FILES * tree.options.target_file_size_base - total_bytes(lower)
    low, high = min(file.low, lower[0].low), max(file.high, lower[-1].high)
    wide = tree.overlapping(level, low, high)
    if _may_grow(wide, limit):
        needed = tree.overlapping(level + 1, wide[0].low, wide[-1].high)
        if len(needed) == len(lower):
            return wide
    narrow = tree.inside(level, low, high)
    return narrow if _may_grow(narrow, limit) else [file]


def _may_grow(files: list[File], limit_bytes: float) -> bool:
    return (
        len(files) > 1 and not any(file.busy for file in files) and total_bytes(files) < limit_bytes
    )


def _extend_move(tree: Tree, level: int, file: File) -> list[File]:
    """Add neighbours, first right then left, that also fall in the gap of the next level."""
    files, limit = tree.levels[level], MAX_COMPACTION_FILES * tree.options.target_file_size_base
    at = files.index(file)
    first = last = at
    size = file.size_bytes
    for step in (1, -1):
        neighbour = at + step
        while 0 <= neighbour < len(files) and last - first + 1 < MAX_MOVED_FILES:
            other = files[neighbour]
            low, high = min(file.low, other.low), max(file.high, other.high)
            size += other.size_bytes
            if other.busy or size > limit or tree.overlapping(level + 1, low, high):
                break
            first, last = min(first, neighbour), max(last, neighbour)
            neighbour += step
    return files[first : last + 1]


def _move_or_rewrite(tree: Tree, output_level: int, files: Sequence[File]) -> CompactionKind:
    """Move files unless one overlaps so much two levels down that its next merge would be huge."""
    limit = MAX_COMPACTION_FILES * tree.options.target_file_size_base
    if output_level + 1 < LEVELS:
        for file in files:
            below = total_bytes(tree.overlapping(output_level + 1, file.low, file.high))
            if file.size_bytes + below > limit:
                return CompactionKind.MERGE
    return CompactionKind.MOVE


def _complete(
    kind: CompactionKind, level: int, output_level: int, upper: list[File], lower: list[File]
) -> Pick:
    low, high = min(file.low for file in upper), max(file.high for file in upper)
    if lower:
        low, high = min(low, lower[0].low), max(high, lower[-1].high)
    return Pick(kind, level, output_level, upper, lower, low, high)
