"""One thread's operations against an open database, closed or open loop."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator

from phase_d_lib.engines.database import Database
from phase_d_lib.engines.workload import ValuePool, arrival_times, operations
from phase_d_lib.specs import RunSpec

_CHUNK_OPS = 32


class Writer:
    """One thread's operations: puts (and reads) from its own streams, latencies kept apart."""

    def __init__(self, spec: RunSpec, database: Database, thread: int) -> None:
        workload = spec.workload
        values = ValuePool(workload, spec.seed, thread)
        self._pool, self._value_bytes = values.pool, workload.value_bytes
        self._operations = operations(spec, thread, values)
        self._put, self._get = database.put, database.get
        self._writing = database.writing(wal=workload.wal)
        self._put_ns, self._get_ns = array("q"), array("q")
        self._due_s: Iterator[float] | None = None
        if workload.arrival.kind != "closed":
            chunks = arrival_times(
                workload.arrival, spec.duration_s, spec.seed, thread, workload.threads
            )
            self._due_s = (float(t) for chunk in chunks for t in chunk)
            self._next_due_s = next(self._due_s, float("inf"))

    def advance(self, start: float, until: float) -> None:
        """Do a short batch of operations, or sleep until the next is due (at most to `until`).

        Parameters
        ----------
        start, until : float
            Time zero of the run and the next sampling time, ``time.perf_counter`` seconds.
        """
        if self._due_s is None:
            for _ in range(_CHUNK_OPS):
                self._operate(time.perf_counter_ns())
            return
        now = time.perf_counter()
        if start + self._next_due_s > now:
            time.sleep(max(0.0, min(start + self._next_due_s, until) - now))
            return
        for _ in range(_CHUNK_OPS):
            if start + self._next_due_s > time.perf_counter():
                break
            self._operate(int((start + self._next_due_s) * 1e9))
            self._next_due_s = next(self._due_s, float("inf"))

    def late_s(self, now_s: float) -> float:
        """How far behind its schedule an open loop is, seconds; 0 for a closed loop."""
        return 0.0 if self._due_s is None else max(0.0, now_s - self._next_due_s)

    def _operate(self, intended_ns: int) -> None:
        key, offset, read = next(self._operations)
        if read:
            self._get(key)
            self._get_ns.append(time.perf_counter_ns() - intended_ns)
            return
        self._put(key, self._pool[offset : offset + self._value_bytes], self._writing)
        self._put_ns.append(time.perf_counter_ns() - intended_ns)

    def take_latencies(self) -> tuple[array[int], array[int]]:
        """Hand over the latencies since the last call, nanoseconds (puts, gets).

        Another thread may go on appending meanwhile: what comes after the copy stays for the next
        call, so that no operation is lost or counted twice.
        """
        return _take(self._put_ns), _take(self._get_ns)


def _take(latencies: array[int]) -> array[int]:
    taken = latencies[:]
    del latencies[: len(taken)]
    return taken
