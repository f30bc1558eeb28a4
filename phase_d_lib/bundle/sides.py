"""What is compared of one report, read from its directory or from a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from scipy.special import stdtrit

from phase_d_lib.bundle.archive import opened
from phase_d_lib.bundle.layout import REPORT, RUNS
from phase_d_lib.bundle.reading import FindRun, read_header, runs_of_folder, runs_of_workspace
from phase_d_lib.bundle.spread import Quantity, Spread, over_blocks
from phase_d_lib.calibration import DEFAULT
from phase_d_lib.errors import InputError
from phase_d_lib.rates import Estimate
from phase_d_lib.report.document_types import (
    AutoTuningRecords,
    Document,
    PerformanceReport,
    PhaseDReport,
    RealTimeMetrics,
)
from phase_d_lib.specs import parse
from phase_d_lib.tuning.comparison import Trial
from phase_d_lib.workspace import Workspace, read_json_object

Kind = TypeVar("Kind", bound=Document)


@dataclass(frozen=True)
class Side:
    """What is compared of one report."""

    header: PhaseDReport
    performance: PerformanceReport
    tuning: AutoTuningRecords
    monitored_run_id: str
    blocks: dict[Quantity, Spread]
    """Of the monitored run; empty where its samples are not at hand."""

    @property
    def default_trials(self) -> list[Trial]:
        """Valid runs of the default options, of tuning and of validation."""
        every = (*self.tuning.trials, *self.tuning.confirmation_trials)
        return [t for t in every if t.option_set == DEFAULT and t.verdict.valid]

    def monitored(self, quantity: Quantity) -> float | None:
        """One quantity of the monitored run, as the report shows it."""
        shown: dict[Quantity, float | None] = {
            "rate": self.performance.put_rate_ops_per_s.value,
            "p999": self.performance.put_latency_us["p999"],
            "stall": self.performance.stall_fraction,
            "wa": self.performance.ledger.write_amplification,
        }
        return shown[quantity]

    @property
    def tuned(self) -> tuple[str, tuple[Trial, ...]] | None:
        """Name of the option set whose gain counts and the trials it was measured in.

        Fresh pairs where the report has them, else those of tuning.
        """
        again = self.tuning.confirmation_trials
        name = next((t.option_set for t in again if t.option_set != DEFAULT), None)
        if name is not None:
            return name, again
        improved = [r for r in self.tuning.records if r.effect == "improved" and r.rate_ratio]
        best = max(
            improved, key=lambda r: r.rate_ratio.value if r.rate_ratio else 0.0, default=None
        )
        return None if best is None else (best.option_set, self.tuning.trials)


def read_side(place: Path, workspace: Workspace) -> Side:
    """Read what is compared of a report directory, or of a bundle as folder or zip.

    Raises
    ------
    InputError
        As :func:`compare`.
    """
    if place.is_file() or (place / REPORT).is_dir():
        with opened(place) as folder:
            return _side(folder / REPORT, runs_of_folder(folder / RUNS))
    header = read_header(place)
    return _side(place, runs_of_workspace(workspace, recorded=header.profile.recorded))


def _side(report: Path, find_run: FindRun) -> Side:
    header = read_header(report)
    series = _document(report, "real_time_metrics", RealTimeMetrics)
    performance = _document(report, "performance_report", PerformanceReport)
    try:
        blocks = over_blocks(find_run(series.run_id))
    except InputError:  # a report whose runs were deleted still has its interval
        blocks = {}
        spread = of_interval(performance.put_rate_ops_per_s)
        if spread is not None:
            blocks = {"rate": spread}
    return Side(
        header=header,
        performance=performance,
        tuning=_document(report, "auto_tuning_records", AutoTuningRecords),
        monitored_run_id=series.run_id,
        blocks=blocks,
    )


def _document(report: Path, name: str, kind: type[Kind]) -> Kind:
    file = report / f"{name}.json"
    return parse(kind, read_json_object(file), str(file))


def of_interval(estimate: Estimate) -> Spread | None:
    """Spread behind the interval of a rate, which is Student's t of its blocks."""
    if estimate.high is None or estimate.blocks < 2 or estimate.value <= 0:
        return None
    half = float(stdtrit(estimate.blocks - 1, 0.5 + estimate.confidence / 2))
    error = (estimate.high - estimate.value) / half / estimate.value
    return Spread(value=estimate.value, error=error, parts=estimate.blocks)
