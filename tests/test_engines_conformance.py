"""What every engine must do, on each engine that is installed: short real runs, nothing mocked.

An engine that is not installed is skipped by name; ``PHASE_D_LIBROCKSDB`` may name a library.
"""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from phase_d_lib import runs
from phase_d_lib.engines import find_engine
from phase_d_lib.engines.db_bench_process import DumpTail
from phase_d_lib.engines.protocol import Engine, EngineProcess
from phase_d_lib.engines.sampling import GAUGE_COLUMNS, STALL_COLUMNS, TICKER_COLUMNS
from phase_d_lib.errors import InputError
from phase_d_lib.execution import base_tree, execute
from phase_d_lib.optionsfile import differences, parse_options
from phase_d_lib.runs import Run
from phase_d_lib.specs import ArrivalSpec, OptionsSpec, RunSpec
from phase_d_lib.units import KIB, MIB
from phase_d_lib.workspace import Workspace
from tests.support import SMALL_OPTIONS, SMALL_WORKLOAD, small_spec, workspace_at

pytestmark = [pytest.mark.rocksdb, pytest.mark.slow]
BATCH_OVERHEAD_BYTES = 16
"""Of one put in a batch: 12 bytes header, type, length of key and of value (one byte, then two)."""
KNOWS_ALL = {"embedded": True, "librocksdb": True, "db_bench": False}
"""Whether an engine knows its backlog and the latency of each put."""


@pytest.fixture(scope="module", params=KNOWS_ALL)
def engine(request: pytest.FixtureRequest) -> Engine:
    try:
        return find_engine(request.param)
    except InputError as missing:
        pytest.skip(f"{request.param} is not installed: {missing}")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace_at(tmp_path_factory.mktemp("workspace"))


def spec_for(engine: Engine, **changes: object) -> RunSpec:
    """A small stalling run; db_bench is seen once a second, so its runs are longer."""
    slow = {"sample_period_s": 1.0, "duration_s": 3.0, "warmup_s": 0.5}
    own = {} if KNOWS_ALL[engine.name] else slow
    # Slow enough a device that a machine busy with other work stalls on it too.
    usual: dict[str, object] = {"engine": engine.name, "limiter_bytes_per_s": 2 * MIB}
    return small_spec(**{**usual, **own, **changes})


@pytest.fixture(scope="module")
def finished(engine: Engine, workspace: Workspace) -> Run:
    return execute(spec_for(engine), workspace)


def test_it_names_its_build_without_a_path(engine: Engine) -> None:
    assert engine.build()
    assert "/" not in engine.build()


def test_a_run_is_complete_and_its_version_is_known(finished: Run) -> None:
    assert finished.result is not None
    assert (finished.result.status, finished.result.reason) == ("complete", None)
    version = finished.host.rocksdb_version
    assert version is not None
    assert version.count(".") == 2


def test_every_option_is_pinned(finished: Run) -> None:
    effective = parse_options((finished.path / "OPTIONS").read_text())
    assert differences(finished.spec.options, effective) == {}


def test_other_values_of_every_option_are_pinned_too(engine: Engine, workspace: Workspace) -> None:
    other = OptionsSpec(
        write_buffer_size=320 * KIB,
        max_write_buffer_number=4,
        min_write_buffer_number_to_merge=2,
        target_file_size_base=384 * KIB,
        max_bytes_for_level_base=3 * MIB,
        max_bytes_for_level_multiplier=7.5,
        level0_file_num_compaction_trigger=3,
        level0_slowdown_writes_trigger=17,
        level0_stop_writes_trigger=23,
        soft_pending_compaction_bytes_limit=5 * MIB,
        hard_pending_compaction_bytes_limit=9 * MIB,
        max_background_jobs=3,
        max_subcompactions=2,
        delayed_write_rate=7 * MIB,
        level_compaction_dynamic_level_bytes=True,
    )
    asked, usual = other.model_dump(), OptionsSpec().model_dump()
    alike = {name for name in asked if asked[name] == usual[name]}
    # db_bench takes one value of the first two; direct I/O is not possible in every directory.
    assert alike == {
        "compression",
        "stats_dump_period_sec",
        "use_direct_reads",
        "use_direct_io_for_flush_and_compaction",
    }
    spec = spec_for(engine, options=other, base_options=SMALL_OPTIONS, block="other")
    run = execute(spec, workspace)
    assert differences(other, parse_options((run.path / "OPTIONS").read_text())) == {}


def test_puts_and_bytes_agree(engine: Engine, finished: Run) -> None:
    last, record = finished.samples.iloc[-1], finished.spec.workload.record_bytes
    puts = last["puts_total"]
    assert puts > 100
    # Puts go on while the sample of one engine is taken; the others are counted at one instant.
    batch = last["batch_bytes_total"]
    assert batch / (record + BATCH_OVERHEAD_BYTES) == pytest.approx(puts, rel=0.01)
    assert last["wal_bytes_total"] == pytest.approx(batch, rel=0.01)
    assert (finished.samples.filter(like="_total").dropna(axis=1).diff().iloc[1:] >= 0).all(
        axis=None
    )
    assert finished.samples["time_s"].diff().iloc[1:].gt(0).all()
    counted = finished.latency["count"].sum()
    assert counted == (puts if KNOWS_ALL[engine.name] else 0)


def test_the_limiter_limits_and_the_stalls_show(finished: Run) -> None:
    inside, limit = finished.window, finished.spec.limiter_bytes_per_s
    assert limit is not None
    written = inside["flush_write_bytes_total"] + inside["compact_write_bytes_total"]
    elapsed_s = inside["time_s"].iloc[-1] - inside["time_s"].iloc[0]
    assert 0 < (written.iloc[-1] - written.iloc[0]) / elapsed_s < 1.6 * limit
    counts = finished.samples[list(STALL_COLUMNS.values())].iloc[-1]
    assert counts.notna().all()
    assert counts.sum() > 0
    assert finished.samples["stall_us_total"].iloc[-1] > 0


def test_all_engines_write_the_same_columns(finished: Run, norm: list[str]) -> None:
    expected = {*TICKER_COLUMNS.values(), *GAUGE_COLUMNS.values(), *STALL_COLUMNS.values()}
    assert expected <= set(finished.samples)
    assert list(finished.samples) == norm


@pytest.fixture(scope="module")
def norm(workspace: Workspace) -> list[str]:
    """Columns of the engine that is always installed."""
    return list(execute(small_spec(block="norm"), workspace).samples)


def test_what_it_cannot_tell_is_absent_not_zero(engine: Engine, finished: Run) -> None:
    silent = set(finished.samples.columns[finished.samples.isna().all()])
    built = {name for name in TICKER_COLUMNS.values() if name.startswith("compress")}
    if engine.name == "embedded":
        assert silent == set()
    elif engine.name == "librocksdb":
        # 7.8 and older do not count what leaves the block builder.
        assert silent in (set(), built)
        assert finished.result is not None
        assert (finished.result.validity.write_closure is None) == bool(silent)
    else:
        assert {"write_stopped", "memtable_bytes", "running_compactions"} <= silent
        assert not {"l0_files", "live_sst_bytes", "stall_us_total"} & silent


def test_stop_ends_a_run_at_its_next_sample(engine: Engine, workspace: Workspace) -> None:
    seen: list[float] = []

    def stop(row: dict[str, Any], process: EngineProcess) -> None:
        seen.append(row["time_s"])
        if len(seen) == 2:
            process.stop()

    spec = spec_for(engine, duration_s=60.0, block="stop")
    run = execute(spec, workspace, on_sample=stop)
    assert run.result is not None
    assert run.result.status == "stopped"
    # One sample may be under way, and a stall may hold the last one back.
    assert len(run.samples) <= 2 + 10
    assert run.result.duration_s < 30.0


def test_kill_9_leaves_a_readable_partial_run(engine: Engine, workspace: Workspace) -> None:
    seen: list[float] = []

    def kill(row: dict[str, Any], process: EngineProcess) -> None:
        seen.append(row["time_s"])
        if len(seen) == 3:
            os.kill(process.pid, signal.SIGKILL)

    spec = spec_for(engine, duration_s=60.0, block="kill")
    run = execute(spec, workspace, on_sample=kill)
    assert run.result is not None
    assert run.result.status == "partial"
    assert run.samples["time_s"].tolist() == seen
    assert not run.valid
    assert run.log.version == run.host.rocksdb_version
    assert not [entry for entry in workspace.work.iterdir() if entry.name.startswith("run-")]
    assert not programs_in(workspace)


def programs_in(workspace: Workspace) -> list[str]:
    """Commands of processes that work in a directory of ours, db_bench among them."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and str(workspace.work) in str((process / "cwd").readlink()):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_option_changes_are_journalled(engine: Engine, workspace: Workspace) -> None:
    sent: list[float] = []

    def change(row: dict[str, Any], process: EngineProcess) -> None:
        if not sent:
            sent.append(row["time_s"])
            process.set_options({"level0_slowdown_writes_trigger": "10"})
            process.set_options({"no_such_option": "1"})

    run = execute(spec_for(engine, block="live"), workspace, on_sample=change)
    journal = runs.read_json_lines(run.path / "commands.jsonl")
    assert [entry["set_options"] for entry in journal] == [
        {"level0_slowdown_writes_trigger": "10"},
        {"no_such_option": "1"},
    ]
    taken = [entry["error"] is None for entry in journal]
    if KNOWS_ALL[engine.name]:
        assert taken == [True, False]
        assert b"SetOptions() on column family" in (run.path / "LOG").read_bytes()
    else:
        assert taken == [False, False]
        assert "takes no option change" in journal[0]["error"]


def test_open_loop_offers_its_rate(engine: Engine, workspace: Workspace) -> None:
    arrival = ArrivalSpec(kind="constant", rate_ops_per_s=2000.0)
    workload = SMALL_WORKLOAD.model_copy(update={"arrival": arrival})
    spec = spec_for(engine, workload=workload, limiter_bytes_per_s=64 * MIB, block="open")
    result = execute(spec, workspace).result
    assert result is not None
    rate = result.put_rate_ops_per_s.value
    if KNOWS_ALL[engine.name]:
        assert rate == pytest.approx(2000.0, rel=0.15)
    else:  # what falls due while it waits is lost, so on a busy machine it stays below
        assert 1000.0 < rate < 2100.0


def test_open_loop_counts_from_the_intended_time(engine: Engine, workspace: Workspace) -> None:
    arrival = ArrivalSpec(kind="constant", rate_ops_per_s=1e6)
    workload = SMALL_WORKLOAD.model_copy(update={"arrival": arrival})
    late = execute(spec_for(engine, workload=workload, block="late"), workspace)
    assert late.result is not None
    latency = late.result.put_latency_us["p50"]
    if KNOWS_ALL[engine.name]:
        assert latency is not None
        assert latency > 100_000
        assert late.samples["backlog_ops"].iloc[-1] > 100_000
    else:
        assert latency is None
        assert late.samples["backlog_ops"].isna().all()


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
    }


def test_the_base_tree_is_never_written_to(engine: Engine, workspace: Workspace) -> None:
    spec = spec_for(engine, block="base")
    base = base_tree(spec, workspace, engine) / "db"
    before = fingerprint(base)
    assert any(name.endswith(".sst") for name in before)
    run = execute(spec, workspace)
    assert len(run.log.compactions) > 0
    assert fingerprint(base) == before


def test_a_log_read_in_pieces_gives_the_samples_of_the_run(
    engine: Engine, finished: Run, tmp_path: Path
) -> None:
    if engine.name == "db_bench":
        log = (finished.path / "LOG").read_bytes()
        growing = tmp_path / "LOG"
        tail = DumpTail(growing, tmp_path / "part")
        assert list(tail.read(final=False)) == []
        dumps = []
        for end in range(0, len(log) + 5_000, 5_000):
            growing.write_bytes(log[:end])
            dumps += tail.read(final=end >= len(log))
        assert [dump.puts for dump in dumps] == finished.samples["puts_total"].tolist()
        assert [d.unix_time_s for d in dumps] == finished.samples["unix_time_s"].tolist()
        assert all(dump.text.count("STATISTICS:") == 1 for dump in dumps)
