"""The figure of a LOG: stalls by cause, write rates and level-0 files over one time axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phase_d_lib.logfile import LogTables
from phase_d_lib.logfile.controller import Stalled
from phase_d_lib.report.look import DELAY, MEASURED, STOP, THIRD, head, use_theme
from phase_d_lib.report.quantities import byte_rate, count, seconds
from phase_d_lib.report.wording import STALL_CAUSES, STALL_KINDS
from phase_d_lib.units import MIB

LogSpan = tuple[float, float, str, str]
"""Begin and length in seconds from the start of the LOG, kind, cause."""
_BINS = 120
_TRIGGERS = (
    ("level0_slowdown_writes_trigger", DELAY, "지연 기준"),
    ("level0_stop_writes_trigger", STOP, "정지 기준"),
)
_COLOURS = {"delay": DELAY, "stop": STOP}


def stall_spans(log: LogTables) -> list[LogSpan]:
    """Spans in which the write controller held writes back, of all column families together."""
    stalled, spans = Stalled(), []
    start_s = log.first_time_s
    states = log.controller.itertuples(index=False)
    told = [span for decision in states for span in stalled.decided(*decision)]
    for begin, end, (cause, kind) in [*told, *stalled.until(log.last_time_s)]:
        spans.append((begin - start_s, end - begin, kind, cause))
    return spans


def log_figure(log: LogTables) -> Figure:
    """Draw it; a figure of its own, which no state of pyplot holds."""
    use_theme()
    figure = Figure(figsize=(9, 7.6), layout="constrained")
    states, rates, files = figure.subplots(3, 1, sharex=True)
    _draw_stalls(states, stall_spans(log))
    _draw_rates(rates, log)
    _draw_files(files, log)
    return figure


def _draw_stalls(axes: Axes, spans: Sequence[LogSpan]) -> None:
    causes = list(STALL_CAUSES)
    for begin, length, kind, cause in spans:
        place = (causes.index(cause) - 0.35, 0.7)
        axes.broken_barh([(begin, length)], place, color=_COLOURS[kind])
    axes.set(yticks=range(len(causes)), yticklabels=[STALL_CAUSES[c] for c in causes])
    axes.set_ylim(len(causes) - 0.5, -0.5)
    for kind, colour in _COLOURS.items():
        axes.plot([], [], color=colour, linewidth=6, label=STALL_KINDS[kind])
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize="small")
    total_s = sum(length for _, length, _, _ in spans)
    head(axes, "쓰기는 왜 막혔습니까?", f"정체 {seconds(total_s)}")


def _draw_rates(axes: Axes, log: LogTables) -> None:
    length_s = max(1e-6, log.last_time_s - log.first_time_s)
    edges = np.linspace(0.0, length_s, _BINS + 1)
    for table, colour, name in (
        (log.compactions, MEASURED, "컴팩션"),
        (log.flushes, DELAY, "플러시"),
    ):
        per_s = _spread(table, edges, log.first_time_s) / MIB
        axes.step(edges[:-1], per_s, where="post", color=colour, label=name)
    written = float(log.flushes["output_bytes"].sum() + log.compactions["output_bytes"].sum())
    head(axes, "백그라운드는 얼마나 썼습니까?", f"평균 {byte_rate(written / length_s)}")
    axes.set(ylabel="쓰기(MiB/s)", ylim=(0, None))
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize="small")


def _spread(table: pd.DataFrame, edges: np.ndarray, start_s: float) -> np.ndarray:
    """Bytes per second in each bin, a job's output spread evenly over its time."""
    jobs = table[["start_time_s", "end_time_s", "output_bytes"]].dropna()
    begin = jobs["start_time_s"].to_numpy(dtype=float) - start_s
    end = np.maximum(jobs["end_time_s"].to_numpy(dtype=float) - start_s, begin + 1e-6)
    written = jobs["output_bytes"].to_numpy(dtype=float)
    done = [float((written * np.clip((t - begin) / (end - begin), 0.0, 1.0)).sum()) for t in edges]
    return np.diff(done) / np.diff(edges)


def _draw_files(axes: Axes, log: LogTables) -> None:
    seen = level_zero(log)
    most = float(seen["l0_files"].max()) if len(seen) else 0.0
    axes.step(seen["time_s"], seen["l0_files"], where="post", color=THIRD, label="L0 파일")
    for name, colour, shown in _TRIGGERS:
        trigger = float(log.options.get(name, "inf"))
        if trigger <= 3.0 * most:  # one far above would only flatten the curve
            axes.axhline(trigger, color=colour, linestyle="--", label=shown)
    head(axes, "L0는 얼마나 찼습니까?", f"가장 많을 때 {count(most)}개")
    axes.set(xlabel="LOG의 시작부터(s)", ylabel="L0 파일 수", ylim=(0, None))
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, fontsize="small")


def level_zero(log: LogTables) -> pd.DataFrame:
    """Level-0 files after each flush and compaction; time from the start of the LOG."""
    tables = [t[["end_time_s", "l0_files_after"]] for t in (log.flushes, log.compactions)]
    joined = pd.concat(tables).dropna().sort_values("end_time_s")
    return pd.DataFrame(
        {
            "time_s": joined["end_time_s"].astype(float) - log.first_time_s,
            "l0_files": joined["l0_files_after"].astype(float),
        }
    )
