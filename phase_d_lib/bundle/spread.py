"""How far a measured quantity spreads: over blocks of one run, or over repeated runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from phase_d_lib.latency import histogram_quantiles_us
from phase_d_lib.rates import MIN_BLOCKS, block_length_s, counters_at
from phase_d_lib.runs import Run
from phase_d_lib.specs import Frozen

Quantity = Literal["rate", "p999", "stall", "wa"]
QUANTITIES: tuple[Quantity, ...] = ("rate", "p999", "stall", "wa")
RELATIVE: frozenset[Quantity] = frozenset({"rate", "p999", "wa"})
"""Quantities whose change is a ratio; a share of time changes by points."""


class Spread(Frozen):
    """A mean, its standard error and from how many independent parts it comes.

    Of a quantity in :data:`RELATIVE` the error is that of its natural logarithm.
    """

    value: float
    error: float
    parts: int

    def half_width(self, confidence: float = 0.95) -> float:
        """Half of the interval, Student's t of parts - 1."""
        return float(stdtrit(self.parts - 1, 0.5 + confidence / 2)) * self.error


class Welch(Frozen):
    """Two independent means compared without assuming equal spread.

    Source: Welch (1947), Biometrika 34, 28.
    """

    difference: float
    """Second less first; of logarithms where the quantity is relative."""
    low: float
    high: float
    p_value: float


def welch(first: Spread, second: Spread, *, relative: bool) -> Welch | None:
    """Compare two spreads; None where neither varies or one has a single part."""
    if min(first.parts, second.parts) < 2 or not first.error + second.error > 0:
        return None
    if relative and min(first.value, second.value) <= 0:
        return None
    ends = [np.log(s.value) if relative else s.value for s in (first, second)]
    squares = [s.error**2 for s in (first, second)]
    error = float(np.sqrt(sum(squares)))
    freedom = sum(squares) ** 2 / sum(
        square**2 / (s.parts - 1) for square, s in zip(squares, (first, second), strict=True)
    )
    difference = float(ends[1] - ends[0])
    margin = float(stdtrit(freedom, 0.975)) * error
    return Welch(
        difference=difference,
        low=difference - margin,
        high=difference + margin,
        p_value=2.0 * float(stdtr(freedom, -abs(difference) / error)),
    )


def over_runs(values: Sequence[float | None], *, relative: bool) -> Spread | None:
    """Spread of repeated runs, geometric mean where the quantity is relative; None without one.

    A single run has no spread: its error is 0 and nothing is tested with it.
    """
    known = np.array([v for v in values if v is not None and (v > 0 or not relative)])
    if not len(known):
        return None
    used = np.log(known) if relative else known
    mean, several = float(used.mean()), len(used) > 1
    error = float(used.std(ddof=1) / np.sqrt(len(used))) if several else 0.0
    return Spread(value=float(np.exp(mean)) if relative else mean, error=error, parts=len(used))


def over_blocks(run: Run) -> dict[Quantity, Spread]:
    """Spread of the window of one run over blocks longer than its stall cycle.

    Rate and share stalled are means of blocks. Write amplification is a ratio of sums: its error
    is that of the blocks' residuals (Cochran, Sampling Techniques, ch. 6). The p99.9 of each block
    is set against that of the whole window (sectioning: Asmussen and Glynn, Stochastic Simulation,
    III.5). Fewer than four blocks give nothing.
    """
    inside = run.window
    times = inside["time_s"].to_numpy(dtype=float)
    count = int((times[-1] - times[0]) // block_length_s(inside))
    if count < MIN_BLOCKS:
        return {}
    edges = np.linspace(times[0], times[-1], count + 1)
    change = counters_at(inside, edges).diff().iloc[1:]
    length_s = edges[1] - edges[0]
    stalled = change["stall_us_total"] / 1e6 / length_s / run.spec.workload.threads
    found: dict[Quantity, Spread] = {"stall": _mean(stalled.to_numpy(), relative=False)}
    rates = change["puts_total"].to_numpy() / length_s
    if rates.mean() > 0:
        found["rate"] = _mean(rates, relative=True)
        found["wa"] = _amplification(change, run.spec.workload.record_bytes)
    tail = _tail(run.latency, edges)
    return {**found, "p999": tail} if tail is not None else found


def _mean(values: np.ndarray, *, relative: bool) -> Spread:
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return Spread(value=mean, error=error / mean if relative else error, parts=len(values))


def _amplification(change: pd.DataFrame, record_bytes: int) -> Spread:
    user = change["puts_total"].to_numpy() * record_bytes
    written = (change["flush_write_bytes_total"] + change["compact_write_bytes_total"]).to_numpy()
    ratio = float(written.sum() / user.sum())
    residuals = (written - ratio * user) / user.mean()
    error = float(residuals.std(ddof=1) / np.sqrt(len(user)))
    return Spread(value=ratio, error=error / ratio if ratio > 0 else 0.0, parts=len(user))


def _tail(latency: pd.DataFrame, edges: np.ndarray) -> Spread | None:
    """p99.9 of puts: rows are by whole second, and a block takes the seconds that begin in it."""
    puts = latency[latency["operation"] == "put"]
    puts = puts[puts["second"] >= int(edges[0])]
    places = np.clip(np.searchsorted(edges, puts["second"], side="right") - 1, 0, len(edges) - 2)
    whole = histogram_quantiles_us(puts)["p999"]
    parts = [histogram_quantiles_us(rows)["p999"] for _, rows in puts.groupby(places)]
    known = np.log([part for part in parts if part])
    if not whole or len(known) < MIN_BLOCKS:
        return None
    squares = float(((known - np.log(whole)) ** 2).mean())
    return Spread(value=whole, error=float(np.sqrt(squares / (len(known) - 1))), parts=len(known))
