"""The sustainable put rate S_max, measured: open-loop trials, judged, and a pass/fail curve.

Two rates, never one name for both: :func:`saturation` describes closed-loop runs, whose writer is
always ready; :func:`measure` finds the highest arrival rate held without a write stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import model_validator
from scipy.special import log_expit, stdtr, stdtrit

from phase_d_lib.engines.workload import arrival_times
from phase_d_lib.errors import InputError
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.latency import histogram_quantiles_us
from phase_d_lib.logfile import stall_seconds_by_cause
from phase_d_lib.profiles import SMaxArrival, SMaxPlan
from phase_d_lib.rates import (
    L0_FILES_UNIT,
    L0_ROUNDS_UNIT,
    Estimate,
    block_length_s,
    counter_rate,
    outer_rise,
    outer_thirds,
    two_states,
)
from phase_d_lib.runs import Run
from phase_d_lib.specs import ArrivalSpec, Frozen, OptionsSpec, RunSpec, SustainCriterion
from phase_d_lib.validity import Reason

FailureCode = Literal["stopped", "shortfall", "latency", "debt", "backlog"]
COVARIATES = ("incomplete", "steal", "foreign")
"""Validity codes that spoil a trial. The others - few memtables written, live data drifting - are
what an arrival rate below or above the threshold does, so they are outcomes here."""
CONFIDENCE = 0.90
PRIOR_WIDTH = 0.05
PRIOR_LOG_SD = 0.7
"""Weak prior on the width of the pass/fail curve, log-normal: runs of 20 s differ by some 5 %."""
TREND_ALPHA = 0.05
MATERIAL_CHANGE_FRACTION = 0.02
MIN_TREND_BLOCKS = 5
_FIRST_STEP, _LARGEST_STEP = math.log(1.25), math.log(4.0)
_DIGITS = 4


class Failure(Frozen):
    """One way in which an arrival rate was not held: a code, the value seen and the limit."""

    code: FailureCode
    value: float
    limit: float

    def __str__(self) -> str:
        return _FAILURES[self.code].format(value=self.value, limit=self.limit)


_FAILURES = {
    "stopped": "writes stopped for {value:.3f} s, allowed {limit:.3f} s",
    "shortfall": "achieved rate {value:.1%} below the offered, allowed {limit:.1%}",
    "latency": "p99.9 from the intended start {value:.1f} ms, allowed {limit:.1f} ms",
    "debt": "compaction debt rose by {value:.1f} times what counts as bounded",
    "backlog": "{value:.0f} puts waiting at the end and growing, allowed {limit:.0f}",
}


class Trial(Frozen):
    """One arrival rate, tried once."""

    number: int
    rate_ops_per_s: float
    """Arrival rate asked for."""
    held: bool
    valid: bool = True
    """False: the host spoiled it, so it is neither held nor failed and not in the fit."""
    failures: tuple[Failure, ...] = ()
    spoiled_by: tuple[Reason, ...] = ()
    achieved_ops_per_s: float | None = None
    put_latency_p999_ms: float | None = None
    stopped_s: float | None = None
    backlog_ops_end: float | None = None
    run_id: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Trial:
        if self.held and (self.failures or not self.valid):
            raise ValueError("a trial that failed or is not valid was not held")
        return self


class SMaxResult(Frozen):
    """The sustainable put rate of one configuration and every trial behind it."""

    s_max_ops_per_s: Estimate | None
    """Rate at which a trial is as likely held as not, 90 % interval; None while all valid trials
    agree: then S_max lies above `highest_held_ops_per_s` or below `lowest_failed_ops_per_s`."""
    curve_width: float | None
    """Scale w of the curve in log rate: 25 % are held at exp(1.1 w) S_max, 75 % at exp(-1.1 w)."""
    highest_held_ops_per_s: float | None
    lowest_failed_ops_per_s: float | None
    trials: tuple[Trial, ...]
    spent_s: float
    """Trial lengths and cool-off times, reused trials included."""
    ended_by: Literal["width", "budget"]
    arrival: SMaxArrival
    criterion: SustainCriterion

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Runs behind the trials, in order."""
        return tuple(trial.run_id for trial in self.trials if trial.run_id is not None)


def failures(
    samples: pd.DataFrame,
    *,
    offered_ops_per_s: float,
    put_latency_p999_ms: float | None,
    stopped_s: float,
    criterion: SustainCriterion,
    options: OptionsSpec,
) -> tuple[Failure, ...]:
    """Return every way in which the samples of a window show an arrival rate not held.

    Debt: level-0 files (unit: 2) and pending compaction bytes (unit: what two level-0 compactions
    take in, trigger times memtable each) of the last third against the first third of the window.
    It is rising when the 10th, 50th and 90th percentile all rose by more than the unit and by more
    than a quarter of the first third's swing. A sawtooth moves some of them, only growth moves
    all; a third should hold a whole cycle, 2-4 s here. In simulated trials below the threshold no
    gauge rose by more than 0.75 units.
    Backlog: the puts waiting at the end would take longer than the latency objective to arrive,
    and so many more wait in the last third than in the first.

    Parameters
    ----------
    samples : DataFrame
        The window: time_s, puts_total, l0_files, pending_compaction_bytes, backlog_ops.
    offered_ops_per_s : float
        Puts that were due in the window, per second.
    put_latency_p999_ms : float or None
        From the intended start; None when no put ended.
    stopped_s : float
        Seconds in a write stop.
    """
    achieved = counter_rate(samples, "puts_total")
    shortfall = 1.0 - achieved / offered_ops_per_s
    round_bytes = options.level0_file_num_compaction_trigger * options.write_buffer_size
    debt = max(
        outer_rise(samples["l0_files"], unit=L0_FILES_UNIT),
        outer_rise(samples["pending_compaction_bytes"], unit=L0_ROUNDS_UNIT * round_bytes),
    )
    waiting = offered_ops_per_s * criterion.max_p999_ms / 1e3
    backlog = samples["backlog_ops"].to_numpy(dtype=float)
    first, last = outer_thirds(backlog)
    growing = float(last.mean() - first.mean()) > waiting
    latency_ms = put_latency_p999_ms or 0.0
    tests: list[tuple[bool, FailureCode, float, float]] = [
        (stopped_s > criterion.max_stop_s, "stopped", stopped_s, criterion.max_stop_s),
        (
            shortfall > criterion.max_shortfall_fraction,
            "shortfall",
            shortfall,
            criterion.max_shortfall_fraction,
        ),
        (latency_ms > criterion.max_p999_ms, "latency", latency_ms, criterion.max_p999_ms),
        (debt > 1.0, "debt", debt, 1.0),
        (growing and backlog[-1] > waiting, "backlog", float(backlog[-1]), waiting),
    ]
    return tuple(
        Failure(code=code, value=float(value), limit=limit)
        for failed, code, value, limit in tests
        if failed
    )


def judge(run: Run, criterion: SustainCriterion) -> Trial:
    """Judge a finished open-loop run: held or not, and every reason.

    A stop is time in a write stop by the LOG (:func:`stall_seconds_by_cause`) inside the window.
    Poisson arrivals are counted, not taken from their mean, so chance is no shortfall. Of the
    latencies those of the second in which the window begins are left out: the rows are by second.

    Raises
    ------
    InputError
        When the run is not finished or its arrivals are neither constant nor Poisson.
    """
    spec, result, arrival = run.spec, run.result, run.spec.workload.arrival
    if result is None:
        raise InputError(f"run {spec.run_id} is not finished; it can't be judged")
    if arrival.kind not in ("constant", "poisson") or arrival.rate_ops_per_s is None:
        raise InputError(
            f"run {spec.run_id} has arrival kind {arrival.kind!r}; S_max needs constant or poisson"
        )
    inside = run.window
    (start_s, end_s), (from_s, to_s) = (
        (float(inside[column].iloc[0]), float(inside[column].iloc[-1]))
        for column in ("time_s", "unix_time_s")
    )
    stalls = stall_seconds_by_cause(run.log, from_s, to_s)
    stopped_s = float(stalls.loc[stalls["kind"] == "stop", "seconds"].sum())
    puts = run.latency[run.latency["operation"] == "put"]
    later = puts[puts["second"] > int(start_s)]
    p999_us = histogram_quantiles_us(later if len(later) else puts)["p999"]
    p999_ms = None if p999_us is None else p999_us / 1e3
    spoiled_by = tuple(r for r in result.validity.reasons if r.code in COVARIATES)
    found = failures(
        inside,
        offered_ops_per_s=_due(spec, start_s, end_s) / (end_s - start_s),
        put_latency_p999_ms=p999_ms,
        stopped_s=stopped_s,
        criterion=criterion,
        options=spec.options,
    )
    return Trial(
        number=spec.repeat,
        rate_ops_per_s=arrival.rate_ops_per_s,
        held=not found and not spoiled_by,
        valid=not result.validity.blocked_by(*COVARIATES),
        failures=found,
        spoiled_by=spoiled_by,
        achieved_ops_per_s=counter_rate(inside, "puts_total"),
        put_latency_p999_ms=p999_ms,
        stopped_s=stopped_s,
        backlog_ops_end=float(inside["backlog_ops"].iloc[-1]),
        run_id=spec.run_id,
    )


def _due(spec: RunSpec, start_s: float, end_s: float) -> float:
    """Puts due between two times of a run: what its own seed drew, or the constant rate."""
    arrival, threads = spec.workload.arrival, spec.workload.threads
    if arrival.kind == "constant" and arrival.rate_ops_per_s is not None:
        return arrival.rate_ops_per_s * (end_s - start_s)
    return float(
        sum(
            np.count_nonzero((times >= start_s) & (times < end_s))
            for thread in range(threads)
            for times in arrival_times(arrival, end_s, spec.seed, thread, threads)
        )
    )


class _Curve(NamedTuple):
    """Fitted P(held | rate) = 1 / (1 + (rate / threshold)^(1/w)); rates in log puts/s."""

    threshold: float
    width: float
    low: float
    high: float


def _fit(trials: Sequence[Trial]) -> _Curve | None:
    """Fit the curve to the valid trials; None unless both outcomes occur."""
    rates = np.log([trial.rate_ops_per_s for trial in trials if trial.valid])
    held = np.array([trial.held for trial in trials if trial.valid], dtype=bool)
    if held.all() or not held.any():
        return None
    centre = math.log(PRIOR_WIDTH)
    log_widths = np.linspace(centre - 3 * PRIOR_LOG_SD, centre + 3 * PRIOR_LOG_SD, 22)
    widths, sign = np.exp(log_widths), np.where(held, -1.0, 1.0)
    penalty = 0.5 * ((log_widths - centre) / PRIOR_LOG_SD) ** 2
    cut = float(stdtrit(max(1, len(rates) - 2), 0.5 + CONFIDENCE / 2)) ** 2

    def likelihood(thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        z = (rates - thresholds[:, None, None]) / widths[:, None]
        table: np.ndarray = log_expit(sign * z).sum(axis=-1) - penalty
        profile = table.max(axis=1)
        return table, profile, 2.0 * (profile.max() - profile)

    coarse = np.linspace(rates.min() - 0.5, rates.max() + 0.5, 151)
    step = coarse[1] - coarse[0]
    near = coarse[likelihood(coarse)[2] <= cut + 3.0]
    fine = np.linspace(near[0] - step, near[-1] + step, 301)
    table, profile, deviance = likelihood(fine)
    best = int(profile.argmax())
    threshold = float(np.clip(fine[best], rates.min(), rates.max()))
    within = fine[deviance <= cut]
    return _Curve(
        threshold,
        float(widths[table[best].argmax()]),
        min(threshold, float(within[0])),
        max(threshold, float(within[-1])),
    )


def search(
    trial: Callable[[float, int], Trial], start_ops_per_s: float, plan: SMaxPlan
) -> SMaxResult:
    """Find the arrival rate at which a trial is as likely held as not.

    From the start, steps by a factor (1.25, then twice the step in log rate, at most 4) until one
    rate was held and one failed; then rates in turn at the fitted 25 % and 75 % points, never the
    same twice. A spoiled trial is tried again at its rate with the next number.

    The curve is logistic in log rate with a weak prior on its width w (log-normal, median 0.05, sd
    of the logarithm 0.7), so separated outcomes give a finite slope; the threshold has a flat one.
    The 90 % interval is that of its profile likelihood on a grid, its cut the square of Student's
    t of n - 2 instead of chi-square, for trials are few. In 200 simulated searches of up to 20
    trials it covered the threshold in 100 % at w = 0.01, 95 % at 0.03, 83 % at 0.06 and 76 % at
    0.1: stopping once narrow prefers curves taken for too steep, which the prior holds back only
    near its own width. A fitted `curve_width` of 0.06 or more says the interval is too narrow.
    Sources: Cox and Hinkley, Theoretical Statistics (1974), 9.3
    (profile likelihood); Wu, JASA 80 (1985) (choosing the next level at fitted quantiles).

    S_max is not cut at the lowest rate that failed: a rate below it fails at times by chance, and
    the minimum of such chances falls with every further trial. It is never taken beyond the rates
    tried. Outcomes that all agree give a bound and no estimate. Trials are as long as they are: a
    rate slightly above what is sustained forever can still be held for one.

    Parameters
    ----------
    trial : callable
        (rate in puts/s, number of the trial from 0) -> its outcome.
    start_ops_per_s : float
        First rate, puts/s; best a prediction.

    Raises
    ------
    InputError
        When the start is not positive.
    """
    if not 0.0 < start_ops_per_s < math.inf:
        raise InputError(f"start_ops_per_s = {start_ops_per_s}: must be a positive rate, puts/s")
    trials: list[Trial] = []
    curve: _Curve | None = None
    rate, step, spent_s = _rounded(start_ops_per_s), _FIRST_STEP, 0.0
    ended_by: Literal["width", "budget"] = "budget"
    while spent_s + plan.trial_cost_s <= plan.budget_s:
        outcome = trial(rate, len(trials))
        trials.append(outcome)
        spent_s += plan.trial_cost_s
        if not outcome.valid:
            continue
        curve = _fit(trials)
        if curve is None:
            rate = _unused(math.log(rate) + (step if outcome.held else -step), trials)
            step = min(2.0 * step, _LARGEST_STEP)
            continue
        count = sum(t.valid for t in trials)
        width = math.exp(curve.high - curve.threshold) - math.exp(curve.low - curve.threshold)
        if count >= plan.min_trials and width <= plan.target_width_fraction:
            ended_by = "width"
            break
        side = math.log(3.0) * (1 if count % 2 else -1)
        rate = _unused(curve.threshold + side * curve.width, trials)
    held = [t.rate_ops_per_s for t in trials if t.valid and t.held]
    failed = [t.rate_ops_per_s for t in trials if t.valid and not t.held]
    return SMaxResult(
        s_max_ops_per_s=_estimate(curve, len(held) + len(failed)),
        curve_width=curve.width if curve else None,
        highest_held_ops_per_s=max(held, default=None),
        lowest_failed_ops_per_s=min(failed, default=None),
        trials=tuple(trials),
        spent_s=spent_s,
        ended_by=ended_by,
        arrival=plan.arrival,
        criterion=plan.criterion,
    )


def _estimate(curve: _Curve | None, trials: int) -> Estimate | None:
    if curve is None:
        return None
    value, low, high = (math.exp(x) for x in (curve.threshold, curve.low, curve.high))
    return Estimate(value=value, low=low, high=high, confidence=CONFIDENCE, blocks=trials)


def _rounded(rate_ops_per_s: float) -> float:
    """Four digits: far finer than any threshold is known, and the run id survives a last bit."""
    return float(f"{rate_ops_per_s:.{_DIGITS}g}")


def _unused(log_rate: float, trials: Sequence[Trial]) -> float:
    """Rounded rate nearest to the one wanted that no trial has had."""
    wanted, used = math.exp(log_rate), {t.rate_ops_per_s for t in trials}
    unit = 10.0 ** (math.floor(math.log10(wanted)) + 1 - _DIGITS)
    offsets = (sign * k * unit for k in range(len(trials) + 1) for sign in (1, -1))
    return next(r for r in (_rounded(wanted + offset) for offset in offsets) if r not in used)


def measure(
    laboratory: Laboratory, spec: RunSpec, start_ops_per_s: float, plan: SMaxPlan
) -> SMaxResult:
    """Measure S_max of a configuration by open-loop runs.

    Interrupted, it goes on where it stopped: the next rate follows from the outcomes so far and a
    run id from its spec, so a trial that is complete, from the same engine build, is judged again
    instead of run again (and counts against the budget, or the sequence would change).

    Parameters
    ----------
    laboratory : Laboratory
        Its retries are not used: a trial below saturation is often not valid as a closed-loop run.
    spec : RunSpec
        Closed-loop spec of the configuration; lengths and seed come from the plan.
    start_ops_per_s : float
        First arrival rate; best a predicted S_max.

    Raises
    ------
    InputError
        When `spec` is no closed loop of puts only, or no recording fits.
    EngineError, SlotBusyError
        As :func:`phase_d_lib.execution.execute`.
    """
    if spec.workload.arrival.kind != "closed" or spec.workload.read_fraction > 0:
        raise InputError(
            "S_max needs the closed-loop spec of a configuration of puts only; given were "
            f"arrival kind {spec.workload.arrival.kind!r}, read_fraction "
            f"{spec.workload.read_fraction}"
        )
    single = replace(laboratory, retries=0, resumes=True)

    def trial(rate_ops_per_s: float, number: int) -> Trial:
        wanted = trial_spec(spec, rate_ops_per_s, number, plan)
        return judge(single.run(wanted, cool_off_s=plan.cool_off_s), plan.criterion)

    return search(trial, start_ops_per_s, plan)


def trial_spec(spec: RunSpec, rate_ops_per_s: float, number: int, plan: SMaxPlan) -> RunSpec:
    """Spec of one trial: `spec` under arrivals at a rate, in block ``smax/NAME``, own seed."""
    name = spec.block.rpartition("/")[2] or spec.configuration_id()
    block = f"smax/{name}"
    arrival = ArrivalSpec(kind=plan.arrival, rate_ops_per_s=rate_ops_per_s)
    changes = {
        "workload": {**spec.workload.model_dump(), "arrival": arrival},
        "duration_s": plan.trial_s,
        "warmup_s": plan.warmup_s,
        "seed": derived_seed(plan.seed, block, plan.arrival, number),
        "repeat": number,
        "block": block,
    }
    return RunSpec.model_validate({**spec.model_dump(), **changes})


class Stationarity(Frozen):
    """Whether the put rate of one run kept its level over the window."""

    run_id: str
    rate_ops_per_s: Estimate
    blocks: int
    change_fraction: float | None
    """Fitted change over the window divided by the mean; None with fewer than five blocks."""
    p_value: float | None
    stationary: bool | None
    """False for a trend with p < 0.05 of more than 2 %; None where that can't be told."""


class Saturation(Frozen):
    """The saturation rate of one configuration over closed-loop runs: not S_max."""

    saturation_ops_per_s: Estimate
    """Mean over runs with Student's t interval; of a single run its own."""
    runs: tuple[Stationarity, ...]
    states: tuple[Estimate, ...]
    """One rate, or two where runs settle in two states; then the mean is neither."""


def saturation(runs: Sequence[Run]) -> Saturation:
    """Describe closed-loop runs of one configuration: rate, stationarity, one state or two.

    Raises
    ------
    InputError
        For no runs, an open-loop or unfinished one, or different configurations or windows.
    """
    # Runs of different windows see different parts of a slow climb, which would pass for states.
    kinds = {(r.spec.configuration_id(), r.spec.duration_s, r.spec.warmup_s) for r in runs}
    if len(kinds) != 1:
        raise InputError("saturation needs one or more runs of one configuration and one window")
    for run in runs:
        if run.result is None or run.spec.workload.arrival.kind != "closed":
            raise InputError(f"run {run.spec.run_id} is not a finished closed-loop run")
    described = tuple(stationarity(run.spec.run_id, run.window, _rate(run)) for run in runs)
    rates = [one.rate_ops_per_s.value for one in described]
    overall = _mean(rates) if len(rates) > 1 else described[0].rate_ops_per_s
    groups = two_states(rates)
    states = tuple(map(_mean, groups)) if len(groups) > 1 else (overall,)
    return Saturation(saturation_ops_per_s=overall, runs=described, states=states)


def _rate(run: Run) -> Estimate:
    assert run.result is not None  # saturation() has refused unfinished runs
    return run.result.put_rate_ops_per_s


def stationarity(run_id: str, samples: pd.DataFrame, rate: Estimate) -> Stationarity:
    """Test the put rate of a window for a linear trend over blocks of whole stall cycles.

    Ordinary least squares on the rates of blocks (:func:`block_length_s`, at most a fifth of the
    window), Student's t of blocks - 2; inside a block the cycle averages out, so blocks are nearly
    independent where single samples are not.
    """
    times = samples["time_s"].to_numpy(dtype=float)
    length_s = float(times[-1] - times[0])
    block_s = block_length_s(samples, maximum_s=length_s / MIN_TREND_BLOCKS)
    # A window cut exactly in five must not lose a block to rounding.
    count = int(length_s / block_s + 1e-6)
    known = {"run_id": run_id, "rate_ops_per_s": rate, "blocks": count}
    if count < MIN_TREND_BLOCKS:
        return Stationarity(**known, change_fraction=None, p_value=None, stationary=None)
    edges = np.linspace(times[0], times[-1], count + 1)
    rates = np.diff(np.interp(edges, times, samples["puts_total"].to_numpy(dtype=float)))
    x = np.linspace(-0.5, 0.5, count)
    slope = float(x @ rates / (x @ x))
    rest = rates - rates.mean() - slope * x
    error = math.sqrt(float(rest @ rest) / (count - 2) / float(x @ x))
    p_value = 2.0 * float(stdtr(count - 2, -abs(slope) / error)) if error > 0 else float(slope == 0)
    change = slope / float(rates.mean()) if rates.mean() > 0 else 0.0
    moved = p_value < TREND_ALPHA and abs(change) > MATERIAL_CHANGE_FRACTION
    return Stationarity(**known, change_fraction=change, p_value=p_value, stationary=not moved)


def _mean(values: Sequence[float]) -> Estimate:
    """Mean with a 95 % Student's t interval, of at least two values."""
    count, mean = len(values), float(np.mean(values))
    margin = float(stdtrit(count - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(count))
    return Estimate(value=mean, low=max(0.0, mean - margin), high=mean + margin, blocks=count)


def table(result: SMaxResult) -> str:
    """Return the trials and the answer as plain text for the command line."""
    heads = ("trial", "offered puts/s", "achieved", "p99.9 ms", "stop s")
    lines = ["{:>5} {:>14} {:>9} {:>9} {:>7}  outcome".format(*heads)]
    for trial in result.trials:
        outcome = "held" if trial.held else "; ".join(map(str, trial.failures)) or "failed"
        if not trial.valid:
            outcome = f"not valid: {'; '.join(map(str, trial.spoiled_by)) or 'no reason given'}"
        lines.append(
            f"{trial.number:>5} {trial.rate_ops_per_s:>14,.0f} "
            f"{_cell(trial.achieved_ops_per_s, ',.0f'):>9} "
            f"{_cell(trial.put_latency_p999_ms, '.1f'):>9} "
            f"{_cell(trial.stopped_s, '.2f'):>7}  {outcome}"
        )
    how = f"{result.arrival} arrivals, {result.spent_s:.0f} s spent, ended by {result.ended_by}"
    lines.append(f"{_answer(result)} ({how})")
    return "\n".join(lines)


def _answer(result: SMaxResult) -> str:
    estimate = result.s_max_ops_per_s
    if estimate is not None and estimate.low is not None and estimate.high is not None:
        return (
            f"S_max {estimate.value:,.0f} puts/s, "
            f"{estimate.confidence:.0%} interval {estimate.low:,.0f} to {estimate.high:,.0f}"
        )
    if result.highest_held_ops_per_s is not None:
        return f"S_max at least {result.highest_held_ops_per_s:,.0f} puts/s: every trial held"
    if result.lowest_failed_ops_per_s is not None:
        return f"S_max below {result.lowest_failed_ops_per_s:,.0f} puts/s: every trial failed"
    return "S_max unknown: no valid trial"


def _cell(value: float | None, style: str) -> str:
    return "-" if value is None else format(value, style)
