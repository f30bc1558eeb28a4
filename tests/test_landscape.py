"""The landscape file: its order, that it resumes, and that it refuses another plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from phase_d_lib.errors import InputError
from phase_d_lib.laboratory import Laboratory
from phase_d_lib.tuning.landscape import (
    Landscape,
    LandscapePlan,
    measure_landscape,
    read_landscape,
)
from phase_d_lib.tuning.scenarios import TuningScenario, load_scenario
from phase_d_lib.workspace import find_workspace
from tests.support import workspace_at

REPOSITORY = find_workspace()
PLAN = LandscapePlan(configurations=1, repeats=2, duration_s=7.0, warmup_s=1.0, seed=5)


@pytest.fixture(scope="module")
def small() -> TuningScenario:
    tuned = load_scenario(REPOSITORY.scenarios, "equal-budget")
    workload = tuned.scenario.workload.model_copy(update={"keys": 20_000})
    scenario = tuned.scenario.model_copy(update={"workload": workload})
    return tuned.model_copy(update={"scenario": scenario})


def test_the_second_repeat_runs_in_reverse(small: TuningScenario) -> None:
    found = Landscape(scenario=small, plan=LandscapePlan(configurations=2, repeats=2))
    assert found.missing == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]
    assert found.design()[0] == {}


def test_a_run_that_lost_the_cpu_is_measured_again() -> None:
    kept = read_landscape(REPOSITORY.landscapes / "equal-budget.jsonl")
    good = next(row for row in kept.rows if row.valid)
    busy = "other processes used 31% of the CPU, above 25%"
    drifted = "live data size drifted by +31% inside the window, allowed 25%"
    for reasons, missing in (("", False), (drifted, False), (f"{drifted}; {busy}", True)):
        row = good.model_copy(update={"valid": not reasons, "reasons": reasons})
        found = kept.model_copy(update={"rows": (row,)})
        assert ((good.repeat, good.configuration) in found.missing) is missing


@pytest.mark.slow
@pytest.mark.rocksdb
def test_sittings_add_up_and_another_plan_is_refused(small: TuningScenario, tmp_path: Path) -> None:
    laboratory = Laboratory(workspace_at(tmp_path / "own"), announce=lambda line: None)
    file = tmp_path / "small.jsonl"
    assert measure_landscape(laboratory, small, file, PLAN, 0.0).rows == ()
    first = measure_landscape(laboratory, small, file, PLAN, 8.0)
    assert len(first.rows) >= 1
    whole = measure_landscape(laboratory, small, file, PLAN, 600.0)
    measured = sorted((row.configuration, row.repeat) for row in whole.rows)
    assert measured == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert set(whole.missing) == {(r.repeat, r.configuration) for r in whole.rows if r.spoiled}
    assert read_landscape(file).table()["put_ops_per_s"].gt(0).all()
    before = file.read_bytes()
    again = measure_landscape(laboratory, small, file, PLAN, 0.0)
    assert again == read_landscape(file)
    assert file.read_bytes() == before
    with pytest.raises(InputError, match="another scenario or plan"):
        measure_landscape(laboratory, small, file, PLAN.model_copy(update={"seed": 6}), 9.0)
    assert file.read_bytes() == before


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    for text in ("", "{}\n", "not json\n", '{"scenario": 3}\n'):
        file.write_text(text)
        with pytest.raises(InputError, match="no landscape"):
            read_landscape(file)
