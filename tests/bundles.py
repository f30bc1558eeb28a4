"""A whole small report for the tests of bundles: every stage computed from hand-made runs.

No database is written and none is pretended to: the runs hold the round numbers of
:func:`tests.test_report.sample`, and everything after them is the library's own code.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from phase_d_lib import runs
from phase_d_lib.bundle.collect import Bundle, share
from phase_d_lib.host import Host
from phase_d_lib.laboratory import Laboratory
from phase_d_lib.models.base import Prediction
from phase_d_lib.notebook_packages import nbformat
from phase_d_lib.profiles import Profile, load_profile
from phase_d_lib.report.inputs import ReportInputs, current_environment
from phase_d_lib.report.render import write_report
from phase_d_lib.runs import Run
from phase_d_lib.specs import RunSpec
from phase_d_lib.stages import NOTEBOOKS, SCRAP_VERSION, run_through
from phase_d_lib.workspace import Workspace, claim, find_workspace
from tests.test_report import START, log_text, sample

REPOSITORY = find_workspace(Path(__file__).parent)
HOST_NAME, USER_PATH = "dbhost-17.corp.example", "/home/kimdev/rocks/db"
TUNED = "write-buffer-8m"
_SPEEDS = {"foreground": 3.0, "slots": 1.4}
"""Last word of a block's name -> its rate, over the default's."""
_BEGINS = {"monitoring": "monitoring", "search": "tuning", "validation": "validation"}
"""First word of a block's name -> stage that begins with it."""
_SUSTAINED_OPS_PER_S = 15_000.0
"""Arrival rate above which a hand-made run stops writes."""


def small_profile() -> Profile:
    """The quick profile with as little in each stage as a report needs, but with every part."""
    quick = load_profile(REPOSITORY.profiles, "quick")
    window = {"duration_s": 30.0, "warmup_s": 2.0}
    s_max = {"trial_s": 20.0, "warmup_s": 2.0, "budget_s": 100.0, "min_trials": 3}
    return Profile.model_validate(
        {
            **quick.model_dump(),
            "name": "small",
            "description_ko": "묶음 시험에 쓰는 작은 구성입니다.",
            "seed": 7,
            "budget_s": 2000.0,
            "integration": {
                **window, "foreground_s": 20.0, "slot_s": 20.0, "s_max": s_max,
                "calibration": {"write-buffer-4m": {"write_buffer_size": 4 << 20}},
            },
            "monitoring": {**window, "loop_s": 5.0, "sample_period_s": 0.5},
            "tuning": {
                **window, "pairs": 2, "candidates": {TUNED: {"write_buffer_size": 8 << 20}},
                "search": {
                    "duration_s": 12.0, "warmup_s": 2.0, "evaluations": 4, "finalists": 1,
                    "finalist_s": 20.0, "finalist_warmup_s": 2.0, "simulated": 4,
                },
                "effects": {"duration_s": 12.0, "warmup_s": 2.0}, "s_max": s_max,
                "guards": {"memtable_bytes": 16 << 20},
            },
            "validation": {**window, "pairs": 2, "held_out": 1},
        }
    )  # fmt: skip


class PaperLaboratory(Laboratory):
    """Answers every spec with a hand-made run."""

    def run(self, spec: RunSpec, **given: Any) -> Run:
        """Write the run of a spec, with what was predicted before."""
        frozen = [Prediction.model_validate(p) for p in given.get("predictions") or ()]
        found = paper_run(self.workspace.runs / spec.run_id, spec, frozen, shift=len(self.used))
        self.used.append(found)
        return found


def paper_run(folder: Path, spec: RunSpec, predictions: list[Prediction], shift: int) -> Run:
    """Write one run directory; repeated runs differ by a little."""
    name = spec.block.rpartition("/")[2]
    speed, held = speed_of(spec, name, shift)
    claim(folder)
    (folder / "spec.json").write_text(spec.model_dump_json(indent=1))
    if predictions:
        values = [p.model_dump(mode="json") for p in predictions]
        payload = {"written_at": "2026-01-02T03:04:00.000+00:00", "predictions": values}
        (folder / "prediction.json").write_bytes(orjson.dumps(payload))
    count, period_s = round(spec.duration_s / spec.sample_period_s), spec.sample_period_s
    stalled = name != "foreground"
    rows = [row_of(number, period_s, speed, stalled=stalled) for number in range(count + 1)]
    (folder / "samples.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "latency.jsonl").write_text("".join(histogram(rows, spec.duration_s)))
    (folder / "LOG").write_text(named_log(stops=not held))
    (folder / "OPTIONS").write_text(f"[DBOptions]\n  wal_dir={USER_PATH}\n")
    (folder / "host.json").write_text(host().model_dump_json(indent=1))
    return runs.finish(folder, "complete", None)


def speed_of(spec: RunSpec, name: str, shift: int) -> tuple[float, bool]:
    """Rate of a run over that of the default options, and whether it held what arrived."""
    arriving = spec.workload.arrival.rate_ops_per_s
    if arriving is not None:
        held = arriving <= _SUSTAINED_OPS_PER_S
        return min(arriving, _SUSTAINED_OPS_PER_S) / 20_000.0, held
    larger = 1.8 if spec.options.write_buffer_size >= 8 << 20 else 1.0
    return _SPEEDS.get(name, larger) * (1.0 + 0.01 * (shift % 3)), False


def row_of(number: int, period_s: float, speed: float, *, stalled: bool) -> dict[str, Any]:
    """One sample at another speed."""
    row, time_s = sample(number, period_s * speed), number * period_s
    puts = int(row["puts_total"])
    return {
        **row, "time_s": time_s, "gap_s": period_s, "unix_time_s": START.timestamp() + time_s,
        "puts_total": puts, "stall_us_total": 0.8e6 * time_s if stalled else 0.0,
        "running_compactions": 1,
    }  # fmt: skip


def histogram(rows: list[dict[str, Any]], duration_s: float) -> list[str]:
    """Latency lines that hold every put the samples count, slow ones in every second."""
    seconds, total, lines = int(duration_s), int(rows[-1]["puts_total"]), []
    for second in range(seconds):
        puts = total // seconds + (total % seconds if second == 0 else 0)
        slow = {"162": 25 + second % 4, "262": 4}
        counts = {"37": puts - sum(slow.values()), **slow}
        lines.append(json.dumps({"second": second, "operation": "put", "counts": counts}) + "\n")
    return lines


def named_log(*, stops: bool) -> str:
    """A LOG as RocksDB writes it: it names the host and the directory of the database."""
    first, *rest = log_text().splitlines(keepends=True)
    rest = [line for line in rest if stops or "Stopping writes" not in line]
    stamp = first.partition(" 140 ")[0]
    told = (
        f"{stamp} 140 Host name (Env):  {HOST_NAME}\n",
        f"{stamp} 140                    Options.wal_dir: {USER_PATH}\n",
        f"{stamp} 140 [/db_impl/db_impl_open.cc:538] Creating manifest 1\n",
        f"{stamp} 140 [/db_impl/db_impl.cc:1111] ------- DUMPING STATS -------\n** DB Stats **\n",
    )
    return "".join([first, *told, *rest])


def host() -> Host:
    """A machine with names of its own."""
    return Host(
        cpu_model="Test CPU", cores=2, memory_bytes=8 << 30, kernel="6.1.0-acme-prod",
        filesystem="ext4", device="vg--dbhost17-root", python="3.11.7",
        engine_build="rocksdict 0.3.29 wheel, release build", rocksdb_version="9.8.4",
        load_1m_start=0.1, git_sha="0123456789ab", git_dirty=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Shared:
    """A report, its checkout and its bundle."""

    report: Path
    workspace: Workspace
    bundle: Bundle


@cache
def shared() -> Shared:
    """Make the report and its bundle once for all tests; they only read them."""
    root = Path(tempfile.mkdtemp(prefix="phase-d-tests-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    report, workspace = whole_report(root)
    return Shared(report, workspace, share(report, workspace))


def whole_report(root: Path) -> tuple[Path, Workspace]:
    """Write a report with its notebooks and runs; return its directory and its checkout."""
    workspace = Workspace(root)
    shutil.copytree(REPOSITORY.profiles, workspace.profiles)
    profile = small_profile()
    laboratory = PaperLaboratory(workspace, announce=lambda line: None)
    results: dict[str, Any] = run_through(laboratory, profile)
    report = claim(workspace.reports / "20260102T030405Z-abcdef")
    inputs = ReportInputs(
        report_id=report.name,
        generated_at="2026-01-02T04:00:00.123+00:00",
        profile=profile,
        monitored_run=workspace.runs / results["monitoring"].run_id,
        environment=current_environment(),
        measured_at=dict.fromkeys(results, START.isoformat()),
        **results,
    )
    write_report(inputs, report)
    (report / "notebooks").mkdir()
    stages = used_by_stage(laboratory)
    for stage, file in NOTEBOOKS.items():
        notebook = executed(stage, report, results.get(stage), stages.get(stage, []))
        nbformat.write(notebook, report / "notebooks" / file)
    return report, workspace


def used_by_stage(laboratory: Laboratory) -> dict[str, list[str]]:
    """Stage -> runs, in the order they were used in."""
    found: dict[str, list[str]] = {}
    stage = "integration"
    for run in laboratory.used:
        word = run.spec.block.partition("/")[0]
        stage = _BEGINS.get(word, stage)
        found.setdefault(stage, []).append(run.spec.run_id)
    return found


def executed(
    stage: str, report: Path, result: BaseModel | None, used: list[str]
) -> nbformat.NotebookNode:
    """A stage's notebook as papermill leaves it: injected paths, texts, tables and scraps."""
    code = nbformat.v4.new_code_cell(f'report_dir = "{report}"', execution_count=1)
    code.metadata["tags"] = ["injected-parameters"]
    said = nbformat.v4.new_output("stream", name="stdout", text=f"읽은 곳 {USER_PATH}/CURRENT\n")
    table = nbformat.v4.new_output(
        "display_data",
        data={
            "text/html": "<table><tr><td>6.1.0-acme-prod</td></tr></table>"
            '<script src="https://example.org/x.js"></script><img src="http://example.org/i.png">',
            "text/plain": "kernel 6.1.0-acme-prod",
        },
    )
    outputs = [said, table]
    if result is not None:
        value = json.loads(result.model_dump_json())
        outputs.append(scrap(stage, {"schema_version": SCRAP_VERSION, "value": value}))
        outputs.append(scrap("runs", used))
    code.outputs = outputs
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell(f"# {stage}\n*One line.*"), code]
    )
    notebook.metadata["papermill"] = {
        "input_path": str(report.parent.parent / "notebooks" / NOTEBOOKS[stage]),
        "parameters": {"report_dir": str(report)},
    }
    return notebook


def scrap(name: str, data: Any) -> nbformat.NotebookNode:
    """A scrap as scrapbook glues it."""
    kind = "application/scrapbook.scrap.json+json"
    return nbformat.v4.new_output(
        "display_data",
        data={kind: {"name": name, "data": data, "encoder": "json", "version": 1}},
        metadata={"scrapbook": {"name": name, "data": True, "display": False}},
    )
