"""RocksDB's write controller as a pure state machine, by the rules of version 9.8.

Sources, all of tag v9.8.4: ``db/column_family.cc`` (which condition holds, how the delayed rate
moves, when compaction speeds up), ``db/write_controller.cc`` (the ceiling of the rate) and
``DBImpl::GetBGJobLimits`` in ``db/db_impl/db_impl_compaction_flush.cc``. RocksDB re-evaluates the
condition whenever a memtable switch, flush or compaction installs, never by clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from phase_d_lib.specs import OptionsSpec
from phase_d_lib.units import KIB

ROCKSDB_VERSION = "9.8"
"""The version whose rules this module and :mod:`phase_d_lib.lsm` follow."""

MIN_DELAYED_RATE_BYTES_PER_S = 16 * KIB
SLOWER = 0.8
"""Factor on the delayed rate when compaction debt did not fall."""
FASTER = 1.25
"""Factor when debt fell: the inverse of `SLOWER`."""
NEAR_STOP = 0.6
"""Factor close to a stop."""
RECOVERED = 1.4
"""Factor when a delay ends."""
L0_FILES_NEAR_STOP = 2
"""A delay this many level-0 files below the stop trigger is close to a stop."""


class StallKind(StrEnum):
    """What the controller does to writes."""

    NORMAL = "normal"
    DELAYED = "delayed"
    STOPPED = "stopped"


class StallCause(StrEnum):
    """Which limit made it so."""

    NONE = "none"
    MEMTABLES = "memtables"
    L0_FILES = "l0_files"
    PENDING_BYTES = "pending_bytes"


STALLED_FRACTION = 0.05
"""Below this share of the time a writer counts as not stalled."""


SATURATED_FRACTION = 0.85
"""From this share of its capacity on, a limiter, a device or the compaction slots bind."""


def regime_name(kind: str, cause: str) -> str:
    """Name a stall regime the way predictions and measurements are compared: ``kind:cause``.

    Takes this module's words and those of the LOG tables (``delay``, ``l0_file_limit``).
    """
    kinds = {"delay": StallKind.DELAYED, "stop": StallKind.STOPPED}
    causes = {"memtable_limit": StallCause.MEMTABLES, "l0_file_limit": StallCause.L0_FILES}
    return f"{kinds.get(kind, kind)}:{causes.get(cause, cause)}"


NO_STALL = regime_name(StallKind.NORMAL, StallCause.NONE)


@dataclass(frozen=True, slots=True)
class JobLimits:
    """How many background jobs may run at once."""

    flushes: int
    compactions: int


def soft_limit_bytes(options: OptionsSpec) -> int:
    """Return the soft pending-compaction limit RocksDB uses after sanitizing; 0 is no limit.

    An unset soft limit takes the hard one, and it never exceeds a set hard one.
    """
    soft = options.soft_pending_compaction_bytes_limit
    hard = options.hard_pending_compaction_bytes_limit
    if soft == 0:
        return hard
    return min(soft, hard) if hard > 0 else soft


def condition(
    unflushed_memtables: int, l0_files: int, pending_bytes: float, options: OptionsSpec
) -> tuple[StallKind, StallCause]:
    """Return what holds now and why; the first limit in RocksDB's order names the cause.

    Parameters
    ----------
    unflushed_memtables : int
        Immutable memtables not yet installed as files, those being flushed included.
    l0_files : int
        Level-0 files, those being compacted included.
    pending_bytes : float
        Estimated compaction debt, bytes.
    options : OptionsSpec

    Returns
    -------
    kind : StallKind
    cause : StallCause
        ``NONE`` exactly when the kind is ``NORMAL``.
    """
    buffers = options.max_write_buffer_number
    hard = options.hard_pending_compaction_bytes_limit
    if unflushed_memtables >= buffers:
        return StallKind.STOPPED, StallCause.MEMTABLES
    if l0_files >= options.level0_stop_writes_trigger:
        return StallKind.STOPPED, StallCause.L0_FILES
    if 0 < hard <= pending_bytes:
        return StallKind.STOPPED, StallCause.PENDING_BYTES
    last_buffer = buffers > 3 and unflushed_memtables >= buffers - 1
    if last_buffer and unflushed_memtables - 1 >= options.min_write_buffer_number_to_merge:
        return StallKind.DELAYED, StallCause.MEMTABLES
    if l0_files >= options.level0_slowdown_writes_trigger:
        return StallKind.DELAYED, StallCause.L0_FILES
    if 0 < soft_limit_bytes(options) <= pending_bytes:
        return StallKind.DELAYED, StallCause.PENDING_BYTES
    return StallKind.NORMAL, StallCause.NONE


def near_stop(cause: StallCause, l0_files: int, pending_bytes: float, options: OptionsSpec) -> bool:
    """Tell whether a delay of this cause is close enough to a stop for the larger cut.

    Level-0 delays: within two files of the stop trigger. Debt delays: in the last quarter between
    soft and hard limit. Memtable delays never.
    """
    if cause is StallCause.L0_FILES:
        return l0_files >= options.level0_stop_writes_trigger - L0_FILES_NEAR_STOP
    hard = options.hard_pending_compaction_bytes_limit
    if cause is StallCause.PENDING_BYTES and hard > 0:
        soft = soft_limit_bytes(options)
        return pending_bytes - soft > 3 * (hard - soft) // 4
    return False


@dataclass(frozen=True, slots=True)
class WriteController:
    """State of the controller between two evaluations; each evaluation returns the next state.

    Build the first with :meth:`fresh`. One column family is assumed. A consequence of 9.8's order
    of statements: the delayed rate moves only from one delayed evaluation to the next, so a delay
    that follows a stop starts at the old rate and pays the x0.6 only if it is still near the stop.
    """

    options: OptionsSpec
    delayed_rate_bytes_per_s: int
    kind: StallKind = StallKind.NORMAL
    cause: StallCause = StallCause.NONE
    previous_pending_bytes: float = 0.0

    @classmethod
    def fresh(cls, options: OptionsSpec) -> WriteController:
        """Return the state at open: no stall, delayed rate at its ceiling."""
        return cls(options, max(1, options.delayed_write_rate))

    def recalculate(
        self, unflushed_memtables: int, l0_files: int, pending_bytes: float
    ) -> WriteController:
        """Return the state after an install; arguments as in :func:`condition`."""
        kind, cause = condition(unflushed_memtables, l0_files, pending_bytes, self.options)
        rate = self.delayed_rate_bytes_per_s
        if self.kind is StallKind.DELAYED:
            if kind is StallKind.DELAYED:
                close = near_stop(cause, l0_files, pending_bytes, self.options)
                rate = self._adjusted(pending_bytes, close)
            elif kind is StallKind.NORMAL:
                rate = min(self.options.delayed_write_rate, int(rate * RECOVERED))
        return WriteController(self.options, rate, kind, cause, pending_bytes)

    def write_rate_bytes_per_s(self, free_bytes_per_s: float) -> float:
        """Return the batch bytes/s a writer gets that could write `free_bytes_per_s` unstalled."""
        if self.kind is StallKind.STOPPED:
            return 0.0
        if self.kind is StallKind.DELAYED:
            return min(free_bytes_per_s, float(self.delayed_rate_bytes_per_s))
        return free_bytes_per_s

    def _adjusted(self, pending_bytes: float, close: bool) -> int:
        """Delayed rate after one more evaluation inside a delay, bytes/s."""
        rate, ceiling = self.delayed_rate_bytes_per_s, self.options.delayed_write_rate
        if ceiling <= MIN_DELAYED_RATE_BYTES_PER_S:
            return rate
        if close:
            return max(MIN_DELAYED_RATE_BYTES_PER_S, int(rate * NEAR_STOP))
        if 0 < self.previous_pending_bytes <= pending_bytes:
            return max(MIN_DELAYED_RATE_BYTES_PER_S, int(rate * SLOWER))
        if self.previous_pending_bytes > pending_bytes:
            return min(ceiling, int(rate * FASTER))
        return rate


def speedup_l0_files(options: OptionsSpec) -> int:
    """Level-0 file count from which compactions may run in parallel.

    Twice the compaction trigger, or a quarter of the way from it to the slowdown trigger if that
    is fewer (``GetL0FileCountForCompactionSpeedup``).
    """
    trigger = options.level0_file_num_compaction_trigger
    quarter_way = trigger + (options.level0_slowdown_writes_trigger - trigger) // 4
    return min(2 * trigger, quarter_way)


def speedup_pending_bytes(options: OptionsSpec, bottommost_bytes: float) -> float:
    """Debt from which compactions may run in parallel, bytes.

    A quarter of the soft limit, or, where bottommost data exists, an eighth of it but at least two
    base levels if that is less (``GetPendingCompactionBytesForCompactionSpeedup``).
    """
    of_soft = float(soft_limit_bytes(options) // 4)
    if bottommost_bytes <= 0:
        return of_soft
    of_data = max(bottommost_bytes // 8, 2.0 * options.max_bytes_for_level_base)
    return min(of_data, of_soft)


def needs_speedup(
    kind: StallKind,
    l0_files: int,
    pending_bytes: float,
    bottommost_bytes: float,
    options: OptionsSpec,
) -> bool:
    """Tell whether more than one compaction may run (``WriteController::NeedSpeedupCompaction``).

    True in any stall, from :func:`speedup_l0_files`, from :func:`speedup_pending_bytes`, and always
    where no pending-compaction limit is set.
    """
    if kind is not StallKind.NORMAL or l0_files >= speedup_l0_files(options):
        return True
    # Without a limit the threshold is 0, which any debt reaches: RocksDB's own reading of 0.
    return pending_bytes >= speedup_pending_bytes(options, bottommost_bytes)


def job_limits(options: OptionsSpec, parallel: bool) -> JobLimits:
    """Split ``max_background_jobs``: a quarter to flushes, the rest to compactions, each >= 1.

    Without `parallel` only one compaction may run (``DBImpl::GetBGJobLimits``).
    """
    flushes = max(1, options.max_background_jobs // 4)
    compactions = max(1, options.max_background_jobs - flushes)
    return JobLimits(flushes, compactions if parallel else 1)


def compaction_slots(
    options: OptionsSpec,
    l0_files: int,
    pending_bytes: float,
    *,
    bottommost_bytes: float = 0.0,
    kind: StallKind | None = None,
) -> int:
    """Compactions that may run at once in this state.

    Parameters
    ----------
    options : OptionsSpec
    l0_files : int
        Level-0 files, those being compacted included.
    pending_bytes : float
        Estimated compaction debt, bytes.
    bottommost_bytes : float
        Bytes of files with nothing older below them.
    kind : StallKind, optional
        What the controller does now; by default what level-0 files and debt alone would make it do.
    """
    if kind is None:
        kind, _ = condition(0, l0_files, pending_bytes, options)
    return job_limits(
        options, needs_speedup(kind, l0_files, pending_bytes, bottommost_bytes, options)
    ).compactions
