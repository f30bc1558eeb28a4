"""Stages are notebooks: what a notebook calls to begin, to hand on its result, and to read others'.

The result of a stage is one scrap, named after the stage, with a schema version. Running the
notebooks as a batch is in :mod:`phase_d_lib.batch`.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, ValidationError

from phase_d_lib.deployment import Fleet, IntegrationResult, integrate
from phase_d_lib.engines import find_engine
from phase_d_lib.errors import InputError
from phase_d_lib.laboratory import Laboratory, fresh_seed
from phase_d_lib.monitor import MonitoringResult, monitor
from phase_d_lib.notebook_packages import scrapbook
from phase_d_lib.profiles import Profile, load_profile
from phase_d_lib.report.inputs import ReportInputs, current_environment
from phase_d_lib.runs import Run, utc_now
from phase_d_lib.specs import digest, first_problem
from phase_d_lib.tuning.protocol import TuningResult, tune_profile
from phase_d_lib.validation import ValidationResult, validate
from phase_d_lib.workspace import Workspace, claim, find_workspace

SCRAP_VERSION = 1
NOTEBOOKS = {
    "integration": "01_integration.ipynb",
    "monitoring": "02_monitoring.ipynb",
    "tuning": "03_tuning.ipynb",
    "validation": "04_validation.ipynb",
    "report": "05_report.ipynb",
}
RESULTS: dict[str, type[BaseModel]] = {
    "integration": IntegrationResult,
    "monitoring": MonitoringResult,
    "tuning": TuningResult,
    "validation": ValidationResult,
}
RUNS_SCRAP = "runs"
"""Name of the scrap that lists the ids of the runs a stage used."""
RECORDED_PROFILE = "replay"
PROGRESS_VARIABLE = "PHASE_D_PROGRESS"
"""Environment variable naming the file that a stage's progress lines are appended to."""

Result = TypeVar("Result", bound=BaseModel)


@dataclass
class Stage:
    """One stage under way: its profile, seed, laboratory, and the results before it."""

    name: str
    workspace: Workspace
    profile: Profile
    seed: int
    laboratory: Laboratory
    report_dir: Path | None
    sources: dict[str, str]
    """Upstream stage -> where its result was read from."""

    def upstream(self, kind: type[Result]) -> Result:
        """Return the result of an earlier stage: this report's, else the latest's, else recorded.

        Run alone, only results of the scenario this stage's profile names are taken.

        Raises
        ------
        InputError
            When there is no such result, or the notebook that should hold it does not.
        """
        name = next(stage for stage, result in RESULTS.items() if result is kind)
        latest = self.workspace.reports / "latest" / "notebooks"
        if self.report_dir is not None:
            self.sources[name] = "이 보고서"
            return read_result(self.report_dir / "notebooks" / NOTEBOOKS[name], name, kind)
        if (latest / NOTEBOOKS[name]).is_file() and self._measured_in(latest):
            self.sources[name] = "가장 최근 보고서"
            return read_result(latest / NOTEBOOKS[name], name, kind)
        recorded = load_profile(self.workspace.profiles, RECORDED_PROFILE)
        if recorded.scenario == self.profile.scenario:
            self.sources[name] = "기록된 예제 실행"
            return kind.model_validate(recorded_result(self.workspace, name))
        raise InputError(
            f"stage {self.name} needs the result of stage {name} for the scenario of profile "
            f"{self.profile.name!r}; run make report PROFILE={self.profile.name} first"
        )

    def _measured_in(self, notebooks: Path) -> bool:
        """Whether a report's calibration is of this stage's scenario."""
        try:
            found = read_result(
                notebooks / NOTEBOOKS["integration"], "integration", IntegrationResult
            )
        except (InputError, OSError):
            return False
        return found.scenario == self.profile.scenario

    def fleet(self) -> Fleet:
        """Deploy the models again from the integration stage's calibration."""
        integration = self.upstream(IntegrationResult)
        return Fleet(integration.calibration, integration.record)

    def find_run(self, run_id: str) -> Run:
        """Open a run of this checkout or of the recorded ones.

        Raises
        ------
        InputError
            When it is in neither place.
        """
        for place in (self.workspace.runs, self.workspace.recorded_runs):
            if (place / run_id / "spec.json").is_file():
                return Run(place / run_id)
        raise InputError(f"run {run_id} is gone from data/runs; measure again with FORCE=1")

    def hand_on(self, result: BaseModel) -> None:
        """Glue the stage's result into the notebook."""
        payload = {"schema_version": SCRAP_VERSION, "value": json.loads(result.model_dump_json())}
        scrapbook.glue(self.name, payload, encoder="json")
        scrapbook.glue(
            RUNS_SCRAP, [run.spec.run_id for run in self.laboratory.used], encoder="json"
        )


def report_inputs(stage: Stage) -> tuple[ReportInputs, Path]:
    """Gather all a report is made from, and the directory it goes into.

    Run alone, the report stage makes a new directory under ``reports/``.
    """
    integration, monitoring = stage.upstream(IntegrationResult), stage.upstream(MonitoringResult)
    tuning, validation = stage.upstream(TuningResult), stage.upstream(ValidationResult)
    folder = stage.report_dir or claim(stage.workspace.reports / report_id(stage.profile))
    run_ids = {
        "integration": list(integration.calibration.sources.values()),
        "monitoring": [monitoring.run_id],
        "tuning": [
            *(found.run_id for found in (tuning.search.evaluations if tuning.search else ())),
            *(trial.run_id for trial in tuning.trials),
        ],
        "validation": [case.run_id for case in validation.cases],
    }
    runs = {name: [stage.find_run(i) for i in ids] for name, ids in run_ids.items()}
    inputs = ReportInputs(
        report_id=folder.name,
        generated_at=utc_now(),
        profile=stage.profile,
        integration=integration,
        monitoring=monitoring,
        tuning=tuning,
        validation=validation,
        monitored_run=runs["monitoring"][0].path,
        environment=current_environment(),
        measured_at={
            name: min(run.result.started_at for run in used if run.result)
            for name, used in runs.items()
        },
        sources={} if stage.report_dir else dict(stage.sources),
    )
    return inputs, folder


def begin(
    name: str,
    *,
    profile: str,
    seed: int | None = None,
    engine: str = "",
    report_dir: str = "",
    **overrides: Any,
) -> Stage:
    """Check a stage's parameters and open it.

    Parameters
    ----------
    name : str
        Stage name.
    profile : str
        Name of a file in ``data/profiles``.
    seed : int, optional
        None takes the profile's, or draws a fresh one that is recorded.
    engine : str
        Name of an installed engine; empty keeps the profile's.
    report_dir : str
        Directory of the report this stage belongs to; empty when run alone.
    **overrides
        Fields of the profile's section of this stage; None keeps the profile's value.

    Raises
    ------
    InputError
        One line: which parameter, its value, what is allowed.
    """
    workspace = find_workspace()
    pd.set_option("display.float_format", _short)
    loaded = load_profile(workspace.profiles, profile)
    changes = {key: value for key, value in overrides.items() if value is not None}
    if changes:
        loaded = _override(loaded, name, changes)
    if engine:
        find_engine(engine)
        scenario = loaded.scenario.model_copy(update={"engine": engine})
        loaded = loaded.model_copy(update={"scenario": scenario})
    if seed is not None and (type(seed) is not int or seed < 0):
        raise InputError(f"seed = {seed!r}: must be a whole number >= 0, or None for a fresh one")
    return Stage(
        name=name,
        workspace=workspace,
        profile=loaded,
        seed=fresh_seed(loaded.seed if seed is None else seed),
        laboratory=Laboratory.of(loaded, workspace, announcer()),
        report_dir=Path(report_dir) if report_dir else None,
        sources={},
    )


def _short(value: float) -> str:
    """Write a number in a table with four significant digits, large ones whole."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _override(profile: Profile, section: str, changes: dict[str, Any]) -> Profile:
    plan = getattr(profile, section)
    try:
        changed = type(plan).model_validate({**plan.model_dump(), **changes})
    except ValidationError as error:
        raise InputError(f"{section}: {first_problem(type(plan), error)}") from None
    return profile.model_copy(update={section: changed})


def read_result(notebook: Path, name: str, kind: type[Result]) -> Result:
    """Read one stage's scrap from an executed notebook.

    Raises
    ------
    InputError
        When the scrap is missing, of another schema version, or does not fit its type.
    """
    scraps = scrapbook.read_notebook(str(notebook)).scraps
    if name not in scraps:
        raise InputError(f"{notebook.name} holds no scrap '{name}'; it did not run to its end")
    payload = scraps[name].data
    version = payload.get("schema_version")
    if version != SCRAP_VERSION:
        raise InputError(
            f"scrap '{name}' in {notebook.name} has schema version {version}, "
            f"this library reads {SCRAP_VERSION}; run the stage again"
        )
    try:
        return kind.model_validate(payload["value"])
    except ValidationError as error:
        raise InputError(
            f"scrap '{name}' in {notebook.name}: {first_problem(kind, error)}"
        ) from None


def used_runs(notebook: Path) -> list[str]:
    """Return the ids of the runs an executed stage used."""
    scraps = scrapbook.read_notebook(str(notebook)).scraps
    return list(scraps[RUNS_SCRAP].data) if RUNS_SCRAP in scraps else []


def recorded_result(workspace: Workspace, name: str) -> BaseModel:
    """Compute a stage's result from the recorded runs, as replay does."""
    profile = load_profile(workspace.profiles, RECORDED_PROFILE)
    laboratory = Laboratory(workspace, recorded=True, announce=lambda line: None)
    return run_through(laboratory, profile, name)[name]


def run_through(
    laboratory: Laboratory, profile: Profile, last: str = "validation"
) -> dict[str, BaseModel]:
    """Carry out the measuring stages up to `last` without notebooks; return their results."""
    scenario, seed = profile.scenario, fresh_seed(profile.seed)
    results: dict[str, BaseModel] = {}
    integration = integrate(laboratory, scenario, profile.integration, seed)
    results["integration"] = integration
    fleet = Fleet(integration.calibration, integration.record)
    if last == "integration":
        return results
    results["monitoring"] = monitor(laboratory, scenario, profile.monitoring, fleet, seed)[1]
    if last == "monitoring":
        return results
    tuning = tune_profile(laboratory, profile, seed, fleet)
    results["tuning"] = tuning
    if last == "tuning":
        return results
    chosen = (tuning.chosen, tuning.chosen_changes)
    results["validation"] = validate(laboratory, scenario, profile.validation, fleet, chosen, seed)
    return results


def announcer() -> Any:
    """Return where progress lines go: the batch's progress file, or standard error."""
    target = os.environ.get(PROGRESS_VARIABLE)

    def announce(line: str) -> None:
        if target:
            with Path(target).open("a") as stream:
                stream.write(line + "\n")
        else:
            print(line, file=sys.stderr)

    return announce


def report_id(profile: Profile) -> str:
    """Name a report by its start time (UTC) and a short hash of its profile."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{digest(profile)[:6]}"
