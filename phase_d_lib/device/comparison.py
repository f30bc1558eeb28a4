"""Has a device become slower? Two probes like for like, and the rounds inside one."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from phase_d_lib.device.probe import DeviceProbe
from phase_d_lib.rates import Estimate
from phase_d_lib.specs import Frozen
from phase_d_lib.units import GIB

MIN_CHANGE = 0.10
"""A smaller loss is never called a decline or a degradation."""
TREND_P = 0.01
"""Two-sided probability below which a trend against bytes written is significant."""
AGREEMENT = (0.80, 1.25)
"""First rounds agree when the whole interval of their ratio lies in here (the usual range of
bioequivalence tests, Schuirmann 1987)."""
MAX_FILL_DIFFERENCE = 0.10
MIN_COMMON_POINTS = 3

Verdict = Literal[
    "unchanged", "cache_decline", "degraded", "improved", "inconclusive", "not_comparable"
]


class Decline(Frozen):
    """How the rate of the writing points moved while one probe wrote.

    Attributes
    ----------
    ratio : Estimate or None
        Last round by first, geometric mean over the points; None with one round.
    slope_per_gib : float or None
        Change of log bandwidth a GiB written, after each point's own mean.
    p_value : float or None
        Two-sided, of that slope.
    declines : bool
        ratio <= 0.90, its interval below 1, slope negative and p_value < 0.01.
    """

    ratio: Estimate | None = None
    slope_per_gib: float | None = None
    p_value: float | None = None
    declines: bool = False


class Comparison(Frozen):
    """The verdict on two probes of one device.

    Attributes
    ----------
    differs : str or None
        Which field is not like for like, with both values; only of 'not_comparable'.
    ratio : Estimate or None
        Bandwidth after by before in the first rounds, geometric mean over the common points.
    before, after : Decline or None
        The decline inside each probe.
    """

    verdict: Verdict
    differs: str | None = None
    ratio: Estimate | None = None
    before: Decline | None = None
    after: Decline | None = None


def compare(before: DeviceProbe, after: DeviceProbe) -> Comparison:
    """Compare two probes of one device by their first rounds.

    Like for like only: device name, model and size, file system, tool kind, file size, and the
    levels of block, depth and jobs must be equal and known, the fill state within 10 points, and at
    least three points common; else the verdict is 'not_comparable'. Model may be unknown on both
    sides, for many virtual disks have none.

    The first rounds are compared because later ones carry what the probe itself wrote. With the
    ratio after / before and its 95 % interval:

    - 'degraded': ratio <= 0.90 and the interval below 1: wear, or another cause that persists.
      A write cache still full from other writing looks the same, so see
      `state.recent_write_bytes_per_s` and probe again after an idle hour.
    - 'improved': ratio >= 1 / 0.90 and the interval above 1.
    - otherwise, if the whole interval lies in 0.80-1.25, the first rounds agree: 'cache_decline'
      when `within` finds a decline in either probe, else 'unchanged'.
    - 'inconclusive': none of these; measure more points or a quieter device.
    """
    differs = _difference(before, after)
    if differs is not None:
        return Comparison(verdict="not_comparable", differs=differs)
    first, second = _totals(before, 0), _totals(after, 0)
    common = sorted(first.keys() & second.keys())
    if len(common) < MIN_COMMON_POINTS:
        return Comparison(
            verdict="not_comparable",
            differs=f"read_fractions: {len(common)} common points with a rate, "
            f"{MIN_COMMON_POINTS} needed",
        )
    ratio = _geometric_mean(np.array([np.log(second[key] / first[key]) for key in common]))
    inside = within(before), within(after)
    return Comparison(
        verdict=_verdict(ratio, any(decline.declines for decline in inside)),
        ratio=ratio,
        before=inside[0],
        after=inside[1],
    )


def within(probe: DeviceProbe) -> Decline:
    """Test whether bandwidth falls while one probe writes, as when a drive's write cache fills.

    Points that write (read_fraction < 1) only. Ratio: last round by first. Trend: least squares of
    log bandwidth on bytes written, both about each point's own mean over the rounds, with Student's
    t of the observations less the points less one. Every second round runs in reverse, so position
    and bytes written are not the same thing. Points of a probe are not quite independent, and a
    neighbour who starts to write in mid-probe looks like a decline: repeat it to be sure.
    """
    rows = [m for m in probe.measured if m.point.read_fraction < 1 and m.point.total_mib_s > 0]
    last = max((m.round for m in rows), default=0)
    first, final = _totals(probe, 0, writing=True), _totals(probe, last, writing=True)
    common = sorted(first.keys() & final.keys())
    if last == 0 or not common:
        return Decline()
    ratio = _geometric_mean(np.array([np.log(final[key] / first[key]) for key in common]))
    keys = sorted({m.point.factors for m in rows})
    group = np.array([keys.index(m.point.factors) for m in rows])
    x = _about_own_mean(np.array([m.written_bytes_before / GIB for m in rows]), group)
    y = _about_own_mean(np.log([m.point.total_mib_s for m in rows]), group)
    freedom = len(rows) - len(keys) - 1
    if freedom < 1 or not x.any():
        return Decline(ratio=ratio)
    slope = float(x @ y) / float(x @ x)
    error = float(np.sqrt(np.sum((y - slope * x) ** 2) / freedom / (x @ x)))
    p_value = 2.0 * float(stdtr(freedom, -abs(slope) / error)) if error else float(slope == 0)
    falls = ratio.value <= 1 - MIN_CHANGE and ratio.high is not None and ratio.high < 1
    return Decline(
        ratio=ratio,
        slope_per_gib=slope,
        p_value=p_value,
        declines=falls and slope < 0 and p_value < TREND_P,
    )


def _verdict(ratio: Estimate, declines: bool) -> Verdict:
    low, high = ratio.low or 0.0, ratio.high or float("inf")
    if ratio.value <= 1 - MIN_CHANGE and high < 1:
        return "degraded"
    if ratio.value >= 1 / (1 - MIN_CHANGE) and low > 1:
        return "improved"
    if AGREEMENT[0] <= low and high <= AGREEMENT[1]:
        return "cache_decline" if declines else "unchanged"
    return "inconclusive"


def _difference(before: DeviceProbe, after: DeviceProbe) -> str | None:
    """Say the first field in which two probes are not like for like; None if there is none."""
    for name, a, b in (
        ("device", before.state.device, after.state.device),
        ("size_bytes", before.state.size_bytes, after.state.size_bytes),
        ("filesystem", before.state.filesystem, after.state.filesystem),
        ("tool", before.tool.kind, after.tool.kind),
        ("blocks_kib", sorted(before.plan.blocks_kib), sorted(after.plan.blocks_kib)),
        ("iodepths", sorted(before.plan.iodepths), sorted(after.plan.iodepths)),
        ("numjobs", sorted(before.plan.numjobs), sorted(after.plan.numjobs)),
        ("file_bytes", before.plan.file_bytes, after.plan.file_bytes),
    ):
        if a is None or b is None or a != b:
            return f"{name}: {_say(a)} before, {_say(b)} after"
    if before.state.model != after.state.model:
        return f"model: {_say(before.state.model)} before, {_say(after.state.model)} after"
    x, y = before.state.filled_fraction, after.state.filled_fraction
    # Rounded, so that 0.30 and 0.40 are ten points apart and not a bit more.
    if x is None or y is None or round(abs(x - y), 6) > MAX_FILL_DIFFERENCE:
        return f"filled_fraction: {_say(x)} before, {_say(y)} after"
    return None


def _say(value: object) -> str:
    return (
        "unknown" if value is None else f"{value:.2f}" if isinstance(value, float) else f"{value}"
    )


def _totals(
    probe: DeviceProbe, number: int, writing: bool = False
) -> dict[tuple[float, ...], float]:
    """Total rate above zero of each point of one round."""
    return {
        m.point.factors: m.point.total_mib_s
        for m in probe.measured
        if m.round == number
        and m.point.total_mib_s > 0
        and not (writing and m.point.read_fraction == 1)
    }


def _geometric_mean(logs: NDArray[np.float64]) -> Estimate:
    """Geometric mean with a 95 % interval by Student's t of the log ratios."""
    count, mean = len(logs), float(logs.mean())
    if count < MIN_COMMON_POINTS:
        return Estimate(value=float(np.exp(mean)), blocks=count)
    margin = float(stdtrit(count - 1, 0.975)) * float(logs.std(ddof=1)) / float(np.sqrt(count))
    return Estimate(
        value=float(np.exp(mean)),
        low=float(np.exp(mean - margin)),
        high=float(np.exp(mean + margin)),
        blocks=count,
    )


def _about_own_mean(values: NDArray[np.float64], group: NDArray[np.int_]) -> NDArray[np.float64]:
    means = np.bincount(group, weights=values) / np.bincount(group)
    return values - np.asarray(means[group], dtype=np.float64)
