"""Several runs beside each other: rates with intervals, and what they were asked differently."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from phase_d_lib.errors import InputError
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.rates import Estimate
from phase_d_lib.runs import Run, RunResult, find_runs
from phase_d_lib.specs import RunSpec
from phase_d_lib.workspace import Workspace

_ASIDE = {"stats_dump_period_sec", "arrival"}


def finished_runs(workspace: Workspace, limit: int = 60) -> list[Run]:
    """Return the runs of this checkout, newest first, then the recorded ones; with a result each.

    Parameters
    ----------
    limit : int
        Most of this checkout's own.
    """
    own = [run for run in find_runs(workspace.runs) if run.result is not None][:limit]
    known = {run.spec.run_id for run in own}
    kept = find_runs(workspace.recorded_runs)
    recorded = sorted((run for run in kept if run.result is not None), key=lambda r: r.spec.block)
    return own + [run for run in recorded if run.spec.run_id not in known]


def result_of(run: Run) -> RunResult:
    """Return a run's result.

    Raises
    ------
    InputError
        When it has none.
    """
    if run.result is None:
        raise InputError(f"run {run.spec.run_id} has no result; it was not finished")
    return run.result


def is_recorded(run: Run, recorded: Path) -> bool:
    """Whether a run lies among the recorded ones."""
    return run.path.parent == recorded


def names_of(runs: Sequence[Run]) -> list[str]:
    """Short names that tell runs apart: the block, with repeat or id where blocks are the same."""
    blocks = [run.spec.block or run.spec.run_id for run in runs]
    shown = []
    for run, block in zip(runs, blocks, strict=True):
        same = [r for r, b in zip(runs, blocks, strict=True) if b == block]
        repeats = {r.spec.repeat for r in same}
        if len(same) == 1:
            shown.append(block)
        elif len(repeats) == len(same):
            shown.append(f"{block} #{run.spec.repeat}")
        else:
            shown.append(f"{block} {run.spec.run_id[:6]}")
    return shown


def compare_runs(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run, units in the column names; ratios are to the first.

    The interval of a ratio holds what varied inside the two runs, not what varies between runs of
    one configuration.

    Raises
    ------
    InputError
        With fewer than two runs, or one without a result.
    """
    if len(runs) < 2:
        raise InputError(f"{len(runs)} run chosen; choose at least two to compare")
    base = result_of(runs[0]).put_rate_ops_per_s
    rows = []
    for name, run in zip(names_of(runs), runs, strict=True):
        result = result_of(run)
        gained = ratio(result.put_rate_ops_per_s, base) if run is not runs[0] else None
        rows.append(
            {
                "run": name,
                "run_id": run.spec.run_id,
                **_estimate("put_ops_per_s", result.put_rate_ops_per_s),
                **_estimate("rate_ratio", gained),
                "stall_fraction": result.stall_fraction,
                "write_bytes_per_user_byte": written_per_user_byte(result),
                "put_latency_p999_us": result.put_latency_us.get("p999"),
                "valid": result.validity.valid,
            }
        )
    table = pd.DataFrame(rows)
    numbers = [name for name in table.columns if name not in ("run", "run_id", "valid")]
    return table.astype(dict.fromkeys(numbers, "float64"))


def ratio(rate: Estimate, base: Estimate) -> Estimate | None:
    """Rate over a base rate; half widths of the logarithms add in squares (delta method)."""
    if base.value <= 0 or rate.value <= 0:
        return None
    value = rate.value / base.value
    margins = [_margin(rate), _margin(base)]
    if any(margin is None for margin in margins):
        return Estimate(value=value)
    width = math.hypot(*(margin for margin in margins if margin is not None))
    return Estimate(value=value, low=value * math.exp(-width), high=value * math.exp(width))


def _margin(estimate: Estimate) -> float | None:
    if estimate.low is None or estimate.high is None:
        return None
    return (estimate.high - estimate.low) / 2 / estimate.value


def written_per_user_byte(result: RunResult) -> float | None:
    """Flush plus compaction writes per user byte."""
    parts = (result.flush_bytes_per_user_byte, result.compaction_write_bytes_per_user_byte)
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def differences(runs: Sequence[Run]) -> dict[str, list[object]]:
    """What the runs were asked differently: name -> its value in each run."""
    asked = [_asked(run.spec) for run in runs]
    return {
        name: [values[name] for values in asked]
        for name in asked[0]
        if len({str(values[name]) for values in asked}) > 1
    }


def _asked(spec: RunSpec) -> OptionChanges:
    limits = ("limiter_bytes_per_s", "device_limit_bytes_per_s", "engine")
    named = {**spec.workload.model_dump(), **spec.options.model_dump()}
    arrival = spec.workload.arrival
    asked = {name: value for name, value in named.items() if name not in _ASIDE}
    asked["arrival_kind"], asked["arrival_rate_ops_per_s"] = arrival.kind, arrival.rate_ops_per_s
    return asked | {name: getattr(spec, name) for name in limits}


def _estimate(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
