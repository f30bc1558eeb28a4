"""The event loop: memtables fill, flushes and compactions run, the controller reacts.

Between two events every rate is constant, so the loop jumps from event to event and has no step
size. Events are: a memtable fills, the limiter refills (or, where its bandwidth is shared evenly, a
flush or compaction ends), the arrival rate changes, a backlog empties.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.lsm.arrival import ArrivalRate
from phase_d_lib.lsm.geometry import Geometry
from phase_d_lib.lsm.limiter import RefillLimiter
from phase_d_lib.lsm.merge import merge, merge_whole
from phase_d_lib.lsm.picker import CompactionKind, Pick, pick
from phase_d_lib.lsm.resources import Resources
from phase_d_lib.lsm.result import CompactionRow
from phase_d_lib.lsm.state import CompactionJob, Counters, Event, FlushJob, Job
from phase_d_lib.lsm.tree import File, Tree, total_bytes
from phase_d_lib.specs import OptionsSpec
from phase_d_lib.stalls import (
    StallKind,
    WriteController,
    compaction_slots,
    job_limits,
)

FILE_SIZE_JITTER = 0.1
"""Spread of output file size limits, fraction of the limit."""
MEMTABLE_JITTER = 0.01
"""Standard deviation of memtable capacity, fraction: skip-list heights and timing."""
FOREGROUND_JITTER = 0.15
"""Standard deviation of the time an unstalled memtable takes to fill, fraction."""
_MAX_FOREGROUND_JITTER = 0.5
_LEAST_PUTS = 1e-6
_NEVER = math.inf


class Simulation:
    """One RocksDB under one workload.

    Parameters
    ----------
    geometry : Geometry
    options : OptionsSpec
    resources : Resources
    foreground_ops_per_s : float
        Puts per second of an unstalled writer.
    rng : random.Random
        Source of all jitter.
    overwrites : bool
        False while a load writes each key once.
    """

    def __init__(
        self,
        geometry: Geometry,
        options: OptionsSpec,
        resources: Resources,
        foreground_ops_per_s: float,
        rng: random.Random,
        overwrites: bool = True,
    ) -> None:
        self.geometry = geometry
        self.options = options
        self.tree = Tree(options)
        self._rng = rng
        self._most_jobs = job_limits(options, parallel=True)
        self._memtable_puts = 0.0
        self._immutable_puts: list[float] = []
        self._waiting_memtables = 0
        self._flushes: list[FlushJob] = []
        self._compactions: list[CompactionJob] = []
        self.open(resources, foreground_ops_per_s, overwrites=overwrites)

    def open(
        self,
        resources: Resources,
        foreground_ops_per_s: float,
        arrival: ArrivalRate | None = None,
        overwrites: bool = True,
    ) -> None:
        """Start on the tree as it is, with clock, counters and controller as at a fresh open.

        Parameters
        ----------
        resources, foreground_ops_per_s, overwrites
            As for the class.
        arrival : ArrivalRate, optional
            Arrival process; without it the writer is always ready.
        """
        self.resources = resources
        self._limiter: RefillLimiter | None = None
        if resources.refill_s > 0.0 and resources.limiter_bytes_per_s < _NEVER:
            limiter, slot = resources.limiter_bytes_per_s, resources.slot_bytes_per_s
            self._limiter = RefillLimiter(limiter, resources.refill_s, slot, self._rng)
        self.overwrites = overwrites
        self.arrival = arrival
        self.controller = WriteController.fresh(self.options)
        self.counters = Counters()
        self.log: list[CompactionRow] = []
        self.time_s = 0.0
        self.backlog_ops = 0.0
        self._mean_free_ops_per_s = self._free_ops_per_s = foreground_ops_per_s
        self._memtable_capacity = self.geometry.memtable_entries
        self._owed_jitter: float | None = None
        self._arriving_ops_per_s, self._arriving_until_s = 0.0, _NEVER
        if arrival is not None:
            self._arriving_ops_per_s, self._arriving_until_s = arrival(0.0)
        self._held_s = self._waiting_s = 0.0
        self._recalculate()
        self._schedule()

    @property
    def idle(self) -> bool:
        """No flush and no compaction is running."""
        return not self._flushes and not self._compactions

    def run_until(self, end_s: float) -> None:
        """Advance to `end_s`, seconds since the open."""
        while self.time_s < end_s:
            self._step(end_s - self.time_s, _NEVER)
            if end_s - self.time_s < 1e-12 * end_s:
                self.time_s = end_s

    def load(self, puts: float) -> None:
        """Write `puts` entries as fast as possible, flush, and wait until the tree is settled.

        Raises
        ------
        ModelRefusal
            When writes stop and nothing is running that could resume them.
        """
        while puts - self.counters.puts > _LEAST_PUTS:
            self._step(_NEVER, puts - self.counters.puts)
        self._mean_free_ops_per_s = self._free_ops_per_s = 0.0
        if self._memtable_puts > 0.0:
            self._switch_memtable()
        self._schedule(flush_all=True)
        while not self.idle:
            self._step(_NEVER, _NEVER)

    def snapshot(self) -> Counters:
        """Return a copy of the counters as of now."""
        self._book_stall()
        now = self.counters
        now = replace(now, held_s=dict(now.held_s), waiting_s=dict(now.waiting_s))
        now.flush_bytes += sum(job.written_bytes for job in self._flushes)
        for job in self._compactions:
            now.compaction_write_bytes += job.written_bytes
            now.compaction_read_bytes += job.written_bytes * job.read_per_write
        return now

    # -- time ----------------------------------------------------------------------------------

    def _step(self, wait_s: float, puts_left: float) -> None:
        """Advance to the next event, at most `wait_s` and at most `puts_left` puts."""
        event: Event = Event.LIMIT
        job: Job | None = None
        rate = self._put_rate_ops_per_s
        if rate > 0.0:
            wait_s = min(wait_s, puts_left / rate)
            full_s = (self._memtable_capacity - self._memtable_puts) / rate
            if full_s < wait_s:
                wait_s, event = full_s, Event.MEMTABLE_FULL
        if self._limiter is None:
            for candidate, speed in self._speeds:
                if candidate.left_bytes < wait_s * speed:
                    wait_s, event, job = candidate.left_bytes / speed, Event.JOB_DONE, candidate
        elif not self.idle and self._limiter.next_refill_s - self.time_s < wait_s:
            wait_s, event = self._limiter.next_refill_s - self.time_s, Event.REFILL
        if self.arrival is not None:
            wait_s, event = self._arrival_event(wait_s, event)
        if wait_s == _NEVER:
            raise ModelRefusal("options", "writes stop for good: no flush or compaction is due")
        self._advance(wait_s if wait_s > 0.0 else 0.0)
        if event is not Event.LIMIT:
            self._handle(event, job)
            self._schedule()

    def _arrival_event(self, wait_s: float, event: Event) -> tuple[float, Event]:
        """Return the next event with those of the arrival process considered."""
        change_s = self._arriving_until_s - self.time_s
        if change_s < wait_s:
            wait_s, event = change_s, Event.ARRIVALS_CHANGE
        drain = self._put_rate_ops_per_s - self._arriving_ops_per_s
        if self.backlog_ops > 0.0 and drain > 0.0 and self.backlog_ops / drain < wait_s:
            wait_s, event = self.backlog_ops / drain, Event.BACKLOG_EMPTY
        return wait_s, event

    def _advance(self, elapsed_s: float) -> None:
        """Let `elapsed_s` pass at the present rates."""
        counters = self.counters
        puts = self._put_rate_ops_per_s * elapsed_s
        self.time_s += elapsed_s
        self._memtable_puts += puts
        counters.puts += puts
        counters.l0_file_s += len(self.tree.levels[0]) * elapsed_s
        counters.busy_slot_s += len(self._compactions) * elapsed_s
        self._held_s += elapsed_s
        self._waiting_s += self._waiting_share * elapsed_s
        for job, speed in self._speeds:
            job.left_bytes -= speed * elapsed_s
        if self.arrival is not None:
            arrived = self._arriving_ops_per_s * elapsed_s
            counters.arrived += arrived
            self.backlog_ops = max(0.0, self.backlog_ops + arrived - puts)

    def _handle(self, event: Event, job: Job | None) -> None:
        if event is Event.MEMTABLE_FULL:
            self._switch_memtable()
            if self.overwrites:  # a load is one fixed sequence
                self._draw_jitter()
        elif event is Event.JOB_DONE and job is not None:
            self._end(job)
        elif event is Event.REFILL and self._limiter is not None:
            self.time_s = max(self.time_s, self._limiter.next_refill_s)
        elif event is Event.BACKLOG_EMPTY:
            self.backlog_ops = 0.0
        elif event is Event.ARRIVALS_CHANGE and self.arrival is not None:
            self.time_s = self._arriving_until_s
            self._arriving_ops_per_s, self._arriving_until_s = self.arrival(self.time_s)

    # -- installs ------------------------------------------------------------------------------

    def _switch_memtable(self) -> None:
        self._immutable_puts.append(self._memtable_puts)
        self._waiting_memtables += 1
        self._memtable_puts = 0.0
        self._recalculate()

    def _end(self, job: Job) -> None:
        """Install a finished compaction, or the finished flushes up to the first unfinished one."""
        job.left_bytes = 0.0
        if isinstance(job, CompactionJob):
            self._compactions.remove(job)
            self.counters.compaction_write_bytes += job.write_bytes
            self.counters.compaction_read_bytes += job.write_bytes * job.read_per_write
            self._install(job.pick, job.output, job.start_s)
        while self._flushes and self._flushes[0].left_bytes <= 0.0:
            flush = self._flushes.pop(0)
            self.counters.flush_bytes += flush.write_bytes
            del self._immutable_puts[: flush.memtables]
            self.tree.add_flushed(flush.file)
            self._recalculate()

    def _install(self, done: Pick, output: list[File], start_s: float) -> None:
        self.tree.replace(done.level, done.upper, done.output_level, done.lower, output)
        self.log.append(
            CompactionRow(
                start_s=start_s,
                end_s=self.time_s,
                kind=done.kind,
                level=done.level,
                output_level=done.output_level,
                upper_files=len(done.upper),
                lower_files=len(done.lower),
                upper_bytes=total_bytes(done.upper),
                lower_bytes=total_bytes(done.lower),
                output_files=len(output),
                output_bytes=total_bytes(output),
            )
        )
        self._recalculate()

    def _recalculate(self) -> None:
        """Let the controller see the new state, as every install does."""
        before = self.controller
        self.controller = before.recalculate(
            len(self._immutable_puts), self.tree.l0_files, self.tree.pending_bytes
        )
        if before.kind is not self.controller.kind or before.cause is not self.controller.cause:
            self._book_stall(before)

    def _book_stall(self, controller: WriteController | None = None) -> None:
        """Book the time since the last booking to the condition that held."""
        controller = controller or self.controller
        key, counters = (controller.kind, controller.cause), self.counters
        counters.held_s[key] = counters.held_s.get(key, 0.0) + self._held_s
        counters.waiting_s[key] = counters.waiting_s.get(key, 0.0) + self._waiting_s
        self._held_s = self._waiting_s = 0.0

    # -- background jobs -----------------------------------------------------------------------

    def _schedule(self, flush_all: bool = False) -> None:
        """Start what may start, then settle all rates until the next event."""
        self._start_jobs(flush_all)
        if self._limiter is not None:
            while ended := self._limiter.serve(self.time_s, self._flushes, self._compactions):
                for job in ended:
                    self._end(job)
                self._start_jobs(flush_all)
        self._settle_rates()

    def _start_jobs(self, flush_all: bool) -> None:
        self._start_flush(flush_all)
        while len(self._compactions) < self._slots():
            found = pick(self.tree, [job.pick for job in self._compactions])
            if found is None:
                break
            self._start_compaction(found)

    def _slots(self) -> int:
        """Compactions that may run at once."""
        if self._most_jobs.compactions == 1:
            return 1
        return compaction_slots(
            self.options,
            self.tree.l0_files,
            self.tree.pending_bytes,
            bottommost_bytes=self.tree.bottommost_bytes(),
            kind=self.controller.kind,
        )

    def _start_flush(self, flush_all: bool) -> None:
        """Start a flush of every waiting memtable, once enough of them wait."""
        waiting = self._waiting_memtables
        if not waiting:
            return
        needed = 1 if flush_all else self.options.min_write_buffer_number_to_merge
        if waiting < needed or len(self._flushes) >= self._most_jobs.flushes:
            return
        puts = math.fsum(self._immutable_puts[-waiting:])
        popularity = self.geometry.popularity
        unique = popularity.expected_unique(puts) if self.overwrites else popularity.spread(puts)
        size = math.fsum(unique) * self.geometry.entry_bytes
        loaded = None if self.overwrites else unique
        job = FlushJob(size, size, 1, waiting, File(0.0, 1.0, unique, size, loaded=loaded))
        self._flushes.append(job)
        self._waiting_memtables = 0
        if self._limiter is not None:
            self._limiter.queue(job)

    def _start_compaction(self, found: Pick) -> None:
        """Start a compaction; a move takes no time and is installed at once."""
        if found.kind is CompactionKind.MOVE:
            self._install(found, found.upper, self.time_s)
            return
        inputs = found.upper + found.lower
        output = self._merge(found, inputs)
        for file in inputs:
            file.busy = True
        size, read = total_bytes(output), total_bytes(inputs)
        threads = self._subcompactions(found, read)
        job = CompactionJob(size, size, threads, found, output, self.time_s, read / size)
        self._compactions.append(job)
        if self._limiter is not None:
            self._limiter.queue(job)

    def _merge(self, found: Pick, inputs: list[File]) -> list[File]:
        if found.output_level == 0:
            return merge_whole(inputs, self.geometry)
        return merge(
            inputs,
            self.tree.grandparents(found.output_level, found.low, found.high),
            self.geometry,
            self.options.target_file_size_base,
            FILE_SIZE_JITTER,
            self._rng,
            bottommost=not any(self.tree.levels[found.output_level + 1 :]),
        )

    def _subcompactions(self, found: Pick, input_bytes: float) -> int:
        """Threads of a compaction: more than one only from level 0 down, each with a file's worth.

        Their extra output cuts are left out (``CompactionJob::GenSubcompactionBoundaries``).
        """
        if found.level > 0 or found.output_level == 0:
            return 1
        per_file = int(input_bytes // self.options.target_file_size_base)
        return max(1, min(self.options.max_subcompactions, per_file))

    # -- rates ---------------------------------------------------------------------------------

    def _settle_rates(self) -> None:
        """Compute all rates from the state; they hold until the next event."""
        controller, batch = self.controller, self.geometry.batch_bytes
        free = self._free_ops_per_s
        rate = controller.write_rate_bytes_per_s(free * batch) / batch
        wanted = free
        if self.arrival is not None and self.backlog_ops <= 0.0:
            wanted = min(free, self._arriving_ops_per_s)
            rate = min(rate, wanted)
        self._put_rate_ops_per_s = rate
        self._waiting_share = 1.0 - rate / wanted if wanted > 0.0 else 0.0
        self._speeds: list[tuple[Job, float]] = []
        if self._limiter is None:
            flush, speeds = self.resources.share(
                len(self._flushes),
                [job.threads for job in self._compactions],
                controller.kind is not StallKind.NORMAL,
            )
            self._speeds += [(job, flush) for job in self._flushes if job.left_bytes > 0.0]
            self._speeds += zip(self._compactions, speeds, strict=True)

    def _draw_jitter(self) -> None:
        """Vary capacity and free rate of the next memtable.

        The free rate's relative fill times come in pairs that sum to two, so that the unstalled
        mean rate stays what was given.
        """
        rng = self._rng
        nominal = self.geometry.memtable_entries
        self._memtable_capacity = nominal * (1.0 + MEMTABLE_JITTER * rng.gauss(0.0, 1.0))
        if self._owed_jitter is None:
            drawn = FOREGROUND_JITTER * rng.gauss(0.0, 1.0)
            drawn = max(-_MAX_FOREGROUND_JITTER, min(_MAX_FOREGROUND_JITTER, drawn))
            self._owed_jitter = -drawn
        else:
            drawn, self._owed_jitter = self._owed_jitter, None
        self._free_ops_per_s = self._mean_free_ops_per_s / (1.0 + drawn)
