"""Amplification predicted from options and data alone, by simulating the tree's merges."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.lsm import SimulationResult, simulate, steady_states
from phase_d_lib.lsm.geometry import batch_bytes
from phase_d_lib.lsm.result import SeedResult
from phase_d_lib.models.base import Amplification, Case, LevelFlow
from phase_d_lib.rates import L0_FILES_UNIT, L0_ROUNDS_UNIT, outer_rise
from phase_d_lib.specs import ArrivalSpec, Frozen, OptionsSpec, SustainCriterion, WorkloadSpec
from phase_d_lib.stalls import NO_STALL, STALLED_FRACTION, job_limits, regime_name

STEADY_WINDOW_S = (20.0, 60.0)
"""Window that stands for the steady state of a case that names none."""
STATES_WINDOW_S = (20.0, 120.0)
"""Window in which steady states are looked for."""
LONGEST_SIMULATION_STEPS = 300_000
"""Larger simulations take more than a minute a seed."""
_LONGEST_SEARCH_STEPS = LONGEST_SIMULATION_STEPS // 100
_FILES_A_STEP = 100.0
_BISECTIONS = 7
_SERIES_PERIOD_S = 0.1
REFILL_S = 0.1
"""Refill period our engines give a limiter, RocksDB's own default."""
_LOWEST_SHARE = 0.25
"""The search for S_max goes no lower than this share of the saturation rate."""


def simulated(case: Case) -> SimulationResult:
    """Simulate the case's configuration over its window.

    Raises
    ------
    ModelRefusal
        When U was not measured, or the simulation does not cover the case.
    """
    foreground = case.host.foreground_ops_per_s
    if foreground is None:
        raise ModelRefusal("foreground_ops_per_s", "the simulation needs U, which was not measured")
    return _simulated(
        case.workload,
        case.options,
        write_cap_bytes_per_s(case),
        foreground,
        case.host.slot_write_bytes_per_s,
        case.window_s or STEADY_WINDOW_S,
        _refill_s(case),
    )


def write_cap_bytes_per_s(case: Case) -> float | None:
    """Cap on background writes that the simulation shares out: the limiter or a slower device.

    Device time that the WAL or reads take is not simulated.
    """
    caps = [cap for cap in (case.limiter_bytes_per_s, case.device.write_bytes_per_s) if cap]
    return min(caps, default=None)


def _refill_s(case: Case) -> float:
    """Refill period of the cap: that of a limiter which background threads can use up, else 0."""
    cap, mu = write_cap_bytes_per_s(case), case.host.slot_write_bytes_per_s
    limits = job_limits(case.options, parallel=True)
    threads = limits.flushes + limits.compactions
    limited = cap is not None and cap == case.limiter_bytes_per_s
    return REFILL_S if limited and (mu is None or cap is None or cap < threads * mu) else 0.0


class Foretold(Frozen):
    """What a cheap look at a configuration says."""

    saturation_ops_per_s: float
    space_amplification: float
    """Bytes of table files at the end of the window over user bytes of all keys."""


def foretold(case: Case, seeds: tuple[int, ...]) -> Foretold | None:
    """Simulate a case with as few seeds as wanted; None where the simulation does not cover it."""
    foreground = case.host.foreground_ops_per_s
    if foreground is None:
        return None
    try:
        result = simulate(
            case.workload,
            case.options,
            limiter_bytes_per_s=write_cap_bytes_per_s(case),
            foreground_ops_per_s=foreground,
            slot_write_bytes_per_s=case.host.slot_write_bytes_per_s,
            window_s=case.window_s or STEADY_WINDOW_S,
            limiter_refill_s=_refill_s(case),
            seeds=seeds,
        )
    except ModelRefusal:
        return None
    user_bytes = case.workload.keys * case.workload.record_bytes
    return Foretold(
        saturation_ops_per_s=result.saturation_ops_per_s,
        space_amplification=sum(result.level_bytes) / user_bytes,
    )


@lru_cache(maxsize=256)
def _simulated(
    workload: WorkloadSpec,
    options: OptionsSpec,
    limiter_bytes_per_s: float | None,
    foreground_ops_per_s: float,
    slot_write_bytes_per_s: float | None,
    window_s: tuple[float, float],
    limiter_refill_s: float,
    series_period_s: float = 0.5,
) -> SimulationResult:
    return simulate(
        workload,
        options,
        limiter_bytes_per_s=limiter_bytes_per_s,
        foreground_ops_per_s=foreground_ops_per_s,
        slot_write_bytes_per_s=slot_write_bytes_per_s,
        window_s=window_s,
        limiter_refill_s=limiter_refill_s,
        series_period_s=series_period_s,
    )


def simulated_s_max_ops_per_s(
    case: Case, criterion: SustainCriterion | None = None
) -> float | None:
    """Highest constant arrival rate that at least half of the simulated seeds sustain.

    Bisected between a quarter of the saturation rate and that rate, which it can't exceed, to
    about 1 %. The state at the window's start is that of a run at the same arrival rate from the
    settled tree.

    Returns
    -------
    float or None
        ops/s; None when not even a quarter of the saturation rate is sustained, or the search
        would take minutes.

    Raises
    ------
    ModelRefusal
        As :func:`simulated`.
    """
    if simulation_steps(case) > _LONGEST_SEARCH_STEPS:
        return None
    saturation = simulated(case).saturation_ops_per_s
    rule = criterion or SustainCriterion()
    low, high = saturation * _LOWEST_SHARE, saturation
    if saturation <= 0.0 or not _sustained(case, low, rule):
        return None
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        if _sustained(case, middle, rule):
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def simulated_space_amplification(case: Case) -> float | None:
    """Bytes of table files at the end of the window over user bytes of all keys.

    None where the case is not simulated, which then says nothing about it.
    """
    try:
        held = sum(simulated(case).level_bytes)
    except ModelRefusal:
        return None
    return held / (case.workload.keys * case.workload.record_bytes)


def simulated_states_ops_per_s(case: Case) -> tuple[float, ...]:
    """Saturation rates of the simulated steady states, by level-0 files; one or two.

    Empty where the simulation would take minutes, or the tree is not loaded before.

    Raises
    ------
    ModelRefusal
        As :func:`simulated`.
    """
    # A tree that still fills would pass for a state.
    long = case.model_copy(update={"window_s": STATES_WINDOW_S})
    if not case.workload.preload or simulation_steps(long) > _LONGEST_SEARCH_STEPS:
        return ()
    found = steady_states(
        case.workload,
        case.options,
        limiter_bytes_per_s=write_cap_bytes_per_s(case),
        foreground_ops_per_s=case.host.foreground_ops_per_s or 0.0,
        slot_write_bytes_per_s=case.host.slot_write_bytes_per_s,
        limiter_refill_s=_refill_s(case),
        window_s=STATES_WINDOW_S,
    )
    return tuple(state.saturation_ops_per_s for state in found)


def _sustained(case: Case, rate_ops_per_s: float, rule: SustainCriterion) -> bool:
    """Whether at least half of the seeds hold an arrival rate in the window."""
    arrival = ArrivalSpec(kind="constant", rate_ops_per_s=rate_ops_per_s)
    workload = case.workload.model_copy(update={"arrival": arrival})
    start_s, end_s = case.window_s or STEADY_WINDOW_S
    result = _simulated(
        workload,
        case.options,
        write_cap_bytes_per_s(case),
        case.host.foreground_ops_per_s or 0.0,
        case.host.slot_write_bytes_per_s,
        (start_s, end_s),
        _refill_s(case),
        _SERIES_PERIOD_S,
    )
    held = [
        _holds(seed, rate_ops_per_s, end_s - start_s, rule, case.options) for seed in result.by_seed
    ]
    return 2 * sum(held) >= len(held)


def _holds(
    seed: SeedResult,
    rate_ops_per_s: float,
    length_s: float,
    rule: SustainCriterion,
    options: OptionsSpec,
) -> bool:
    """The criterion on one simulated seed; a put waits as long as the backlog before it."""
    shortfall = 1.0 - seed.saturation_ops_per_s / rate_ops_per_s
    inside = seed.series[-int(length_s / _SERIES_PERIOD_S) :]
    waits_s = [row.backlog_ops / rate_ops_per_s for row in inside]
    level = options.level0_file_num_compaction_trigger * options.write_buffer_size
    rising = max(
        outer_rise([row.l0_files for row in inside], unit=L0_FILES_UNIT),
        outer_rise([row.pending_bytes for row in inside], unit=L0_ROUNDS_UNIT * level),
    )
    return (
        rising <= 1.0
        and seed.stop_fraction * length_s <= rule.max_stop_s
        and shortfall <= rule.max_shortfall_fraction
        and float(np.quantile(waits_s, 0.999)) * 1e3 <= rule.max_p999_ms
    )


def stall_regime(result: SimulationResult) -> str:
    """Name the stall state the writer spent most time in; ``normal:none`` when that is not 5 %."""
    if not result.stalls:
        return NO_STALL
    longest = max(result.stalls, key=lambda share: share.time_fraction)
    if longest.time_fraction < STALLED_FRACTION:
        return NO_STALL
    return regime_name(longest.kind, longest.cause)


def simulation_steps(case: Case) -> float:
    """Cost of simulating one seed: memtables filled, each once per 100 files it merges into."""
    workload, options, host = case.workload, case.options, case.host
    slot, flushes = host.slot_write_bytes_per_s, job_limits(options, parallel=True).flushes
    rates = (
        (host.foreground_ops_per_s or 0.0) * workload.record_bytes,
        write_cap_bytes_per_s(case),
        None if slot is None else slot * flushes,
    )
    slowest = min(rate for rate in rates if rate is not None)
    live = workload.keys * workload.record_bytes
    end_s = (case.window_s or STEADY_WINDOW_S)[1]
    put = slowest * end_s + (live if workload.preload else 0)
    files = live / options.target_file_size_base
    return put / options.write_buffer_size * max(1.0, files / _FILES_A_STEP)


def predicted_amplification(case: Case) -> Amplification:
    """Amplification of a case that never ran.

    Under direct I/O the device serves every byte a compaction reads; else the page cache may, and
    device reads are not predicted.

    Raises
    ------
    ModelRefusal
        As :func:`simulated`.
    """
    result = simulated(case)
    record = case.workload.record_bytes
    batch = batch_bytes(case.workload.key_bytes, case.workload.value_bytes)
    direct = case.options.use_direct_io_for_flush_and_compaction
    return Amplification(
        source="geometry",
        wal_bytes_per_user_byte=batch / record if case.workload.wal else 0.0,
        flush_bytes_per_user_byte=result.flush_bytes_per_user_byte,
        compaction_write_bytes_per_user_byte=result.compaction_write_bytes_per_user_byte,
        device_read_bytes_per_user_byte=(
            result.compaction_read_bytes_per_user_byte if direct else None
        ),
        levels=_level_flows(result),
    )


def _level_flows(result: SimulationResult) -> tuple[LevelFlow, ...]:
    """Share compaction traffic between levels as the simulated compactions did."""
    written: dict[int, float] = {}
    for row in result.compactions:
        written[row.output_level] = written.get(row.output_level, 0.0) + row.output_bytes
    total = sum(written.values())
    flush = LevelFlow(level=0, write_bytes_per_user_byte=result.flush_bytes_per_user_byte)
    if total == 0:
        return (flush,)
    per_byte = result.compaction_write_bytes_per_user_byte / total
    merged = tuple(
        LevelFlow(level=level, write_bytes_per_user_byte=output * per_byte)
        for level, output in sorted(written.items())
        if output > 0
    )
    return (flush, *merged)
