"""v1: the steady-state bound."""

from __future__ import annotations

from phase_d_lib.models.base import Case, Prediction, PutRateModel
from phase_d_lib.models.bounds import resource_bounds_ops_per_s, tightest


class V1(PutRateModel):
    r"""The tightest of the resource bounds.

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

    def estimate(self, case: Case) -> Prediction:
        """Predict the saturation rate and the binding resource."""
        return tightest(self.name, case, resource_bounds_ops_per_s(case))

    def summary(self) -> str:
        """Equation in one line."""
        return "v1: S = min(B_w/a_w, B_r/a_r, L/(a_flush+a_c), n*mu/a_c, U*r, cpu)"
