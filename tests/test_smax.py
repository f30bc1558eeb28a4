"""S_max: the search on responders whose threshold is known, the judgement, runs and resumption."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.stats import binom

from phase_d_lib import rates
from phase_d_lib.engines import find_engine
from phase_d_lib.errors import InputError
from phase_d_lib.laboratory import Laboratory
from phase_d_lib.lsm import simulate
from phase_d_lib.rates import Estimate, two_states
from phase_d_lib.runs import Run, RunResult, find_runs
from phase_d_lib.smax import (
    Failure,
    SMaxPlan,
    SMaxResult,
    Trial,
    failures,
    judge,
    measure,
    saturation,
    search,
    stationarity,
    table,
    trial_spec,
)
from phase_d_lib.specs import ArrivalSpec, OptionsSpec, RunSpec, SustainCriterion, WorkloadSpec
from phase_d_lib.units import MIB
from phase_d_lib.validity import Reason, Verdict
from phase_d_lib.workspace import claim, find_workspace
from tests.support import small_spec, workspace_at

RECORDED = find_workspace(Path(__file__).parent).recorded_runs
FAILED = (Failure(code="shortfall", value=0.1, limit=0.02),)
TRUE_OPS_PER_S = 20_000.0
PLAN = SMaxPlan(trial_s=30, warmup_s=10, budget_s=600)


def responder(
    width: float, seed: int, spoiled_fraction: float = 0.0
) -> Callable[[float, int], Trial]:
    """Trials held at random by a logistic curve through the true threshold."""
    rng = np.random.default_rng([seed, int(1e4 * width)])

    def trial(rate: float, number: int) -> Trial:
        z = np.clip(math.log(rate / TRUE_OPS_PER_S) / width, -500, 500)
        held, valid = rng.random() < 1 / (1 + math.exp(z)), rng.random() >= spoiled_fraction
        held = bool(held and valid)
        return Trial(
            number=number,
            rate_ops_per_s=rate,
            held=held,
            valid=bool(valid),
            failures=() if held or not valid else FAILED,
        )

    return trial


def start(seed: int) -> float:
    return TRUE_OPS_PER_S * math.exp(np.random.default_rng([seed, 7]).uniform(-0.4, 0.4))


@cache
def searches(width: float) -> tuple[SMaxResult, ...]:
    return tuple(search(responder(width, seed), start(seed), PLAN) for seed in range(60))


def interval(result: SMaxResult) -> tuple[float, float, float]:
    estimate = result.s_max_ops_per_s
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.value, estimate.low, estimate.high


@pytest.mark.parametrize(
    ("width", "coverage", "median_error"),
    [(0.01, 0.9, 0.02), (0.03, 0.9, 0.03), (0.06, 0.83, 0.05)],  # 0.06: see `search`
)
def test_the_interval_covers_the_threshold_and_the_error_is_small(
    width: float, coverage: float, median_error: float
) -> None:
    found = [interval(result) for result in searches(width)]
    hits = sum(low <= TRUE_OPS_PER_S <= high for _, low, high in found)
    assert hits >= binom.ppf(0.005, len(found), coverage)
    errors = [abs(value / TRUE_OPS_PER_S - 1) for value, _, _ in found]
    assert np.median(errors) < median_error
    assert all(low <= value <= high for value, low, high in found)


@pytest.mark.parametrize("width", [0.01, 0.03, 0.06])
def test_a_search_ends_on_width_or_budget_and_says_which(width: float) -> None:
    for result in searches(width):
        value, low, high = interval(result)
        assert result.spent_s == 30.0 * len(result.trials) <= PLAN.budget_s
        if result.ended_by == "width":
            assert (high - low) / value <= PLAN.target_width_fraction + 1e-9
            assert len(result.trials) >= PLAN.min_trials
        else:
            assert result.spent_s == PLAN.budget_s
        tried = [trial.rate_ops_per_s for trial in result.trials]
        assert len(set(tried)) == len(tried)
        assert all(rate == float(f"{rate:.4g}") for rate in tried)
        assert min(tried) <= value <= max(tried)
    if width <= 0.03:
        assert np.mean([r.ended_by == "width" for r in searches(width)]) >= 0.8


def test_separated_outcomes_give_a_finite_curve_between_them() -> None:
    result = search(responder(1e-6, 1), 13_000, PLAN)
    value, low, high = interval(result)
    assert result.highest_held_ops_per_s is not None
    assert result.lowest_failed_ops_per_s is not None
    assert result.highest_held_ops_per_s <= value <= result.lowest_failed_ops_per_s
    assert low < TRUE_OPS_PER_S < high
    assert result.curve_width is not None
    assert 0 < result.curve_width < 0.05
    assert result.ended_by == "width"


def test_a_far_start_is_bracketed() -> None:
    value, low, high = interval(search(responder(0.02, 3), 700, PLAN))
    assert low <= value <= high
    assert value == pytest.approx(TRUE_OPS_PER_S, rel=0.1)


@pytest.mark.parametrize("held", [True, False])
def test_outcomes_that_all_agree_give_a_bound_and_no_estimate(held: bool) -> None:
    def trial(rate: float, number: int) -> Trial:
        return Trial(number=number, rate_ops_per_s=rate, held=held, failures=() if held else FAILED)

    result = search(trial, 1_000, SMaxPlan(trial_s=10, warmup_s=2, budget_s=45, cool_off_s=1))
    assert (result.s_max_ops_per_s, result.curve_width) == (None, None)
    assert (len(result.trials), result.spent_s, result.ended_by) == (4, 44.0, "budget")
    tried = [trial.rate_ops_per_s for trial in result.trials]
    if held:
        assert (result.highest_held_ops_per_s, result.lowest_failed_ops_per_s) == (max(tried), None)
        assert f"at least {max(tried):,.0f}" in table(result)
    else:
        assert (result.highest_held_ops_per_s, result.lowest_failed_ops_per_s) == (None, min(tried))
        assert f"below {min(tried):,.0f}" in table(result)


def test_spoiled_trials_are_tried_again_and_not_used() -> None:
    result = search(responder(0.02, 5, spoiled_fraction=0.3), 18_000, PLAN)
    spoiled = [t for t in result.trials if not t.valid]
    assert spoiled
    for before, after in zip(result.trials, result.trials[1:], strict=False):
        assert (before.rate_ops_per_s == after.rate_ops_per_s) == (not before.valid)
    assert [t.number for t in result.trials] == list(range(len(result.trials)))
    assert result.s_max_ops_per_s is not None
    assert result.s_max_ops_per_s.blocks == len(result.trials) - len(spoiled)
    assert interval(result)[0] == pytest.approx(TRUE_OPS_PER_S, rel=0.1)


def test_only_spoiled_trials_say_nothing() -> None:
    result = search(responder(0.02, 5, spoiled_fraction=1.0), 18_000, PLAN)
    assert result.s_max_ops_per_s is None
    assert (result.highest_held_ops_per_s, result.lowest_failed_ops_per_s) == (None, None)
    assert "no valid trial" in table(result)


def test_a_search_is_deterministic_and_its_result_json() -> None:
    one, two = (search(responder(0.03, 8), 15_000, PLAN) for _ in range(2))
    assert one == two
    assert SMaxResult.model_validate_json(one.model_dump_json()) == one
    text = table(one)
    assert len(text.splitlines()) == len(one.trials) + 2
    assert "90% interval" in text


@pytest.mark.parametrize("rate", [0.0, -1.0, math.inf, math.nan])
def test_a_start_that_is_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match="start_ops_per_s"):
        search(responder(0.03, 1), rate, PLAN)


@pytest.mark.parametrize(
    "wrong", [{"warmup_s": 30.0}, {"budget_s": 20.0}, {"arrival": "closed"}, {"min_trials": 1}]
)
def test_a_plan_that_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SMaxPlan.model_validate({**PLAN.model_dump(), **wrong})


def test_a_trial_can_not_be_held_and_failed() -> None:
    with pytest.raises(ValidationError, match="was not held"):
        Trial(number=0, rate_ops_per_s=1.0, held=True, failures=FAILED)


# --- the judgement -----------------------------------------------------------------------------


def window(length_s: float = 24.0, **columns: Any) -> pd.DataFrame:
    """A quiet window at 10,000 puts/s; a column may be a function of time."""
    times = np.arange(0.0, length_s + 1e-9, 0.5)
    quiet: dict[str, Any] = {
        "puts_total": lambda t: 10_000.0 * t,
        "l0_files": 3.0,
        "pending_compaction_bytes": 0.0,
        "backlog_ops": 0.0,
    }
    made = {k: v(times) if callable(v) else v for k, v in {**quiet, **columns}.items()}
    return pd.DataFrame({"time_s": times, **made})


def codes(samples: pd.DataFrame, **changes: Any) -> list[str]:
    known: dict[str, Any] = {
        "offered_ops_per_s": 10_000.0,
        "put_latency_p999_ms": 3.0,
        "stopped_s": 0.0,
        "criterion": SustainCriterion(),
        "options": OptionsSpec(),
    }
    return [failure.code for failure in failures(samples, **{**known, **changes})]


def test_a_quiet_window_is_held() -> None:
    assert codes(window()) == []
    assert codes(window(), put_latency_p999_ms=None) == []


def test_each_failure_has_its_code() -> None:
    assert codes(window(), stopped_s=0.01) == ["stopped"]
    assert codes(window(), stopped_s=0.01, criterion=SustainCriterion(max_stop_s=0.1)) == []
    assert codes(window(), offered_ops_per_s=10_150.0) == []
    assert codes(window(), offered_ops_per_s=10_300.0) == ["shortfall"]
    assert codes(window(), put_latency_p999_ms=51.0) == ["latency"]
    assert codes(window(l0_files=lambda t: np.floor(3 + t / 4))) == ["debt"]
    assert codes(window(pending_compaction_bytes=lambda t: 2e6 * t)) == ["debt"]
    assert codes(window(backlog_ops=lambda t: 60 * t)) == ["backlog"]


def test_a_backlog_that_is_small_or_goes_away_is_no_failure() -> None:
    assert codes(window(backlog_ops=lambda t: 20 * t)) == []
    assert codes(window(backlog_ops=lambda t: 3_000 - 100 * t)) == []
    assert codes(window(backlog_ops=2_000.0)) == []


@pytest.mark.parametrize("period_s", [1.7, 2.0, 3.1, 4.0, 5.3])
@pytest.mark.parametrize("peak", [4, 10, 30])
def test_a_sawtooth_is_bounded_at_any_phase(period_s: float, peak: int) -> None:
    for phase in np.linspace(0, 1, 23, endpoint=False):
        saw = window(
            l0_files=lambda t, p=phase: np.floor(peak * ((t / period_s + p) % 1)),
            pending_compaction_bytes=lambda t, p=phase: 64e6 * ((t / period_s + p) % 1),
        )
        assert codes(saw) == []


def test_a_sawtooth_that_climbs_is_not_bounded() -> None:
    assert codes(window(l0_files=lambda t: np.floor(t / 3 + 6 * ((t / 3) % 1)))) == ["debt"]


def test_failures_read_as_sentences() -> None:
    found = failures(
        window(l0_files=lambda t: t, backlog_ops=lambda t: 100 * t),
        offered_ops_per_s=12_000,
        put_latency_p999_ms=80.0,
        stopped_s=1.5,
        criterion=SustainCriterion(),
        options=OptionsSpec(),
    )
    assert [f.code for f in found] == ["stopped", "shortfall", "latency", "debt", "backlog"]
    assert str(found[0]) == "writes stopped for 1.500 s, allowed 0.000 s"
    assert "16.7%" in str(found[1])


# --- runs --------------------------------------------------------------------------------------


def recorded_closed() -> Run:
    return next(
        run for run in find_runs(RECORDED) if run.valid and run.spec.block == "monitoring/live"
    )


@dataclass
class Bench(Laboratory):
    """Writes the run directory a RocksDB of a known S_max would leave; breaks off on demand."""

    threshold_ops_per_s: float = 20_000.0
    break_off_at: int | None = None
    spoil: tuple[int, ...] = ()
    ran: list[RunSpec] = field(default_factory=list)

    def _execute(self, spec: RunSpec, predictions: Any, on_sample: Any) -> Run:
        if len(self.ran) == self.break_off_at:
            raise KeyboardInterrupt
        assert self.retries == 0
        self.ran.append(spec)
        return write_run(self, spec)


def write_run(bench: Bench, spec: RunSpec) -> Run:
    """A directory made of a recorded run's LOG and columns, with other puts and backlog."""
    source, path = recorded_closed(), claim(bench.workspace.runs / spec.run_id)
    rate = spec.workload.arrival.rate_ops_per_s or 0.0
    achieved = min(rate, bench.threshold_ops_per_s)
    count = int(spec.duration_s / spec.sample_period_s) + 1
    samples = source.samples.iloc[[5] * count].reset_index(drop=True)
    times = np.linspace(0.0, spec.duration_s, count)
    samples["time_s"], samples["unix_time_s"] = times, times  # long before the LOG: no stops
    samples["puts_total"] = (achieved * times).astype(int)
    samples["backlog_ops"] = ((rate - achieved) * times).astype(int)
    samples.to_parquet(path / "samples.parquet")
    latency = pd.DataFrame(
        {"second": [1, 5], "operation": "put", "bucket": [100, 120], "upper_us": 0.0, "count": 9}
    )
    latency.to_parquet(path / "latency.parquet")
    (path / "spec.json").write_text(spec.model_dump_json())
    host = source.host.model_copy(update={"engine_build": find_engine("embedded").build()})
    (path / "host.json").write_text(host.model_dump_json())
    shutil.copyfile(source.path / "LOG.gz", path / "LOG.gz")
    # Live data drift makes the closed-loop verdict invalid; for a trial it is an outcome.
    reasons = [Reason(code="drift", value=0.4, limit=0.25)]
    if spec.repeat in bench.spoil:
        reasons.append(Reason(code="steal", value=0.2, limit=0.05))
    assert source.result is not None
    result = source.result.model_copy(
        update={"run_id": spec.run_id, "validity": Verdict(valid=False, reasons=tuple(reasons))}
    )
    (path / "result.json").write_text(result.model_dump_json())
    return Run(path)


FEW = SMaxPlan(trial_s=8, warmup_s=2, budget_s=80, seed=5)
CLOSED = small_spec(block="calibration/small")


def bench(root: Path, **changes: Any) -> Bench:
    return Bench(workspace_at(root), retries=2, announce=lambda _: None, **changes)


def test_measure_builds_open_loop_runs_and_finds_the_threshold(tmp_path: Path) -> None:
    laboratory = bench(tmp_path, spoil=(2,))
    result = measure(laboratory, CLOSED, 15_000, FEW)
    value, _, _ = interval(result)
    assert value == pytest.approx(20_000 * 1.02, rel=0.1)
    assert result.run_ids == tuple(spec.run_id for spec in laboratory.ran)
    assert [run.spec for run in laboratory.used] == laboratory.ran
    assert not result.trials[2].valid
    assert result.trials[2].spoiled_by[0].code == "steal"
    assert "not valid: CPU steal" in table(result)
    assert len({spec.seed for spec in laboratory.ran}) == len(laboratory.ran)
    for number, spec in enumerate(laboratory.ran):
        assert (spec.block, spec.repeat) == ("smax/small", number)
        assert (spec.duration_s, spec.warmup_s) == (8, 2)
        assert spec.workload.arrival.kind == "constant"
        assert spec.options == CLOSED.options
        assert spec.base_seed == CLOSED.base_seed


def test_a_measurement_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    whole = measure(bench(tmp_path / "whole"), CLOSED, 15_000, FEW)
    broken = bench(tmp_path / "resumed", break_off_at=4)
    with pytest.raises(KeyboardInterrupt):
        measure(broken, CLOSED, 15_000, FEW)
    # The third trial was killed before its summary was written: it is run again, alone.
    (broken.workspace.runs / broken.ran[2].run_id / "result.json").unlink()
    again = bench(tmp_path / "resumed")
    resumed = measure(again, CLOSED, 15_000, FEW)
    assert resumed == whole
    assert again.ran == [broken.ran[2]] + [run.spec for run in again.used[4:]]
    assert len(again.used) == len(whole.trials)
    third = bench(tmp_path / "resumed")
    assert measure(third, CLOSED, 15_000, FEW) == whole
    assert third.ran == []


def test_a_trial_of_another_build_or_an_unfinished_one_is_not_reused(tmp_path: Path) -> None:
    first = bench(tmp_path)
    measure(first, CLOSED, 15_000, FEW)
    path = first.workspace.runs / first.ran[0].run_id
    host = Run(path).host.model_copy(update={"engine_build": "another"})
    (path / "host.json").write_text(host.model_dump_json())
    other = first.workspace.runs / first.ran[1].run_id
    result = RunResult.model_validate_json((other / "result.json").read_bytes())
    partial = result.model_copy(update={"status": "partial"})
    (other / "result.json").write_text(partial.model_dump_json())
    again = bench(tmp_path)
    measure(again, CLOSED, 15_000, FEW)
    assert again.ran == first.ran[:2]


def test_the_cool_off_waits_before_runs_and_not_before_reused_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("phase_d_lib.laboratory.time.sleep", slept.append)
    plan = FEW.model_copy(update={"cool_off_s": 2.0})
    result = measure(bench(tmp_path), CLOSED, 15_000, plan)
    assert slept == [2.0] * len(result.trials)
    assert result.spent_s == 10.0 * len(result.trials)
    measure(bench(tmp_path), CLOSED, 15_000, plan)
    assert len(slept) == len(result.trials)


def test_only_a_closed_loop_of_puts_is_measured(tmp_path: Path) -> None:
    opened = trial_spec(CLOSED, 1000.0, 0, FEW)
    reading = CLOSED.workload.model_copy(update={"read_fraction": 0.5})
    for spec in (opened, CLOSED.model_copy(update={"workload": reading})):
        with pytest.raises(InputError, match="closed-loop spec"):
            measure(bench(tmp_path), spec, 1000.0, FEW)


def test_a_configuration_without_a_block_is_named_by_its_hash() -> None:
    spec = small_spec()
    assert trial_spec(spec, 1000.0, 0, FEW).block == f"smax/{spec.configuration_id()}"
    poisson = FEW.model_copy(update={"arrival": "poisson"})
    assert trial_spec(spec, 1000.0, 0, poisson).seed != trial_spec(spec, 1000.0, 0, FEW).seed


def test_judge_refuses_a_closed_loop_and_an_unfinished_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="constant or poisson"):
        judge(recorded_closed(), SustainCriterion())
    run = write_run(bench(tmp_path), trial_spec(CLOSED, 1000.0, 0, FEW))
    (run.path / "result.json").unlink()
    with pytest.raises(InputError, match="not finished"):
        judge(Run(run.path), SustainCriterion())


def test_judge_reads_stops_from_the_log(tmp_path: Path) -> None:
    spec = trial_spec(CLOSED, 15_000.0, 0, FEW)
    run = write_run(bench(tmp_path), spec)
    assert judge(run, SustainCriterion()).held
    samples = run.samples.copy()
    stops = run.log.stalls.loc[run.log.stalls["kind"] == "stop", "time_s"]
    assert len(stops)
    samples["unix_time_s"] += float(stops.iloc[0]) - 4.0
    samples.to_parquet(run.path / "samples.parquet")
    trial = judge(Run(run.path), SustainCriterion())
    assert [f.code for f in trial.failures] == ["stopped"]
    assert trial.stopped_s is not None
    assert trial.stopped_s > 0


def test_poisson_arrivals_are_counted(tmp_path: Path) -> None:
    # 30 puts/s for 6 s: the count itself differs from 180 by chance, by up to some 20 %.
    plan = FEW.model_copy(update={"arrival": "poisson"})
    laboratory, seen = bench(tmp_path), set()
    for number in range(8):
        run = write_run(laboratory, trial_spec(CLOSED, 30.0, number, plan))
        trial = judge(run, SustainCriterion(max_shortfall_fraction=0.5))
        seen.add(judge(run, SustainCriterion(max_shortfall_fraction=1e-6)).held)
        assert trial.held
    assert seen == {True, False}


# --- the simulation as a RocksDB ----------------------------------------------------------------


def simulated_trial(rate: float, number: int) -> Trial:
    start_s, end_s = 10.0, 40.0
    seed = simulate(
        WorkloadSpec(),
        OptionsSpec(),
        limiter_bytes_per_s=30 * MIB,
        foreground_ops_per_s=160_000,
        window_s=(start_s, end_s),
        seeds=(number,),
        arrival_ops_per_s=rate,
    ).by_seed[0]
    rows = pd.DataFrame(
        [
            (row.time_s, row.rate_ops_per_s, row.l0_files, row.pending_bytes, row.backlog_ops)
            for row in seed.series
        ],
        columns=["time_s", "rate", "l0_files", "pending_compaction_bytes", "backlog_ops"],
    )
    rows["puts_total"] = (rows["rate"] * rows["time_s"].diff().fillna(0.0)).cumsum()
    inside = rates.window(rows, start_s)
    found = failures(
        inside,
        offered_ops_per_s=rate,
        put_latency_p999_ms=1e3 * float(inside["backlog_ops"].max()) / rate,
        stopped_s=seed.stop_fraction * (end_s - start_s),
        criterion=SustainCriterion(),
        options=OptionsSpec(),
    )
    return Trial(number=number, rate_ops_per_s=rate, held=not found, failures=found)


def test_the_simulated_threshold_lies_below_the_simulated_saturation_rate() -> None:
    saturated = simulate(
        WorkloadSpec(),
        OptionsSpec(),
        limiter_bytes_per_s=30 * MIB,
        foreground_ops_per_s=160_000,
        window_s=(10.0, 40.0),
    ).saturation_ops_per_s
    result = search(simulated_trial, saturated, PLAN)
    value, low, high = interval(result)
    assert result.ended_by == "width"
    assert 0.7 * saturated < value < saturated
    assert low < value < high
    print(f"saturation {saturated:,.0f}", table(result), sep="\n")


# --- saturation ----------------------------------------------------------------------------------


def rate_series(rate: Callable[[np.ndarray], np.ndarray], length_s: float = 60.0) -> pd.DataFrame:
    times = np.arange(0.0, length_s + 1e-9, 0.5)
    return pd.DataFrame({"time_s": times, "puts_total": np.cumsum(0.5 * rate(times))})


ANY = Estimate(value=1.0)


def test_a_stall_cycle_is_stationary_and_a_trend_is_not() -> None:
    def cycle(t: np.ndarray) -> np.ndarray:
        return 1000 + 900 * np.sin(2 * np.pi * t / 3.0)

    level = stationarity("a", rate_series(cycle), ANY)
    assert level.stationary is True
    falling = stationarity("b", rate_series(lambda t: cycle(t) * (1 - t / 200)), ANY)
    assert falling.stationary is False
    assert falling.p_value is not None
    assert falling.p_value < 0.01
    assert falling.change_fraction == pytest.approx(-0.35, abs=0.1)
    assert stationarity("c", rate_series(lambda t: 1000 + 0 * t), ANY).stationary is True


def test_stationarity_of_a_short_window_is_not_told() -> None:
    short = stationarity("a", rate_series(lambda t: 1000 + 0 * t, length_s=6.0), ANY)
    assert (short.stationary, short.p_value) == (None, None)


def test_a_level_rate_is_rarely_called_moving() -> None:
    rng = np.random.default_rng(4)
    moving = 0
    for _ in range(200):
        phase, noise = rng.uniform(0, 3), rng.normal(0, 100, 400)
        samples = rate_series(
            lambda t, p=phase, n=noise: 1000 + 800 * np.sin(2 * np.pi * (t + p) / 3) + n[: len(t)]
        )
        moving += stationarity("a", samples, ANY).stationary is False
    assert moving <= binom.ppf(0.995, 200, 0.05)


def test_saturation_of_one_run_and_of_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recorded_closed()
    assert run.result is not None
    one = saturation([run])
    assert one.saturation_ops_per_s == run.result.put_rate_ops_per_s
    assert one.states == (one.saturation_ops_per_s,)
    assert one.runs[0].run_id == run.spec.run_id
    values = [16_000.0, 16_200.0, 20_000.0, 20_200.0]
    several = []
    for number, value in enumerate(values):
        path = tmp_path / str(number)
        shutil.copytree(run.path, path)
        result = run.result.model_copy(update={"put_rate_ops_per_s": Estimate(value=value)})
        (path / "result.json").write_text(result.model_dump_json())
        several.append(Run(path))
    both = saturation(several)
    assert both.saturation_ops_per_s.value == pytest.approx(18_100)
    assert [state.value for state in both.states] == pytest.approx([16_100, 20_100])
    assert saturation(several[:2]).states == (saturation(several[:2]).saturation_ops_per_s,)


def test_saturation_refuses_what_it_can_not_describe(tmp_path: Path) -> None:
    opened = write_run(bench(tmp_path), trial_spec(CLOSED, 1000.0, 0, FEW))
    with pytest.raises(InputError, match="one or more"):
        saturation([])
    with pytest.raises(InputError, match="one configuration"):
        saturation([opened, recorded_closed()])
    with pytest.raises(InputError, match="closed-loop"):
        saturation([opened])
    run = recorded_closed()
    shutil.copytree(run.path, tmp_path / "longer")
    longer = run.spec.model_copy(update={"duration_s": run.spec.duration_s + 9})
    (tmp_path / "longer" / "spec.json").write_text(longer.model_dump_json())
    with pytest.raises(InputError, match="one window"):
        saturation([run, Run(tmp_path / "longer")])


def test_two_states_need_two_members_each_a_gap_and_a_difference() -> None:
    assert two_states([20.1, 16.0, 16.2, 20.0]) == ((16.0, 16.2), (20.0, 20.1))
    assert two_states([5.0, 5.0, 6.0, 6.0]) == ((5.0, 5.0), (6.0, 6.0))
    for single in (
        [16.0, 16.2, 20.0],  # a group of one
        [16.0, 16.1, 17.0, 17.1],  # 6 % apart
        [16.0, 17.0, 18.0, 19.0, 20.0, 21.0],  # no gap
        [5.0, 5.0, 5.0, 5.0],
        [],
    ):
        assert two_states(single) == (tuple(single),)


def test_one_normal_state_is_rarely_split() -> None:
    rng = np.random.default_rng(6)
    split = sum(len(two_states(rng.normal(1.0, 0.05, 6).tolist())) == 2 for _ in range(1000))
    assert split <= 100


# --- a real RocksDB ------------------------------------------------------------------------------


@pytest.mark.rocksdb
@pytest.mark.slow
def test_two_real_trials_are_judged_and_reused(tmp_path: Path) -> None:
    laboratory = Laboratory(workspace_at(tmp_path), retries=2, announce=lambda _: None)
    plan = SMaxPlan(trial_s=6, warmup_s=1, budget_s=12, arrival="poisson")
    # The first rate is far above what a 4 MiB/s limiter lets through.
    result = measure(laboratory, small_spec(), 60_000, plan)
    assert [t.number for t in result.trials] == [0, 1]
    assert laboratory.retries == 2
    first = result.trials[0]
    if first.valid:  # the host may be busy: then nothing is claimed
        assert {"latency", "shortfall", "stopped"} <= {f.code for f in first.failures}
        assert first.backlog_ops_end is not None
        assert first.backlog_ops_end > 0
    for run, trial in zip(laboratory.used, result.trials, strict=True):
        assert run.spec.run_id == trial.run_id
        assert run.spec.workload.arrival == ArrivalSpec(
            kind="poisson", rate_ops_per_s=trial.rate_ops_per_s
        )
    print(table(result))
    again = replace(laboratory, used=[])
    assert measure(again, small_spec(), 60_000, plan) == result
