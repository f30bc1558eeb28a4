"""RocksDB's rate limiter by its refills, for when the mean share of a flush is not enough.

A refill every 100 ms (the usual setting) is what locks small memtables to a rhythm: a flush started
between two refills waits for the next, whatever its size. Source: ``util/rate_limiter.cc``
(GenericRateLimiter) and the 1 MiB requests of ``WritableFileWriter``, 9.8.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from phase_d_lib.lsm.state import Job
from phase_d_lib.units import MIB

REQUEST_BYTES = float(MIB)
"""``writable_file_max_buffer_size``, default: what a job asks for at a time."""
FAIRNESS = 10
"""Compactions go before flushes in one of this many refills, default."""


class RefillLimiter:
    """Grants written bytes to jobs, refill by refill.

    Parameters
    ----------
    bytes_per_s : float
    refill_s : float
        Period of the refills.
    slot_bytes_per_s : float
        Cap of one background thread; a job gets at most this times the period per refill.
    rng : random.Random
        Draws which refills serve compactions first.
    """

    def __init__(
        self, bytes_per_s: float, refill_s: float, slot_bytes_per_s: float, rng: random.Random
    ) -> None:
        self.next_refill_s = 0.0
        self._refill_s = refill_s
        self._refill_bytes = bytes_per_s * refill_s
        self._request_bytes = min(REQUEST_BYTES, self._refill_bytes)
        self._slot_bytes = slot_bytes_per_s * refill_s
        self._available_bytes = 0.0
        self._turn = 0
        self._rng = rng
        self._freed: dict[type[Job], list[float]] = {}
        """Per kind of job, what threads that became free in this refill have been granted."""

    def serve(self, now_s: float, flushes: Sequence[Job], compactions: Sequence[Job]) -> list[Job]:
        """Grant what is available to the running jobs; return those that have written all.

        Flushes are asked first, one request each, then compactions in the order they queued, and
        again while bytes are left. A job that starts because another ended comes after those that
        were waiting: call again for it.
        """
        writing = [job for job in (*flushes, *compactions) if job.left_bytes > 0.0]
        if not writing:
            return []
        ended: list[Job] = []
        if now_s >= self.next_refill_s:
            self._refill(now_s, writing)
            if self._rng.random() < 1.0 / FAIRNESS:
                ended += self._round((), compactions)
        while self._available_bytes > 0.0:
            before = self._available_bytes
            ended += self._round(flushes, compactions)
            if self._available_bytes == before:  # all are done or at their thread's cap
                break
        return ended

    def _round(self, flushes: Sequence[Job], compactions: Sequence[Job]) -> list[Job]:
        """Grant one request to each job that still writes; return those that end with it."""
        queued = compactions
        if len(compactions) > 1:
            queued = sorted(compactions, key=lambda job: job.queued)
        writing = [job for job in (*flushes, *queued) if job.left_bytes > 0.0]
        return [job for job in writing if self._grant(job)]

    def _refill(self, now_s: float, jobs: Sequence[Job]) -> None:
        self._available_bytes = self._refill_bytes
        self.next_refill_s = now_s + self._refill_s
        self._freed.clear()
        for job in jobs:
            job.granted_bytes = 0.0

    def _grant(self, job: Job) -> bool:
        """Grant one request as far as bytes are left; tell whether the job has written all."""
        asked = job.asked_bytes or min(self._request_bytes, job.left_bytes)
        granted = asked if asked < self._available_bytes else self._available_bytes
        if self._slot_bytes < math.inf:
            granted = min(granted, max(0.0, self._slot_bytes * job.threads - job.granted_bytes))
        self._available_bytes -= granted
        job.granted_bytes += granted
        job.left_bytes -= granted
        job.asked_bytes = asked - granted
        if job.asked_bytes <= 0.0:
            job.asked_bytes = 0.0
            self._turn += 1
            job.queued = self._turn
        if job.left_bytes > 0.0:
            return False
        self._freed.setdefault(type(job), []).append(job.granted_bytes)
        return True

    def queue(self, job: Job) -> None:
        """Put a new job at the end of the queue, on a thread with what that has left."""
        freed = self._freed.get(type(job))
        job.granted_bytes = freed.pop() if freed else 0.0
        self._turn += 1
        job.queued = self._turn
