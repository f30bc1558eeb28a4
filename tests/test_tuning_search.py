"""Search, study, records and the comparison of tuners."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from phase_d_lib.errors import InputError
from phase_d_lib.laboratory import Laboratory
from phase_d_lib.profiles import SearchPlan, load_profile
from phase_d_lib.tuning import benchmark
from phase_d_lib.tuning.landscape import read_landscape
from phase_d_lib.tuning.outcome import without_debt
from phase_d_lib.tuning.records import Assignment, open_tuning
from phase_d_lib.tuning.scenarios import TuningScenario, load_scenario
from phase_d_lib.tuning.search import Search, SearchResult
from phase_d_lib.tuning.space import point_of, search_space
from phase_d_lib.tuning.study import BASELINE_SAMPLERS, distributions, leaders_by_mean, open_study
from phase_d_lib.workspace import find_workspace
from tests.support import workspace_at

REPOSITORY = find_workspace()
PLAN = SearchPlan(
    duration_s=6.5,
    warmup_s=1.0,
    evaluations=4,
    finalists=1,
    finalist_s=7.0,
    finalist_warmup_s=1.0,
)


@pytest.fixture(scope="module")
def small() -> TuningScenario:
    tuned = load_scenario(REPOSITORY.scenarios, "equal-budget")
    workload = tuned.scenario.workload.model_copy(update={"keys": 20_000})
    scenario = tuned.scenario.model_copy(update={"workload": workload})
    # Level 0 alone holds several times so small a tree.
    guards = tuned.guards.model_copy(update={"space_amplification": 50.0})
    return tuned.model_copy(update={"scenario": scenario, "guards": guards})


def test_debt_that_grows_lowers_the_rate_and_debt_repaid_raises_it() -> None:
    assert without_debt(30_000.0, 300e6, 0.0) == 30_000.0
    # The outer thirds lie two thirds of the window apart: 100 MB more is 150 MB over all of it.
    assert without_debt(30_000.0, 300e6, 100e6) == pytest.approx(20_000.0)
    assert without_debt(30_000.0, 300e6, -50e6) == pytest.approx(40_000.0)
    assert without_debt(30_000.0, 300e6, -900e6) == pytest.approx(60_000.0)
    assert without_debt(30_000.0, 0.0, 0.0) == 30_000.0


def test_optuna_sees_the_space_as_it_is(small: TuningScenario) -> None:
    space = search_space(small.guards)
    seen = distributions(space)
    assert list(seen) == [d.name for d in space.dimensions]
    default = point_of(small.scenario)
    for name, distribution in seen.items():
        assert distribution._contains(distribution.to_internal_repr(default[name])), name


@pytest.mark.parametrize("name", BASELINE_SAMPLERS)
def test_a_study_on_disk_goes_on_where_it_was(
    name: str, small: TuningScenario, tmp_path: Path
) -> None:
    space = distributions(search_space(small.guards))
    journal = tmp_path / "study.jsonl"
    first = open_study("s", BASELINE_SAMPLERS[name](3), journal)
    for value in (1.0, 3.0, 2.0):
        first.tell(first.ask(space), value)
    left = first.ask(space)
    again = open_study("s", BASELINE_SAMPLERS[name](3), journal)
    assert [t.value for t in again.trials[:3]] == [1.0, 3.0, 2.0]
    assert again.trials[3].state == TrialState.RUNNING
    assert again.trials[3].params == left.params
    assert leaders_by_mean(again, 2) == [first.trials[1].params, first.trials[2].params]


def searched(tuned: TuningScenario, folder: Path, sampler: optuna.samplers.BaseSampler) -> Search:
    laboratory = Laboratory(workspace_at(folder / "own"), announce=lambda line: None, resumes=True)
    return Search(
        laboratory=laboratory,
        tuned=tuned,
        plan=PLAN,
        sampler=sampler,
        name="random",
        seed=11,
        candidates={
            "larger": {"max_bytes_for_level_base": 16 << 20},
            "too much memory": {"write_buffer_size": 64 << 20},
        },
        journal=folder / "study.jsonl",
    )


class BrokenOffError(Exception):
    """Stands for a kill at an awkward moment."""


def break_off(at_run: int, laboratory: Laboratory) -> Callable[..., object]:
    run, count = laboratory.run, 0

    def broken(*given: object, **named: object) -> object:
        nonlocal count
        found = run(*given, **named)  # type: ignore[arg-type]
        count += 1
        if count == at_run:
            raise BrokenOffError
        return found

    return broken


@pytest.mark.slow
@pytest.mark.rocksdb
@pytest.mark.parametrize("at_run", [3, 4], ids=["screening", "finalist"])
def test_a_killed_search_resumes_without_repeating_a_run(
    at_run: int, small: TuningScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = searched(small, tmp_path, BASELINE_SAMPLERS["random"](1))
    monkeypatch.setattr(first.laboratory, "run", break_off(at_run, first.laboratory))
    with suppress(BrokenOffError):
        whole = first.run()
        # Only a machine that spoiled every screening run has no fourth to break off at.
        assert not any(e.usable for e in whole.evaluations)
    done = {f.parent.name: f.stat().st_mtime_ns for f in runs_of(first)}
    assert len(done) in (3, at_run)

    second = searched(small, tmp_path, BASELINE_SAMPLERS["random"](1))
    result = second.run()
    after = {f.parent.name: f.stat().st_mtime_ns for f in runs_of(second)}
    assert {name: after[name] for name in done} == done, "a finished run was run again"
    # Where every run lost the CPU to others there is nothing to take for a finalist.
    screened = [e for e in result.evaluations if e.phase != "finalist"]
    finalists = PLAN.finalists if any(e.usable for e in screened) else 0
    assert len(after) == len(result.evaluations) == len(screened) + finalists
    check(result, finalists)

    third = searched(small, tmp_path, BASELINE_SAMPLERS["random"](1)).run()
    assert third == result
    assert {f.parent.name: f.stat().st_mtime_ns for f in runs_of(second)} == after


def runs_of(search: Search) -> list[Path]:
    return sorted(search.laboratory.workspace.runs.glob("*/result.json"))


def check(result: SearchResult, finalists: int) -> None:
    phases = [e.phase for e in result.evaluations]
    assert phases == ["default", "candidate", "screening", *["finalist"] * finalists]
    assert [e.number for e in result.evaluations] == list(range(len(phases)))
    assert result.evaluations[0].changes == {}
    assert result.evaluations[1].changes == {"max_bytes_for_level_base": 16 << 20}
    assert [r.name for r in result.rejected] == ["too much memory"]
    assert "memtable_bytes" in str(result.rejected[0].breaches[0])
    assert result.guards_broken == sum(bool(e.breaches) for e in result.evaluations)
    if result.chosen:
        best = max(e.held_ops_per_s for e in result.evaluations if e.usable)
        assert result.default_ops_per_s is not None
        assert best > result.default_ops_per_s


def test_a_tuning_is_taken_up_again_until_it_has_a_result(
    small: TuningScenario, tmp_path: Path
) -> None:
    plan = load_profile(REPOSITORY.profiles, "quick").tuning
    asked = Assignment(tuned=small, plan=plan, sampler="random", seed=5)
    folder, kept = open_tuning(tmp_path, asked, None)
    assert kept == asked
    fresh = asked.model_copy(update={"seed": 6})
    assert open_tuning(tmp_path, fresh, None) == (folder, asked)
    assert open_tuning(tmp_path, fresh, 6)[0] != folder
    assert open_tuning(tmp_path, fresh.model_copy(update={"sampler": "tpe"}), None)[1].seed == 6
    (folder / "result.json").write_text("{}")
    assert open_tuning(tmp_path, asked.model_copy(update={"seed": 7}), 7)[1].seed == 7


def test_a_tuner_that_is_told_the_answer_needs_two_evaluations() -> None:
    landscape = read_landscape(REPOSITORY.landscapes / "equal-budget.jsonl")
    pool = benchmark.Pool(landscape)
    best = max(pool.numbers, key=pool.mean)
    assert pool.mean(best) >= pool.goal_ops_per_s > pool.mean(0)

    class Oracle(optuna.samplers.RandomSampler):
        """Proposes the best configuration of all."""

        def infer_relative_search_space(self, study, trial):  # type: ignore[no-untyped-def]
            return distributions(pool.space)

        def sample_relative(self, study, trial, search_space):  # type: ignore[no-untyped-def]
            return pool.points[best]

    make = benchmark.on_pool(lambda seed: Oracle())
    assert benchmark.evaluations_to_goal(pool, make, 1, budget=5) == 2
    blind = benchmark.on_pool(BASELINE_SAMPLERS["random"])
    compared = benchmark.compare_tuners(landscape, {"oracle": make, "random": blind}, range(3), 6)
    assert compared.scores[0].median == 2
    assert compared.scores[1].median > 2
    assert "oracle" in benchmark.table(compared)


def test_a_landscape_without_the_default_compares_nothing() -> None:
    landscape = read_landscape(REPOSITORY.landscapes / "equal-budget.jsonl")
    rows = tuple(row for row in landscape.rows if row.configuration)
    with pytest.raises(InputError, match="measure on: phase-d landscape"):
        benchmark.Pool(landscape.model_copy(update={"rows": rows}))
