"""Amplification predicted from options and data alone, by simulating the tree's merges."""

from __future__ import annotations

from functools import lru_cache

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.lsm import SimulationResult, simulate
from phase_d_lib.lsm.geometry import batch_bytes
from phase_d_lib.models.base import Amplification, Case, LevelFlow
from phase_d_lib.specs import OptionsSpec, WorkloadSpec

_STEADY_WINDOW_S = (20.0, 60.0)


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
        case.limiter_bytes_per_s,
        foreground,
        case.host.slot_write_bytes_per_s,
        case.window_s or _STEADY_WINDOW_S,
    )


@lru_cache(maxsize=4096)
def _simulated(
    workload: WorkloadSpec,
    options: OptionsSpec,
    limiter_bytes_per_s: int | None,
    foreground_ops_per_s: float,
    slot_write_bytes_per_s: float | None,
    window_s: tuple[float, float],
) -> SimulationResult:
    return simulate(
        workload,
        options,
        limiter_bytes_per_s=limiter_bytes_per_s,
        foreground_ops_per_s=foreground_ops_per_s,
        slot_write_bytes_per_s=slot_write_bytes_per_s,
        window_s=window_s,
    )


def predicted_amplification(case: Case) -> Amplification:
    """Amplification of a case that never ran; device reads are not predicted (page cache).

    Raises
    ------
    ModelRefusal
        As :func:`simulated`.
    """
    result = simulated(case)
    record = case.workload.record_bytes
    batch = batch_bytes(case.workload.key_bytes, case.workload.value_bytes)
    return Amplification(
        source="geometry",
        wal_bytes_per_user_byte=batch / record if case.workload.wal else 0.0,
        flush_bytes_per_user_byte=result.flush_bytes_per_user_byte,
        compaction_write_bytes_per_user_byte=result.compaction_write_bytes_per_user_byte,
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
