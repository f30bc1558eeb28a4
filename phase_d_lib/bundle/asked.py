"""What each run was asked to do, beside what its option set asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from phase_d_lib.bundle.reading import FindRun
from phase_d_lib.calibration import DEFAULT
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.specs import RunSpec


def asked_specs(
    shown: ReportInputs, find_run: FindRun
) -> Iterator[tuple[str, str, RunSpec, RunSpec]]:
    """Yield stage, place, what an option set asks for, and what its run was asked to do."""
    scenario, tuning, validation = shown.profile.scenario, shown.tuning, shown.validation
    sets: dict[str, OptionChanges] = {DEFAULT: {}}
    sets |= {compared.option_set: compared.changes for compared in tuning.comparisons}
    search = tuning.search.evaluations if tuning.search else ()
    rows = shown.integration.calibration.rows
    named: list[tuple[str, str, str, OptionChanges]] = [
        *(
            ("integration", f"calibration/rows/{n}", r.run_id, r.changes)
            for n, r in enumerate(rows)
        ),
        *(("tuning", f"search/evaluations/{n}", e.run_id, e.changes) for n, e in enumerate(search)),
        *(
            ("validation", f"cases/{n}", c.run_id, c.changes)
            for n, c in enumerate(validation.cases)
        ),
    ]
    for stage, trials in (("tuning", tuning.trials), ("validation", validation.trials)):
        named += [
            (stage, f"trials/{n}", trial.run_id, sets.get(trial.option_set, {}))
            for n, trial in enumerate(trials)
        ]
    for stage, place, run_id, changes in named:
        found, wanted = find_run(run_id).spec, scenario.spec(changes)
        yield stage, place, found.model_copy(update=_measured_by(wanted)), found


def _measured_by(spec: RunSpec) -> dict[str, Any]:
    names = ("workload", "options", "limiter_bytes_per_s", "device_limit_bytes_per_s", "engine")
    return {name: getattr(spec, name) for name in names}
