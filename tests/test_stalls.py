"""The write controller against the rules of RocksDB 9.8, stated a second time as properties."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase_d_lib.specs import OptionsSpec
from phase_d_lib.stalls import (
    MIN_DELAYED_RATE_BYTES_PER_S,
    JobLimits,
    StallCause,
    StallKind,
    WriteController,
    compaction_slots,
    condition,
    job_limits,
    near_stop,
    needs_speedup,
    soft_limit_bytes,
    speedup_l0_files,
    speedup_pending_bytes,
)
from phase_d_lib.units import GIB, KIB, MIB

relaxed = settings(deadline=None)  # the machine may be busy with a benchmark
SEVERITY = {StallKind.NORMAL: 0, StallKind.DELAYED: 1, StallKind.STOPPED: 2}


@st.composite
def options(draw: st.DrawFn) -> OptionsSpec:
    trigger = draw(st.integers(1, 10))
    slowdown = trigger + draw(st.integers(0, 20))
    buffers = draw(st.integers(2, 8))
    return OptionsSpec(
        max_write_buffer_number=buffers,
        min_write_buffer_number_to_merge=draw(st.integers(1, buffers - 1)),
        level0_file_num_compaction_trigger=trigger,
        level0_slowdown_writes_trigger=slowdown,
        level0_stop_writes_trigger=slowdown + draw(st.integers(0, 20)),
        soft_pending_compaction_bytes_limit=draw(st.integers(0, 1000)) * MIB,
        hard_pending_compaction_bytes_limit=draw(st.integers(0, 2000)) * MIB,
        delayed_write_rate=draw(st.integers(16 * KIB, 100 * MIB)),
        max_background_jobs=draw(st.integers(1, 32)),
    )


memtables = st.integers(0, 10)
files = st.integers(0, 60)
pending = st.integers(0, 3000).map(lambda mib: mib * MIB)
states = st.tuples(memtables, files, pending)


@relaxed
@given(options(), memtables, files, pending)
def test_first_limit_in_order_names_kind_and_cause(o, unflushed, l0, debt):
    hard, soft = o.hard_pending_compaction_bytes_limit, soft_limit_bytes(o)
    buffers = o.max_write_buffer_number
    last_buffer = (
        buffers > 3
        and unflushed >= buffers - 1
        and unflushed - 1 >= o.min_write_buffer_number_to_merge
    )
    rules = [
        (unflushed >= buffers, StallKind.STOPPED, StallCause.MEMTABLES),
        (l0 >= o.level0_stop_writes_trigger, StallKind.STOPPED, StallCause.L0_FILES),
        (hard > 0 and debt >= hard, StallKind.STOPPED, StallCause.PENDING_BYTES),
        (last_buffer, StallKind.DELAYED, StallCause.MEMTABLES),
        (l0 >= o.level0_slowdown_writes_trigger, StallKind.DELAYED, StallCause.L0_FILES),
        (soft > 0 and debt >= soft, StallKind.DELAYED, StallCause.PENDING_BYTES),
        (True, StallKind.NORMAL, StallCause.NONE),
    ]
    expected = next((kind, cause) for holds, kind, cause in rules if holds)
    assert condition(unflushed, l0, debt, o) == expected


@relaxed
@given(options(), states, states)
def test_more_of_everything_is_never_eased(o, base, more):
    worse = tuple(a + b for a, b in zip(base, more, strict=True))
    assert SEVERITY[condition(*worse, o)[0]] >= SEVERITY[condition(*base, o)[0]]


@relaxed
@given(options(), st.lists(states, min_size=1, max_size=30))
def test_delayed_rate_moves_only_inside_and_at_the_end_of_a_delay(o, steps):
    controller = WriteController.fresh(o)
    assert controller.delayed_rate_bytes_per_s == o.delayed_write_rate
    for unflushed, l0, debt in steps:
        after = controller.recalculate(unflushed, l0, debt)
        rate, new = controller.delayed_rate_bytes_per_s, after.delayed_rate_bytes_per_s
        assert new <= o.delayed_write_rate
        assert new >= min(MIN_DELAYED_RATE_BYTES_PER_S, o.delayed_write_rate)
        if controller.kind is not StallKind.DELAYED or after.kind is StallKind.STOPPED:
            assert new == rate
        elif after.kind is StallKind.NORMAL:
            assert new == min(o.delayed_write_rate, int(rate * 1.4))
        elif o.delayed_write_rate <= MIN_DELAYED_RATE_BYTES_PER_S:
            assert new == rate
        elif near_stop(after.cause, l0, debt, o):
            assert new == max(MIN_DELAYED_RATE_BYTES_PER_S, int(rate * 0.6))
        elif controller.previous_pending_bytes > debt:
            assert new == min(o.delayed_write_rate, int(rate * 1.25))
        elif controller.previous_pending_bytes > 0:
            assert new == max(MIN_DELAYED_RATE_BYTES_PER_S, int(rate * 0.8))
        else:
            assert new == rate
        controller = after


@relaxed
@given(options(), states, st.floats(1.0, 1e9))
def test_write_rate_never_exceeds_free_or_delayed_rate(o, state, free):
    controller = WriteController.fresh(o).recalculate(*state)
    rate = controller.write_rate_bytes_per_s(free)
    assert 0.0 <= rate <= free
    if controller.kind is StallKind.STOPPED:
        assert rate == 0.0
    if controller.kind is StallKind.DELAYED:
        assert rate <= controller.delayed_rate_bytes_per_s
    if controller.kind is StallKind.NORMAL:
        assert rate == free


def test_delayed_rate_follows_a_recorded_log():
    # RocksDB 9.8.4 (rocksdict 0.3.29) on workload S wrote these rates, MB/s, in its WARN lines
    # from 1.22 s to 2.82 s of a run: L0 files, unflushed memtables, debt falling or not.
    o = OptionsSpec()
    controller = WriteController.fresh(o)
    seen = []
    for unflushed, l0, debt in [
        (0, 9, 90e6),
        (1, 9, 90e6),
        (0, 10, 92e6),
        (1, 10, 92e6),
        (0, 11, 94e6),
        (1, 11, 94e6),
        (0, 12, 96e6),
        (0, 3, 80e6),
        (2, 3, 80e6),
        (1, 8, 88e6),
        (0, 9, 90e6),
        (0, 9, 85e6),
    ]:
        controller = controller.recalculate(unflushed, l0, debt)
        if controller.kind is StallKind.DELAYED:
            seen.append(round(controller.delayed_rate_bytes_per_s / 1e6, 2))
    assert seen == [31.46, 25.17, 15.1, 9.06, 5.44, 3.26, 3.26, 2.61, 3.26]


def test_a_stop_between_two_delays_keeps_the_rate():
    controller = WriteController.fresh(OptionsSpec())
    for unflushed, l0 in [(1, 8), (2, 8), (1, 9), (2, 9), (1, 9)]:
        controller = controller.recalculate(unflushed, l0, 50e6)
    assert controller.kind is StallKind.DELAYED
    assert controller.delayed_rate_bytes_per_s == 30 * MIB


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [(0, 0, 0), (0, 7, 7), (5, 0, 5), (5, 7, 5), (9, 7, 7)],
)
def test_soft_limit_is_sanitized(soft, hard, expected):
    o = OptionsSpec(
        soft_pending_compaction_bytes_limit=soft, hard_pending_compaction_bytes_limit=hard
    )
    assert soft_limit_bytes(o) == expected


def test_debt_in_the_last_quarter_is_near_a_stop():
    o = OptionsSpec(
        soft_pending_compaction_bytes_limit=100, hard_pending_compaction_bytes_limit=200
    )
    assert not near_stop(StallCause.PENDING_BYTES, 0, 175, o)
    assert near_stop(StallCause.PENDING_BYTES, 0, 176, o)
    assert not near_stop(StallCause.MEMTABLES, 99, 199, o)


@pytest.mark.parametrize(
    ("jobs", "flushes", "compactions"),
    [(1, 1, 1), (2, 1, 1), (4, 1, 3), (8, 2, 6), (12, 3, 9)],
)
def test_a_quarter_of_the_jobs_flush(jobs, flushes, compactions):
    o = OptionsSpec(max_background_jobs=jobs)
    assert job_limits(o, parallel=True) == JobLimits(flushes, compactions)
    assert job_limits(o, parallel=False) == JobLimits(flushes, 1)


@pytest.mark.parametrize(("slowdown", "expected"), [(4, 4), (8, 5), (20, 8), (200, 8)])
def test_speedup_by_level_0_files(slowdown, expected):
    o = OptionsSpec(level0_slowdown_writes_trigger=slowdown, level0_stop_writes_trigger=300)
    assert speedup_l0_files(o) == expected


def test_speedup_by_debt():
    o = OptionsSpec(max_bytes_for_level_base=8 * MIB, soft_pending_compaction_bytes_limit=64 * GIB)
    assert speedup_pending_bytes(o, 0.0) == 16 * GIB
    assert speedup_pending_bytes(o, 80.0 * MIB) == 16 * MIB
    assert speedup_pending_bytes(o, 800.0 * MIB) == 100 * MIB
    unlimited = OptionsSpec(
        soft_pending_compaction_bytes_limit=0, hard_pending_compaction_bytes_limit=0
    )
    assert needs_speedup(StallKind.NORMAL, 0, 0.0, 0.0, unlimited)


@relaxed
@given(options(), files, pending, st.integers(0, 10_000).map(lambda mib: float(mib * MIB)))
def test_slots_are_one_or_all(o, l0, debt, bottommost):
    slots = compaction_slots(o, l0, debt, bottommost_bytes=bottommost)
    most = job_limits(o, parallel=True).compactions
    stalled = condition(0, l0, debt, o)[0] is not StallKind.NORMAL
    fast = stalled or l0 >= speedup_l0_files(o) or debt >= speedup_pending_bytes(o, bottommost)
    assert slots == (most if fast else 1)
