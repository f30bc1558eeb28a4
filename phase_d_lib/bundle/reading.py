"""Turn the files of a report back into what it was made from; nothing in them is executed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from phase_d_lib.deployment import IntegrationResult
from phase_d_lib.errors import InputError
from phase_d_lib.monitor import MonitoringResult
from phase_d_lib.report.document_types import PhaseDReport
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.runs import Run
from phase_d_lib.specs import parse
from phase_d_lib.stages import NOTEBOOKS, read_result, used_runs
from phase_d_lib.tuning.protocol import TuningResult
from phase_d_lib.validation import ValidationResult
from phase_d_lib.workspace import Workspace, read_json_object

HEADER = "phase_d_report.json"
"""File of a report that names it, its profile and its times."""
MEASURING = ("integration", "monitoring", "tuning", "validation")
"""Stages whose results a report is made from."""

FindRun = Callable[[str], Run]
Result = TypeVar("Result", bound=BaseModel)


def read_header(report: Path) -> PhaseDReport:
    """Read the file of a report that names it.

    Raises
    ------
    InputError
        When there is none, or one of another version of this library.
    """
    if not (report / HEADER).is_file():
        raise InputError(f"{report}: holds no {HEADER}; name a report directory or a bundle")
    try:
        return parse(PhaseDReport, read_json_object(report / HEADER), str(report / HEADER))
    except InputError as error:
        raise InputError(
            f"{error}; it may be of another state of this library, make the report again"
        ) from None


def read_inputs(report: Path, notebooks: Path, find_run: FindRun) -> ReportInputs:
    """Read all that a report is made from: its header and the scraps of four notebooks.

    Raises
    ------
    InputError
        When a part is missing, damaged or of another version of this library.
    """
    header = read_header(report)
    monitoring = _result(notebooks, "monitoring", MonitoringResult)
    return ReportInputs(
        report_id=header.report_id,
        generated_at=header.generated_at,
        profile=header.profile,
        integration=_result(notebooks, "integration", IntegrationResult),
        monitoring=monitoring,
        tuning=_result(notebooks, "tuning", TuningResult),
        validation=_result(notebooks, "validation", ValidationResult),
        monitored_run=find_run(monitoring.run_id).path,
        environment=header.environment,
        measured_at=header.measured_at,
        sources=header.sources,
    )


def stage_runs(notebooks: Path) -> dict[str, tuple[str, ...]]:
    """Return measuring stage -> ids of the runs it used, each once, in order."""
    return {
        stage: tuple(dict.fromkeys(_guarded(notebooks / NOTEBOOKS[stage], used_runs)))
        for stage in MEASURING
    }


def runs_of_workspace(workspace: Workspace, *, recorded: bool) -> FindRun:
    """Return what finds a run by id in a checkout.

    Parameters
    ----------
    recorded : bool
        Look among the recorded runs first.
    """
    places = (workspace.runs, workspace.recorded_runs)

    def find(run_id: str) -> Run:
        for place in reversed(places) if recorded else places:
            if (place / run_id / "spec.json").is_file():
                return Run(place / run_id)
        raise InputError(
            f"run {run_id} is gone from data/runs; without it the report cannot be checked, "
            "measure again with FORCE=1"
        )

    return find


def runs_of_folder(runs: Path) -> FindRun:
    """Return what finds a run by id in a folder of runs."""

    def find(run_id: str) -> Run:
        if run_id not in set(_names(runs)):
            raise InputError(f"run {run_id} is not in the bundle, but its report uses it")
        return Run(runs / run_id)

    return find


def _names(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        yield from (path.name for path in folder.iterdir() if (path / "spec.json").is_file())


def _result(notebooks: Path, stage: str, kind: type[Result]) -> Result:
    return _guarded(notebooks / NOTEBOOKS[stage], lambda file: read_result(file, stage, kind))


Found = TypeVar("Found")


def _guarded(notebook: Path, read: Callable[[Path], Found]) -> Found:
    """Read from a notebook that may be anything: what it holds wrong is one line."""
    if not notebook.is_file():
        raise InputError(f"{notebook.name}: no such notebook beside the report")
    try:
        return read(notebook)
    except InputError:
        raise
    except Exception as error:  # nbformat and scrapbook raise what they meet
        first = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"{notebook.name}: not a readable notebook ({type(error).__name__}: {first})"
        ) from None
