"""Following a run that another process writes, and the verbs that do so."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from phase_d_lib.cli import app
from phase_d_lib.errors import InputError
from phase_d_lib.monitor.tail import sample_rows
from phase_d_lib.runs import Run
from phase_d_lib.specs import RunSpec

RECORDED = Path(__file__).parent / "data" / "recorded"


def started(tmp_path: Path, content: str) -> Path:
    (tmp_path / "spec.json").write_text(RunSpec().model_dump_json())
    (tmp_path / "samples.jsonl").write_text(content)
    return tmp_path


def recorded() -> Path:
    return next(run.path for run in map(Run, sorted(RECORDED.glob("*/"))) if run.valid)


def test_a_run_under_way_is_followed_to_its_end(tmp_path: Path) -> None:
    run = started(tmp_path, '{"time_s":0.5}\n{"tim')
    waits = 0

    def sleep(_: float) -> None:
        nonlocal waits
        waits += 1
        if waits == 1:
            with (run / "samples.jsonl").open("a") as stream:
                stream.write('e_s":1.0}\n')
        else:
            # The engine turns its lines into Parquet, then writes the result.
            whole = Run(recorded())
            whole.samples.head(3).to_parquet(run / "samples.parquet")
            (run / "samples.jsonl").unlink()
            (run / "result.json").write_text("{}")

    rows = list(sample_rows(run, sleep))
    assert [row["time_s"] for row in rows[:2]] == [0.5, 1.0]
    assert len(rows) == 3
    assert waits == 2


def test_a_finished_run_is_read_whole() -> None:
    run = Run(recorded())
    assert [row["time_s"] for row in sample_rows(run.path)] == run.samples["time_s"].tolist()


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="damaged line"):
        list(sample_rows(started(tmp_path, "{]\n")))


def test_watch_tells_alerts_and_what_is_not_watched() -> None:
    told = CliRunner().invoke(app, ["watch", str(recorded()), "--port", "0", "--json"])
    assert told.exit_code == 0, told.output
    kinds = {orjson.loads(line)["kind"] for line in told.stdout.splitlines()}
    assert "write_stop" in kinds
    assert "metrics: http://127.0.0.1:" in told.stderr
    assert "not watched: disk_filling" in told.stderr


def test_early_warning_scores_a_folder_of_runs(tmp_path: Path) -> None:
    shutil.copytree(recorded(), tmp_path / "one")
    told = CliRunner().invoke(app, ["early-warning", "--runs", str(tmp_path), "--json"])
    assert told.exit_code == 0, told.output
    found = orjson.loads(told.stdout)
    assert found["runs"] + found["runs_without"] == 1
    shown = CliRunner().invoke(app, ["early-warning", "--runs", str(tmp_path)])
    assert "runs" in shown.stdout
    refused = CliRunner().invoke(app, ["early-warning", "--target", "storm"])
    assert isinstance(refused.exception, InputError)
