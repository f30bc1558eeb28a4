"""What a simulation returns."""

from __future__ import annotations

from dataclasses import dataclass

from phase_d_lib.lsm.picker import CompactionKind
from phase_d_lib.stalls import StallCause, StallKind


@dataclass(frozen=True, slots=True)
class StallShare:
    """Time under one kind and cause of stall.

    Attributes
    ----------
    kind : StallKind
    cause : StallCause
    time_fraction : float
        Share of the window the condition held.
    waiting_fraction : float
        Share of the window the writer waited because of it: all of a stop, and of a delay what the
        delayed rate kept from it.
    """

    kind: StallKind
    cause: StallCause
    time_fraction: float
    waiting_fraction: float


@dataclass(frozen=True, slots=True)
class CompactionRow:
    """One finished compaction; times in s since the run's start, sizes in bytes."""

    start_s: float
    end_s: float
    kind: CompactionKind
    level: int
    output_level: int
    upper_files: int
    lower_files: int
    upper_bytes: float
    lower_bytes: float
    output_files: int
    output_bytes: float


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """State at one time of the run; `rate_ops_per_s` is the mean since the row before."""

    time_s: float
    rate_ops_per_s: float
    l0_files: int
    pending_bytes: float
    delayed_rate_bytes_per_s: int
    kind: StallKind
    backlog_ops: float


@dataclass(frozen=True, slots=True)
class SeedResult:
    """One seed's run; fields as in :class:`SimulationResult`."""

    seed: int
    saturation_ops_per_s: float
    flush_bytes_per_user_byte: float
    compaction_write_bytes_per_user_byte: float
    compaction_read_bytes_per_user_byte: float
    stall_fraction: float
    stop_fraction: float
    stalls: tuple[StallShare, ...]
    mean_l0_files: float
    busy_slots: float
    pending_bytes_end: float
    level_bytes: tuple[float, ...]
    backlog_ops_end: float
    series: tuple[SeriesRow, ...]
    compactions: tuple[CompactionRow, ...]

    @property
    def write_amplification(self) -> float:
        """Flush and compaction writes per user byte."""
        return self.flush_bytes_per_user_byte + self.compaction_write_bytes_per_user_byte


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """Means over seeds of one simulated configuration, in the window asked for.

    Attributes
    ----------
    saturation_ops_per_s : float
        Mean put rate, stalls included. With an arrival process it is the achieved rate, which is
        the arrival rate while that can be kept up.
    saturation_ops_per_s_by_seed : tuple of float
        Two groups of seeds are two stable states.
    offered_ops_per_s : float or None
        Mean arrival rate of the window; None for a closed loop.
    write_amplification : float
        Flush and compaction writes per user byte; the WAL is not in it.
    flush_bytes_per_user_byte, compaction_write_bytes_per_user_byte : float
    compaction_read_bytes_per_user_byte : float
        Logical reads of compactions.
    stall_fraction : float
        Share of time the writer waited for the controller.
    stop_fraction : float
        Share of time writes were stopped.
    stalls : tuple of StallShare
        By kind and cause, those that occurred.
    mean_l0_files : float
    busy_slots : float
        Mean number of running compactions.
    pending_bytes_end : float
    level_bytes : tuple of float
        Sizes of all levels at the end.
    backlog_ops_end : float
        Puts that had arrived and not been written at the end; 0 for a closed loop.
    by_seed : tuple of SeedResult
        With each seed's series and compaction log.
    rocksdb_version : str
        Version whose rules were simulated.
    """

    saturation_ops_per_s: float
    saturation_ops_per_s_by_seed: tuple[float, ...]
    offered_ops_per_s: float | None
    write_amplification: float
    flush_bytes_per_user_byte: float
    compaction_write_bytes_per_user_byte: float
    compaction_read_bytes_per_user_byte: float
    stall_fraction: float
    stop_fraction: float
    stalls: tuple[StallShare, ...]
    mean_l0_files: float
    busy_slots: float
    pending_bytes_end: float
    level_bytes: tuple[float, ...]
    backlog_ops_end: float
    by_seed: tuple[SeedResult, ...]
    rocksdb_version: str

    @property
    def series(self) -> tuple[SeriesRow, ...]:
        """Time series of the first seed."""
        return self.by_seed[0].series

    @property
    def compactions(self) -> tuple[CompactionRow, ...]:
        """Compaction log of the first seed, whole run."""
        return self.by_seed[0].compactions
