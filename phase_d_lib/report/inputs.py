"""Everything a report is made from; nothing else may put a number into it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import Field

from phase_d_lib.deployment import IntegrationResult
from phase_d_lib.monitor import MonitoringResult
from phase_d_lib.profiles import Profile
from phase_d_lib.runs import Run
from phase_d_lib.specs import Frozen
from phase_d_lib.tuning.protocol import TuningResult
from phase_d_lib.validation import ValidationResult

_PACKAGES = (
    "rocksdict", "numpy", "scipy", "pandas", "statsmodels", "matplotlib", "seaborn",
    "papermill", "scrapbook", "jupyterlab", "pydantic",
)  # fmt: skip


class Environment(Frozen):
    """Software the report was made with."""

    python: str
    packages: dict[str, str]
    """Package -> version."""


class ReportInputs(Frozen):
    """The four results, the monitored run, and when and with what they were made."""

    report_id: str
    generated_at: str
    """UTC, ISO 8601."""
    profile: Profile
    integration: IntegrationResult
    monitoring: MonitoringResult
    tuning: TuningResult
    validation: ValidationResult
    monitored_run: Path
    """Run directory; its samples, latency and LOG are read for figures and the sampled series."""
    environment: Environment
    measured_at: dict[str, str]
    """Stage -> UTC time its data were measured."""
    sources: dict[str, str] = Field(default_factory=dict)
    """Stage -> where its result was read from, when that is not this report."""

    def run(self) -> Run:
        """Open the monitored run."""
        return Run(self.monitored_run)


def current_environment() -> Environment:
    """Describe the software of this process."""
    return Environment(
        python=platform.python_version(),
        packages={name: found for name in _PACKAGES if (found := _version(name)) is not None},
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
