"""The public entry: simulate a workload under options, over several jittered seeds."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import fmean

from phase_d_lib.errors import InputError, ModelRefusal
from phase_d_lib.lsm.arrival import ArrivalRate, arrival_rate, constant
from phase_d_lib.lsm.engine import Simulation
from phase_d_lib.lsm.geometry import Geometry, geometry
from phase_d_lib.lsm.resources import Resources
from phase_d_lib.lsm.result import SeedResult, SeriesRow, SimulationResult, StallShare
from phase_d_lib.lsm.state import Counters
from phase_d_lib.specs import OptionsSpec, WorkloadSpec
from phase_d_lib.stalls import ROCKSDB_VERSION, StallKind

DEFAULT_SEEDS = (0, 1, 2, 3, 4, 5)
PRELOAD_WRITE_BYTES_PER_S = 220e6
"""Background bandwidth assumed while preloading, which runs without a limiter."""
PRELOAD_USER_BYTES_PER_S = 62e6
"""Foreground rate assumed while preloading; the settled tree hardly depends on either."""
_MAX_FILES = 100_000


def simulate(
    workload: WorkloadSpec,
    options: OptionsSpec,
    *,
    limiter_bytes_per_s: float | None,
    foreground_ops_per_s: float,
    window_s: tuple[float, float] = (6.0, 20.0),
    seeds: Sequence[int] = DEFAULT_SEEDS,
    arrival_ops_per_s: float | None = None,
    slot_write_bytes_per_s: float | None = None,
    limiter_refill_s: float = 0.1,
    series_period_s: float = 0.5,
) -> SimulationResult:
    """Simulate RocksDB 9.8 under a put workload.

    Parameters
    ----------
    workload : WorkloadSpec
        With `preload`, the run starts on a simulated settled tree that holds every key once.
    options : OptionsSpec
    limiter_bytes_per_s : float or None
        RocksDB rate limiter, the cap on flush and compaction writes together.
    foreground_ops_per_s : float
        Puts per second of the unstalled writers together.
    window_s : tuple of float
        Start and end of the window the result describes, seconds since the run's start.
    seeds : sequence of int
        Seeds of the jitter; six or more tell one stable state from two.
    arrival_ops_per_s : float, optional
        Constant arrival rate; by default the workload's own arrival process.
    slot_write_bytes_per_s : float, optional
        Most bytes a background thread writes per second (CPU, device), not measured under a
        limiter. By default only the limiter binds.
    limiter_refill_s : float
        Period of the limiter's refills, which our engines set to 0.1 too. With 0 its bandwidth is
        shared evenly over time instead, a flush beside compactions at the measured share.
    series_period_s : float
        Period of the time series.

    Returns
    -------
    SimulationResult

    Notes
    -----
    Left out: extra file cuts of subcompactions, device reads other than through
    `slot_write_bytes_per_s`, and the CPU the foreground takes from compactions. Known to be off:
    dynamic levels whose bottom level is within a few percent of the size at which the base level
    changes (workload S is: 16.9 k puts/s simulated, 18.7-20.4 k measured).

    Raises
    ------
    InputError
        For a window, rate or period out of range, or no seeds.
    ModelRefusal
        For a case the simulation does not cover; the error names the field.
    """
    _check_arguments(
        window_s,
        seeds,
        foreground_ops_per_s=foreground_ops_per_s,
        limiter_bytes_per_s=limiter_bytes_per_s,
        arrival_ops_per_s=arrival_ops_per_s,
        slot_write_bytes_per_s=slot_write_bytes_per_s,
        series_period_s=series_period_s,
    )
    if not 0.0 <= limiter_refill_s < math.inf:
        raise InputError(f"limiter_refill_s = {limiter_refill_s}: must be 0 or a period in seconds")
    refuse_uncovered(workload, options, limiter_bytes_per_s, slot_write_bytes_per_s)
    shape = geometry(workload, options)
    resources = Resources(
        limiter_bytes_per_s or math.inf, slot_write_bytes_per_s or math.inf, limiter_refill_s
    )
    if arrival_ops_per_s is not None:
        arrival: ArrivalRate | None = constant(arrival_ops_per_s)
    else:
        arrival = arrival_rate(workload.arrival, window_s[1])
    results, offered = [], []
    for seed in seeds:
        simulation = settled(shape, options, workload.preload, random.Random(seed))
        simulation.open(resources, foreground_ops_per_s, arrival)
        start, end, series = _run_window(simulation, window_s, series_period_s)
        results.append(_seed_result(seed, simulation, start, end, window_s, series))
        offered.append((end.arrived - start.arrived) / (window_s[1] - window_s[0]))
    return _mean_result(results, offered[0] if arrival is not None else None)


def settled(shape: Geometry, options: OptionsSpec, preload: bool, rng: random.Random) -> Simulation:
    """Return a simulation whose tree holds every key once and is settled, or an empty one."""
    resources = Resources(PRELOAD_WRITE_BYTES_PER_S, math.inf)
    rate = PRELOAD_USER_BYTES_PER_S / shape.record_bytes
    simulation = Simulation(shape, options, resources, rate, rng, overwrites=not preload)
    if preload:
        simulation.load(math.fsum(shape.popularity.keys))
    return simulation


def refuse_uncovered(
    workload: WorkloadSpec,
    options: OptionsSpec,
    limiter_bytes_per_s: float | None,
    slot_write_bytes_per_s: float | None,
) -> None:
    """Raise ModelRefusal, naming the field, for a case the simulation does not cover."""
    if workload.distribution == "sequential":
        raise ModelRefusal("distribution", "sequential keys do not spread over each memtable")
    if workload.read_fraction > 0:
        raise ModelRefusal("read_fraction", "reads beside the puts are not simulated")
    if limiter_bytes_per_s is None and slot_write_bytes_per_s is None:
        raise ModelRefusal(
            "slot_write_bytes_per_s",
            "without a limiter the speed of a background thread must be given",
        )
    direct = options.use_direct_io_for_flush_and_compaction or options.use_direct_reads
    if direct and slot_write_bytes_per_s is None:
        raise ModelRefusal(
            "slot_write_bytes_per_s",
            "under direct I/O compactions wait for device reads; give the thread speed with them",
        )
    files = workload.keys * workload.record_bytes / options.target_file_size_base
    if files > _MAX_FILES:
        raise ModelRefusal("keys", f"{files:.0f} files are more than the {_MAX_FILES} simulated")


def _check_arguments(
    window_s: tuple[float, float], seeds: Sequence[int], **positive: float | None
) -> None:
    if not 0.0 <= window_s[0] < window_s[1] < math.inf:
        raise InputError(f"window_s = {window_s}: must be 0 <= start < end, seconds")
    if not seeds:
        raise InputError("seeds is empty: give at least one")
    for name, value in positive.items():
        if value is not None and not 0.0 < value < math.inf:
            raise InputError(f"{name} = {value}: must be a positive number")


def _run_window(
    simulation: Simulation, window_s: tuple[float, float], period_s: float
) -> tuple[Counters, Counters, tuple[SeriesRow, ...]]:
    """Run to the window's end; return the counters at its start and end, and the series."""
    rows: list[SeriesRow] = []
    start_s, end_s = window_s
    start = simulation.snapshot()
    puts_before, time_before, tick = 0.0, 0.0, 1
    while simulation.time_s < end_s:
        next_s = min(end_s, tick * period_s)
        if simulation.time_s < start_s <= next_s:
            simulation.run_until(start_s)
            start = simulation.snapshot()
        simulation.run_until(next_s)
        elapsed_s, puts = simulation.time_s - time_before, simulation.counters.puts
        if elapsed_s > 0:
            rows.append(_series_row(simulation, (puts - puts_before) / elapsed_s))
        puts_before, time_before, tick = puts, simulation.time_s, tick + 1
    return start, simulation.snapshot(), tuple(rows)


def _series_row(simulation: Simulation, rate_ops_per_s: float) -> SeriesRow:
    return SeriesRow(
        time_s=simulation.time_s,
        rate_ops_per_s=rate_ops_per_s,
        l0_files=simulation.tree.l0_files,
        pending_bytes=simulation.tree.pending_bytes,
        delayed_rate_bytes_per_s=simulation.controller.delayed_rate_bytes_per_s,
        kind=simulation.controller.kind,
        backlog_ops=simulation.backlog_ops,
    )


def _stall_shares(start: Counters, end: Counters, length_s: float) -> tuple[StallShare, ...]:
    shares = []
    for (kind, cause), held in end.held_s.items():
        held_s = held - start.held_s.get((kind, cause), 0.0)
        waiting_s = end.waiting_s[kind, cause] - start.waiting_s.get((kind, cause), 0.0)
        if kind is not StallKind.NORMAL and held_s > 0:
            shares.append(StallShare(kind, cause, held_s / length_s, waiting_s / length_s))
    return tuple(sorted(shares, key=lambda share: -share.waiting_fraction))


def _seed_result(
    seed: int,
    simulation: Simulation,
    start: Counters,
    end: Counters,
    window_s: tuple[float, float],
    series: tuple[SeriesRow, ...],
) -> SeedResult:
    length_s = window_s[1] - window_s[0]
    puts = end.puts - start.puts
    user_bytes = max(puts, 1.0) * simulation.geometry.record_bytes
    stalls = _stall_shares(start, end, length_s)
    written = end.compaction_write_bytes - start.compaction_write_bytes
    read = end.compaction_read_bytes - start.compaction_read_bytes
    return SeedResult(
        seed=seed,
        saturation_ops_per_s=puts / length_s,
        flush_bytes_per_user_byte=(end.flush_bytes - start.flush_bytes) / user_bytes,
        compaction_write_bytes_per_user_byte=written / user_bytes,
        compaction_read_bytes_per_user_byte=read / user_bytes,
        stall_fraction=sum(share.waiting_fraction for share in stalls),
        stop_fraction=sum(s.time_fraction for s in stalls if s.kind is StallKind.STOPPED),
        stalls=stalls,
        mean_l0_files=(end.l0_file_s - start.l0_file_s) / length_s,
        busy_slots=(end.busy_slot_s - start.busy_slot_s) / length_s,
        pending_bytes_end=simulation.tree.pending_bytes,
        level_bytes=tuple(simulation.tree.level_bytes),
        backlog_ops_end=simulation.backlog_ops,
        series=series,
        compactions=tuple(simulation.log),
    )


def _mean_stalls(results: Sequence[SeedResult]) -> tuple[StallShare, ...]:
    sums: dict[tuple[str, str], list[StallShare]] = {}
    for result in results:
        for share in result.stalls:
            sums.setdefault((share.kind, share.cause), []).append(share)
    count = len(results)
    means = [
        StallShare(
            shares[0].kind,
            shares[0].cause,
            sum(share.time_fraction for share in shares) / count,
            sum(share.waiting_fraction for share in shares) / count,
        )
        for shares in sums.values()
    ]
    return tuple(sorted(means, key=lambda share: -share.waiting_fraction))


def _mean_result(results: Sequence[SeedResult], offered: float | None) -> SimulationResult:
    levels = zip(*(result.level_bytes for result in results), strict=True)
    return SimulationResult(
        saturation_ops_per_s=fmean(r.saturation_ops_per_s for r in results),
        saturation_ops_per_s_by_seed=tuple(r.saturation_ops_per_s for r in results),
        offered_ops_per_s=offered,
        write_amplification=fmean(r.write_amplification for r in results),
        flush_bytes_per_user_byte=fmean(r.flush_bytes_per_user_byte for r in results),
        compaction_write_bytes_per_user_byte=fmean(
            r.compaction_write_bytes_per_user_byte for r in results
        ),
        compaction_read_bytes_per_user_byte=fmean(
            r.compaction_read_bytes_per_user_byte for r in results
        ),
        stall_fraction=fmean(r.stall_fraction for r in results),
        stop_fraction=fmean(r.stop_fraction for r in results),
        stalls=_mean_stalls(results),
        mean_l0_files=fmean(r.mean_l0_files for r in results),
        busy_slots=fmean(r.busy_slots for r in results),
        pending_bytes_end=fmean(r.pending_bytes_end for r in results),
        level_bytes=tuple(fmean(sizes) for sizes in levels),
        backlog_ops_end=fmean(r.backlog_ops_end for r in results),
        by_seed=tuple(results),
        rocksdb_version=ROCKSDB_VERSION,
    )
