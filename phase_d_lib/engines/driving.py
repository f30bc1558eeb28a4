"""What the process of an embedded RocksDB does: load a base tree, or drive and sample a run.

Each engine calls :func:`main` with a way to open its database; everything else is the same for
all of them. Commands arrive as JSON lines on standard input; its end (the parent died or closed
it) ends the run.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from phase_d_lib.engines.commands import Commands, die_with_parent
from phase_d_lib.engines.database import Database, OpenDatabase
from phase_d_lib.engines.recorder import Recorder
from phase_d_lib.engines.sampling import Sampler
from phase_d_lib.engines.workload import DRAWN_AT_ONCE, ValuePool, encode_keys, load_order
from phase_d_lib.engines.writer import Writer
from phase_d_lib.errors import PhaseDError
from phase_d_lib.specs import OptionsSpec, RunSpec, WorkloadSpec

_SETTLE_TIMEOUT_S = 600.0


def main(arguments: list[str], opener: Callable[[dict[str, Any]], OpenDatabase]) -> None:
    """Run one task: ``{base|run} TASK.json``; a known error is the last line on standard error."""
    die_with_parent()
    kind, task_file = arguments
    task = json.loads(Path(task_file).read_text())
    try:
        {"base": build_base, "run": drive}[kind](task, opener(task))
    except PhaseDError as error:
        sys.exit(str(error))


def build_base(task: dict[str, Any], open_database: OpenDatabase) -> None:
    """Load every key once, let the tree settle, and leave a checkpoint of it."""
    workload = WorkloadSpec.model_validate(task["workload"])
    options = OptionsSpec.model_validate(task["options"])
    database = open_database(Path(task["database"]), options, None)
    order, pool = load_order(workload, task["seed"]), ValuePool(workload, task["seed"])
    put, size, values = database.put, workload.value_bytes, pool.pool
    writing = database.writing(wal=True)
    for start in range(0, len(order), DRAWN_AT_ONCE):
        keys = encode_keys(order[start : start + DRAWN_AT_ONCE], workload.key_bytes)
        for key, offset in zip(keys, pool.offsets(len(keys)), strict=True):
            put(key, values[offset : offset + size], writing)
    settle(database)
    database.checkpoint(Path(task["checkpoint"]))
    database.close()


def settle(database: Database) -> None:
    """Flush and wait until no compaction runs or is due.

    Raises
    ------
    TimeoutError
        After ten minutes.
    """
    database.flush()
    deadline = time.monotonic() + _SETTLE_TIMEOUT_S
    busy = ("num-running-compactions", "num-running-flushes", "compaction-pending")
    quiet = 0
    while quiet < 3:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the tree did not settle within {_SETTLE_TIMEOUT_S:.0f} s")
        quiet = 0 if any(database.number(f"rocksdb.{name}") for name in busy) else quiet + 1
        time.sleep(0.02)


def drive(task: dict[str, Any], open_database: OpenDatabase) -> None:
    """Run the workload of ``spec.json`` against the database of the task."""
    folder = Path(task["run"])
    spec = RunSpec.model_validate_json((folder / "spec.json").read_text())
    database = open_database(Path(task["database"]), spec.options, spec.limiter_bytes_per_s)
    try:
        writers = [Writer(spec, database, thread) for thread in range(spec.workload.threads)]
        sampler = Sampler(
            database.text, database.number, database.statistics, Path(task["database"])
        )
        recorder = Recorder(folder, spec, sampler, writers)
        commands = Commands(database.set_options, folder / "commands.jsonl")
        # Where a put holds Python's lock no thread could sample, so the first writer does between
        # its puts; elsewhere this thread only samples, and a stall hides nothing.
        own = None if database.releases_lock else writers[0]
        _loop(spec, own, writers[0 if own is None else 1 :], sampler, recorder, commands)
        recorder.close()
    finally:
        database.close()


def _loop(
    spec: RunSpec,
    own: Writer | None,
    others: list[Writer],
    sampler: Sampler,
    recorder: Recorder,
    commands: Commands,
) -> None:
    sampler.start()
    start = time.perf_counter()
    end = start + spec.duration_s
    failures: list[Exception] = []
    threads = [
        threading.Thread(
            target=_work, args=(writer, start, end, spec.sample_period_s, commands, failures)
        )
        for writer in others
    ]
    recorder.record(0.0)
    for thread in threads:
        thread.start()
    try:
        covered = _until_the_end(spec, own, start, recorder, commands)
    finally:
        # No thread may outlive this: the database is closed next.
        commands.stopped = True
        for thread in threads:
            thread.join()
    # The end usually falls on the grid: a second sample right behind would span no time.
    now = time.perf_counter()
    if now - covered > spec.sample_period_s / 4:
        recorder.record(now - start)
    if failures:
        raise failures[0]


def _until_the_end(
    spec: RunSpec, own: Writer | None, start: float, recorder: Recorder, commands: Commands
) -> float:
    """Put (or only wait) and sample until the end or a stop; return the last time on the grid."""
    end, next_sample = start + spec.duration_s, start + spec.sample_period_s
    now = time.perf_counter()
    while now < end and not commands.stopped:
        until = min(next_sample, end)
        if own is None:
            time.sleep(max(0.0, until - now))
        else:
            own.advance(start, until)
        now = time.perf_counter()
        if now >= next_sample:
            recorder.record(now - start)
            commands.poll(now - start)
            # A stall may have swallowed several periods: sample next on the grid, do not catch up.
            missed = int((now - next_sample) / spec.sample_period_s)
            next_sample += (missed + 1) * spec.sample_period_s
    return next_sample - spec.sample_period_s


def _work(
    writer: Writer,
    start: float,
    end: float,
    patience_s: float,
    commands: Commands,
    failures: list[Exception],
) -> None:
    """Do one thread's operations until the end or a stop, seen after `patience_s` at the latest."""
    try:
        while (now := time.perf_counter()) < end and not commands.stopped:
            writer.advance(start, min(end, now + patience_s))
    except Exception as failure:  # told to the main thread, which ends the run with it
        failures.append(failure)
        commands.stopped = True
