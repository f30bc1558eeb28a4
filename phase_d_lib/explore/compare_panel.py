"""A list of runs and a button over their comparison."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from phase_d_lib.errors import InputError, PhaseDError
from phase_d_lib.explore import controls
from phase_d_lib.explore.compare_view import comparison_html
from phase_d_lib.explore.desk import Desk
from phase_d_lib.explore.html import notice
from phase_d_lib.explore.place import Place, show_controls
from phase_d_lib.explore.runset import compare_runs, finished_runs, is_recorded, result_of
from phase_d_lib.report.quantities import moment, puts_per_s
from phase_d_lib.runs import Run

_FIRST = ("calibration/level-base-16m", "calibration/write-buffer-4m", "tuning/write-buffer-8m")


class RunPanel:
    """Shows itself when made.

    Parameters
    ----------
    desk : Desk
    run_ids : sequence of str
        Runs to begin with, the first as the base; empty takes the example and three recorded ones.

    Raises
    ------
    InputError
        When a run id is in neither place.
    """

    def __init__(self, desk: Desk, run_ids: Sequence[str] = ()) -> None:
        self._recorded = desk.workspace.recorded_runs
        self.runs = {run.spec.run_id: run for run in finished_runs(desk.workspace)}
        unknown = [run_id for run_id in run_ids if run_id not in self.runs]
        if unknown:
            raise InputError(
                f"run {unknown[0]} has no result in data/runs and is not recorded; "
                "phase-d runs lists what there is"
            )
        first = list(run_ids) or self._examples(desk.example)
        choices = [(self._name(run), run_id) for run_id, run in self.runs.items()]
        self.base = controls.wide_dropdown("기준", choices, first[0])
        self.others = controls.several("실행", choices, first[1:])
        compare = controls.button("비교", self.compare, "primary")
        hint = controls.line("<small>Ctrl(또는 ⌘)이나 Shift를 누르고 여러 개를 고릅니다.</small>")
        show_controls(controls.column(self.base, self.others, hint, compare))
        self.place = Place()
        self.compare()

    @property
    def chosen(self) -> list[Run]:
        """The base and the runs compared with it."""
        others = [run_id for run_id in self.others.value if run_id != self.base.value]
        return [self.runs[run_id] for run_id in (self.base.value, *others)]

    @property
    def table(self) -> pd.DataFrame:
        """The comparison as a tidy table."""
        return compare_runs(self.chosen)

    def compare(self) -> None:
        """Compare the chosen runs."""
        if len(self.chosen) < 2:
            self.place.show(notice("견줄 실행을 하나 이상 고르십시오."))
            return
        try:
            self.place.show(comparison_html(self.chosen))
        except (PhaseDError, OSError) as error:
            self.place.show(notice(f"비교하지 못했습니다. {error}"))

    def _examples(self, example: Run) -> list[str]:
        of_block = {
            run.spec.block: run_id
            for run_id, run in self.runs.items()
            if is_recorded(run, self._recorded) and run.spec.repeat == 0
        }
        return [example.spec.run_id, *(of_block[b] for b in _FIRST if b in of_block)]

    def _name(self, run: Run) -> str:
        result = result_of(run)
        origin = "기록" if is_recorded(run, self._recorded) else moment(result.started_at)
        return (
            f"{run.spec.block or '-'} #{run.spec.repeat} · "
            f"{puts_per_s(result.put_rate_ops_per_s.value)} · {origin} · {run.spec.run_id}"
        )
