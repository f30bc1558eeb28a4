"""v1: the steady-state bound."""

from __future__ import annotations

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.models.base import Case, Prediction, tightest
from phase_d_lib.stalls import job_limits


class V1:
    r"""The tightest of five resource bounds.

    .. math::

        S = \min\left(\frac{B_w}{a_w}, \frac{B_r}{a_r}, \frac{L}{a_{flush} + a_c},
            \frac{n \mu}{a_c}, U r, \frac{cores \cdot r}{c_{put} + a_c r c_{byte}}\right)

    in user bytes/s, divided by the record size *r* for ops/s. *L* is the rate limiter (flush and
    compaction writes, not the WAL), *n* the compaction slots, :math:`\mu` the write bytes/s of a
    busy slot, *U* the puts/s of an unstalled foreground, :math:`c_{put}` and :math:`c_{byte}` CPU
    seconds per put and per compacted byte. A bound whose input was not measured is None.
    """

    name = "v1"
    version = "1.0"

    def bounds_ops_per_s(self, case: Case) -> dict[str, float | None]:
        """Bound of each resource, ops/s."""
        amplification, record = case.amplification, case.workload.record_bytes
        if amplification is None:
            raise ModelRefusal("amplification", "neither given nor predicted for this case")
        compaction = amplification.compaction_write_bytes_per_user_byte
        background = amplification.background_bytes_per_user_byte
        wal = amplification.wal_bytes_per_user_byte if case.wal_on_same_device else 0.0
        host, device = case.host, case.device
        return {
            "device_write": _bound(device.write_bytes_per_s, (background + wal) * record),
            "device_read": _bound(
                device.read_bytes_per_s,
                _times(amplification.device_read_bytes_per_user_byte, record),
            ),
            "limiter": _bound(case.limiter_bytes_per_s, background * record),
            "compaction_slots": _bound(
                _times(
                    host.slot_write_bytes_per_s, job_limits(case.options, parallel=True).compactions
                ),
                compaction * record,
            ),
            "foreground": host.foreground_ops_per_s,
            "cpu": _cpu_bound(case, compaction),
        }

    def predict(self, case: Case) -> Prediction:
        """Predict the saturation rate and the binding resource."""
        return tightest(self.name, case, self.bounds_ops_per_s(case))

    def summary(self) -> str:
        """Equation in one line."""
        return "v1: S = min(B_w/a_w, B_r/a_r, L/(a_flush+a_c), n*mu/a_c, U*r, cpu)"


def _bound(capacity: float | None, bytes_per_op: float | None) -> float | None:
    if capacity is None or not bytes_per_op:
        return None
    return capacity / bytes_per_op


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _cpu_bound(case: Case, compaction: float) -> float | None:
    host = case.host
    if host.cpu_s_per_put is None or host.cpu_s_per_compacted_byte is None:
        return None
    per_put_s = host.cpu_s_per_put + (
        compaction * case.workload.record_bytes * host.cpu_s_per_compacted_byte
    )
    return host.cores / per_put_s
