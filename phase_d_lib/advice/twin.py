"""A twin of the instance in a LOG: the simulation behind v3, fitted on the LOG's first half."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from phase_d_lib.advice.facts import Facts, Half
from phase_d_lib.errors import ModelRefusal
from phase_d_lib.lsm.arrival import constant
from phase_d_lib.lsm.geometry import geometry
from phase_d_lib.lsm.resources import Resources
from phase_d_lib.lsm.simulation import refuse_uncovered, settled
from phase_d_lib.lsm.state import Counters
from phase_d_lib.specs import Frozen, OptionsSpec, WorkloadSpec
from phase_d_lib.stalls import SATURATED_FRACTION, STALLED_FRACTION, StallKind

SEEDS = (0, 1, 2)
_REFILL_S = 0.1
_FITS = 7
_FASTEST = 40.0
"""Unstalled writers are looked for up to this many times the mean rate."""
_OPEN_HEADROOM = 5.0
"""Unstalled speed assumed of a writer that hardly ever stalled, over its mean rate."""
_MAX_STEPS = 60_000.0
"""Memtables filled in a simulation, above which it would take minutes."""


class HalfTold(Frozen):
    """What the twin says of one half."""

    put_ops_per_s: float
    stall_fraction: float
    flush_bytes: float
    compaction_bytes: float

    @property
    def background_bytes(self) -> float:
        """Flush and compaction writes."""
        return self.flush_bytes + self.compaction_bytes


class BackTest(Frozen):
    """The second half as the twin and as persistence predict it from the first, and as it was."""

    stall_fraction: float
    predicted_stall_fraction: float
    persistent_stall_fraction: float
    background_bytes: float
    predicted_background_bytes: float
    persistent_background_bytes: float
    put_ops_per_s: float
    predicted_put_ops_per_s: float

    @property
    def stall_error_points(self) -> float:
        """Predicted less measured stall share, percentage points."""
        return 100.0 * (self.predicted_stall_fraction - self.stall_fraction)

    @property
    def bytes_error_fraction(self) -> float:
        """Predicted over measured flush and compaction bytes, less 1."""
        return self.predicted_background_bytes / self.background_bytes - 1.0

    @property
    def persistent_stall_error_points(self) -> float:
        """The same for the first half repeated."""
        return 100.0 * (self.persistent_stall_fraction - self.stall_fraction)

    @property
    def persistent_bytes_error_fraction(self) -> float:
        """The same for the first half repeated."""
        return self.persistent_background_bytes / self.background_bytes - 1.0


@dataclass(frozen=True)
class Twin:
    """The fitted twin.

    Attributes
    ----------
    workload : WorkloadSpec
        Keys, sizes and compression as the LOG implies them; keys uniform.
    options : OptionsSpec
    limiter_bytes_per_s, slot_write_bytes_per_s : float or None
        Background bandwidth found in the first half.
    foreground_ops_per_s : float
        Unstalled put rate that reproduces the first half's stall share.
    arrival_ops_per_s : float or None
        Arrivals, where the writer hardly stalled; None: it was always ready.
    """

    workload: WorkloadSpec
    options: OptionsSpec
    limiter_bytes_per_s: float | None
    slot_write_bytes_per_s: float | None
    foreground_ops_per_s: float
    arrival_ops_per_s: float | None

    def halves(self, lengths_s: Sequence[float]) -> tuple[HalfTold, ...]:
        """Simulate stretches of time one after the other; means over the seeds."""
        told = [self._run(seed, lengths_s) for seed in SEEDS]
        return tuple(
            HalfTold(
                **{
                    name: float(np.mean([getattr(run[number], name) for run in told]))
                    for name in HalfTold.model_fields
                }
            )
            for number in range(len(lengths_s))
        )

    def _run(self, seed: int, lengths_s: Sequence[float]) -> list[HalfTold]:
        shape = geometry(self.workload, self.options)
        simulation = settled(shape, self.options, self.workload.preload, random.Random(seed))
        limiter = self.limiter_bytes_per_s or math.inf
        slot = self.slot_write_bytes_per_s or math.inf
        refill_s = _REFILL_S if limiter < math.inf else 0.0
        arrival = None if self.arrival_ops_per_s is None else constant(self.arrival_ops_per_s)
        simulation.open(Resources(limiter, slot, refill_s), self.foreground_ops_per_s, arrival)
        told, end_s = [], 0.0
        for length_s in lengths_s:
            start = simulation.snapshot()
            end_s += length_s
            simulation.run_until(end_s)
            told.append(_told(start, simulation.snapshot(), length_s))
        return told


def twin_of(facts: Facts) -> Twin:
    """Fit a twin on the first half.

    Raises
    ------
    ModelRefusal
        When the simulation does not cover the instance, or would take minutes.
    """
    workload = _workload(facts)
    cap, slot = _bandwidth(facts)
    refuse_uncovered(workload, facts.options, cap, slot)
    half = facts.first
    _refuse_slow(facts, workload)
    stalls = half.stall_fraction >= STALLED_FRACTION
    twin = Twin(
        workload=workload,
        options=facts.options,
        limiter_bytes_per_s=cap,
        slot_write_bytes_per_s=slot,
        foreground_ops_per_s=half.put_ops_per_s * _OPEN_HEADROOM,
        arrival_ops_per_s=None if stalls else half.put_ops_per_s,
    )
    return _with_foreground(twin, half) if stalls else twin


def back_test(twin: Twin, facts: Facts) -> BackTest:
    """Predict the second half: the first as it was, times the change the twin simulates."""
    first, second = facts.first, facts.second
    told = twin.halves((first.length_s, second.length_s))
    scale = second.length_s / first.length_s
    seen_bytes = first.flush_bytes + first.compaction_bytes
    grown = told[1].background_bytes / max(told[0].background_bytes, 1.0)
    faster = told[1].put_ops_per_s / max(told[0].put_ops_per_s, 1e-9)
    stall = first.stall_fraction + told[1].stall_fraction - told[0].stall_fraction
    return BackTest(
        stall_fraction=second.stall_fraction,
        predicted_stall_fraction=min(max(stall, 0.0), 1.0),
        persistent_stall_fraction=first.stall_fraction,
        background_bytes=second.flush_bytes + second.compaction_bytes,
        predicted_background_bytes=seen_bytes * grown,
        persistent_background_bytes=seen_bytes * scale,
        put_ops_per_s=second.put_ops_per_s,
        predicted_put_ops_per_s=first.put_ops_per_s * faster,
    )


def _told(start: Counters, end: Counters, length_s: float) -> HalfTold:
    held_s = sum(
        held - start.held_s.get(state, 0.0)
        for state, held in end.held_s.items()
        if state[0] is not StallKind.NORMAL
    )
    return HalfTold(
        put_ops_per_s=(end.puts - start.puts) / length_s,
        stall_fraction=held_s / length_s,
        flush_bytes=end.flush_bytes - start.flush_bytes,
        compaction_bytes=end.compaction_write_bytes - start.compaction_write_bytes,
    )


def _workload(facts: Facts) -> WorkloadSpec:
    """Keys and data such that a settled tree is as large as the one in the LOG."""
    record = facts.key_bytes + facts.value_bytes
    stored = facts.stored_bytes_per_put_byte * record
    ratio = 1.0
    if facts.options.compression != "none":
        ratio = min(1.0, max(0.01, (stored - facts.key_bytes) / facts.value_bytes))
    held = sum(facts.start_level_bytes)
    loaded = held > 2 * facts.options.write_buffer_size
    keys = held / stored if loaded else _fresh_keys(facts)
    return WorkloadSpec(
        keys=max(1, round(keys)),
        key_bytes=max(8, facts.key_bytes),
        value_bytes=facts.value_bytes,
        value_compression_ratio=ratio,
        preload=loaded,
    )


def _fresh_keys(facts: Facts) -> float:
    """Distinct keys that a growing tree draws from, by the puts that compactions dropped.

    E uniform puts on N keys leave N (1 - exp(-E/N)) of them; N follows from the share that left.
    """
    puts = facts.first.puts
    dropped = min(facts.first_dropped_fraction, 0.95)
    low, high = math.log(puts / 50.0), math.log(puts * 1e3)
    for _ in range(60):
        middle = (low + high) / 2
        share = puts / math.exp(middle)
        if 1.0 + math.expm1(-share) / share > dropped:
            low = middle
        else:
            high = middle
    return math.exp(low)


def _bandwidth(facts: Facts) -> tuple[float | None, float | None]:
    """Return the cap on background writes and the speed of a slot; one of them is None.

    A limiter that binds shows as jobs that run all the time: what they wrote together is its rate.
    """
    if facts.limited and facts.busy_fraction >= SATURATED_FRACTION:
        return facts.first.background_bytes_per_s / facts.busy_fraction, None
    if facts.slot_write_bytes_per_s is None:
        raise ModelRefusal("compaction_finished", "no compaction tells how fast a slot writes")
    return None, facts.slot_write_bytes_per_s


def _refuse_slow(facts: Facts, workload: WorkloadSpec) -> None:
    length_s = facts.first.length_s + facts.second.length_s
    user_bytes_per_s = facts.first.put_ops_per_s * workload.record_bytes
    fills = user_bytes_per_s * length_s / facts.options.write_buffer_size
    if fills > _MAX_STEPS:
        raise ModelRefusal(
            "time_range", f"{fills:,.0f} memtables in the LOG; at most {_MAX_STEPS:,.0f} simulated"
        )


def _with_foreground(twin: Twin, half: Half) -> Twin:
    """Find the unstalled rate at which the twin stalls as long as the first half did."""
    low, high = math.log(half.put_ops_per_s), math.log(half.put_ops_per_s * _FASTEST)
    best, least = twin, math.inf
    for _ in range(_FITS):
        middle = (low + high) / 2
        tried = replace(twin, foreground_ops_per_s=math.exp(middle))
        stall = tried.halves((half.length_s,))[0].stall_fraction
        if abs(stall - half.stall_fraction) < least:
            best, least = tried, abs(stall - half.stall_fraction)
        if stall < half.stall_fraction:
            low = middle
        else:
            high = middle
    return best
