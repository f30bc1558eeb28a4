"""Online tuning against an untouched twin on the same arrivals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from phase_d_lib.engines.protocol import EngineProcess
from phase_d_lib.errors import EngineError
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.latency import histogram_quantiles_us
from phase_d_lib.optionsfile import rendered
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.runs import Run, read_json_lines
from phase_d_lib.smax import COVARIATES
from phase_d_lib.specs import ArrivalSpec, Frozen, OptionsSpec, RunSpec
from phase_d_lib.tuning.online import Adjustment, OnlinePlan, OnlineTuner
from phase_d_lib.tuning.scenarios import TuningScenario
from phase_d_lib.tuning.steps import Propose
from phase_d_lib.validity import Verdict
from phase_d_lib.workspace import write_atomically

JOURNAL = "adjustments.jsonl"
"""File in the run directory that holds every adjustment."""
Side = Literal["twin", "tuned", "tuned_from_start"]
SEQUENCE: tuple[Side, ...] = ("twin", "tuned", "tuned", "twin", "tuned_from_start")
"""ABBA, then what the tuner ended with, set from the start: the regret is measured against it."""


class OnlineRun(Frozen):
    """One run of the study, over all of it after the warm-up."""

    side: Side
    run_id: str
    stall_s: float
    put_latency_p999_us: float | None
    """From the intended start of each put."""
    arrived_ops: float
    unserved_ops: float
    """Arrivals still waiting at the end."""
    verdict: Verdict
    adjustments: tuple[Adjustment, ...] = ()


class OnlineResult(Frozen):
    """The whole study."""

    scenario: str
    start: OptionChanges
    """What the instance began with, as changes of the scenario's own options."""
    end: OptionChanges
    """What the first tuned run ended with, likewise."""
    load_ops_per_s: float
    seed: int
    duration_s: float
    runs: tuple[OnlineRun, ...]

    def stall_s(self, side: Side) -> float | None:
        """Mean stall seconds of the runs of a side that no covariate spoiled; None without any.

        A tree that changes its size is what tuning does, so drift spoils nothing here.
        """
        values = [
            run.stall_s
            for run in self.runs
            if run.side == side and not run.verdict.blocked_by(*COVARIATES)
        ]
        return sum(values) / len(values) if values else None

    @property
    def avoided_fraction(self) -> float | None:
        """Stall seconds avoided against the twin, as a share of the twin's."""
        twin, tuned = self.stall_s("twin"), self.stall_s("tuned")
        return None if not twin or tuned is None else 1.0 - tuned / twin

    @property
    def regret_s(self) -> float | None:
        """Stall seconds more than with the last options set from the start."""
        best, tuned = self.stall_s("tuned_from_start"), self.stall_s("tuned")
        return None if best is None or tuned is None else tuned - best


def tune_online(
    laboratory: Laboratory,
    spec: RunSpec,
    tuned: TuningScenario,
    propose: Propose,
    plan: OnlinePlan | None = None,
    *,
    keep: bool = False,
) -> tuple[Run, OnlineTuner]:
    """Run `spec` and tune it while it goes.

    Parameters
    ----------
    keep : bool
        Leave the options the tuner ended with; otherwise the first ones are set again before the
        run ends, and whenever it is interrupted.

    Raises
    ------
    EngineError
        When RocksDB did not take a change.
    """
    user_bytes = spec.workload.keys * spec.workload.record_bytes

    def fresh() -> OnlineTuner:
        threads = spec.workload.threads
        return OnlineTuner(spec.options, user_bytes, propose, tuned.guards, plan, threads)

    tuner, before_s, ended = fresh(), 0.0, False

    def follow(row: dict[str, Any], process: EngineProcess) -> None:
        nonlocal tuner, before_s, ended
        interrupted = interrupts.pop() if interrupts else None
        if row["time_s"] < before_s:  # a new attempt began
            tuner, ended = fresh(), False
        before_s = row["time_s"]
        try:
            if interrupted is not None:
                raise KeyboardInterrupt
            last = before_s >= spec.duration_s - 2 * spec.sample_period_s
            if last and not keep and not ended:
                ended = True
                _set(process, tuner.restore(before_s))
            elif not ended:
                _set(process, tuner.observe(row))
        except BaseException:
            if not keep:
                _set(process, tuner.restore(before_s))
            raise

    path = laboratory.workspace.runs / spec.run_id
    try:
        with _interrupts_at_samples() as interrupts:
            run = laboratory.run(spec, on_sample=follow)
    finally:
        if path.is_dir():
            journal = "".join(entry.model_dump_json() + "\n" for entry in tuner.adjustments)
            write_atomically(path / JOURNAL, journal)
    refused = [row["error"] for row in read_json_lines(run.path / "commands.jsonl") if row["error"]]
    if refused:
        raise EngineError(f"RocksDB did not take an option change: {refused[0]}")
    return run, tuner


@contextmanager
def _interrupts_at_samples() -> Iterator[list[int]]:
    """Collect Ctrl-C for the next sample, when the instance still takes options; a second ends."""
    interrupts: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def note(number: int, frame: FrameType | None) -> None:
        if interrupts:
            raise KeyboardInterrupt
        interrupts.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


def _set(process: EngineProcess, changes: OptionChanges) -> None:
    if changes:
        process.set_options({name: rendered(value) for name, value in changes.items()})


def compare_online(
    laboratory: Laboratory,
    tuned: TuningScenario,
    start: OptionChanges,
    load_ops_per_s: float,
    propose: Propose,
    seed: int,
    *,
    duration_s: float = 300.0,
    warmup_s: float = 10.0,
    plan: OnlinePlan | None = None,
) -> OnlineResult:
    """Run twin, tuned, tuned, twin on one arrival trace, then the tuned options from the start.

    Parameters
    ----------
    start : dict
        What the instance begins with, as changes of the scenario's own options.
    load_ops_per_s : float
        Mean of the Poisson arrivals.
    """
    rows: list[OnlineRun] = []
    end: OptionsSpec | None = None
    for number, side in enumerate(SEQUENCE):
        options = {**start, **(_changes(tuned, end) if side == "tuned_from_start" and end else {})}
        spec = tuned.scenario.spec(
            options,
            duration_s=duration_s,
            warmup_s=warmup_s,
            seed=derived_seed(seed, "online"),
            repeat=number,
            block=f"online/{side}",
            base_options=tuned.scenario.options,
        )
        arrival = ArrivalSpec(kind="poisson", rate_ops_per_s=load_ops_per_s)
        workload = spec.workload.model_copy(update={"arrival": arrival})
        spec = spec.model_copy(update={"workload": workload})
        adjustments: tuple[Adjustment, ...] = ()
        if side == "tuned":
            run, tuner = tune_online(laboratory, spec, tuned, propose, plan, keep=True)
            adjustments, end = tuple(tuner.adjustments), end or tuner.options
        else:
            run = laboratory.run(spec)
        rows.append(online_run(run, side, adjustments))
    return OnlineResult(
        scenario=tuned.name,
        start=start,
        end=_changes(tuned, end) if end else {},
        load_ops_per_s=load_ops_per_s,
        seed=seed,
        duration_s=duration_s,
        runs=tuple(rows),
    )


def online_run(run: Run, side: Side, adjustments: tuple[Adjustment, ...] = ()) -> OnlineRun:
    """Condense a finished run."""
    if run.result is None:
        raise ValueError(f"run {run.spec.run_id} is not finished")
    inside = run.window
    change = inside.iloc[-1] - inside.iloc[0]
    puts = run.latency[
        (run.latency["operation"] == "put") & (run.latency["second"] >= run.spec.warmup_s)
    ]
    backlog = float(inside["backlog_ops"].iloc[-1])
    return OnlineRun(
        side=side,
        run_id=run.spec.run_id,
        stall_s=float(change["stall_us_total"]) / 1e6 / run.spec.workload.threads,
        put_latency_p999_us=histogram_quantiles_us(puts)["p999"],
        arrived_ops=float(change["puts_total"] + change["backlog_ops"]),
        unserved_ops=backlog,
        verdict=run.result.validity,
        adjustments=adjustments,
    )


def read_adjustments(run: Path) -> list[Adjustment]:
    """Read the journal of a tuned run; empty where there is none."""
    return [Adjustment.model_validate(row) for row in read_json_lines(run / JOURNAL)]


def _changes(tuned: TuningScenario, options: OptionsSpec) -> OptionChanges:
    own = tuned.scenario.options.model_dump()
    return {name: value for name, value in options.model_dump().items() if own[name] != value}


def table(result: OnlineResult) -> str:
    """Runs, adjustments and differences as plain text for the command line."""
    lines = [f"{'side':18} {'stalled s':>9} {'p99.9 ms':>9} {'unserved':>9}  valid"]
    for run in result.runs:
        p999_ms = "-" if run.put_latency_p999_us is None else f"{run.put_latency_p999_us / 1e3:.1f}"
        why = "yes" if run.verdict.valid else "; ".join(map(str, run.verdict.reasons))
        lines.append(
            f"{run.side:18} {run.stall_s:>9.1f} {p999_ms:>9} {run.unserved_ops:>9,.0f}  {why}"
        )
    for run in result.runs:
        for step in run.adjustments:
            lines.append(
                f"{run.run_id} {step.at_s:6.1f} s {step.outcome:11} {step.changes} ({step.reason})"
            )
    avoided, regret = result.avoided_fraction, result.regret_s
    lines.append(f"stall seconds avoided: {'-' if avoided is None else f'{avoided:.0%}'}")
    lines.append(f"regret: {'-' if regret is None else f'{regret:.1f} s'}; seed {result.seed}")
    return "\n".join(lines)
