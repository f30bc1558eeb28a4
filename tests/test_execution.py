"""Real runs of a second or two: complete, stopped, killed, recovered; nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from phase_d_lib import runs
from phase_d_lib.engines.protocol import EngineProcess
from phase_d_lib.execution import execute, recover
from phase_d_lib.optionsfile import differences, parse_options
from phase_d_lib.runs import Run
from phase_d_lib.specs import ArrivalSpec, RunSpec
from phase_d_lib.units import MIB
from phase_d_lib.workspace import MARKER, Workspace
from tests.support import SMALL_WORKLOAD, small_spec, workspace_at

pytestmark = [pytest.mark.rocksdb, pytest.mark.slow]
FILES = {
    "spec.json", "host.json", "OPTIONS", "LOG", "samples.parquet", "latency.parquet",
    "result.json", MARKER,
}  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace_at(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def stalled(workspace: Workspace) -> Run:
    """A finished closed-loop run that the limiter slows down."""
    return execute(small_spec(), workspace)


def leftovers(workspace: Workspace) -> list[str]:
    return [entry.name for entry in workspace.work.iterdir() if not entry.name.startswith("base-")]


def test_a_run_directory_is_complete(stalled: Run, workspace: Workspace) -> None:
    assert {entry.name for entry in stalled.path.iterdir()} == FILES
    assert stalled.result is not None
    assert stalled.result.status == "complete"
    assert leftovers(workspace) == []


def test_counters_agree_with_each_other(stalled: Run) -> None:
    last = stalled.samples.iloc[-1]
    puts, record = last["puts_total"], stalled.spec.workload.record_bytes
    histogram = stalled.latency
    assert histogram["count"].sum() == puts
    # A single put is a batch: 12 bytes header, one type byte, two lengths.
    overhead = last["batch_bytes_total"] / (puts * record)
    assert 1.0 < overhead < 1.1
    assert last["wal_bytes_total"] == last["batch_bytes_total"]
    assert (stalled.samples.filter(like="_total").diff().iloc[1:] >= 0).all().all()
    assert stalled.samples["time_s"].diff().iloc[1:].gt(0).all()


def test_the_limiter_limits_and_the_stalls_show(stalled: Run) -> None:
    result, limit = stalled.result, stalled.spec.limiter_bytes_per_s
    assert result is not None
    assert limit is not None
    inside = stalled.window
    written = inside["flush_write_bytes_total"] + inside["compact_write_bytes_total"]
    elapsed = inside["time_s"].iloc[-1] - inside["time_s"].iloc[0]
    assert (written.iloc[-1] - written.iloc[0]) / elapsed < 1.6 * limit
    assert result.stall_fraction > 0.1
    stops = stalled.samples.filter(like="_stops_total").iloc[-1].sum()
    delays = stalled.samples.filter(like="_delays_total").iloc[-1].sum()
    assert stops + delays > 0


def test_every_pinned_option_took_effect(stalled: Run) -> None:
    effective = parse_options((stalled.path / "OPTIONS").read_text())
    assert differences(stalled.spec.options, effective) == {}


def test_provenance_names_the_engine_and_no_person(stalled: Run) -> None:
    text = (stalled.path / "host.json").read_text()
    assert stalled.host.rocksdb_version is not None
    assert stalled.host.rocksdb_version.count(".") == 2
    for private in (os.uname().nodename, str(stalled.path.parent), str(Path.home())):
        assert private not in text


def test_the_sampler_is_cheap(stalled: Run) -> None:
    # 10 Hz here; the budget of 1 % of a core is for 1 Hz. CPU time, not wall time.
    assert stalled.result is not None
    assert stalled.result.sampler_cpu_fraction < 0.10


def test_a_run_repeated_is_a_new_attempt_of_the_same_id(workspace: Workspace) -> None:
    spec = small_spec(duration_s=0.6, warmup_s=0.1, block="twice")
    first = execute(spec, workspace)
    second = execute(spec, workspace)
    assert first.path == second.path
    assert second.result is not None
    assert second.result.attempt == 2
    assert (second.path / "attempt-1" / "result.json").is_file()


def test_an_invalid_run_is_tried_again_a_bounded_number_of_times(workspace: Workspace) -> None:
    spec = small_spec(duration_s=0.5, warmup_s=0.1, block="retries")
    run = execute(spec, workspace, retries=9)
    assert run.result is not None
    assert run.result.attempt == 3
    assert not run.valid
    assert run.result.validity.blocked_by("short")


def test_predictions_are_frozen_before_and_never_after(workspace: Workspace) -> None:
    spec = small_spec(duration_s=0.5, warmup_s=0.1, block="frozen")
    run = execute(spec, workspace, predictions=[{"model": "v1"}])
    assert run.predictions is not None
    assert run.result is not None
    assert run.predictions["written_at"] <= run.result.started_at
    with pytest.raises(runs.InputError, match="has started"):
        runs.freeze_predictions(run.path, [])


def test_open_loop_holds_its_rate_and_counts_latency_from_the_intended_start(
    workspace: Workspace,
) -> None:
    arrival = ArrivalSpec(kind="poisson", rate_ops_per_s=2000.0)
    spec = small_spec(
        workload=SMALL_WORKLOAD.model_copy(update={"arrival": arrival}),
        limiter_bytes_per_s=64 * MIB,
        block="open",
    )
    result = execute(spec, workspace).result
    assert result is not None
    assert result.offered_rate_ops_per_s == 2000.0
    assert result.put_rate_ops_per_s.value == pytest.approx(2000.0, rel=0.15)
    overload = small_spec(
        workload=SMALL_WORKLOAD.model_copy(
            update={"arrival": ArrivalSpec(kind="constant", rate_ops_per_s=1e6)}
        ),
        block="overload",
    )
    late = execute(overload, workspace)
    assert late.result is not None
    latency = late.result.put_latency_us["p50"]
    assert latency is not None
    assert latency > 100_000
    assert late.samples["backlog_ops"].iloc[-1] > 100_000


@pytest.mark.parametrize("threads", [1, 3])
def test_reads_zipfian_keys_and_threads(workspace: Workspace, threads: int) -> None:
    workload = SMALL_WORKLOAD.model_copy(
        update={"read_fraction": 0.5, "distribution": "zipfian", "threads": threads, "wal": False}
    )
    spec = small_spec(workload=workload, limiter_bytes_per_s=None, duration_s=0.8, block="mixed")
    last = execute(spec, workspace).samples.iloc[-1]
    assert last["gets_total"] / (last["gets_total"] + last["puts_total"]) == pytest.approx(
        0.5, abs=0.05
    )
    assert last["wal_bytes_total"] == 0


def test_live_option_changes_are_journalled_and_logged(workspace: Workspace) -> None:
    sent: list[float] = []

    def change(row: dict[str, Any], process: EngineProcess) -> None:
        if not sent and row["time_s"] > 0.3:
            sent.append(row["time_s"])
            process.set_options({"level0_slowdown_writes_trigger": "10"})
            process.set_options({"no_such_option": "1"})

    run = execute(small_spec(block="live"), workspace, on_sample=change)
    journal = runs.read_json_lines(run.path / "commands.jsonl")
    assert [entry["error"] is None for entry in journal] == [True, False]
    assert b"level0_slowdown_writes_trigger" in (run.path / "LOG").read_bytes()


def test_stop_ends_a_run_early_and_keeps_it(workspace: Workspace) -> None:
    def stop(row: dict[str, Any], process: EngineProcess) -> None:
        if row["time_s"] > 0.3:
            process.stop()

    result = execute(small_spec(duration_s=30.0, block="stop"), workspace, on_sample=stop).result
    assert result is not None
    assert result.status == "stopped"
    assert result.duration_s < 10.0
    assert result.validity.blocked_by("incomplete")


def test_kill_9_of_the_engine_keeps_every_sample(workspace: Workspace) -> None:
    seen: list[float] = []

    def kill(row: dict[str, Any], process: EngineProcess) -> None:
        seen.append(row["time_s"])
        if row["time_s"] > 0.5:
            os.kill(process.pid, signal.SIGKILL)

    run = execute(small_spec(duration_s=30.0, block="kill"), workspace, on_sample=kill)
    assert run.result is not None
    assert run.result.status == "partial"
    assert run.result.reason == "the engine process was killed by signal 9"
    assert run.samples["time_s"].tolist() == seen
    assert not run.valid
    assert len(run.log.flushes) > 0
    assert leftovers(workspace) == []


CONTROLLER = """
import sys
from pathlib import Path
from phase_d_lib.execution import execute
from phase_d_lib.specs import RunSpec
from phase_d_lib.workspace import Workspace
spec = RunSpec.model_validate_json(Path(sys.argv[2]).read_text())
execute(spec, Workspace(Path(sys.argv[1])))
"""


def test_kill_9_of_the_controller_ends_the_engine_and_the_next_run_recovers(
    workspace: Workspace, tmp_path: Path
) -> None:
    spec = small_spec(duration_s=60.0, block="orphan")
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    samples = workspace.runs / spec.run_id / "samples.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(workspace.root), str(tmp_path / "spec.json")]
    ) as controller:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and len(runs.read_json_lines(samples)) < 5:
            time.sleep(0.05)
        controller.kill()
        controller.wait()
    kept = len(runs.read_json_lines(samples))
    assert kept >= 5
    # The next run waits for nothing, finishes the orphan, and leaves no process behind.
    execute(small_spec(duration_s=0.5, warmup_s=0.1, block="after"), workspace)
    orphan = Run(workspace.runs / spec.run_id)
    assert orphan.result is not None
    assert orphan.result.status == "partial"
    assert orphan.result.samples >= kept
    assert recover(workspace) == []
    assert not engine_processes(spec)


def engine_processes(spec: RunSpec) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"embedded_process" in command and spec.run_id.encode() in command:
                found.append(int(entry.name))
    return found


def test_a_torn_last_line_is_dropped_and_a_torn_middle_is_not(tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text('{"a": 1}\n{"a": 2}\n{"a"')
    assert runs.read_json_lines(file) == [{"a": 1}, {"a": 2}]
    file.write_text('{"a": 1}\n{"a"\n{"a": 3}\n')
    with pytest.raises(json.JSONDecodeError):
        runs.read_json_lines(file)
