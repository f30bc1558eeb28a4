"""Carry a spec out: base tree, clone, slot, engine process, live samples, finished run."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import orjson

from phase_d_lib import runs
from phase_d_lib.engines import find_engine
from phase_d_lib.engines.protocol import Engine, EngineProcess
from phase_d_lib.errors import EngineError
from phase_d_lib.host import Host, describe_host
from phase_d_lib.runs import Run
from phase_d_lib.slot import benchmark_slot
from phase_d_lib.specs import RunSpec, WorkloadSpec, digest
from phase_d_lib.throttle import DeviceThrottle
from phase_d_lib.workspace import Workspace, claim, is_ours, remove, write_atomically

OnSample = Callable[[dict[str, Any], EngineProcess], None]
_POLL_S = 0.1
_END_PATIENCE_S = 60.0
_STOP_PATIENCE_S = 2.0
MAX_RETRIES = 2
KEPT_BASE_TREES = 6


def execute(
    spec: RunSpec,
    workspace: Workspace,
    *,
    predictions: list[dict[str, Any]] | None = None,
    on_sample: OnSample | None = None,
    retries: int = 0,
) -> Run:
    """Run `spec` and return its finished run directory.

    Parameters
    ----------
    predictions : list of dict, optional
        Frozen to ``prediction.json`` before the engine starts.
    on_sample : callable, optional
        Called with each sample row as it appears, and the process to command.
    retries : int
        How often to try again when the run is not valid (at most :data:`MAX_RETRIES`).

    Raises
    ------
    EngineError
        When the engine dies before it sampled anything; a run that sampled is returned partial.
    SlotBusyError
        When another run holds the benchmark slot.
    """
    engine = find_engine(spec.engine)
    run = _attempt(spec, workspace, engine, predictions, on_sample)
    for _ in range(min(retries, MAX_RETRIES)):
        if run.valid:
            break
        run = _attempt(spec, workspace, engine, predictions, on_sample)
    return run


def _attempt(
    spec: RunSpec,
    workspace: Workspace,
    engine: Engine,
    predictions: list[dict[str, Any]] | None,
    on_sample: OnSample | None,
) -> Run:
    with benchmark_slot():
        recover(workspace)
        place = claim(_place(workspace, spec.run_id))
        try:
            if spec.workload.preload:
                clone_tree(base_tree(spec, workspace, engine) / "db", place / "db")
            path = runs.create(workspace.runs, spec)
            if predictions is not None:
                runs.freeze_predictions(path, predictions)
            host = describe_host(place, engine.build())
            _write_host(path, host)
            try:
                code, message = _drive(engine, spec, path, place / "db", on_sample)
            except BaseException:
                if len(_rows(path)) >= 2:
                    runs.finish(path, "partial", "interrupted by its user or its watcher")
                raise
            return _finish(path, host, code, message)
        finally:
            remove(place)


def recover(workspace: Workspace) -> list[Run]:
    """Finish, as partial, the runs whose parent was killed; call it only inside the slot.

    Returns
    -------
    list of Run
        The runs that could be finished; one without two samples stays as it is.
    """
    finished = []
    for place in sorted(workspace.work.glob("run-*")):
        path = workspace.runs / place.name.removeprefix("run-")
        if not is_ours(place):
            continue
        if not (path / "result.json").exists() and len(_rows(path)) >= 2:
            runs.keep_database_files(path, place / "db")
            finished.append(runs.finish(path, "partial", "the controlling process was killed"))
        remove(place)
    return finished


def base_tree(spec: RunSpec, workspace: Workspace, engine: Engine) -> Path:
    """Return the settled tree a run starts from, loading it once per workload, options and seed.

    A base tree is never opened again; runs open clones of it.
    """
    # What happens after the load does not change the tree.
    workload = spec.workload.model_copy(
        update={"arrival": WorkloadSpec().arrival, "read_fraction": 0.0, "threads": 1, "wal": True}
    )
    options = spec.base_options or spec.options
    build = hashlib.sha256(engine.build().encode()).hexdigest()[:6]
    parts = (engine.name, build, digest(workload)[:8] + digest(options)[:8], str(spec.base_seed))
    name = "-".join(("base", *parts))
    folder = workspace.work / name
    if is_ours(folder):
        os.utime(folder)
        return folder
    _forget_old_trees(workspace)
    building = workspace.work / f"{name}.building"
    remove(building)
    try:
        engine.build_base(workload, options, spec.base_seed, claim(building))
        building.rename(folder)
    finally:
        remove(building)
    return folder


def _forget_old_trees(workspace: Workspace) -> None:
    """Delete the base trees used longest ago, so that fresh held-out cases don't fill the disk."""
    trees = sorted(workspace.work.glob("base-*"), key=lambda tree: tree.stat().st_mtime)
    for tree in trees[: max(0, len(trees) - KEPT_BASE_TREES + 1)]:
        if is_ours(tree):
            remove(tree)


def clone_tree(source: Path, target: Path) -> None:
    """Clone a closed tree: table files, which never change, by hard link; the rest by copy."""
    target.mkdir()
    for entry in source.iterdir():
        copy = target / entry.name
        if entry.suffix == ".sst":
            try:
                copy.hardlink_to(entry)
                continue
            except OSError:
                pass  # another file system: copy
        shutil.copyfile(entry, copy)


def _drive(
    engine: Engine, spec: RunSpec, path: Path, database: Path, on_sample: OnSample | None
) -> tuple[int, str]:
    limit = spec.device_limit_bytes_per_s
    with nullcontext() if limit is None else DeviceThrottle(database, limit) as throttle:
        process = engine.launch(spec, path, database)
        try:
            if throttle is not None:
                throttle.add(process.pid)
            _follow(process, path / "samples.jsonl", on_sample, spec.duration_s + _END_PATIENCE_S)
            return process.end(_STOP_PATIENCE_S)
        except BaseException:
            # Whatever ends us (Ctrl-C, a failing callback): the engine does not outlive the run.
            process.stop()
            process.end(_STOP_PATIENCE_S)
            raise
        finally:
            runs.keep_database_files(path, database)


def _follow(
    process: EngineProcess, samples: Path, on_sample: OnSample | None, patience_s: float
) -> None:
    """Hand samples on until the process ends, or `patience_s` have passed (a put that hangs)."""
    offset, deadline = 0, time.monotonic() + patience_s
    while True:
        ended = process.poll() is not None
        if samples.exists() and on_sample is not None:
            with samples.open("rb") as stream:
                stream.seek(offset)
                whole = stream.read()
            whole = whole[: whole.rfind(b"\n") + 1]
            offset += len(whole)
            for line in whole.splitlines():
                on_sample(orjson.loads(line), process)
        if ended or time.monotonic() > deadline:
            return
        time.sleep(_POLL_S)


def _finish(path: Path, host: Host, code: int, message: str) -> Run:
    rows = _rows(path)
    if len(rows) < 2:
        raise EngineError(f"run {path.name} ended before it sampled anything: {message}")
    spec = Run(path).spec
    duration_s = spec.duration_s
    if code != 0:
        status: runs.Status = "partial"
        reason: str | None = (
            f"the engine process was killed by signal {-code}" if code < 0 else message
        )
    elif rows[-1]["time_s"] < duration_s - spec.sample_period_s:
        status, reason = "stopped", f"stopped at {rows[-1]['time_s']:.1f} s of {duration_s:.0f} s"
    else:
        status, reason = "complete", None
    run = runs.finish(path, status, reason)
    steal = run.result.steal_fraction if run.result else None
    _write_host(
        path,
        host.model_copy(
            update={
                "load_1m_end": os.getloadavg()[0],
                "steal_fraction": steal,
                "rocksdb_version": run.log.version,
            }
        ),
    )
    return Run(path)


def _rows(path: Path) -> list[dict[str, Any]]:
    return runs.read_json_lines(path / "samples.jsonl")


def _place(workspace: Workspace, run_id: str) -> Path:
    return workspace.work / f"run-{run_id}"


def _write_host(path: Path, host: Host) -> None:
    write_atomically(path / "host.json", host.model_dump_json(indent=1))
