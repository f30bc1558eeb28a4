"""Whole reports, end to end: replay from recorded runs, smoke on a real RocksDB, stages alone."""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from phase_d_lib.runs import Run
from phase_d_lib.stages import NOTEBOOKS, RESULTS, read_result
from phase_d_lib.workspace import ROOT_VARIABLE, Workspace, find_workspace
from tests.test_batch import copy_of_repository

pytestmark = pytest.mark.slow
REPOSITORY = find_workspace()
DOCUMENTS = (
    "model_deployment",
    "integration_results",
    "real_time_metrics",
    "dashboard_data",
    "alerts",
    "auto_tuning_records",
    "performance_report",
    "phase_d_report",
    "phase_d_comprehensive_report",
)
SEED_SECTIONS = (
    "목표 달성 현황",
    "성능 분석 결과",
    "자동 튜닝 분석",
    "주요 발견사항",
    "시각화",
    "권장사항",
    "결과 파일",
    "성과 요약",
    "향후 전망",
)


def phase_d(
    workspace: Workspace, *arguments: str, timeout_s: float = 300
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "phase_d_lib", *arguments],
        capture_output=True,
        text=True,
        cwd=workspace.root,
        env={**os.environ, ROOT_VARIABLE: str(workspace.root)},
        timeout=timeout_s,
        check=False,
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A checkout of its own, so that no report of the developer's is touched."""
    copy = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    (copy.root / "tests" / "data").mkdir(parents=True)
    (copy.root / "tests" / "data" / "recorded").symlink_to(REPOSITORY.recorded_runs)
    return copy


@pytest.fixture(scope="module")
def replay(workspace: Workspace) -> Path:
    done = phase_d(workspace, "report", "--profile", "replay")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("report: ")
    return (workspace.reports / "latest").resolve()


def test_replay_writes_every_file_and_no_database(replay: Path, workspace: Workspace) -> None:
    present = {path.name for path in replay.iterdir()}
    expected = {f"{name}.json" for name in (*DOCUMENTS, "manifest")}
    expected |= {"index.html", *(f"phase_d_report.{kind}" for kind in ("md", "html", "pdf"))}
    assert expected | {"phase_d_analysis_visualization.png", "notebooks"} <= present
    assert not workspace.work.exists()
    for file in NOTEBOOKS.values():
        assert (replay / "notebooks" / file).is_file()
        assert (replay / "notebooks" / file).with_suffix(".html").is_file()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_fit_their_published_schemas(replay: Path, name: str) -> None:
    document = json.loads((replay / f"{name}.json").read_text())
    schema = json.loads((REPOSITORY.root / "data" / "schemas" / f"{name}.schema.json").read_text())
    jsonschema.validate(document, schema)


def test_the_manifest_has_the_hash_of_every_output(replay: Path) -> None:
    manifest = json.loads((replay / "manifest.json").read_text())
    outputs = {entry["path"]: entry["sha256"] for entry in manifest["outputs"]}
    for file in replay.rglob("*"):
        relative = file.relative_to(replay).as_posix()
        if file.is_file() and relative != "manifest.json" and not file.name.startswith("."):
            assert outputs[relative] == hashlib.sha256(file.read_bytes()).hexdigest(), relative
    assert manifest["inputs"]


def test_the_report_keeps_the_seed_sections_and_names_what_it_must(replay: Path) -> None:
    text = (replay / "phase_d_report.md").read_text()
    headings = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    for section in SEED_SECTIONS:
        assert section in headings
    result = read_result(
        replay / "notebooks" / NOTEBOOKS["monitoring"], "monitoring", RESULTS["monitoring"]
    ).result  # type: ignore[attr-defined]
    run = Run(REPOSITORY.recorded_runs / result.run_id)
    assert run.host.rocksdb_version is not None
    assert run.host.rocksdb_version in text
    for model in ("v1", "v2_1", "v3", "v4", "v5"):
        assert model in text
    assert "지속 가능 처리율(S_max)" in text
    assert "nan" not in text.lower().replace("nanum", "")


def test_predictions_were_written_before_the_run_they_predict(replay: Path) -> None:
    for file in REPOSITORY.recorded_runs.glob("*/prediction.json"):
        run = Run(file.parent)
        assert run.predictions is not None
        assert run.result is not None
        assert run.predictions["written_at"] < run.result.started_at


@pytest.mark.parametrize("page", ["phase_d_report.html", "index.html", *(
    f"notebooks/{Path(file).with_suffix('.html')}" for file in NOTEBOOKS.values()
)])  # fmt: skip
def test_pages_open_offline(replay: Path, page: str) -> None:
    text = (replay / page).read_text()
    assert re.search(r"<html[^>]* lang=['\"]?ko", text)
    loads = re.findall(r"(?:src|href|url\()\s*=?\s*['\"]?(https?://[^'\")\s>]+)", text)
    # A link a reader may follow is no request; scripts, images and styles are.
    assert not [url for url in loads if not url.startswith("https://jupyter.org")], loads


def test_an_unchanged_report_is_not_made_again(replay: Path, workspace: Workspace) -> None:
    done = phase_d(workspace, "report", "--profile", "replay")
    assert done.returncode == 0
    assert "nothing changed" in done.stdout
    assert done.stdout.splitlines()[-1] == f"report: {replay}/phase_d_report.html"
    assert (workspace.reports / "latest").resolve() == replay


def test_out_is_taken_and_latest_is_left(
    replay: Path, workspace: Workspace, tmp_path: Path
) -> None:
    done = phase_d(workspace, "report", "--profile", "replay", "--out", str(tmp_path / "mine"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine" / "phase_d_report.html").is_file()
    assert done.stdout.count("unchanged, reused") == 4
    assert (workspace.reports / "latest").resolve() == replay


def test_a_broken_stage_is_one_line_and_earlier_stages_are_kept(
    replay: Path, workspace: Workspace, tmp_path: Path
) -> None:
    notebook = workspace.notebooks / NOTEBOOKS["tuning"]
    original = notebook.read_text()
    content = json.loads(original)
    content["cells"][-1]["source"] = "raise RuntimeError('broken on purpose')"
    notebook.write_text(json.dumps(content))
    try:
        out = tmp_path / "broken"
        done = phase_d(workspace, "report", "--profile", "replay", "--out", str(out))
    finally:
        notebook.write_text(original)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("phase-d: 03_tuning.ipynb, cell ")
    assert "RuntimeError: broken on purpose" in line
    assert (out / "notebooks" / "03_tuning.failed.ipynb").is_file()
    assert not (out / "notebooks" / "03_tuning.ipynb").exists()
    assert (workspace.reports / "latest").resolve() == replay


@pytest.mark.rocksdb
def test_smoke_measures_every_stage_on_a_real_rocksdb(workspace: Workspace) -> None:
    start = time.time()
    done = phase_d(workspace, "report", "--profile", "smoke")
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.splitlines()[-1].removeprefix("report: ")).parent
    result = read_result(
        folder / "notebooks" / NOTEBOOKS["monitoring"], "monitoring", RESULTS["monitoring"]
    )
    run = Run(workspace.runs / result.run_id)  # type: ignore[attr-defined]
    assert run.result is not None
    assert run.result.status == "complete"
    assert run.samples["unix_time_s"].iloc[0] > start
    assert run.result.put_rate_ops_per_s.value > 0
    # Nothing is left running or lying about but base trees.
    assert not [p for p in workspace.work.iterdir() if not p.name.startswith("base-")]
    metrics = json.loads((folder / "real_time_metrics.json").read_text())
    assert metrics


@pytest.mark.parametrize("stage", ["integration", "monitoring", "tuning", "validation", "report"])
def test_each_notebook_runs_alone(workspace: Workspace, tmp_path: Path, stage: str) -> None:
    target = tmp_path / "out.ipynb"
    environment = {**os.environ, ROOT_VARIABLE: str(workspace.root)}
    done = subprocess.run(
        [
            sys.executable, "-m", "papermill", str(workspace.notebooks / NOTEBOOKS[stage]),
            str(target), "-p", "profile", "replay", "--no-progress-bar", "-k", "python3",
        ],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    if stage in RESULTS:
        assert read_result(target, stage, RESULTS[stage])


def test_a_stage_alone_takes_no_result_of_another_scenario(
    workspace: Workspace, tmp_path: Path
) -> None:
    (workspace.profiles / "other.yaml").write_text(
        (workspace.profiles / "quick.yaml").read_text().replace("keys: 200000", "keys: 200001")
    )
    done = subprocess.run(
        [
            sys.executable, "-m", "papermill", str(workspace.notebooks / NOTEBOOKS["validation"]),
            str(tmp_path / "out.ipynb"), "-p", "profile", "other", "--no-progress-bar",
        ],
        env={**os.environ, ROOT_VARIABLE: str(workspace.root)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "run make report PROFILE=other first" in done.stderr


def test_random_numbers_are_drawn_only_where_they_may_be() -> None:
    allowed = {
        "engines/workload.py": "the workload",
        "engines/embedded_process.py": "the read/write coin of the workload",
        "rates.py": "resampling",
        "design.py": "the design of calibration and held-out cases",
        "adaptation/scores.py": "resampling of traces",
        "tuning/space.py": "the design of a landscape",
        "monitor/changes.py": "permutations of a test",
        "monitor/early_warning.py": "resampling of runs",
        "device/tools.py": "places the probe reads and writes",
    }
    for file in (REPOSITORY.root / "phase_d_lib").rglob("*.py"):
        name = file.relative_to(REPOSITORY.root / "phase_d_lib").as_posix()
        if name in allowed or name.startswith("lsm/"):  # the simulation's jitter, seeded
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"random", "default_rng", "randint", "gauss"}, name
    for file in REPOSITORY.notebooks.rglob("*.ipynb"):
        assert "random" not in file.read_text()


def test_recorded_runs_are_small_real_and_carry_no_private_word() -> None:
    runs = [Run(spec.parent) for spec in REPOSITORY.recorded_runs.glob("*/spec.json")]
    assert len(runs) >= 10
    for run in runs:
        assert run.result is not None
        assert isinstance(run.samples, pd.DataFrame)
        assert len(run.log.flushes) > 0
        log = gzip.decompress((run.path / "LOG.gz").read_bytes()).decode(errors="replace")
        assert re.search(r"Host name \(Env\):\s+redacted", log)
        text = (run.path / "host.json").read_text() + (run.path / "OPTIONS").read_text() + log
        assert not re.search(r"(?<![\w.])/(?:root|home|tmp|work)/", text)
    size = sum(file.stat().st_size for file in REPOSITORY.recorded_runs.rglob("*"))
    assert size < 6_000_000
