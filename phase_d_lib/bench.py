"""What measuring costs, as ratios within one run on this machine; no test asserts any of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from phase_d_lib.execution import execute
from phase_d_lib.host import cpu_times, describe_host
from phase_d_lib.logfile import read_log
from phase_d_lib.runs import Run, utc_now
from phase_d_lib.specs import RunSpec
from phase_d_lib.units import MIB
from phase_d_lib.workspace import Workspace, write_atomically

_PERIODS_S = (1.0, 0.1)
_RUN_S = 12.0
_REPEATS = 3


def run(workspace: Workspace, say: Callable[[str], None]) -> Path:
    """Run every benchmark and write ``reports/bench.json``.

    Sampling cost is CPU time of the sampler per second of run, so steal and other load touch it
    little; LOG reading is bytes per CPU second.
    """
    before = cpu_times()
    sampled = {period: _sampling_run(workspace, period, say) for period in _PERIODS_S}
    log = sampled[_PERIODS_S[-1]].path / "LOG"
    rows = [_sampling_row(period, finished) for period, finished in sampled.items()]
    rows.append(_log_row(log))
    after = cpu_times()
    host = describe_host(workspace.root, "rocksdict wheel")
    payload = {
        "schema_version": 1,
        "measured_at": utc_now(),
        "host": host.model_dump(),
        "steal_fraction": (after.steal_s - before.steal_s) / (after.total_s - before.total_s),
        "benchmarks": rows,
    }
    for row in rows:
        say(f"{row['name']}: {row['value']:.4g} {row['unit']}")
    workspace.reports.mkdir(exist_ok=True)
    file = workspace.reports / "bench.json"
    write_atomically(file, orjson.dumps(payload, option=orjson.OPT_INDENT_2))
    return file


def _sampling_run(workspace: Workspace, period_s: float, say: Callable[[str], None]) -> Run:
    say(f"sampling every {period_s} s for {_RUN_S:.0f} s")
    spec = RunSpec(
        limiter_bytes_per_s=30 * MIB,
        duration_s=_RUN_S,
        warmup_s=2.0,
        sample_period_s=period_s,
        block=f"bench/sampling-{period_s}",
    )
    return execute(spec, workspace)


def _sampling_row(period_s: float, finished: Run) -> dict[str, Any]:
    result = finished.result
    return {
        "name": f"sampler CPU at {1 / period_s:.0f} Hz",
        "value": None if result is None else result.sampler_cpu_fraction,
        "unit": "cores",
        "valid": finished.valid,
    }


def _log_row(log: Path) -> dict[str, Any]:
    size = log.stat().st_size
    speeds = []
    for _ in range(_REPEATS):
        start = time.process_time()
        read_log(log)
        speeds.append(size / 1e6 / (time.process_time() - start))
    return {
        "name": f"LOG reading, {size / 1e6:.1f} MB",
        "value": statistics.median(speeds),
        "unit": "MB per CPU second",
        "valid": True,
    }
