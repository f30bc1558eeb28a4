"""Running jobs, kinds of event and the counters of a simulation."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from phase_d_lib.lsm.picker import Pick
from phase_d_lib.lsm.tree import File
from phase_d_lib.stalls import StallCause, StallKind


@dataclass(slots=True, eq=False)
class Job:
    """A running background job.

    Attributes
    ----------
    write_bytes, left_bytes : float
        To write in all, and still to write.
    threads : int
    asked_bytes, granted_bytes : float
        At the refill limiter: rest of the present request, and granted since the last refill.
    queued : int
        At the refill limiter: place in the queue.
    """

    write_bytes: float
    left_bytes: float
    threads: int
    asked_bytes: float = field(default=0.0, init=False)
    granted_bytes: float = field(default=0.0, init=False)
    queued: int = field(default=0, init=False)

    @property
    def written_bytes(self) -> float:
        """Bytes written so far."""
        return self.write_bytes - self.left_bytes


@dataclass(slots=True, eq=False)
class FlushJob(Job):
    """A running flush: how many memtables it takes and the file it writes."""

    memtables: int
    file: File


@dataclass(slots=True, eq=False)
class CompactionJob(Job):
    """A running compaction; its output is settled when it starts."""

    pick: Pick
    output: list[File]
    start_s: float
    read_per_write: float


class Event(IntEnum):
    """What ends a stretch of constant rates."""

    LIMIT = 0
    MEMTABLE_FULL = 1
    JOB_DONE = 2
    REFILL = 3
    ARRIVALS_CHANGE = 4
    BACKLOG_EMPTY = 5


@dataclass(slots=True)
class Counters:
    """Sums since the run's start; a window is the difference of two snapshots.

    Attributes
    ----------
    puts, arrived : float
    flush_bytes, compaction_write_bytes, compaction_read_bytes : float
        Of finished jobs; a snapshot adds what those in progress have done.
    l0_file_s, busy_slot_s : float
        Integrals over time of level-0 files and of running compactions.
    held_s, waiting_s : dict
        Per (kind, cause): time it held, and time the writer waited for it.
    """

    puts: float = 0.0
    arrived: float = 0.0
    flush_bytes: float = 0.0
    compaction_write_bytes: float = 0.0
    compaction_read_bytes: float = 0.0
    l0_file_s: float = 0.0
    busy_slot_s: float = 0.0
    held_s: dict[tuple[StallKind, StallCause], float] = field(default_factory=dict)
    waiting_s: dict[tuple[StallKind, StallCause], float] = field(default_factory=dict)
