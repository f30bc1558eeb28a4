"""What a finished run did and what held its writer back, in the words predictions use."""

from __future__ import annotations

from phase_d_lib.ledger import Ledger
from phase_d_lib.logfile import stall_seconds_by_cause
from phase_d_lib.models.base import DeviceEnvelope
from phase_d_lib.models.regimes import Regime
from phase_d_lib.runs import Run
from phase_d_lib.specs import Frozen
from phase_d_lib.stalls import (
    NO_STALL,
    SATURATED_FRACTION,
    STALLED_FRACTION,
    job_limits,
    regime_name,
)


class Behaviour(Frozen):
    """What a run did, as far as models predict it."""

    put_ops_per_s: float
    write_bytes_per_user_byte: float
    stall_fraction: float
    stall_regime: str
    """Longest stall state of the LOG, ``kind:cause``."""
    regime: Regime
    slot_write_bytes_per_s: float | None
    busy_slots: float
    """Mean number of compaction slots occupied."""


def behaviour(run: Run, ledger: Ledger, device: DeviceEnvelope) -> Behaviour:
    """Read from counters and LOG what held the writer back in the window.

    In this order: the writer itself when it was stalled for less than 5 % of the time; the limiter
    or the device when background writes reached 85 % of its rate; the slots when 85 % of them were
    busy; else the controller alone.

    Raises
    ------
    ValueError
        When the run is not finished.
    """
    if run.result is None:
        raise ValueError(f"run {run.spec.run_id} is not finished")
    busy_slots = ledger.occupied_slot_s / ledger.window_s
    return Behaviour(
        put_ops_per_s=run.result.put_rate_ops_per_s.value,
        write_bytes_per_user_byte=ledger.write_amplification,
        stall_fraction=run.result.stall_fraction,
        stall_regime=_stall_regime(run),
        regime=_regime(run, ledger, device, busy_slots),
        slot_write_bytes_per_s=ledger.slot_write_bytes_per_s,
        busy_slots=busy_slots,
    )


def _regime(run: Run, ledger: Ledger, device: DeviceEnvelope, busy_slots: float) -> Regime:
    spec, result = run.spec, run.result
    if result is not None and result.stall_fraction < STALLED_FRACTION:
        return "cpu"
    written = ledger.flush_write_bytes + ledger.compaction_write_bytes
    per_s = written / ledger.window_s
    caps: dict[Regime, float | None] = {
        "limiter": spec.limiter_bytes_per_s,
        "device": device.write_bytes_per_s,
    }
    known = {regime: cap for regime, cap in caps.items() if cap is not None}
    lowest = min(known, key=lambda regime: known[regime], default=None)
    if lowest is not None and per_s >= SATURATED_FRACTION * known[lowest]:
        return lowest
    if busy_slots >= SATURATED_FRACTION * job_limits(spec.options, parallel=True).compactions:
        return "slots"
    return "controller"


def _stall_regime(run: Run) -> str:
    start_s, end_s = (float(run.window["unix_time_s"].iloc[i]) for i in (0, -1))
    rows = stall_seconds_by_cause(run.log, start_s, end_s).sort_values("seconds")
    longest = rows.iloc[-1]
    if longest["seconds"] < STALLED_FRACTION * (end_s - start_s):
        return NO_STALL
    return regime_name(longest["kind"], longest["cause"])
