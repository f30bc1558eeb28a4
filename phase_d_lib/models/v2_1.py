"""v2_1: harmonic mixed I/O, slots per level, stall share as an output."""

from __future__ import annotations

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.models.base import Amplification, Case, Prediction, PutRateModel
from phase_d_lib.models.bounds import capped_mix_bytes_per_s, tightest
from phase_d_lib.stalls import job_limits


class V21(PutRateModel):
    r"""Feasible rate of a mixed device, the limiter and per-level compaction slots.

    .. math::

        \frac{1}{B(\rho)} = \frac{\rho}{B_r} + \frac{1 - \rho}{B_w}, \qquad
        S \sum_l u_l \le B(\rho), \quad S \sum_l c_l / \mu_l \le n, \quad
        S (a_{flush} + a_c) \le L, \quad S \le U r

    with :math:`\rho = a_r / (a_r + a_w)`, :math:`u_l` the device bytes and :math:`c_l` the
    compaction bytes of level *l* per user byte. The stall share
    :math:`p = \max(0, 1 - S / U)` is a result, never a factor of the rate.
    """

    name = "v2_1"
    version = "2.1"

    def bounds_ops_per_s(self, case: Case) -> dict[str, float | None]:
        """Bound of each resource, ops/s."""
        amplification, record = case.amplification, case.workload.record_bytes
        if amplification is None:
            raise ModelRefusal("amplification", "neither given nor predicted for this case")
        background = amplification.background_bytes_per_user_byte
        slot_s = self._slot_s_per_user_byte(case, amplification)
        return {
            "mixed_device": _mixed_device_bound(case, amplification),
            "limiter": (
                case.limiter_bytes_per_s / (background * record)
                if case.limiter_bytes_per_s is not None and background > 0
                else None
            ),
            "compaction_slots": (
                job_limits(case.options, parallel=True).compactions / (slot_s * record)
                if slot_s
                else None
            ),
            "foreground": case.host.foreground_ops_per_s,
        }

    def estimate(self, case: Case) -> Prediction:
        """Predict the saturation rate, the binding resource and the stall share."""
        prediction = tightest(self.name, case, self.bounds_ops_per_s(case))
        rate, foreground = prediction.saturation_ops_per_s, case.host.foreground_ops_per_s
        if rate is None or foreground is None:
            return prediction
        return prediction.model_copy(update={"stall_fraction": max(0.0, 1.0 - rate / foreground)})

    def summary(self) -> str:
        """Equation in one line."""
        return "v2_1: 1/B = rho/B_r + (1-rho)/B_w; S*sum(c_l/mu_l) <= n; p = max(0, 1 - S/U)"

    @staticmethod
    def _slot_s_per_user_byte(case: Case, amplification: Amplification) -> float | None:
        """Busy slot seconds per user byte, sum of c_l / mu_l over levels; None if unmeasured."""
        default = case.host.slot_write_bytes_per_s
        compaction = [flow for flow in amplification.levels if flow.level > 0]
        if not compaction:
            total = amplification.compaction_write_bytes_per_user_byte
            return total / default if default and total > 0 else None
        seconds = 0.0
        for flow in compaction:
            speed = case.host.level_slot_write_bytes_per_s.get(flow.level, default)
            if speed is None:
                return None
            seconds += flow.write_bytes_per_user_byte / speed
        return seconds or None


def _mixed_device_bound(case: Case, amplification: Amplification) -> float | None:
    write, read = case.device.write_bytes_per_s, case.device.read_bytes_per_s
    if write is None:
        return None
    wal = amplification.wal_bytes_per_user_byte if case.wal_on_same_device else 0.0
    written = amplification.background_bytes_per_user_byte + wal
    loaded = amplification.device_read_bytes_per_user_byte or 0.0
    if loaded > 0 and read is None:
        return None
    rho = loaded / (loaded + written)
    if case.device.limit_bytes_per_s is not None:
        # A cap holds for each direction on its own: reads take nothing from writes.
        bandwidth = capped_mix_bytes_per_s(case.device, rho)
    else:
        bandwidth = 1.0 / (rho / (read or 1.0) + (1.0 - rho) / write)
    return bandwidth / ((loaded + written) * case.workload.record_bytes)
