"""The explore notebooks and what they call; none of these tests opens a database but the last."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import nbformat
import pytest

from phase_d_lib.errors import EngineError, InputError
from phase_d_lib.explore import charts, live_process, live_view, log_figure, logs, runset
from phase_d_lib.explore.compare_view import comparison_html
from phase_d_lib.explore.desk import Desk, open_desk
from phase_d_lib.explore.live_run import LiveRun
from phase_d_lib.explore.log_panel import LogPanel
from phase_d_lib.explore.watched import Watched
from phase_d_lib.explore.whatif import WhatIf
from phase_d_lib.explore.whatif_panel import CONTROLS, own_values
from phase_d_lib.explore.whatif_view import answer_html
from phase_d_lib.logfile import stall_seconds_by_cause
from phase_d_lib.monitor import Expectations
from phase_d_lib.profiles import load_profile
from phase_d_lib.rates import Estimate
from phase_d_lib.runs import Run, find_runs
from phase_d_lib.workspace import Workspace, find_workspace
from tests.support import small_spec

REPOSITORY = find_workspace()
NOTEBOOKS = sorted((REPOSITORY.notebooks / "explore").glob("*.ipynb"))
HEADING = re.compile(r"^#{1,3} .*[가-힣].*\n\*[ -~]+\*$", re.MULTILINE)


def recorded_run(block: str) -> Run:
    """The recorded run of a block, first repeat."""
    found = find_runs(REPOSITORY.recorded_runs)
    return next(r for r in found if r.spec.block == block and r.spec.repeat == 0)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return open_desk()


@pytest.fixture
def bare_desk(tmp_path: Path) -> Any:
    """A desk whose models say nothing: what follows a run needs no prediction."""
    fleet = SimpleNamespace(predict=lambda spec: [], record=SimpleNamespace(active="v3"))
    profile = load_profile(REPOSITORY.profiles, "quick")
    return SimpleNamespace(workspace=Workspace(tmp_path), profile=profile, fleet=fleet)


# -- notebooks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_clean_bilingual_and_imports_first(file: Path) -> None:
    book = nbformat.read(file, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert all(
        line.startswith(("import ", "from ")) for line in code[0].source.splitlines() if line
    )
    assert not any(re.search(r"^(?:import|from) ", cell.source, re.M) for cell in code[1:])
    assert code[1].metadata.tags == ["parameters"]
    assert all(re.match(r"\w+: \S+ = .+#", line) for line in code[1].source.splitlines())
    prose = "\n\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    assert len(HEADING.findall(prose)) == len(re.findall(r"^#{1,3} ", prose, re.M)) > 1


def test_the_start_notebook_links_to_every_other() -> None:
    start = (REPOSITORY.notebooks / "explore" / "00_start.ipynb").read_text()
    assert [f.name for f in NOTEBOOKS if f.name != "00_start.ipynb" and f.name not in start] == []
    for link in re.findall(r"\]\(([\w/.]+\.ipynb)\)", start):
        assert (REPOSITORY.notebooks / "explore" / link).is_file(), link


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs_without_a_front_end(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import papermill

    root = tmp_path / "checkout"
    (root / "tests" / "data").mkdir(parents=True)
    shutil.copytree(REPOSITORY.notebooks, root / "notebooks")
    shutil.copytree(REPOSITORY.profiles, root / "data" / "profiles")
    (root / "tests" / "data" / "recorded").symlink_to(REPOSITORY.recorded_runs)
    monkeypatch.setenv("PHASE_D_ROOT", str(root))
    target = tmp_path / "out.ipynb"
    papermill.execute_notebook(
        str(file), str(target), progress_bar=False, kernel_name="python3", start_timeout=900
    )
    book = nbformat.read(target, as_version=4)
    shown = [output.get("data", {}) for cell in book.cells for output in cell.get("outputs", [])]
    html = "".join(str(bundle.get("text/html", "")) for bundle in shown)
    assert "<img alt=" in html
    assert "조작부는 JupyterLab에서" in html
    assert not re.search(r"\bnan\b|None|Traceback|못했습니다", html)
    assert not (root / "data" / "runs").exists()
    assert not (root / "data" / "work").exists()


# -- what if ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_what_if_says_what_the_fleet_says(desk: Desk) -> None:
    plan = desk.profile.monitoring.model_copy(update={"duration_s": 12.0, "warmup_s": 4.0})
    short = dataclasses.replace(desk, profile=desk.profile.model_copy(update={"monitoring": plan}))
    whatif = WhatIf(short)
    first, whole = whatif.ask({"write_buffer_size": 8 << 20})
    told = next(p for p in desk.fleet.predict(whatif.spec(first.changes)) if p.model == "v3")
    assert whole.prediction == told
    assert whole.complete
    assert told.s_max_ops_per_s is not None
    unsearched = {"s_max_ops_per_s": None, "s_max_source": None, "states_ops_per_s": ()}
    assert first.prediction == told.model_copy(update=unsearched)
    assert not first.complete
    # The second time it is known at once.
    assert list(whatif.ask(first.changes)) == [whole]
    html = answer_html(whole, first, desk.profile.scenario)
    assert "계산 중" in html
    assert "`" not in html


def test_an_impossible_configuration_is_one_line(desk: Desk) -> None:
    answer = WhatIf(desk).final({"level0_slowdown_writes_trigger": 2})
    assert answer.prediction is None
    assert "level-0 triggers must ascend" in answer.problem
    html = answer_html(answer, answer, desk.profile.scenario)
    assert "이 조합으로는 실행할 수 없습니다" in html
    assert "8 → 2" in html


def test_every_control_offers_what_a_spec_accepts(desk: Desk) -> None:
    own = own_values(desk.profile.scenario)
    for control in CONTROLS:
        for value in control.values:
            if not control.name.startswith("level0"):  # those must ascend together
                desk.profile.scenario.spec({**own, control.name: value})


# -- charts and the live view ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "end"), [(0.0, 1.0), (0.3, 0.3), (17_961.0, 20_000.0), (12.0, 12.0), (81.0, 100.0)]
)
def test_an_axis_ends_on_a_round_number(value: float, end: float) -> None:
    assert charts.nice_end(value) == pytest.approx(end)


def watched_of(run: Run) -> Watched:
    watched = Watched(run.spec)
    for row in run.samples.to_dict("records"):
        watched.take({str(key): value for key, value in row.items()})
    return watched


def test_the_live_view_is_a_picture_and_tables_in_mid_run_and_at_the_end() -> None:
    run = recorded_run("monitoring/live")
    watched = watched_of(run)
    watched.phase = "측정하고 있습니다"
    under_way = live_view.live_html(watched)
    assert "지금 열린 경보" in under_way
    assert "상태 심각" in under_way or "상태 경고" in under_way
    watched.run = run
    watched.end("끝났습니다")
    over = live_view.live_html(watched)
    assert "정체 시간의 원인" in over
    assert re.search(r"포화 처리율 [\d,]+\s?puts/s\(95", over.replace("\u00a0", " "))
    svg = charts.strips_svg(live_view._strips(watched, watched.rows), [], [], 36.0)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "nan" not in svg


def test_a_long_run_is_thinned_to_a_few_hundred_points() -> None:
    rows = [{"time_s": 0.5 * n} for n in range(7200)]
    kept = live_view.thinned(rows)
    assert len(kept) <= 402
    assert (kept[0], kept[-1]) == (rows[0], rows[-1])


# -- starting, following, stopping -----------------------------------------------------------------


def _json_rows(run: Run) -> Iterator[str]:
    raw = [c for c in run.samples.columns if not c.endswith("_per_s") or c.startswith("delayed")]
    yield from run.samples[raw].to_json(orient="records", lines=True).splitlines()


FAKE = """
    import json, pathlib, shutil, sys, threading
    stopped = threading.Event()
    line = sys.stdin.readline()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    task, source, run_id = json.loads(line), pathlib.Path(sys.argv[1]), sys.argv[2]
    path = pathlib.Path(task["root"]) / "data" / "runs" / run_id
    path.mkdir(parents=True)
    (path / "spec.json").write_text(json.dumps(task["spec"]))
    rows = pathlib.Path(sys.argv[3]).read_text().splitlines(keepends=True)
    with (path / "samples.jsonl").open("a", buffering=1) as stream:
        for number, row in enumerate(rows):
            if stopped.wait(0.0 if number < 20 else 60.0):
                break
            stream.write(row)
    for name in ("samples.parquet", "latency.parquet", "LOG.gz", "host.json", "result.json"):
        shutil.copyfile(source / name, path / name)
    sys.exit(130)
    """


def start_fake(bare_desk: Any, tmp_path: Path, shown: list[str]) -> LiveRun:
    source = recorded_run("monitoring/live")
    (tmp_path / "fake.py").write_text(textwrap.dedent(FAKE))
    (tmp_path / "rows.jsonl").write_text("".join(f"{row}\n" for row in _json_rows(source)))
    live = LiveRun(bare_desk, lambda watched: shown.append(live_view.live_html(watched)))
    live._command = (
        sys.executable, str(tmp_path / "fake.py"), str(source.path), live.watched.spec.run_id,
        str(tmp_path / "rows.jsonl"),
    )  # fmt: skip
    live.start()
    return live


def test_a_run_is_followed_and_stopped_and_leaves_no_process(
    bare_desk: Any, tmp_path: Path
) -> None:
    shown: list[str] = []
    live = start_fake(bare_desk, tmp_path, shown)
    waiting = threading.Event()
    while len(live.watched.rows) < 20 and not live.watched.over:
        waiting.wait(0.05)
    live.stop()
    assert live.watched.over
    assert live.watched.phase == "중지했습니다"
    assert live.watched.run is not None
    assert live.process is not None
    assert live.process.poll() == 130
    assert "정체 시간의 원인" in shown[-1]


@pytest.mark.parametrize(
    ("script", "phase", "reason"),
    [
        (
            "import sys; sys.stderr.write('one\\nno space left\\n'); sys.exit(1)",
            "실행하지 못",
            "no",
        ),
        ("import sys; sys.stdin.read(); sys.exit(130)", "표본을 얻기 전에 중지", ""),
    ],
)
def test_a_run_that_leaves_no_result_says_why(
    bare_desk: Any, script: str, phase: str, reason: str
) -> None:
    live = LiveRun(bare_desk, lambda watched: None, command=(sys.executable, "-c", script))
    live.start()
    if not reason:
        live.stop()
    live.wait()
    assert live.watched.phase.startswith((phase, "시작하기 전에"))
    assert live.watched.reason.startswith(reason)
    assert "원인: no space left" in live_view.live_html(live.watched) or not reason


def run_process(
    monkeypatch: pytest.MonkeyPatch, root: Path, execute: Any, *, stop_after_s: float | None
) -> int:
    """Run the process's main here, its standard input a pipe that ends after a while."""
    spec = small_spec()
    task = live_process.Task(root=root, spec=spec, expected=Expectations.of(spec), predictions=[])
    reading, writing = os.pipe()
    os.write(writing, task.model_dump_json().encode() + b"\n")
    with os.fdopen(reading) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        monkeypatch.setattr(live_process, "execute", execute)
        stopper = threading.Timer(stop_after_s or 0.0, os.close, (writing,))
        if stop_after_s is not None:
            stopper.start()
        try:
            return live_process.main()
        finally:
            if stop_after_s is None:
                os.close(writing)
            else:
                stopper.join()


def test_the_end_of_standard_input_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def execute(*_: object, **__: object) -> None:
        threading.Event().wait(60.0)

    code = run_process(monkeypatch, tmp_path, execute, stop_after_s=0.2)
    assert code == live_process.STOPPED_CODE


def test_a_refused_run_is_one_line_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def execute(*_: object, **__: object) -> None:
        raise EngineError("the engine said no")

    assert run_process(monkeypatch, tmp_path, execute, stop_after_s=None) == EngineError.exit_code
    assert capsys.readouterr().err == "the engine said no\n"


# -- a LOG -----------------------------------------------------------------------------------------


def test_the_spans_of_a_log_add_up_to_its_stall_time() -> None:
    log = logs.open_log(recorded_run("monitoring/live").path / "LOG.gz")
    spent = stall_seconds_by_cause(log, log.first_time_s, log.last_time_s)
    lengths = sum(length for _, length, _, _ in log_figure.stall_spans(log))
    assert lengths == pytest.approx(float(spent["seconds"].sum()), rel=1e-6)
    assert log_figure.level_zero(log)["l0_files"].max() >= 8
    html = logs.log_html(log)
    assert "가장 긴 원인은 L0 파일 수 한도에 따른" in html
    assert "nan" not in re.sub(r"base64,[^']+", "", html)


def test_what_is_no_log_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "LOG").write_text("hello\n")
    with pytest.raises(InputError, match="is this a RocksDB LOG"):
        logs.open_log(tmp_path / "LOG")
    desk = SimpleNamespace(workspace=REPOSITORY, example=recorded_run("monitoring/live"))
    panel = LogPanel(desk, str(tmp_path / "missing"))  # type: ignore[arg-type]
    assert panel.place.html.count("<p") == 1
    assert "LOG를 읽지 못했습니다" in panel.place.html


# -- comparing runs --------------------------------------------------------------------------------


def test_runs_are_compared_with_the_first() -> None:
    runs = [recorded_run("monitoring/live"), recorded_run("tuning/write-buffer-8m")]
    table = runset.compare_runs(runs)
    rates = table["put_ops_per_s"]
    assert table["rate_ratio"].iloc[1] == pytest.approx(rates.iloc[1] / rates.iloc[0])
    assert runset.differences(runs) == {"write_buffer_size": [2 << 20, 8 << 20]}
    html = comparison_html(runs).replace("\u00a0", " ")
    assert "write_buffer_size" in html
    assert "8 MiB" in html
    with pytest.raises(InputError, match="choose at least two"):
        runset.compare_runs(runs[:1])


def test_a_ratio_adds_half_widths_in_squares() -> None:
    base = Estimate(value=100.0, low=97.0, high=103.0)
    gained = runset.ratio(Estimate(value=200.0, low=192.0, high=208.0), base)
    assert gained is not None
    assert (gained.low, gained.high) == (
        pytest.approx(2.0 / 1.05127, rel=1e-4), pytest.approx(2.0 * 1.05127, rel=1e-4)
    )  # fmt: skip
    bare = runset.ratio(Estimate(value=200.0), base)
    assert bare is not None
    assert bare.low is None


def test_runs_of_one_block_get_names_that_differ() -> None:
    runs = [r for r in find_runs(REPOSITORY.recorded_runs) if r.spec.block == "tuning/default"]
    names = runset.names_of(runs)
    assert len(set(names)) == len(runs) == 2


# -- a real run ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.rocksdb
def test_stop_ends_a_real_run_and_leaves_no_process_and_no_database(
    bare_desk: Any, tmp_path: Path
) -> None:
    live = LiveRun(bare_desk, lambda watched: None, 120.0)
    live.start()
    waiting = threading.Event()
    while len(live.watched.rows) < 4 and not live.watched.over:
        waiting.wait(0.1)
    assert not live.watched.over, live.watched.reason
    engines = children_of(live.process.pid) if live.process else []
    live.stop()
    assert live.watched.phase == "중지했습니다"
    assert live.watched.run is not None
    assert live.watched.run.result is not None
    assert live.watched.run.result.status == "partial"
    assert engines
    assert not [pid for pid in engines if Path(f"/proc/{pid}").exists()]
    work = Workspace(tmp_path).work
    assert [p.name for p in work.iterdir() if not p.name.startswith("base-")] == []
    assert json.loads((live.watched.run.path / "prediction.json").read_text())["predictions"] == []


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()]
