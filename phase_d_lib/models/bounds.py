"""Bounds that resources put on the put rate, and the tightest of them."""

from __future__ import annotations

import math

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.models.base import Case, DeviceEnvelope, Prediction
from phase_d_lib.stalls import job_limits


def resource_bounds_ops_per_s(case: Case) -> dict[str, float | None]:
    """Bound of each resource of v1's equation, ops/s; None where its input was not measured.

    Raises
    ------
    ModelRefusal
        When the case has no amplification.
    """
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


def tightest(model: str, case: Case, bounds: dict[str, float | None]) -> Prediction:
    """Predict the lowest bound that was measured; its resource binds.

    Parameters
    ----------
    bounds : dict
        Resource -> bound in ops/s, None where an input was not measured.

    Raises
    ------
    ModelRefusal
        When no resource has a measured bound.
    """
    known = {name: value for name, value in bounds.items() if value is not None}
    if not known:
        raise ModelRefusal("bounds", "no resource of this case has a measured bound")
    binding = min(known, key=lambda resource: known[resource])
    amplification = case.amplification
    return Prediction(
        model=model,
        saturation_ops_per_s=known[binding],
        binding=binding,
        bounds_ops_per_s=bounds,
        amplification_source=amplification.source if amplification else None,
        write_bytes_per_user_byte=(
            amplification.background_bytes_per_user_byte if amplification else None
        ),
    )


def capped_mix_bytes_per_s(device: DeviceEnvelope, rho: float) -> float:
    """Bandwidth that a cap on each direction leaves a mix with read share `rho`; inf without."""
    cap = device.limit_bytes_per_s
    return math.inf if cap is None else cap / max(rho, 1.0 - rho)


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
