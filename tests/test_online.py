"""Online tuning: when a step is tried, kept, taken back, and what is left behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from phase_d_lib.guards import Guards, memtable_bytes
from phase_d_lib.laboratory import Laboratory
from phase_d_lib.models.base import Case, HostSpeeds
from phase_d_lib.models.v3 import V3
from phase_d_lib.optionsfile import LIVE_OPTIONS
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.specs import ArrivalSpec, OptionsSpec, RunSpec
from phase_d_lib.tuning.online import OnlinePlan, OnlineTuner, Sight
from phase_d_lib.tuning.online_study import (
    OnlineResult,
    OnlineRun,
    online_run,
    read_adjustments,
    table,
    tune_online,
)
from phase_d_lib.tuning.scenarios import TuningScenario, load_scenario
from phase_d_lib.tuning.steps import ModelSteps, Step
from phase_d_lib.units import MIB
from phase_d_lib.validity import Reason, Verdict
from phase_d_lib.workspace import find_workspace
from tests.support import SMALL_OPTIONS, SMALL_WORKLOAD, small_spec, workspace_at

PLAN = OnlinePlan(window_s=20.0, transient_s=10.0)
GUARDS = Guards(memtable_bytes=64 * MIB)
USER_BYTES = 100e6
UP = Step(dimension="memtable_bytes", changes={"write_buffer_size": 4 * MIB}, predicted_ratio=1.5)
DOWN = Step(dimension="memtable_bytes", changes={"write_buffer_size": 1 * MIB}, predicted_ratio=1.2)

QUICK = OnlinePlan(window_s=1.0, transient_s=0.5, blocks=3)
LOADED = SMALL_WORKLOAD.model_copy(
    update={"arrival": ArrivalSpec(kind="poisson", rate_ops_per_s=20_000.0)}
)
SMALL = TuningScenario(
    name="small",
    description_ko="시험",
    scenario={"workload": SMALL_WORKLOAD, "options": SMALL_OPTIONS},  # type: ignore[arg-type]
    guards=GUARDS,
)


def always(*steps: Step) -> Callable[[OptionsSpec], Sequence[Step]]:
    """Propose the same steps, without those that change nothing."""

    def propose(options: OptionsSpec) -> list[Step]:
        now = options.model_dump()
        return [s for s in steps if any(now[n] != v for n, v in s.changes.items())]

    return propose


def drive(
    tuner: OnlineTuner,
    stalled: Callable[[float, dict[str, Any]], float],
    until_s: float = 120.0,
    *,
    load: Callable[[float], float] = lambda _: 1000.0,
    served: Callable[[float, dict[str, Any]], float] | None = None,
    live_bytes: Callable[[dict[str, Any]], float] = lambda _: 100e6,
) -> dict[float, OptionChanges]:
    """Feed half-second rows of an instance described by functions; return what was set when."""
    options = tuner.options.model_dump()
    set_at: dict[float, OptionChanges] = {}
    puts = backlog = stall_us = 0.0
    wobble = (0.99, 1.01, 1.0, 0.98, 1.02)
    for number in range(1, int(until_s * 2) + 1):
        time_s = number / 2
        arrived = load(time_s) / 2
        done = min(arrived + backlog, (served(time_s, options) / 2) if served else arrived)
        puts, backlog = puts + done, backlog + arrived - done
        stall_us += stalled(time_s, options) * 0.5e6 * wobble[number // 7 % 5]
        row = {
            "time_s": time_s,
            "puts_total": puts,
            "backlog_ops": backlog,
            "stall_us_total": stall_us,
            "live_sst_bytes": live_bytes(options),
        }
        changes = tuner.observe(row)
        if changes:
            set_at[time_s] = changes
            options |= changes
    return set_at


def tuner_of(*steps: Step, guards: Guards = GUARDS) -> OnlineTuner:
    return OnlineTuner(OptionsSpec(), USER_BYTES, always(*steps), guards, PLAN)


def test_a_healthy_instance_is_left_alone() -> None:
    tuner = tuner_of(UP)
    assert drive(tuner, lambda *_: 0.01) == {}
    assert tuner.settled
    assert tuner.adjustments == []


def test_a_step_that_helps_is_kept_after_transient_and_canary() -> None:
    tuner = tuner_of(UP)
    buffer = OptionsSpec().write_buffer_size
    set_at = drive(tuner, lambda _, o: 0.6 if o["write_buffer_size"] == buffer else 0.1)
    assert set_at == {30.0: {"write_buffer_size": 4 * MIB}}
    (kept,) = tuner.adjustments
    assert kept.outcome == "kept"
    assert kept.before == {"write_buffer_size": buffer}
    assert kept.at_s == 30.0
    assert kept.decided_at_s >= 30.0 + PLAN.transient_s + PLAN.window_s
    assert kept.difference_95 is not None
    assert kept.difference_95[1] < 0
    assert kept.reference == pytest.approx(0.6, rel=0.05)
    assert tuner.options.write_buffer_size == 4 * MIB


def test_a_step_that_does_nothing_is_taken_back_and_not_tried_again() -> None:
    tuner = tuner_of(UP, DOWN)
    set_at = drive(tuner, lambda *_: 0.6, until_s=400.0)
    # Best first, each set and undone once, then nothing more.
    values = [next(iter(changes.values())) for changes in set_at.values()]
    own = OptionsSpec().write_buffer_size
    assert values == [4 * MIB, own, 1 * MIB, own]
    assert [a.outcome for a in tuner.adjustments] == ["rolled_back"] * 2
    assert tuner.settled
    assert tuner.options == OptionsSpec()


def test_a_step_that_promises_too_little_is_not_tried() -> None:
    tuner = tuner_of(UP.model_copy(update={"predicted_ratio": 1.01}))
    assert drive(tuner, lambda *_: 0.6) == {}
    assert tuner.settled


def test_a_step_that_breaks_the_guard_on_space_is_taken_back_however_good() -> None:
    tuner = tuner_of(UP)
    own = OptionsSpec().write_buffer_size
    drive(
        tuner,
        lambda _, o: 0.6 if o["write_buffer_size"] == own else 0.0,
        live_bytes=lambda o: 100e6 if o["write_buffer_size"] == own else 300e6,
    )
    assert tuner.adjustments[0].outcome == "rolled_back"
    assert "space amplification 3.00 above 2.5" in tuner.adjustments[0].reason


def test_behind_its_arrivals_the_objective_is_the_rate_and_catching_up_counts() -> None:
    own = OptionsSpec().write_buffer_size

    def rates(low: float, high: float) -> Callable[[float, dict[str, Any]], float]:
        return lambda t, o: (low if o["write_buffer_size"] == own else high) * (1 + 0.01 * (t % 3))

    slow = tuner_of(UP)
    drive(slow, lambda *_: 0.9, served=rates(500.0, 700.0))
    assert slow.adjustments[0].objective == "put_ops_per_s"
    assert slow.adjustments[0].outcome == "kept"
    fast = tuner_of(UP)
    drive(fast, lambda *_: 0.9, served=rates(900.0, 3000.0))
    assert fast.adjustments[0].objective == "backlog"
    assert fast.adjustments[0].reason == "caught up with arrivals"
    worse = tuner_of(UP)
    drive(worse, lambda *_: 0.5, served=rates(1100.0, 600.0))
    assert worse.adjustments[0].outcome == "rolled_back"
    assert worse.adjustments[0].reason == "fell behind arrivals"


def test_a_shift_of_the_load_voids_a_canary_and_wakes_a_settled_tuner() -> None:
    voided = tuner_of(UP)
    drive(voided, lambda *_: 0.6, until_s=62.0, load=lambda t: 1000.0 if t < 35 else 1500.0)
    assert voided.adjustments[0].reason == "the load changed while the step was watched"
    assert voided.adjustments[0].outcome == "rolled_back"
    own = OptionsSpec().write_buffer_size
    woken = tuner_of(UP)
    set_at = drive(
        woken,
        lambda t, o: 0.0 if t < 100 else 0.6 if o["write_buffer_size"] == own else 0.1,
        until_s=220.0,
        load=lambda t: 1000.0 if t < 100 else 1600.0,
    )
    assert min(set_at) >= 100.0
    assert woken.options.write_buffer_size == 4 * MIB


def test_restoring_undoes_kept_steps_and_one_being_tried() -> None:
    tuner = tuner_of(
        UP, Step(dimension="x", changes={"level0_stop_writes_trigger": 30}, predicted_ratio=1.3)
    )
    own = OptionsSpec()
    drive(
        tuner,
        lambda _, o: 0.6 if o["write_buffer_size"] == own.write_buffer_size else 0.3,
        until_s=65.0,
    )  # the second step is under watch
    changes = tuner.restore(65.0)
    assert changes == {
        "write_buffer_size": own.write_buffer_size,
        "level0_stop_writes_trigger": own.level0_stop_writes_trigger,
    }
    assert tuner.adjustments[-1].outcome == "restored"
    assert tuner.options == own
    assert tuner.restore(66.0) == {}


def test_a_window_is_cut_into_blocks_without_loss() -> None:
    rows = [
        {"time_s": t / 2, "puts_total": 50.0 * t, "backlog_ops": 10.0, "stall_us_total": 1e5 * t,
         "live_sst_bytes": 5.0}
        for t in range(41)
    ]  # fmt: skip
    sight = Sight.of(rows, 4)
    assert sight.put_ops_per_s == pytest.approx((100.0,) * 4)
    assert sight.stall_fraction == pytest.approx((0.2,) * 4)
    assert sight.arrived_ops_per_s == pytest.approx(100.0)
    assert sight.backlog_s == pytest.approx(0.1)


def test_model_steps_are_live_bounded_and_within_the_guards() -> None:
    tuned = load_scenario(find_workspace().scenarios, "equal-budget")
    host = HostSpeeds(cores=2, foreground_ops_per_s=120e3, slot_write_bytes_per_s=110e6)

    def case_of(spec: RunSpec) -> Case:
        return Case.of(spec, host, None)

    # Three buffers of which two merge: fewer buffers would need an option that is not live. Sizes
    # off the grid of the space are no step either.
    own = tuned.scenario.options.model_copy(
        update={
            "write_buffer_size": 1_000_001,
            "max_write_buffer_number": 3,
            "min_write_buffer_number_to_merge": 2,
        }
    )
    steps = ModelSteps(V3(), case_of, tuned)(own)
    assert steps
    assert [s.predicted_ratio for s in steps] == sorted(
        (s.predicted_ratio for s in steps), reverse=True
    )
    for step in steps:
        assert LIVE_OPTIONS.issuperset(step.changes)
        moved = own.model_copy(update=step.changes)
        assert memtable_bytes(moved) <= tuned.guards.memtable_bytes
    tight = tuned.guards.model_copy(update={"space_amplification": 0.01})
    none = ModelSteps(V3(), case_of, tuned.model_copy(update={"guards": tight}))(own)
    assert none == []


def test_the_study_counts_runs_by_covariates_only() -> None:
    def run(side: str, stall_s: float, *codes: str) -> OnlineRun:
        reasons = tuple(Reason(code=code, value=1.0, limit=0.0) for code in codes)  # type: ignore[arg-type]
        return OnlineRun(
            side=side,  # type: ignore[arg-type]
            run_id=f"{side}-{stall_s}",
            stall_s=stall_s,
            put_latency_p999_us=None,
            arrived_ops=1.0,
            unserved_ops=0.0,
            verdict=Verdict(valid=not reasons, reasons=reasons),
        )

    rows = (
        run("twin", 100.0), run("tuned", 40.0, "drift"), run("tuned", 99.0, "steal"),
        run("twin", 120.0), run("tuned_from_start", 10.0),
    )  # fmt: skip
    found = OnlineResult(
        scenario="x", start={}, end={}, load_ops_per_s=1.0, seed=1, duration_s=1.0, runs=rows
    )
    assert found.avoided_fraction == pytest.approx(1 - 40 / 110)
    assert found.regret_s == pytest.approx(30.0)
    assert found.model_copy(update={"runs": rows[:1]}).avoided_fraction is None
    assert "avoided: 64%" in table(found)


@pytest.mark.slow
@pytest.mark.rocksdb
def test_a_real_instance_is_tuned_journalled_and_restored(tmp_path) -> None:  # type: ignore[no-untyped-def]
    spec = small_spec(workload=LOADED, duration_s=5.0, warmup_s=0.5)
    laboratory = Laboratory(workspace_at(tmp_path), announce=lambda line: None)
    step = Step(dimension="b", changes={"write_buffer_size": 2 * MIB}, predicted_ratio=2.0)
    run, tuner = tune_online(laboratory, spec, SMALL, always(step), QUICK)
    assert read_adjustments(run.path) == tuner.adjustments
    assert tuner.adjustments
    log = (run.path / "LOG").read_text()
    assert f"write_buffer_size: {2 * MIB}" in log
    # Whatever was decided, the instance ends with what it began with.
    assert log.rindex(f"write_buffer_size: {SMALL_OPTIONS.write_buffer_size}") > log.rindex(
        f"write_buffer_size: {2 * MIB}"
    )
    row = online_run(run, "tuned", tuple(tuner.adjustments))
    assert row.arrived_ops > 0
    assert row.stall_s >= 0


@pytest.mark.slow
@pytest.mark.rocksdb
def test_an_interrupted_tuning_sets_the_first_options_again(tmp_path) -> None:  # type: ignore[no-untyped-def]
    spec = small_spec(workload=LOADED, duration_s=30.0, warmup_s=0.5)
    laboratory = Laboratory(workspace_at(tmp_path), announce=lambda line: None)
    step = Step(dimension="b", changes={"write_buffer_size": 2 * MIB}, predicted_ratio=2.0)

    def propose(options: OptionsSpec) -> list[Step]:
        threading.Timer(1.0, signal.raise_signal, (signal.SIGINT,)).start()
        return [step]

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        tune_online(laboratory, spec, SMALL, propose, QUICK)
    assert signal.getsignal(signal.SIGINT) is before
    path = laboratory.workspace.runs / spec.run_id
    assert read_adjustments(path)[-1].outcome == "restored"
    log = (path / "LOG").read_text()
    assert log.rindex(f"write_buffer_size: {SMALL_OPTIONS.write_buffer_size}") > log.rindex(
        f"write_buffer_size: {2 * MIB}"
    )
