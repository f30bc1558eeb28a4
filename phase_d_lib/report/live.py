"""A live view of a run that survives papermill and offline HTML: plain HTML and SVG, no script."""

from __future__ import annotations

import time
from typing import Any

import pandas as pd
from IPython.display import HTML, display

_WIDTH, _HEIGHT = 420, 60
_REFRESH_S = 1.0


class LiveView:
    """Shows the last state and three traces, refreshed in place at most once a second.

    Parameters
    ----------
    predicted_ops_per_s : float, optional
        Drawn as a line over the put rate.
    """

    def __init__(self, predicted_ops_per_s: float | None = None) -> None:
        self._predicted = predicted_ops_per_s
        self._last = 0.0
        self._handle = display(HTML("<p>첫 표본을 기다립니다.</p>"), display_id=True)

    def update(self, rows: list[dict[str, Any]]) -> None:
        """Redraw from the raw sample rows so far, unless that was done within the last second."""
        now = time.monotonic()
        if len(rows) < 2 or now - self._last < _REFRESH_S:
            return
        self._last = now
        self._show(pd.DataFrame(rows))

    def finish(self, samples: pd.DataFrame) -> None:
        """Leave the final state in the notebook."""
        self._show(samples)

    def _show(self, samples: pd.DataFrame) -> None:
        if self._handle is not None and len(samples) >= 2:
            self._handle.update(HTML(live_html(samples, self._predicted)))


def live_html(samples: pd.DataFrame, predicted_ops_per_s: float | None = None) -> str:
    """Render raw samples (at least two) as an HTML block.

    Parameters
    ----------
    samples : DataFrame
        Columns time_s, puts_total, l0_files, pending_compaction_bytes, write_stopped.
    """
    rates = (samples["puts_total"].diff() / samples["time_s"].diff()).iloc[1:]
    last = samples.iloc[-1]
    state = "쓰기 정지" if last["write_stopped"] else "쓰기 가능"
    traces = [
        ("처리율(puts/s)", rates.tolist(), predicted_ops_per_s),
        ("L0 파일 수", samples["l0_files"].iloc[1:].tolist(), None),
        (
            "컴팩션 대기량(MiB)",
            (samples["pending_compaction_bytes"].iloc[1:] / 2**20).tolist(),
            None,
        ),
    ]
    body = "".join(
        f"<tr><td>{name}</td><td style='text-align:right'>{values[-1]:,.0f}</td>"
        f"<td>{_trace_svg(values, line)}</td></tr>"
        for name, values, line in traces
    )
    return (
        f"<p>{last['time_s']:.1f} s, {state}</p>"
        f"<table><tr><th>지표</th><th>현재</th><th>추이</th></tr>{body}</table>"
    )


def _trace_svg(values: list[float], line: float | None) -> str:
    top = max([*values, line or 0.0]) or 1.0
    step = _WIDTH / max(1, len(values) - 1)
    points = " ".join(
        f"{i * step:.1f},{_HEIGHT - value / top * (_HEIGHT - 4):.1f}"
        for i, value in enumerate(values)
    )
    level = "" if line is None else _level_svg(_HEIGHT - line / top * (_HEIGHT - 4))
    return (
        f"<svg width='{_WIDTH}' height='{_HEIGHT}' role='img' aria-label='추이'>{level}"
        f"<polyline points='{points}' fill='none' stroke='#0072B2' stroke-width='1.5'/></svg>"
    )


def _level_svg(y: float) -> str:
    return (
        f"<line x1='0' x2='{_WIDTH}' y1='{y:.1f}' y2='{y:.1f}' stroke='#D55E00' "
        "stroke-dasharray='4 3'/>"
    )
