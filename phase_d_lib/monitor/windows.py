"""The monitoring loops: windows of a run beside what was predicted for them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from phase_d_lib.latency import histogram_quantiles_us
from phase_d_lib.models.base import Prediction
from phase_d_lib.monitor.result import Loop
from phase_d_lib.rates import counters_at
from phase_d_lib.runs import Run


def loops(run: Run, active: Prediction | None, loop_s: float) -> tuple[Loop, ...]:
    """Cut the window of a run into loops of `loop_s` seconds; a shorter rest is dropped."""
    start_s, end_s = (float(run.window["time_s"].iloc[i]) for i in (0, -1))
    # The window may end a few milliseconds short of its last loop.
    count = int((end_s - start_s + run.spec.sample_period_s / 4) // loop_s)
    edges = np.minimum(start_s + loop_s * np.arange(count + 1), end_s)
    at_edges = counters_at(run.samples, edges)
    return tuple(
        _loop(run, active, n + 1, edges[n], edges[n + 1], at_edges.iloc[n + 1] - at_edges.iloc[n])
        for n in range(count)
    )


def _loop(
    run: Run,
    active: Prediction | None,
    number: int,
    start_s: float,
    end_s: float,
    change: pd.Series[float],
) -> Loop:
    length_s = end_s - start_s
    rate = float(change["puts_total"]) / length_s
    histogram = run.latency[run.latency["operation"] == "put"]
    latency = histogram_quantiles_us(
        histogram[histogram["second"].between(int(start_s), int(end_s) - 1)]
    )
    user_bytes = float(change["puts_total"] * run.spec.workload.record_bytes)
    background = float(change["flush_write_bytes_total"] + change["compact_write_bytes_total"])
    stalled_s = float(change["stall_us_total"]) / 1e6 / run.spec.workload.threads
    l0_files = run.samples.loc[run.samples["time_s"].between(start_s, end_s), "l0_files"]
    predicted = active.saturation_ops_per_s if active else None
    return Loop(
        number=number,
        start_s=start_s,
        end_s=end_s,
        put_ops_per_s=rate,
        put_latency_p50_us=latency["p50"],
        put_latency_p99_us=latency["p99"],
        put_latency_p999_us=latency["p999"],
        put_latency_max_us=latency["max"],
        stall_fraction=stalled_s / length_s,
        mean_l0_files=float(l0_files.mean()) if len(l0_files) else None,
        write_bytes_per_user_byte=background / user_bytes if user_bytes else None,
        cpu_cores_used=float(change["process_cpu_s_total"]) / length_s,
        steal_fraction=float(change["machine_steal_s_total"] / change["machine_cpu_s_total"]),
        model=active.model if active else None,
        predicted_ops_per_s=predicted,
        error_fraction=predicted / rate - 1.0 if predicted and rate else None,
    )
