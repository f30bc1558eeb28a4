"""The process that owns an embedded RocksDB: opens it, drives it, samples it, closes it.

``python -m phase_d_lib.engines.embedded_process {base|run} TASK.json`` - started by
:mod:`phase_d_lib.engines.embedded`, never by hand. Commands arrive as JSON lines on standard
input; its end (the parent died or closed it) ends the run.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import sys
import threading
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import rocksdict

from phase_d_lib.engines.sampling import Sampler, latency_row
from phase_d_lib.engines.workload import (
    KeyStream,
    ValuePool,
    arrival_times,
    encode_keys,
    load_order,
)
from phase_d_lib.optionsfile import render_options
from phase_d_lib.specs import OptionsSpec, RunSpec, WorkloadSpec

_CHUNK_OPS = 32
_DRAW_OPS = 2048
_SETTLE_TIMEOUT_S = 600.0
_PR_SET_PDEATHSIG = 1


class Database:
    """An open RocksDB with every option pinned and statistics on."""

    def __init__(self, path: Path, options: OptionsSpec, limiter_bytes_per_s: int | None) -> None:
        folder = path.with_name(path.name + "-options")
        folder.mkdir(exist_ok=True)
        # rocksdict has no setter for several options; it does load them all from an OPTIONS file.
        (folder / "OPTIONS-000005").write_text(render_options(options))
        self._options, families = rocksdict.Options.load_latest(str(folder))
        self._options.create_if_missing(True)
        self._options.enable_statistics()
        if limiter_bytes_per_s is not None:
            self._options.set_ratelimiter(limiter_bytes_per_s, 100_000, 10)
        self.rdict = rocksdict.Rdict(str(path), self._options, column_families=families)
        for leftover in folder.iterdir():
            leftover.unlink()
        folder.rmdir()

    def text(self, name: str) -> str | None:
        """Return a text property."""
        value: str | None = self.rdict.property_value(name)
        return value

    def number(self, name: str) -> int | None:
        """Return an integer property."""
        value: int | None = self.rdict.property_int_value(name)
        return value

    def statistics(self) -> str | None:
        """Return the statistics dump."""
        value: str | None = self._options.get_statistics()
        return value

    def settle(self) -> None:
        """Flush and wait until no compaction runs or is due."""
        self.rdict.flush(True)
        deadline = time.monotonic() + _SETTLE_TIMEOUT_S
        busy = ("num-running-compactions", "num-running-flushes", "compaction-pending")
        quiet = 0
        while quiet < 3:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the tree did not settle within {_SETTLE_TIMEOUT_S:.0f} s")
            quiet = 0 if any(self.number(f"rocksdb.{name}") for name in busy) else quiet + 1
            time.sleep(0.02)

    def close(self) -> None:
        """Stop background work and close; what is not flushed stays in the WAL."""
        self.rdict.cancel_all_background(True)
        # rocksdict flushes on close, which RocksDB refuses once background work is cancelled.
        with contextlib.suppress(Exception):
            self.rdict.close()


def build_base(task: dict[str, Any]) -> None:
    """Load every key once, let the tree settle, and leave a checkpoint of it."""
    workload = WorkloadSpec.model_validate(task["workload"])
    options = OptionsSpec.model_validate(task["options"])
    database = Database(Path(task["database"]), options, None)
    order, pool = load_order(workload, task["seed"]), ValuePool(workload, task["seed"])
    put, size, values = database.rdict.put, workload.value_bytes, pool.pool
    for start in range(0, len(order), _DRAW_OPS):
        keys = encode_keys(order[start : start + _DRAW_OPS], workload.key_bytes)
        for key, offset in zip(keys, pool.offsets(len(keys)), strict=True):
            put(key, values[offset : offset + size])
    database.settle()
    rocksdict.Checkpoint(database.rdict).create_checkpoint(task["checkpoint"])
    database.close()


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, even inside a stalled put.

    Linux only; elsewhere, and for a parent that is already gone, the end of standard input stops
    the run at its next sample.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Writer:
    """One thread's operations: puts (and reads) from its own streams, latencies kept apart."""

    def __init__(self, spec: RunSpec, database: Database, thread: int) -> None:
        self._spec = spec
        self._rdict = database.rdict
        workload = spec.workload
        self._keys = KeyStream(workload, spec.seed, thread)
        self._values = ValuePool(workload, spec.seed, thread)
        self._coin = np.random.default_rng([spec.seed, thread, 5])
        self._write_options = rocksdict.WriteOptions()
        if not workload.wal:
            self._write_options.disable_wal = True  # type: ignore[method-assign,assignment] # a property
        self._operations = self._draw()
        self.puts = self.gets = 0
        self.put_ns, self.get_ns = array("q"), array("q")
        self._due_s: Iterator[float] | None = None
        if workload.arrival.kind != "closed":
            chunks = arrival_times(
                workload.arrival, spec.duration_s, spec.seed, thread, workload.threads
            )
            self._due_s = (float(t) for chunk in chunks for t in chunk)
            self._next_due_s = next(self._due_s, float("inf"))

    def _draw(self) -> Iterator[tuple[bytes, int, bool]]:
        share = self._spec.workload.read_fraction
        while True:
            keys, offsets = self._keys.keys(_DRAW_OPS), self._values.offsets(_DRAW_OPS)
            reads = (
                (self._coin.random(_DRAW_OPS) < share).tolist() if share else [False] * _DRAW_OPS
            )
            yield from zip(keys, offsets, reads, strict=True)

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
            self._rdict.get(key)
            self.get_ns.append(time.perf_counter_ns() - intended_ns)
            self.gets += 1
            return
        size = self._spec.workload.value_bytes
        self._rdict.put(key, self._values.pool[offset : offset + size], self._write_options)
        self.put_ns.append(time.perf_counter_ns() - intended_ns)
        self.puts += 1

    def take_latencies(self) -> tuple[array[int], array[int]]:
        """Hand over the latencies since the last call, nanoseconds (puts, gets)."""
        taken = self.put_ns, self.get_ns
        self.put_ns, self.get_ns = array("q"), array("q")
        return taken


class Recorder:
    """Writes sample and latency rows as they come; what is written survives a kill."""

    def __init__(self, folder: Path, sampler: Sampler, writers: list[Writer]) -> None:
        self._samples: TextIO = (folder / "samples.jsonl").open("a", buffering=1)
        self._latency: TextIO = (folder / "latency.jsonl").open("a", buffering=1)
        self._sampler, self._writers = sampler, writers

    def record(self, now_s: float) -> None:
        """Take and store one sample and its latency histograms."""
        taken = [writer.take_latencies() for writer in self._writers]
        puts = np.concatenate([np.frombuffer(p, dtype=np.int64) for p, _ in taken]) / 1e3
        gets = np.concatenate([np.frombuffer(g, dtype=np.int64) for _, g in taken]) / 1e3
        rate = self._writers[0]._spec.workload.arrival.rate_ops_per_s or 0.0
        backlog = int(rate * max(writer.late_s(now_s) for writer in self._writers))
        row = self._sampler.sample(
            sum(w.puts for w in self._writers), sum(w.gets for w in self._writers), backlog, puts
        )
        self._samples.write(json.dumps(row) + "\n")
        for operation, latencies in (("put", puts), ("get", gets)):
            if len(latencies):
                self._latency.write(
                    json.dumps(latency_row(int(now_s), operation, latencies)) + "\n"
                )

    def close(self) -> None:
        """Close the row files."""
        self._samples.close()
        self._latency.close()


class Commands:
    """Commands on standard input, JSON lines: ``{"set_options": {..}}`` or ``{"stop": true}``."""

    def __init__(self, database: Database, journal: Path) -> None:
        self._database, self._journal = database, journal
        self._selector = selectors.DefaultSelector()
        os.set_blocking(sys.stdin.fileno(), False)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._pending = ""
        self.stopped = False

    def poll(self, now_s: float) -> None:
        """Apply every command that has arrived."""
        if self.stopped or not self._selector.select(timeout=0):
            return
        chunk = os.read(sys.stdin.fileno(), 65_536).decode()
        if not chunk:
            self.stopped = True
            return
        *lines, self._pending = (self._pending + chunk).split("\n")
        for line in lines:
            self._apply(json.loads(line), now_s)

    def _apply(self, command: dict[str, Any], now_s: float) -> None:
        if command.get("stop"):
            self.stopped = True
            return
        outcome: dict[str, Any] = {"time_s": now_s, **command, "error": None}
        try:
            self._database.rdict.set_options(command["set_options"])
        except Exception as error:  # rocksdict raises bare Exception for a refused option
            outcome["error"] = str(error)
        with self._journal.open("a") as stream:
            stream.write(json.dumps(outcome) + "\n")


def drive(task: dict[str, Any]) -> None:
    """Run the workload of ``spec.json`` against the database of the task."""
    folder = Path(task["run"])
    spec = RunSpec.model_validate_json((folder / "spec.json").read_text())
    database = Database(Path(task["database"]), spec.options, spec.limiter_bytes_per_s)
    try:
        writers = [Writer(spec, database, thread) for thread in range(spec.workload.threads)]
        sampler = Sampler(database.text, database.number, database.statistics)
        recorder = Recorder(folder, sampler, writers)
        commands = Commands(database, folder / "commands.jsonl")
        _loop(spec, writers, sampler, recorder, commands)
        recorder.close()
    finally:
        database.close()


def _loop(
    spec: RunSpec, writers: list[Writer], sampler: Sampler, recorder: Recorder, commands: Commands
) -> None:
    sampler.start()
    start = time.perf_counter()
    end = start + spec.duration_s
    failures: list[Exception] = []
    others = [
        threading.Thread(target=_work, args=(writer, start, end, commands, failures), daemon=True)
        for writer in writers[1:]
    ]
    recorder.record(0.0)
    for thread in others:
        thread.start()
    next_sample = start + spec.sample_period_s
    now = time.perf_counter()
    while now < end and not commands.stopped:
        writers[0].advance(start, min(next_sample, end))
        now = time.perf_counter()
        if now >= next_sample:
            recorder.record(now - start)
            commands.poll(now - start)
            # A stall may have swallowed several periods: sample next on the grid, do not catch up.
            missed = int((now - next_sample) / spec.sample_period_s)
            next_sample += (missed + 1) * spec.sample_period_s
    commands.stopped = True
    for thread in others:
        thread.join()
    # The end usually falls on the grid: a second sample right behind would span no time.
    now = time.perf_counter()
    if now - (next_sample - spec.sample_period_s) > spec.sample_period_s / 4:
        recorder.record(now - start)
    if failures:
        raise failures[0]


def _work(
    writer: Writer, start: float, end: float, commands: Commands, failures: list[Exception]
) -> None:
    try:
        while time.perf_counter() < end and not commands.stopped:
            writer.advance(start, end)
    except Exception as failure:  # told to the main thread, which ends the run with it
        failures.append(failure)
        commands.stopped = True


def main(arguments: list[str]) -> None:
    """Run one task: build a base tree or drive a run."""
    die_with_parent()
    kind, task_file = arguments
    task = json.loads(Path(task_file).read_text())
    {"base": build_base, "run": drive}[kind](task)


if __name__ == "__main__":
    main(sys.argv[1:])
