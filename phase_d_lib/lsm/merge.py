"""A merge of files: the expected union of their keys, cut into output files as RocksDB 9.8 does."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from phase_d_lib.lsm.geometry import Geometry
from phase_d_lib.lsm.tree import File

MAX_COMPACTION_FILES = 25
"""``max_compaction_bytes`` in target file sizes, the default."""


@dataclass(frozen=True, slots=True)
class CutRule:
    """When a merge starts its next output file (``CompactionOutputs::ShouldStopBefore``).

    Attributes
    ----------
    target_bytes : float
        ``target_file_size_base``.
    limit_bytes : float
        Largest output file: the target, or twice it where grandparents may cut earlier.
    max_compaction_bytes : float
        Most bytes an output file and the grandparents it overlaps may have together.
    jitter_fraction : float
        Uniform spread of each limit, the stand-in for what mean field leaves out.
    """

    target_bytes: float
    limit_bytes: float
    max_compaction_bytes: float
    jitter_fraction: float

    def limit(self, rng: random.Random) -> float:
        """Draw the size limit of the next output file, bytes."""
        return self.limit_bytes * (1.0 + self.jitter_fraction * (rng.random() - 0.5))

    def cuts_at_boundary(self, file_bytes: float, overlap_bytes: float, crossed: int) -> bool:
        """Tell whether a file of this size ends at a grandparent boundary.

        From half the target size, five points more for each boundary it crossed (90 % at most), or
        when it would grow into too large a next compaction.
        """
        if overlap_bytes + file_bytes > self.max_compaction_bytes:
            return file_bytes > 0
        return file_bytes >= self.target_bytes * (50 + min(5 * crossed, 40)) / 100


@dataclass(frozen=True, slots=True)
class Profile:
    """Cumulative entries and bytes of a merged key range, linear between its edges.

    Attributes
    ----------
    edges : list of float
        Ascending keys, first and last those of the range.
    entries : list of list of float
        Per popularity class, entries below each edge.
    size_bytes : list of float
        Bytes below each edge.
    loaded : list of list of float or None
        Like `entries`, of first copies alone; None where there are none.
    """

    edges: list[float]
    entries: list[list[float]]
    size_bytes: list[float]
    loaded: list[list[float]] | None = None

    def bytes_below(self, key: float) -> float:
        """Bytes of entries below `key`."""
        at, part = self._locate(key)
        size = self.size_bytes
        return size[at] + part * (size[at + 1] - size[at])

    def key_at(self, position_bytes: float) -> float:
        """Key with `position_bytes` of entries below it (position below the total)."""
        size, edges = self.size_bytes, self.edges
        at = bisect_right(size, position_bytes) - 1
        part = (position_bytes - size[at]) / (size[at + 1] - size[at])
        return edges[at] + part * (edges[at + 1] - edges[at])

    def _locate(self, key: float) -> tuple[int, float]:
        edges = self.edges
        at = bisect_right(edges, key, 0, len(edges) - 1) - 1
        return at, (key - edges[at]) / (edges[at + 1] - edges[at])

    def split(self, keys: Sequence[float]) -> list[tuple[list[float], list[float] | None]]:
        """Entries and first copies per class between each pair of neighbours in `keys`."""
        places = [self._locate(key) for key in keys]
        entries = _between(self.entries, places)
        if self.loaded is None:
            return [(row, None) for row in entries]
        return list(zip(entries, _between(self.loaded, places), strict=True))


def _between(columns: list[list[float]], places: list[tuple[int, float]]) -> list[list[float]]:
    """Per pair of neighbouring places, what each cumulative column gains."""
    gains = []
    for column in columns:
        below = [column[i] + part * (column[i + 1] - column[i]) for i, part in places]
        gains.append([b - a for a, b in pairwise(below)])
    return [list(row) for row in zip(*gains, strict=True)]


def union_profile(
    files: Sequence[File], geometry: Geometry, entry_bytes: float | None = None
) -> Profile:
    """Merge files into the profile of their expected union.

    A load writes each key once, so its first copies lie in one file each and add up. Any other
    entry of a file is of a key drawn independently from those it has no first copy of. So over a
    sub-range a key is in the union if one of the files has its first copy, or else with one minus
    the product of the complements; the first copies stay first copies, however often overwritten.

    Parameters
    ----------
    files : sequence of File
        At least one.
    geometry : Geometry
    entry_bytes : float, optional
        Size of an entry in the output; by default that of upper levels.
    """
    edges = sorted({edge for file in files for edge in (file.low, file.high)})
    index = {edge: i for i, edge in enumerate(edges)}
    spans = [(index[file.low], index[file.high]) for file in files]
    widths = [b - a for a, b in pairwise(edges)]
    any_loaded = any(file.loaded for file in files)
    columns: list[list[float]] = []
    firsts: list[list[float]] = []
    for k, keys in enumerate(geometry.popularity.keys):
        below, first_below, column, first_column = 0.0, 0.0, [0.0], [0.0]
        for first, share, width in zip(*_densities(files, spans, k, keys, widths), widths,
                                       strict=True):  # fmt: skip
            below += keys * share * width
            column.append(below)
            first_below += keys * first * width
            first_column.append(first_below)
        columns.append(column)
        firsts.append(first_column)
    entry = geometry.entry_bytes if entry_bytes is None else entry_bytes
    sizes = (
        [entry * below for below in columns[0]]
        if len(columns) == 1
        else [entry * math.fsum(row) for row in zip(*columns, strict=True)]
    )
    return Profile(edges, columns, sizes, firsts if any_loaded else None)


def _densities(
    files: Sequence[File],
    spans: Sequence[tuple[int, int]],
    k: int,
    keys: float,
    widths: Sequence[float],
) -> tuple[list[float], list[float]]:
    """Probability, per sub-range, that a key of class `k` has its first copy here, or any."""
    pieces = len(widths)
    first = [0.0] * pieces
    by_span: dict[tuple[int, int], float] = {}
    for file, span in zip(files, spans, strict=True):
        room = keys * (file.high - file.low)
        share, loaded = file.entries[k] / room, 0.0
        if file.loaded is not None:
            loaded = file.loaded[k] / room
            for i in range(*span):
                first[i] += loaded
        if share > loaded:  # level-0 files share one span
            absent = 1.0 - (share - loaded) / (1.0 - loaded) if share < 1.0 else 0.0
            by_span[span] = by_span.get(span, 1.0) * absent
    if not by_span:
        return first, first
    absent_all = [1.0] * pieces
    for (start, end), factor in by_span.items():
        for i in range(start, end):
            absent_all[i] *= factor
    if max(first) > 1.0:
        first = _levelled(first, widths)
    present = [f + (1.0 - f) * (1.0 - a) for f, a in zip(first, absent_all, strict=True)]
    return first, present


def _levelled(shares: list[float], widths: Sequence[float]) -> list[float]:
    """Move what is above one to where there is room.

    The even spread over a file's range may put more first copies in one place than keys are there.
    """
    pairs = list(zip(shares, widths, strict=True))
    excess = math.fsum(max(0.0, share - 1.0) * width for share, width in pairs)
    room = math.fsum(max(0.0, 1.0 - share) * width for share, width in pairs)
    filled = min(1.0, excess / room) if room > 0.0 else 0.0
    return [min(1.0, share + filled * max(0.0, 1.0 - share)) for share in shares]


class Boundary(NamedTuple):
    """A key at which grandparent files end or begin.

    Attributes
    ----------
    key : float
    crossed : int
        Two where one file ends and the next begins, else one.
    entered_bytes : float
        Size of the file that begins here, 0 if a gap does.
    """

    key: float
    crossed: int
    entered_bytes: float


def boundaries(grandparents: Sequence[File], low: float, high: float) -> list[Boundary]:
    """List the boundaries inside (low, high) of files that all overlap it, ascending."""
    found: list[Boundary] = []
    ended = low
    for file in grandparents:
        if file.low > low:
            adjacent = file.low == ended and bool(found)
            if adjacent:
                found.pop()
            found.append(Boundary(file.low, 2 if adjacent else 1, file.size_bytes))
        ended = file.high
        if ended < high:
            found.append(Boundary(ended, 1, 0.0))
    return found


def cut_keys(
    profile: Profile, grandparents: Sequence[File], rule: CutRule, sliver: float, rng: random.Random
) -> list[float]:
    """Keys at which output files begin and end, the ends of the range included.

    Parameters
    ----------
    profile : Profile
    grandparents : sequence of File
        Files of the level below the output that overlap the range, in key order.
    rule : CutRule
    sliver : float
        A size limit met this many bytes before a boundary cuts at the boundary.
    rng : random.Random
    """
    low, high = profile.edges[0], profile.edges[-1]
    first = next((f for f in grandparents if f.low <= low < f.high), None)
    inside = overlap = first.size_bytes if first else 0.0
    keys, start, crossed, limit = [low], 0.0, 0, rule.limit(rng)
    for boundary in (*boundaries(grandparents, low, high), Boundary(high, 0, 0.0)):
        here = profile.bytes_below(boundary.key)
        while here - start >= limit + sliver:
            start += limit
            keys.append(profile.key_at(start))
            crossed, overlap, limit = 0, inside, rule.limit(rng)
        if boundary.crossed == 0:
            break
        inside = boundary.entered_bytes
        crossed += boundary.crossed
        overlap += inside
        if rule.cuts_at_boundary(here - start, overlap, crossed):
            start = here
            keys.append(boundary.key)
            crossed, overlap, limit = 0, inside, rule.limit(rng)
    keys.append(high)
    return keys


def merge(
    files: Sequence[File],
    grandparents: Sequence[File],
    geometry: Geometry,
    target_bytes: float,
    jitter_fraction: float,
    rng: random.Random,
    bottommost: bool = False,
) -> list[File]:
    """Merge files into output files for a level >= 1, in key order and without overlap."""
    entry_bytes = geometry.bottommost_entry_bytes if bottommost else geometry.entry_bytes
    profile = union_profile(files, geometry, entry_bytes)
    rule = CutRule(
        target_bytes=target_bytes,
        limit_bytes=2 * target_bytes if grandparents else target_bytes,
        max_compaction_bytes=MAX_COMPACTION_FILES * target_bytes,
        jitter_fraction=jitter_fraction,
    )
    keys = cut_keys(profile, grandparents, rule, entry_bytes, rng)
    return files_between(profile, keys, entry_bytes)


def merge_whole(files: Sequence[File], geometry: Geometry) -> list[File]:
    """Merge files into one, as compactions inside level 0 do."""
    profile = union_profile(files, geometry)
    ends = (profile.edges[0], profile.edges[-1])
    return files_between(profile, ends, geometry.entry_bytes)


def files_between(profile: Profile, keys: Sequence[float], entry_bytes: float) -> list[File]:
    """Build the files between neighbouring `keys`, without the empty ones."""
    built = []
    for low, high, (entries, loaded) in zip(keys, keys[1:], profile.split(keys), strict=False):
        size = entry_bytes * math.fsum(entries)
        if size > 0:
            built.append(File(low, high, entries, size, loaded=loaded))
    return built
