"""The declared back-test: what is in it, and how a case is told."""

from __future__ import annotations

import pytest

from phase_d_lib.advice.declared import DeclaredScore, load_plan, score_of, table
from phase_d_lib.errors import InputError
from phase_d_lib.runs import Run, find_runs
from phase_d_lib.workspace import find_workspace

REPOSITORY = find_workspace()


def test_the_set_holds_other_options_data_growth_and_shifts() -> None:
    plan = load_plan(REPOSITORY.back_tests, "declared")
    specs = [plan.spec(case, 1) for case in plan.cases]
    assert len({spec.run_id for spec in specs}) == len(specs) >= 20
    assert sum(not spec.workload.preload for spec in specs) >= 4
    kinds = {spec.workload.arrival.kind for spec in specs}
    assert kinds == {"closed", "poisson", "ramp", "bursts"}
    assert plan.spec(plan.cases[0], 2).seed != specs[0].seed


def test_an_unknown_set_is_one_line() -> None:
    with pytest.raises(InputError, match="back-test = 'nothing' is unknown; there are: declared"):
        load_plan(REPOSITORY.back_tests, "nothing")


def monitored() -> Run:
    return max(find_runs(REPOSITORY.recorded_runs), key=lambda run: run.spec.duration_s)


@pytest.mark.slow
def test_a_recorded_run_is_tested_and_a_short_one_is_refused_by_name() -> None:
    long = score_of(monitored(), "long")
    assert long.tested is not None
    assert abs(long.tested.stall_error_points) < 100.0
    runs = find_runs(REPOSITORY.recorded_runs)
    short = score_of(min(runs, key=lambda run: run.spec.duration_s), "short")
    assert short.tested is None
    assert short.refused or short.spoiled
    score = DeclaredScore(seed=1, results=(long, short))
    assert len(score.tested) == 1
    assert "median of 1" in table(score)
    assert "refused" in table(score) or "spoiled" in table(score)
    assert DeclaredScore(seed=1, results=(short,)).medians() == {}
