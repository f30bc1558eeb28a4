"""v5: v4's answer as the prior, followed window by window while the database runs."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.models.base import Amplification, Case, MeasuredCase, Prediction, PutRateModel
from phase_d_lib.models.geometry import predicted_amplification
from phase_d_lib.models.v4 import V4
from phase_d_lib.specs import Frozen
from phase_d_lib.stalls import SATURATED_FRACTION, job_limits

Vector = NDArray[np.float64]

A, MU, B, F = range(4)
"""Places in the filter's vectors: amplification, slot speed, device bandwidth, throughput."""
# Chosen on simulated series of the stall workload before any run was scored. All are standard
# deviations of a logarithm, in the order of the places.
UNIT_S = 10.0
"""Window length the noise and the walk are stated for."""
PRIOR_SD = np.array([0.10, 0.20, 0.20, 0.20])
WALK_SD = np.array([0.012, 0.01, 0.01, 0.01])
NOISE_SD = np.array([0.06, 0.06, 0.06, 0.03])
CHANGE_SD = np.array([0.08, 0.05, 0.05, 0.05])
"""Added on a known change, beside `CHANGE_SHARE` of how far a moved."""
CHANGE_SHARE = 0.25
KEPT_FACTOR = 0.5
"""Share of the log throughput factor that outlives a known change."""
ALARM_SD = np.array([0.40, 0.40, 0.40, 0.40])
"""Least standard deviation after an alarm."""
MIN_GAIN, MAX_GAIN = 0.05, 0.9
CUSUM_SLACK, CUSUM_LIMIT = 0.5, 5.0
"""In standard deviations: a step of one is half slack; false alarms come 465 windows apart."""
ACCURACY_RANGE = (0.5, 3.0)
ACCURACY_WEIGHT, ACCURACY_MEMORY, ACCURACY_CLIP = 5.0, 0.95, 4.0
"""Weight of a prior factor of 1 in windows, memory per window, largest residual counted."""
FREE_FRACTION = 0.5
"""Below this share of the limiter in use, compactions do not wait for it."""
LOAD_BOUND_FRACTION = 0.97
"""From this share of the demand on, the load and not the database set the rate."""
LOAD_SD = 0.02
"""How far arrivals written in a window are from those due in it."""


class Window(Frozen):
    """What was seen in one window; ratios are per user byte put in it."""

    start_s: float
    end_s: float
    put_ops_per_s: float
    offered_ops_per_s: float | None = None
    """Mean arrival rate of puts; None for a closed loop."""
    flush_bytes_per_user_byte: float
    compaction_write_bytes_per_user_byte: float
    wal_bytes_per_user_byte: float
    device_read_bytes_per_user_byte: float | None = None
    compaction_write_bytes_per_s: float
    busy_slots: float | None = None
    """Mean number of running compactions."""
    device_bytes_per_s: float | None = None
    """Reads plus writes."""
    stall_fraction: float
    backlog_ops: float | None = None
    """Puts that had arrived and not been written at the end; None: added up from the windows."""


class FilterState(Frozen):
    """Where the filter stands; None where the case has no value to follow."""

    background_bytes_per_user_byte: float
    """a"""
    slot_write_bytes_per_s: float | None
    """mu"""
    device_bytes_per_s: float | None
    """B"""
    throughput_factor: float
    log_sd: tuple[float, float, float, float]
    """Standard deviation of the logarithm of each, in this order."""


class Forecast(Frozen):
    """Mean put rate over the horizon ahead."""

    rate_ops_per_s: float
    interval_90: tuple[float, float]
    horizon_s: float
    state: FilterState
    binding: str
    """Resource whose bound is lowest, or ``load``."""


class Factors(Frozen):
    """The factors of the model, as outputs."""

    throughput_factor: float
    """Measured over modelled rate."""
    scaling_factor: float | None
    """mu now over mu calibrated; None where mu was not calibrated."""
    accuracy_factor: float
    """Scale that restores the nominal coverage of the intervals."""
    latency_factor: float | None = None
    """Measured over predicted p99.9; None, for the windows carry no latency."""


class Alarm(Frozen):
    """One detected drift."""

    at_s: float
    """End of the window that raised it."""
    direction: Literal["faster", "slower"]
    residual: float
    """Standardised residual of that window."""


class _Prior:
    """v4's bounds for one case, and how they move with the filter's ratios."""

    def __init__(self, case: Case, v4: V4) -> None:
        bounds = v4.estimate(case).bounds_ops_per_s
        assert case.amplification is not None  # else v4 had refused
        self.case, self.amplification = case, case.amplification
        self.bounds = {name: bound for name, bound in bounds.items() if bound is not None}
        self.slots = job_limits(case.options, parallel=True).compactions
        self.a = self.amplification.background_bytes_per_user_byte
        wal = self.amplification.wal_bytes_per_user_byte if case.wal_on_same_device else 0.0
        self.beside = wal + (self.amplification.device_read_bytes_per_user_byte or 0.0)
        """Device bytes per user byte other than flush and compaction writes."""
        record = case.workload.record_bytes
        self.device_bytes_per_s = self.bounds["device"] * (self.a + self.beside) * record

    def compaction(self, a: float) -> float:
        """Compaction part of `a`: a user byte is flushed once, however often it is merged."""
        return max(a - self.amplification.flush_bytes_per_user_byte, 0.01 * a)

    def tightest(self, x: Vector, beside: float) -> tuple[str, float]:
        """Return the binding resource and log rate at the log ratios `x`, factor left out."""
        a, host = self.a * exp(x[A]), self.case.host
        merged = self.compaction(a)
        scale = {
            "limiter": self.a / a,
            "compaction_slots": exp(x[MU]) * self.compaction(self.a) / merged,
            "device": exp(x[B]) * (self.a + self.beside) / (a + beside),
        }
        bounds = {name: bound * scale.get(name, 1.0) for name, bound in self.bounds.items()}
        if host.cpu_s_per_put is not None and host.cpu_s_per_compacted_byte is not None:
            byte_s = merged * self.case.workload.record_bytes * host.cpu_s_per_compacted_byte
            bounds["cpu"] = host.cores / (host.cpu_s_per_put + byte_s)
        name = min(bounds, key=lambda resource: bounds[resource])
        return name, log(bounds[name])


class Tracker:
    """Follows one database window by window; start it with :meth:`V5.track`.

    Attributes
    ----------
    alarms : list of Alarm
        Every drift detected so far.

    Raises
    ------
    ModelRefusal
        When v4 refuses the case.
    """

    def __init__(self, case: Case, v4: V4) -> None:
        self._v4, self._prior, self._told = v4, _Prior(case, v4), _told(case)
        self._x, self._variance = np.zeros(4), PRIOR_SD**2
        self._beside = self._prior.beside
        self._now_s: float | None = None
        self._backlog = 0.0
        self._up = self._down = 0.0
        self._squares, self._weight = ACCURACY_WEIGHT, ACCURACY_WEIGHT
        self.alarms: list[Alarm] = []

    @property
    def factors(self) -> Factors:
        """The seed's factors at present."""
        calibrated = self._prior.case.host.slot_write_bytes_per_s is not None
        return Factors(
            throughput_factor=exp(self._x[F]),
            scaling_factor=exp(self._x[MU]) if calibrated else None,
            accuracy_factor=self._accuracy(),
        )

    def forecast(
        self,
        horizon_s: float,
        changed: Case | None = None,
        offered_ops_per_s: float | None = None,
    ) -> Forecast:
        """Predict the mean rate from now to `horizon_s` ahead; the tracker stays as it is.

        Parameters
        ----------
        horizon_s : float
        changed : Case, optional
            The case that will hold, where options or limits are about to change.
        offered_ops_per_s : float, optional
            Mean arrival rate of puts over the horizon; None for a closed loop.

        Raises
        ------
        ModelRefusal
            When v4 refuses the changed case.
        """
        prior, x, variance = self._changed(changed)
        variance = variance + WALK_SD**2 * horizon_s / UNIT_S
        binding, log_rate, spread = self._rate(prior, x, variance, horizon_s)
        # The scale is an estimate from few windows: Student's t, not the normal.
        quantile = float(stdtrit(self._weight, 0.95))
        margin = quantile * self._accuracy() * spread
        rate, low, high = (exp(log_rate + step) for step in (0.0, -margin, margin))
        if offered_ops_per_s is not None:
            demand = offered_ops_per_s + self._backlog / horizon_s
            slack = exp(quantile * LOAD_SD)
            binding = "load" if demand <= rate else binding
            rate, low, high = min(rate, demand), min(low, demand / slack), min(high, demand * slack)
        return Forecast(
            rate_ops_per_s=rate,
            interval_90=(low, high),
            horizon_s=horizon_s,
            state=_state(prior, x, variance),
            binding=binding,
        )

    def adopt(self, changed: Case) -> None:
        """Take note that a known change has come into force."""
        self._prior, self._x, self._variance = self._changed(changed)
        self._told = _told(changed)

    def observe(self, window: Window) -> None:
        """Take the next window in.

        Raises
        ------
        ValueError
            When it starts before the one before it ended.
        """
        if self._now_s is not None and window.start_s < self._now_s - 1e-6:
            raise ValueError(f"window at {window.start_s} s starts before {self._now_s} s")
        length_s = window.end_s - window.start_s
        walked_s = window.end_s - (window.start_s if self._now_s is None else self._now_s)
        self._variance = self._variance + WALK_SD**2 * walked_s / UNIT_S
        load_bound = self._take_load(window, length_s)
        self._now_s = window.end_s
        if window.put_ops_per_s <= 0:
            return
        _, log_rate, spread = self._rate(self._prior, self._x, self._variance, length_s)
        residual = (log(window.put_ops_per_s) - log_rate) / spread
        if load_bound:
            # Below saturation merges find fewer files, so a differs; all that is seen is that the
            # database can do as much.
            self._x[F] += max(0.0, residual * spread)
            return
        if window.device_read_bytes_per_user_byte is not None:
            on_device = self._prior.case.wal_on_same_device
            wal = window.wal_bytes_per_user_byte if on_device else 0.0
            self._beside = wal + window.device_read_bytes_per_user_byte
        self._judge(residual, window.end_s)
        seen = self._measured(window)
        noise = NOISE_SD**2 * UNIT_S / length_s
        gain = np.clip(self._variance / (self._variance + noise), MIN_GAIN, MAX_GAIN)
        gain = np.where(np.isnan(seen), 0.0, gain)
        self._x = self._x + gain * np.where(np.isnan(seen), 0.0, seen - self._x)
        # Joseph's form, which holds for a gain that was bounded.
        self._variance = (1.0 - gain) ** 2 * self._variance + gain**2 * noise

    def _rate(
        self, prior: _Prior, x: Vector, variance: Vector, length_s: float
    ) -> tuple[str, float, float]:
        """Binding resource, log rate and its standard deviation for a window to come."""
        binding, log_rate = prior.tightest(x, self._beside)
        step = 1e-4
        slopes = [
            (prior.tightest(x + step * np.eye(4)[i], self._beside)[1] - log_rate) / step
            for i in (A, MU, B)
        ]
        weights = np.array([*slopes, 1.0]) ** 2
        spread = sqrt(float(weights @ (variance + NOISE_SD**2 * UNIT_S / length_s)))
        return binding, log_rate + float(x[F]), spread

    def _measured(self, window: Window) -> Vector:
        """Log ratios a window shows in which the load did not bind; NaN where it shows none."""
        prior, record = self._prior, self._prior.case.workload.record_bytes
        seen = np.full(4, np.nan)
        a = window.flush_bytes_per_user_byte + window.compaction_write_bytes_per_user_byte
        if a > 0:
            seen[A] = log(a / prior.a)
        limiter, mu = prior.case.limiter_bytes_per_s, prior.case.host.slot_write_bytes_per_s
        used = a * window.put_ops_per_s * record / limiter if limiter else 0.0
        device = window.device_bytes_per_s or 0.0
        known_device = prior.device_bytes_per_s * exp(self._x[B])
        if device >= SATURATED_FRACTION * known_device and used < SATURATED_FRACTION:
            seen[B] = log(device / prior.device_bytes_per_s)
        busy = window.busy_slots or 0.0
        free = used < FREE_FRACTION and np.isnan(seen[B])
        if mu and free and busy >= SATURATED_FRACTION * prior.slots:
            seen[MU] = log(max(window.compaction_write_bytes_per_s, 1.0) / busy / mu)
        # At the window's own a, mu and B: their noise is in the rate with the opposite sign.
        own = np.where(np.isnan(seen), self._x, seen)
        seen[F] = log(window.put_ops_per_s) - prior.tightest(own, self._beside)[1]
        return seen

    def _take_load(self, window: Window, length_s: float) -> bool:
        """Keep count of the backlog; tell whether the load set the window's rate."""
        if window.offered_ops_per_s is None:
            return False
        demand = window.offered_ops_per_s + self._backlog / length_s
        rest = max(0.0, (demand - window.put_ops_per_s) * length_s)
        self._backlog = rest if window.backlog_ops is None else window.backlog_ops
        return window.put_ops_per_s >= LOAD_BOUND_FRACTION * demand

    def _judge(self, residual: float, at_s: float) -> None:
        """Page's two-sided CUSUM on the residual, and how far intervals were off."""
        scaled = residual / self._accuracy()
        self._up = max(0.0, self._up + scaled - CUSUM_SLACK)
        self._down = max(0.0, self._down - scaled - CUSUM_SLACK)
        if max(self._up, self._down) > CUSUM_LIMIT:
            faster = self._up > self._down
            self._up = self._down = 0.0
            self._variance = np.maximum(self._variance, ALARM_SD**2)
            alarm = Alarm(at_s=at_s, direction="faster" if faster else "slower", residual=residual)
            self.alarms.append(alarm)
        clipped = min(abs(residual), ACCURACY_CLIP)
        self._squares = ACCURACY_MEMORY * self._squares + clipped**2
        self._weight = ACCURACY_MEMORY * self._weight + 1.0

    def _accuracy(self) -> float:
        low, high = ACCURACY_RANGE
        return min(max(sqrt(self._squares / self._weight), low), high)

    def _changed(self, changed: Case | None) -> tuple[_Prior, Vector, Vector]:
        """Prior, ratios and variances under a known change."""
        if changed is None or _told(changed) == self._told:
            return self._prior, self._x, self._variance
        amplification = _amplification_after(self._prior.case, changed)
        prior = _Prior(changed.model_copy(update={"amplification": amplification}), self._v4)
        moved = log(prior.a / self._prior.a)
        x = self._x.copy()
        x[F] *= KEPT_FACTOR
        variance = self._variance + CHANGE_SD**2
        variance[A] += (CHANGE_SHARE * moved) ** 2
        return prior, x, variance


class V5(PutRateModel):
    r"""Real-time adaptation: a Kalman filter on v4's structure.

    .. math::

        S &= f \cdot \min\left(\frac{L}{a}, \frac{n \mu}{a_c}, \frac{B}{a + a_{wal} + a_r}, U r,
            \frac{cores \cdot r}{c_{put} + a_c r c_{byte}}\right) \\
        \hat S_{t+h} &= \min\left(S, \lambda + Q / h\right)

    in user bytes/s, divided by the record size *r* for ops/s; *a* is flush plus compaction write
    bytes per user byte, :math:`a_c` its compaction part, :math:`\lambda` the offered rate of an
    open loop and *Q* its backlog, other symbols as in v1 and v4. The state
    :math:`x = \log (a/a_0, \mu/\mu_0, B/B_0, f)`, relative to v4's inputs for the case, walks at
    random; each component has a measurement *y* of its own, taken only from a window that shows it:

    .. math::

        P &\leftarrow P + q\,\Delta t / 10\,\mathrm{s}, \qquad
        K = \min(\max(P / (P + R), 0.05), 0.9) \\
        x &\leftarrow x + K (y - x), \qquad P \leftarrow (1 - K)^2 P + K^2 R

    Only windows in which the load does not bind count, for below saturation *a* is another. They
    show *a* itself and *f*, the latter against the structure at the window's own *a*, :math:`\mu`
    and *B*, whose noise would else count twice; :math:`\mu` where the slots are busy and neither
    limiter nor device binds; *B* where the device carries 85 % of it or more. So *P* stays
    diagonal. A window the load bound shows that *S* is at least its rate. With
    :math:`g = \partial \log S / \partial x`,

    .. math::

        \log S_{t+h} \sim t_w\left(\log S, c^2 \textstyle\sum_i g_i^2 (P_i + R_i)\right), \qquad
        c^2 = \frac{0.95^n 5 + \sum_k 0.95^k \nu_k^2}{w}, \quad
        w = 0.95^n 5 + \sum_k 0.95^k

    with the *n* standardised residuals :math:`\nu` so far, the latest with *k* = 0, none counted
    above 4; *c* is the accuracy factor, kept within 0.5 to 3. A two-sided CUSUM of
    :math:`\nu / c` (slack 0.5, limit 5) raises an alarm and inflates *P* once. A known change
    replaces :math:`a_0` by what the simulated tree says for the new case, adds to *P*, and takes
    half of :math:`\log f`. Before any window the answer is v4's.

    Sources: Kalman (1960), Journal of Basic Engineering 82; Page (1954), Biometrika 41.
    """

    name = "v5"
    version = "5.0"

    def __init__(self) -> None:
        super().__init__()
        self._v4 = V4()

    def fit(self, runs: Sequence[MeasuredCase]) -> Self:
        """Fit the prior, then as every model."""
        self._v4.fit(runs)
        return super().fit(runs)

    def estimate(self, case: Case) -> Prediction:
        """Predict as v4 does, or refuse as it does: the prior before any window."""
        return self._v4.estimate(case).model_copy(update={"model": self.name})

    def track(self, case: Case) -> Tracker:
        """Start to follow a database; the case's arrival process does not matter.

        Raises
        ------
        ModelRefusal
            When v4 refuses the case.
        """
        return Tracker(case, self._v4)

    def summary(self) -> str:
        """Equation in one line."""
        return "v5: S = f min(v4's bounds at a, mu, B now); Kalman filter, CUSUM on its residual"


def _told(case: Case) -> dict[str, Any]:
    """What a change may be told by; a device grid is no change, and arrays do not compare."""
    return case.model_dump(exclude={"name": True, "closure": True, "device": {"grid"}})


def _state(prior: _Prior, x: Vector, variance: Vector) -> FilterState:
    a, mu, b, f = (float(np.exp(value)) for value in x)
    calibrated = prior.case.host.slot_write_bytes_per_s
    sd_a, sd_mu, sd_b, sd_f = (float(value) for value in np.sqrt(variance))
    return FilterState(
        background_bytes_per_user_byte=prior.a * a,
        slot_write_bytes_per_s=None if calibrated is None else calibrated * mu,
        device_bytes_per_s=prior.device_bytes_per_s * b,
        throughput_factor=f,
        log_sd=(sd_a, sd_mu, sd_b, sd_f),
    )


def _amplification_after(before: Case, after: Case) -> Amplification | None:
    """Amplification of the case after a change, like for like with the one before it.

    The case's own where it is of the same source and not merely carried over; else the one before,
    moved by what the simulated tree says of both; else the one before.
    """
    old, new = before.amplification, after.amplification
    if old is None or (new is not None and new.source == old.source and new != old):
        return new
    try:
        one, other = predicted_amplification(before), predicted_amplification(after)
    except ModelRefusal:
        return old
    names = ("flush_bytes_per_user_byte", "compaction_write_bytes_per_user_byte")
    moved = {
        name: getattr(old, name) * getattr(other, name) / (getattr(one, name) or 1.0)
        for name in names
    }
    return old.model_copy(update=moved)
