"""The LSM simulation: geometry, merges, picker, limiter, and whole runs against known figures."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase_d_lib.errors import InputError, ModelRefusal
from phase_d_lib.lsm import CompactionKind, SeriesRow, geometry, simulate
from phase_d_lib.lsm.arrival import arrival_rate
from phase_d_lib.lsm.engine import Simulation
from phase_d_lib.lsm.geometry import (
    Geometry,
    Popularity,
    batch_bytes,
    entry_bytes,
    memtable_entries,
    popularity,
)
from phase_d_lib.lsm.limiter import RefillLimiter
from phase_d_lib.lsm.merge import merge, merge_whole
from phase_d_lib.lsm.picker import Pick, by_overlap_ratio, pick, scores
from phase_d_lib.lsm.resources import Resources
from phase_d_lib.lsm.simulation import settled
from phase_d_lib.lsm.state import Job
from phase_d_lib.lsm.tree import File, Tree, dynamic_targets, static_targets, total_bytes
from phase_d_lib.rates import cycle_length_s, window
from phase_d_lib.specs import ArrivalSpec, OptionsSpec, RunSpec, WorkloadSpec
from phase_d_lib.stalls import StallKind
from phase_d_lib.units import MIB

relaxed = settings(deadline=None, max_examples=60)
RECORDED = Path(__file__).parent / "data" / "recorded"
S = {"limiter_bytes_per_s": 30 * MIB, "foreground_ops_per_s": 85e3}


def flat(keys: float = 1000.0, entry: float = 100.0) -> Geometry:
    """Return a geometry of one class and round numbers."""
    return Geometry(100, 120, 50.0, entry, entry, Popularity((keys,), (1 / keys,)))


def file(low: float, high: float, entries: float, entry: float = 100.0) -> File:
    return File(low, high, [entries], entries * entry)


def level(edges: list[float], density: float, keys: float = 1000.0) -> list[File]:
    """Return adjacent files over `edges`, each holding `density` of its keys."""
    pairs = pairwise(edges)
    return [file(a, b, density * keys * (b - a)) for a, b in pairs]


# -- geometry ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("buffer_mib", "value_bytes", "entries", "file_entry_bytes", "gap"),
    [  # counted in flushes of RocksDB 9.8.4 (rocksdict 0.3.29), 200,000 16-byte keys
        (2, 400, 4523, 425.71, 44.8),
        (2, 100, 14013, 121.98, 14.8),
        (2, 1000, 1944, 1031.50, 103.3),
        (4, 400, 9048, 425.57, 22.6),
        (16, 400, 36774, 425.48, 6.0),
    ],
)
def test_sizes_are_those_rocksdb_wrote(buffer_mib, value_bytes, entries, file_entry_bytes, gap):
    assert memtable_entries(buffer_mib * MIB, 16, value_bytes) == pytest.approx(entries, rel=1e-3)
    size = entry_bytes(16, value_bytes, gap=gap, file_bytes=2 * MIB)
    assert size == pytest.approx(file_entry_bytes, rel=1e-3)


@pytest.mark.parametrize(
    ("value_bytes", "ratio", "upper", "bottommost"),
    [  # bytes by records of compactions into the upper and the last level, RocksDB 9.8.4
        (400, 0.5, 249.4, 244.7),
        (400, 0.8, 365.6, 361.1),
        (800, 0.8, 715.4, 715.2),
    ],
)
def test_compressed_sizes_are_those_lz4_wrote(value_bytes, ratio, upper, bottommost):
    lz4 = {"compression": "lz4", "compression_ratio": ratio, "file_bytes": 2 * MIB}
    assert entry_bytes(16, value_bytes, **lz4) == pytest.approx(upper, rel=0.01)
    assert entry_bytes(16, value_bytes, bottommost=True, **lz4) == pytest.approx(
        bottommost, rel=0.01
    )


def test_a_block_that_hardly_shrinks_is_stored_plain():
    assert entry_bytes(16, 400, compression="lz4", compression_ratio=0.95) == entry_bytes(16, 400)


def test_batch_is_header_and_record():
    assert batch_bytes(16, 400) == 12 + 1 + 1 + 16 + 2 + 400


@given(
    st.integers(1, 10**6), st.floats(0.2, 3.0), st.just(0.0) | st.floats(1e-6, 1e6)
)  # denormal sums round by more than any tolerance
@relaxed
def test_zipf_classes_partition_keys_and_probability(keys, s, puts):
    classes = popularity(WorkloadSpec(keys=keys, distribution="zipfian", zipf_s=s))
    assert sum(classes.keys) == keys
    pairs = list(zip(classes.keys, classes.put_probability, strict=True))
    assert sum(count * p for count, p in pairs) == pytest.approx(1.0)
    assert all(a >= b * 0.999 for (_, a), (_, b) in pairwise(pairs))
    unique = classes.expected_unique(puts)
    assert sum(unique) <= min(puts, keys) * (1 + 1e-9)


# -- merge ---------------------------------------------------------------------------------------

files_in_one_key_range = st.lists(
    st.tuples(st.floats(0.0, 0.45), st.floats(0.55, 1.0), st.floats(0.01, 0.9)),
    min_size=1,
    max_size=8,
).map(lambda rows: [file(a, b, share * 1000 * (b - a)) for a, b, share in rows])
edges = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=12, unique=True).map(
    lambda cuts: [0.0, *sorted(cuts), 1.0]
)


@given(files_in_one_key_range, edges, st.floats(0.1, 1.0), edges, st.integers(0, 9))
@relaxed
def test_merge_conserves_entries_and_never_overlaps(upper, cuts, density, below, seed):
    lower, grandparents = level(cuts, density), level(below, 1.0)
    inputs = upper + lower
    args = (flat(), 20_000.0, 0.1, random.Random(seed))
    out = merge(inputs, grandparents, *args)
    whole = merge_whole(inputs, flat())
    assert total_bytes(out) == pytest.approx(total_bytes(whole))
    assert total_bytes(out) <= total_bytes(inputs) * (1 + 1e-9)
    assert total_bytes(out) >= max(total_bytes([f]) for f in upper) * (1 - 1e-9)
    assert total_bytes(out) <= 1000 * 100 * (1 + 1e-9)
    assert all(a.high <= b.low for a, b in pairwise(out))
    assert all(f.size_bytes <= 2 * 20_000 * 1.05 + 2 * 100 for f in out)


def test_first_copies_of_a_load_add_up_and_hide_what_overwrites_them():
    # 300 keys loaded here, 600 there, none of them the same; 200 of the first 300 overwritten.
    one, other = file(0, 1, 300), file(0, 1, 600)
    one.loaded, other.loaded = [300.0], [600.0]
    loaded = merge_whole([one, other], flat())[0]
    assert loaded.entries == loaded.loaded == pytest.approx([900.0])
    drawn = file(0, 1, 200)
    both = merge_whole([loaded, drawn], flat())[0]
    # A fifth of the 100 keys not loaded yet is new; what was loaded stays where it is.
    assert both.entries[0] == pytest.approx(900 + 0.2 * 100)
    assert both.loaded == pytest.approx([900.0])
    last = file(0, 1, 100)
    last.loaded = [100.0]
    assert merge_whole([both, last], flat())[0].entries[0] == pytest.approx(1000)


def test_union_is_one_minus_product_of_absences():
    out = merge_whole([file(0, 1, 500), file(0, 1, 500), file(0, 0.5, 250)], flat())
    assert out[0].entries[0] == pytest.approx(1000 * (0.5 * 0.875 + 0.5 * 0.75))


def test_files_end_at_grandparent_boundaries_once_half_full():
    grandparents = level([0.0, 0.3, 0.5, 0.8, 1.0], 1.0)
    out = merge([file(0, 1, 800)], grandparents, flat(), 40_000.0, 0.0, random.Random(0))
    # 800 bytes per 1 % of the range: 24 kB at 0.3 pass 60 % of the target, at 0.5 sixteen do not.
    assert [f.high for f in out] == [0.3, 0.8, 1.0]
    assert [
        f.high for f in merge([file(0, 1, 800)], [], flat(), 40_000.0, 0.0, random.Random(0))
    ] == [
        pytest.approx(0.5),
        1.0,
    ]


def test_huge_grandparents_cut_early():
    grandparents = [File(a / 10, (a + 1) / 10, [100.0], 500_000.0) for a in range(10)]
    out = merge([file(0, 1, 800)], grandparents, flat(), 40_000.0, 0.0, random.Random(0))
    assert [f.high for f in out] == pytest.approx([0.1 * n for n in range(1, 11)])


# -- tree and picker -----------------------------------------------------------------------------


def small_tree(**changes: object) -> Tree:
    """Return a tree of 2 MiB level-0 files on levels far below their targets."""
    tree = Tree(OptionsSpec(**changes))
    for _ in range(4):
        tree.add_flushed(File(0.0, 1.0, [5000.0], 2.0 * MIB))
    return tree


def put(tree: Tree, at: int, files: list[File]) -> None:
    tree.replace(0, [], at, [], files)


def sized(edges: list[float], mib: float) -> list[File]:
    return [File(a, b, [1.0], mib * MIB) for a, b in pairwise(edges)]


def test_static_targets_grow_by_the_multiplier():
    targets = static_targets(OptionsSpec())
    assert targets.base_level == 1
    assert targets.target_bytes[1:4] == (8 * MIB, 80 * MIB, 800 * MIB)


@pytest.mark.parametrize(
    ("last_level_mib", "base", "base_target_mib"),
    [(0, 6, math.inf), (4, 6, 8), (79, 5, 8), (81, 4, 8), (700, 4, 8)],
)
def test_dynamic_base_follows_the_last_level(last_level_mib, base, base_target_mib):
    sizes = [0.0] * 6 + [last_level_mib * MIB]
    targets = dynamic_targets(OptionsSpec(level_compaction_dynamic_level_bytes=True), sizes)
    assert targets.base_level == base
    assert targets.target_bytes[base] == base_target_mib * MIB


def test_level_0_takes_its_whole_level_and_what_it_overlaps():
    tree = small_tree()
    put(tree, 1, sized([0.0, 0.5, 1.0], 2))
    found = pick(tree, [])
    assert found is not None
    assert (found.kind, found.level, found.output_level) == (CompactionKind.MERGE, 0, 1)
    assert found.upper == tree.levels[0]
    assert found.lower == tree.levels[1]


def test_the_higher_score_goes_first():
    tree = small_tree()
    put(tree, 1, sized([0.0, 0.25, 0.5, 0.75, 1.0], 6))
    assert [n for _, n in scores(tree)] == [1, 0]
    found = pick(tree, [])
    assert found is not None
    assert found.level == 1


def test_the_file_of_least_overlap_goes_first():
    upper = sized([0.0, 0.2, 0.4, 0.6], 2)
    below = sized([0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.6], 2)
    assert by_overlap_ratio(upper, below) == [upper[2], upper[0], upper[1]]


def test_upper_files_that_cost_no_lower_file_come_along():
    tree = Tree(OptionsSpec())
    put(tree, 1, sized([0.0, 0.2, 0.4, 0.6, 1.0], 4))
    put(tree, 2, sized([0.0, 0.6], 2) + sized([0.6, 0.7, 0.8, 1.0], 4))
    found = pick(tree, [])
    assert found is not None
    assert [f.high for f in found.upper] == [0.2, 0.4, 0.6]
    assert [f.high for f in found.lower] == [0.6]


def test_files_over_a_gap_move_up_to_four_at_once():
    tree = Tree(OptionsSpec())
    put(tree, 1, sized([n / 10 for n in range(11)], 2))
    found = pick(tree, [])
    assert found is not None
    assert found.kind is CompactionKind.MOVE
    assert len(found.upper) == 4


def start(tree: Tree, running: list[Pick]) -> Pick | None:
    found = pick(tree, running)
    if found is not None:
        for taken in found.upper + found.lower:
            taken.busy = True
        running.append(found)
    return found


def test_beside_a_level_0_compaction_new_files_merge_inside_level_0():
    tree, running = small_tree(), []
    put(tree, 1, sized([0.0, 0.5, 1.0], 2))
    assert start(tree, running) is not None
    assert start(tree, running) is None  # nothing else is due
    for _ in range(4):
        tree.add_flushed(File(0.0, 1.0, [5000.0], 2.0 * MIB))
    found = start(tree, running)
    assert found is not None
    assert found.kind is CompactionKind.INTRA_L0
    assert found.upper == tree.levels[0][4:]
    output = File(0.0, 1.0, [2e4], 8.0 * MIB)
    newest = File(0.0, 1.0, [5000.0], 2.0 * MIB)
    tree.add_flushed(newest)
    tree.replace(0, found.upper, 0, [], [output])
    assert tree.levels[0][-2:] == [output, newest]


def test_a_tiny_level_0_beside_a_huge_base_level_stays():
    tree = small_tree()
    put(tree, 1, sized([n / 100 for n in range(101)], 2))
    found = next(p for p in [pick(tree, [])] if p is not None)
    assert found.level == 1  # the base level's own score is far higher
    for taken in tree.levels[1]:
        taken.busy = True
    found = next(p for p in [pick(tree, [])] if p is not None)
    assert found.kind is CompactionKind.INTRA_L0


@given(
    st.integers(0, 40), st.lists(st.floats(0.5, 12.0), min_size=1, max_size=20), st.integers(1, 4)
)
@relaxed
def test_running_compactions_never_share_files_or_output_ranges(l0_files, mib, slots):
    tree = Tree(OptionsSpec())
    steps = [n / len(mib) for n in range(len(mib) + 1)]
    put(
        tree,
        1,
        [File(a, b, [1.0], m * MIB) for a, b, m in zip(steps, steps[1:], mib, strict=False)],
    )
    put(tree, 2, sized([n / 30 for n in range(31)], 4))
    for _ in range(l0_files):
        tree.add_flushed(File(0.0, 1.0, [1.0], 2.0 * MIB))
    running: list[Pick] = []
    while len(running) < slots and start(tree, running) is not None:
        pass
    taken = [id(f) for job in running for f in job.upper + job.lower]
    assert len(taken) == len(set(taken))
    for i, a in enumerate(running):
        for b in running[:i]:
            apart = a.high <= b.low or b.high <= a.low
            assert a.output_level != b.output_level or a.output_level == 0 or apart


def test_pending_bytes_count_level_0_base_and_excess():
    tree = small_tree()
    put(tree, 1, sized([0.0, 0.5, 1.0], 4))
    assert tree.pending_bytes == (8 + 8) * MIB + 8 * MIB * 0  # nothing below yet
    put(tree, 2, sized([0.0, 0.5, 1.0], 16))
    assert tree.pending_bytes == (8 + 8) * MIB + 8 * MIB * (32 / 16 + 1)


# -- resources -----------------------------------------------------------------------------------


@given(st.integers(0, 3), st.lists(st.integers(1, 4), max_size=5), st.booleans(), st.floats(1, 9))
@relaxed
def test_bandwidth_is_shared_out_within_all_caps(flushes, threads, stalled, slot):
    flush, speeds = Resources(10.0, slot).share(flushes, threads, stalled)
    total = flush * flushes + sum(speeds)
    wanted = slot * (flushes + sum(threads))
    assert total == pytest.approx(min(10.0, wanted))
    assert flush <= slot * (1 + 1e-9)
    assert all(s <= slot * t * (1 + 1e-9) for s, t in zip(speeds, threads, strict=True))


def test_a_refill_serves_a_flush_first_and_leaves_the_rest():
    limiter = RefillLimiter(30.0 * MIB, 0.1, math.inf, random.Random(1))
    flush, compaction = Job(1.9 * MIB, 1.9 * MIB, 1), Job(30.0 * MIB, 30.0 * MIB, 1)
    assert limiter.serve(0.0, [flush], [compaction]) == [flush]
    assert compaction.written_bytes == pytest.approx(1.1 * MIB)
    assert limiter.serve(0.05, [], [compaction]) == []
    assert compaction.written_bytes == pytest.approx(1.1 * MIB)
    limiter.serve(0.1, [], [compaction])
    assert compaction.written_bytes == pytest.approx(4.1 * MIB)


def test_compactions_take_turns_at_the_limiter():
    limiter = RefillLimiter(30.0 * MIB, 0.1, math.inf, random.Random(1))
    jobs = [Job(90.0 * MIB, 90.0 * MIB, 1) for _ in range(4)]
    for job in jobs:
        limiter.queue(job)
    for _ in range(8):
        limiter.serve(limiter.next_refill_s, [], jobs)
    assert [job.written_bytes for job in jobs] == pytest.approx([6.0 * MIB] * 4)


# -- whole runs ----------------------------------------------------------------------------------

PROTOTYPE = {
    # Medians over 48 seeds of ../shared/prototype/lsm_simulation_prototype.py, window 6-20 s, its
    # delayed rate while preloading set to 30 MiB/s as our options have it: puts/s, write
    # amplification, % of time stalled. Seeds of one configuration spread by 3-9 %. It knows no
    # first copies of a load, so its last level fills too slowly.
    "S": ({}, {}, 17946, 4.214, 78.7),
    "buffers 4 MiB": (
        {"write_buffer_size": 4 * MIB, "target_file_size_base": 4 * MIB},
        {},
        22971,
        3.292,
        72.5,
    ),
    "triggers 4/20/36": (
        {"level0_slowdown_writes_trigger": 20, "level0_stop_writes_trigger": 36},
        {},
        26845,
        2.817,
        67.9,
    ),
    "level base 32 MiB": ({"max_bytes_for_level_base": 32 * MIB}, {}, 14865, 5.087, 82.4),
    "400,000 keys": ({}, {"keys": 400_000}, 14905, 5.073, 82.3),
    "values 100 B": ({}, {"value_bytes": 100}, 78321, 3.462, 7.7),
    "values 1000 B": ({}, {"value_bytes": 1000}, 5687, 5.444, 93.2),
}


@pytest.mark.parametrize("name", PROTOTYPE)
def test_agrees_with_the_prototype(name, monkeypatch):
    def without_first_copies(*args):
        loaded = settled(*args)
        for file in (file for files in loaded.tree.levels for file in files):
            file.loaded = None
        return loaded

    # What the prototype does not know is taken away, so that all else can be held to 3 %.
    monkeypatch.setattr("phase_d_lib.lsm.simulation.settled", without_first_copies)
    changes, workload, rate, amplification, stall_percent = PROTOTYPE[name]
    result = simulate(
        WorkloadSpec(**workload), OptionsSpec(**changes), **S, seeds=range(16), limiter_refill_s=0.0
    )
    assert median(result.saturation_ops_per_s_by_seed) == pytest.approx(rate, rel=0.03)
    ours = median(seed.write_amplification for seed in result.by_seed)
    assert ours == pytest.approx(amplification, rel=0.03)
    stalled = 100 * median(seed.stall_fraction for seed in result.by_seed)
    assert stalled == pytest.approx(stall_percent, abs=3.0)


MEASURED = {
    # Puts/s from 6 to 20 s of runs of RocksDB 9.8.4 (rocksdict 0.3.29, one thread, Linux, two
    # cores) on workload S with these changes, limiter 30 MiB/s: mean of two to five runs, which
    # differ by up to 13 % among themselves. Unstalled, a memtable filled at 185 k puts/s.
    "S": ({}, {}, 18_100),
    "buffers 4 MiB": (
        {"write_buffer_size": 4 * MIB, "target_file_size_base": 4 * MIB},
        {},
        24_760,
    ),
    "level base 32 MiB": ({"max_bytes_for_level_base": 32 * MIB}, {}, 14_170),
    "400,000 keys": ({}, {"keys": 400_000}, 15_430),
    "values 1000 B": ({}, {"value_bytes": 1000}, 5_870),
    "four jobs": ({"max_background_jobs": 4}, {}, 16_220),
    "4 buffers of 8 MiB": (
        {"write_buffer_size": 8 * MIB, "max_write_buffer_number": 4},
        {},
        35_840,
    ),
    "dynamic levels, 300,000 keys": (
        {"level_compaction_dynamic_level_bytes": True},
        {"keys": 300_000},
        17_120,
    ),
}


@pytest.mark.parametrize("name", MEASURED)
def test_agrees_with_rocksdb(name):
    changes, workload, rate = MEASURED[name]
    result = simulate(
        WorkloadSpec(**workload),
        OptionsSpec(**changes),
        limiter_bytes_per_s=30 * MIB,
        foreground_ops_per_s=185e3,
        seeds=range(12),
    )
    assert result.saturation_ops_per_s == pytest.approx(rate, rel=0.08)


@pytest.mark.xfail(reason="the base level changes some seconds too late: 12 % too slow")
def test_dynamic_levels_at_the_edge_of_a_new_base_level():
    # Measured: 18.7 to 20.4 k puts/s in four runs. After 9 s the bottom level passes ten times the
    # level base, with 98.5 % of all keys in it, and level 0 starts to fill an empty level 4.
    options = OptionsSpec(level_compaction_dynamic_level_bytes=True)
    result = simulate(
        WorkloadSpec(),
        options,
        limiter_bytes_per_s=30 * MIB,
        foreground_ops_per_s=185e3,
        seeds=range(8),
    )
    assert result.saturation_ops_per_s == pytest.approx(19_290, rel=0.08)


def test_two_stable_states_where_rocksdb_has_two():
    # Measured on workload S with triggers 4/20/36: level 0 near 17 files at 23.5 k puts/s, or near
    # 29-37 at 27.8 k. Settled, each seed is in one of the two.
    options = OptionsSpec(level0_slowdown_writes_trigger=20, level0_stop_writes_trigger=36)
    result = simulate(
        WorkloadSpec(), options, **S, window_s=(20, 40), seeds=range(10), limiter_refill_s=0.1
    )
    low = [s.saturation_ops_per_s for s in result.by_seed if s.mean_l0_files < 19]
    high = [s.saturation_ops_per_s for s in result.by_seed if s.mean_l0_files > 27]
    assert len(low) + len(high) == 10
    assert low
    assert high
    assert median(low) == pytest.approx(23_500, rel=0.03)
    assert median(high) == pytest.approx(27_800, rel=0.03)


CASES = {
    "S": ({}, {}, {}),
    "even share": ({}, {}, {"limiter_refill_s": 0.0}),
    "four jobs": ({"max_background_jobs": 4}, {}, {}),
    "eight jobs, even share": ({"max_background_jobs": 8}, {}, {"limiter_refill_s": 0.0}),
    "dynamic levels": ({"level_compaction_dynamic_level_bytes": True}, {}, {}),
    "zipfian": ({}, {"distribution": "zipfian"}, {}),
    "compressed": ({"compression": "lz4"}, {"value_compression_ratio": 0.5}, {}),
    "two memtables a flush": (
        {"max_write_buffer_number": 4, "min_write_buffer_number_to_merge": 2},
        {},
        {},
    ),
    "slots bind": ({}, {}, {"slot_write_bytes_per_s": 10 * MIB}),
    "no limiter": (
        {"max_background_jobs": 4, "max_subcompactions": 4},
        {},
        {"limiter_bytes_per_s": None, "slot_write_bytes_per_s": 20 * MIB},
    ),
    "open loop": ({}, {}, {"arrival_ops_per_s": 8000.0}),
    "empty start": ({}, {"preload": False}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_invariants_of_a_run(case):
    changes, workload, extra = CASES[case]
    arguments = {**S, **extra}
    result = simulate(
        WorkloadSpec(**workload), OptionsSpec(**changes), **arguments, seeds=[3], window_s=(2, 8)
    )
    one = result.by_seed[0]
    assert 0 < result.saturation_ops_per_s <= 85e3 * 1.01
    assert result.write_amplification > 0.5
    assert 0 <= result.stop_fraction <= 1
    assert 0 <= result.stall_fraction <= 1
    assert sum(share.time_fraction for share in result.stalls) <= 1 + 1e-9
    limiter = arguments["limiter_bytes_per_s"] or 4 * 2 * 20 * MIB
    user = result.saturation_ops_per_s * WorkloadSpec(**workload).record_bytes
    assert result.write_amplification * user <= limiter * 1.03  # a refill may fall on an edge
    for row in one.compactions:
        assert row.output_bytes <= (row.upper_bytes + row.lower_bytes) * (1 + 1e-9)
        assert row.end_s >= row.start_s
    assert [row.time_s for row in one.series] == pytest.approx([0.5 * n for n in range(1, 17)])
    assert all(size >= 0 for size in one.level_bytes)
    assert result.rocksdb_version == "9.8"


@pytest.mark.parametrize("jobs", [2, 4])
@pytest.mark.parametrize("refill_s", [0.0, 0.1])
def test_bytes_in_are_bytes_out_and_dropped_and_levels_stay_apart(jobs, refill_s):
    options = OptionsSpec(max_background_jobs=jobs)
    simulation = settled(geometry(WorkloadSpec(), options), options, True, random.Random(5))
    before = sum(simulation.tree.level_bytes)
    assert before == pytest.approx(200_000 * simulation.geometry.entry_bytes)
    simulation.open(Resources(30 * MIB, math.inf, refill_s), 85e3)
    for second in range(1, 9):
        simulation.run_until(float(second))
        for files in simulation.tree.levels[1:]:
            assert all(a.high <= b.low for a, b in pairwise(files))
        counters = simulation.snapshot()
        dropped = sum(r.upper_bytes + r.lower_bytes - r.output_bytes for r in simulation.log)
        installed = simulation.counters.flush_bytes
        now = sum(simulation.tree.level_bytes)
        assert now == pytest.approx(before + installed - dropped)
        assert counters.flush_bytes >= installed
        held = sum(counters.held_s.values())
        assert held == pytest.approx(simulation.time_s)
        moved = [r for r in simulation.log if r.kind is CompactionKind.MOVE]
        merged = sum(r.output_bytes for r in simulation.log) - sum(r.output_bytes for r in moved)
        assert simulation.counters.compaction_write_bytes == pytest.approx(merged)


def test_same_seed_same_run():
    first, again, other = (
        simulate(WorkloadSpec(), OptionsSpec(), **S, seeds=[seed], window_s=(1, 5))
        for seed in (7, 7, 8)
    )
    assert first == again
    assert first.saturation_ops_per_s != other.saturation_ops_per_s


@pytest.mark.parametrize("refill_s", [0.1, 0.0])
def test_stops_in_between_change_nothing(refill_s):
    # There is no step: rates are constant from event to event. What halving a step could mean is
    # to stop more often in between, at points of the series, here up to three times a refill.
    rates = [
        simulate(
            WorkloadSpec(), OptionsSpec(), **S, limiter_refill_s=refill_s, series_period_s=period_s
        ).saturation_ops_per_s
        for period_s in (0.5, 0.25, 0.03)
    ]
    assert rates == pytest.approx([rates[0]] * 3, rel=0.01)


def test_short_refills_are_as_good_as_still_shorter_ones():
    # The refill period is RocksDB's own, no step: 0.1 s sets the rhythm of flushes, 0.01 s not.
    whole, half = (
        simulate(
            WorkloadSpec(),
            OptionsSpec(),
            **S,
            limiter_refill_s=refill_s,
            seeds=range(8),
            window_s=(6, 46),
        )
        for refill_s in (0.01, 0.005)
    )
    assert half.saturation_ops_per_s == pytest.approx(whole.saturation_ops_per_s, rel=0.01)


# -- the stall cycle -----------------------------------------------------------------------------


def sampled_cycle(length_s: float, duration_s: float, period_s: float, seed: int) -> pd.DataFrame:
    """Return a counter that stalls once a cycle, at uneven times and with samples missing."""
    rng = np.random.default_rng(seed)
    starts = np.cumsum(length_s * rng.normal(1.0, 0.08, int(2 * duration_s / length_s) + 4))
    fine_s = np.arange(0.0, duration_s, 0.01)
    number = np.searchsorted(starts, fine_s, "right")
    begin = np.where(number > 0, starts[number - 1], 0.0)
    stalled = fine_s - begin > 0.35 * (starts[number] - begin)
    puts = np.cumsum(np.where(stalled, 4500.0, 45e3)) * 0.01
    times_s = np.arange(0.0, duration_s - 0.1, period_s)
    times_s += rng.uniform(0.0, 0.05, len(times_s))
    times_s = times_s[rng.random(len(times_s)) > 0.1]
    return pd.DataFrame({"time_s": times_s, "puts_total": np.interp(times_s, fine_s, puts)})


@pytest.mark.parametrize("duration_s", [20.0, 60.0])
@pytest.mark.parametrize(
    ("length_s", "period_s"), [(1.2, 0.25), (2.4, 0.25), (2.4, 0.5), (4.0, 0.25), (6.0, 0.5)]
)
def test_length_of_a_cycle(length_s, period_s, duration_s):
    found = []
    for seed in range(20):
        samples = sampled_cycle(length_s, duration_s, period_s, seed)
        found.append(cycle_length_s(samples["time_s"], samples["puts_total"]))
    known = [length for length in found if length is not None]
    assert len(known) >= 17
    assert known == pytest.approx([length_s] * len(known), rel=0.15)
    assert median(known) == pytest.approx(length_s, rel=0.04)


def test_no_cycle_no_length():
    times_s = np.arange(0.0, 40.0, 0.5)
    assert cycle_length_s(times_s, 1000.0 * times_s) is None
    assert cycle_length_s(times_s, 50.0 * times_s**2) is None
    assert cycle_length_s(times_s[:5], times_s[:5]) is None
    rng = np.random.default_rng(0)
    noise = [np.cumsum(rng.uniform(0.0, 1.0, len(times_s))) for _ in range(200)]
    assert sum(cycle_length_s(times_s, puts) is not None for puts in noise) <= 4


def cycle_of(series: Sequence[SeriesRow], start_s: float) -> float | None:
    """Return the length of the stall cycle in a simulated series from `start_s` on."""
    times_s = np.array([0.0] + [row.time_s for row in series])
    steps = np.diff(times_s) * np.array([row.rate_ops_per_s for row in series])
    puts = np.concatenate([[0.0], np.cumsum(steps)])
    return cycle_length_s(times_s[times_s >= start_s], puts[times_s >= start_s])


def is_workload_s(path: Path) -> bool:
    spec = RunSpec.model_validate_json(path.read_text())
    plain = spec.workload == WorkloadSpec() and spec.options == OptionsSpec()
    return plain and spec.limiter_bytes_per_s == 30 * MIB


def test_the_stall_cycle_is_that_of_a_recorded_run():
    # 30 s of RocksDB 9.8.4 on workload S: 2.39 s and 87 % of the time, 2.35 s and 89 % simulated.
    runs = [path.parent for path in RECORDED.glob("*/spec.json") if is_workload_s(path)]
    run = max(runs, key=lambda run: json.loads((run / "result.json").read_text())["duration_s"])
    measured = json.loads((run / "result.json").read_text())
    start_s, end_s = measured["window_start_s"], measured["window_end_s"]
    samples = window(pd.read_parquet(run / "samples.parquet"), start_s, end_s)
    real_s = cycle_length_s(samples["time_s"], samples["puts_total"])
    result = simulate(
        WorkloadSpec(),
        OptionsSpec(),
        limiter_bytes_per_s=30 * MIB,
        foreground_ops_per_s=160e3,
        slot_write_bytes_per_s=160e6,
        window_s=(start_s, end_s),
        series_period_s=0.25,
    )
    lengths_s = [cycle_of(seed.series, start_s) for seed in result.by_seed]
    assert None not in lengths_s
    assert median(lengths_s) == pytest.approx(real_s, rel=0.1)
    assert result.stall_fraction == pytest.approx(measured["stall_fraction"], rel=0.05)


def test_unstalled_rate_is_the_foreground_rate():
    arguments = {**S, "foreground_ops_per_s": 3000.0}
    result = simulate(WorkloadSpec(), OptionsSpec(), **arguments, seeds=[1, 2], window_s=(5, 65))
    assert result.saturation_ops_per_s == pytest.approx(3000, rel=0.01)
    assert result.stall_fraction == 0.0


def test_below_saturation_every_arrival_is_written_and_above_a_backlog_grows():
    below, above = (
        simulate(WorkloadSpec(), OptionsSpec(), **S, seeds=[1], arrival_ops_per_s=rate)
        for rate in (8000.0, 25_000.0)
    )
    assert below.offered_ops_per_s == pytest.approx(8000)
    assert below.saturation_ops_per_s == pytest.approx(8000)
    assert below.backlog_ops_end == pytest.approx(0, abs=1e-6)
    assert above.saturation_ops_per_s < 22_000
    assert above.backlog_ops_end > 50_000


def test_bursts_carry_their_mean_rate():
    spec = ArrivalSpec(kind="bursts", rate_ops_per_s=5000, burst_period_s=2.0)
    result = simulate(WorkloadSpec(arrival=spec), OptionsSpec(), **S, seeds=[1], window_s=(4, 12))
    assert result.offered_ops_per_s == pytest.approx(5000)
    assert result.saturation_ops_per_s == pytest.approx(5000, rel=0.01)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (ArrivalSpec(kind="poisson", rate_ops_per_s=7), 70.0),
        (ArrivalSpec(kind="bursts", rate_ops_per_s=7, burst_period_s=0.7), 71.4),
        (ArrivalSpec(kind="ramp", rate_ops_per_s=2, end_rate_ops_per_s=12), 70.0),
        (ArrivalSpec(kind="trace", trace_s=tuple(n / 7 for n in range(70))), 70.0),
    ],
)
def test_arrival_rates_integrate_to_their_count(spec, expected):
    rate_at = arrival_rate(spec, 10.0)
    assert rate_at is not None
    time_s, count, changes = 0.0, 0.0, 0
    while time_s < 10.0:
        rate, until_s = rate_at(time_s)
        assert until_s > time_s
        count += rate * (min(until_s, 10.0) - time_s)
        time_s, changes = min(until_s, 10.0), changes + 1
    assert count == pytest.approx(expected, rel=0.01)
    assert changes < 300


def test_skew_writes_less():
    uniform, skewed = (
        simulate(WorkloadSpec(distribution=kind), OptionsSpec(), **S, seeds=[1, 2])
        for kind in ("uniform", "zipfian")
    )
    assert skewed.write_amplification < 0.75 * uniform.write_amplification


def test_four_jobs_merge_inside_level_0():
    result = simulate(WorkloadSpec(), OptionsSpec(max_background_jobs=4), **S, seeds=[1])
    kinds = [row.kind for row in result.compactions if row.level == 0]
    assert kinds.count(CompactionKind.INTRA_L0) > kinds.count(CompactionKind.MERGE) > 0
    assert 1 < result.busy_slots <= 3


def test_load_without_overwrites_keeps_every_key():
    shape = geometry(WorkloadSpec(keys=50_000), OptionsSpec())
    simulation = Simulation(
        shape, OptionsSpec(), Resources(2e8, math.inf), 1e5, random.Random(0), overwrites=False
    )
    simulation.load(50_000)
    entries = sum(sum(f.entries) for files in simulation.tree.levels for f in files)
    assert entries == pytest.approx(50_000)
    assert simulation.idle
    assert simulation.controller.kind is StallKind.NORMAL


@pytest.mark.parametrize(
    ("workload", "changes", "extra", "named"),
    [
        ({"distribution": "sequential"}, {}, {}, "distribution"),
        ({"read_fraction": 0.5}, {}, {}, "read_fraction"),
        ({}, {}, {"limiter_bytes_per_s": None}, "slot_write_bytes_per_s"),
        ({}, {"use_direct_reads": True}, {}, "slot_write_bytes_per_s"),
        ({"keys": 2_000_000_000}, {}, {}, "keys"),
    ],
)
def test_what_is_not_covered_is_refused_by_name(workload, changes, extra, named):
    with pytest.raises(ModelRefusal) as refusal:
        simulate(WorkloadSpec(**workload), OptionsSpec(**changes), **{**S, **extra})
    assert refusal.value.field == named


@pytest.mark.parametrize(
    "wrong",
    [
        {"window_s": (5, 5)},
        {"seeds": []},
        {"foreground_ops_per_s": 0.0},
        {"arrival_ops_per_s": -1.0},
        {"limiter_refill_s": -0.1},
    ],
)
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        simulate(WorkloadSpec(), OptionsSpec(), **{**S, **wrong})
