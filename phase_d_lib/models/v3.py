"""v3: dynamic, compaction-aware simulation of the tree and RocksDB's write controller."""

from __future__ import annotations

from phase_d_lib.lsm import SimulationResult
from phase_d_lib.models.base import Case, Prediction, PutRateModel
from phase_d_lib.models.geometry import (
    simulated,
    simulated_s_max_ops_per_s,
    simulated_states_ops_per_s,
    stall_regime,
    write_cap_bytes_per_s,
)
from phase_d_lib.stalls import SATURATED_FRACTION, STALLED_FRACTION, job_limits


class V3(PutRateModel):
    """Mean put rate of the simulated configuration over the scored window.

    State: memtables, level-0 files, levels as lists of key-range files, running jobs, the delayed
    rate; rules: RocksDB 9.8's compaction picker and write controller (:mod:`phase_d_lib.lsm`,
    :mod:`phase_d_lib.stalls`). Nothing is fitted to a measured rate: its inputs are the options,
    the data, the limiter, U and mu. The stall share and the amplification are outputs.
    """

    name = "v3"
    version = "3.1"
    simulates = True

    def estimate(self, case: Case) -> Prediction:
        """Predict the saturation rate, the stall share and regime, and the amplification."""
        result = simulated(case)
        return Prediction(
            model=self.name,
            saturation_ops_per_s=result.saturation_ops_per_s,
            stall_regime=stall_regime(result),
            binding=_binding(case, result),
            stall_fraction=result.stall_fraction,
            amplification_source="geometry",
            write_bytes_per_user_byte=result.write_amplification,
        )

    def sustained_ops_per_s(self, case: Case) -> float | None:
        """Simulate constant arrivals; see :func:`simulated_s_max_ops_per_s`."""
        return simulated_s_max_ops_per_s(case)

    def states_ops_per_s(self, case: Case) -> tuple[float, ...]:
        """Simulate both starts; see :func:`phase_d_lib.lsm.states.steady_states`."""
        return simulated_states_ops_per_s(case)

    def summary(self) -> str:
        """What it simulates, in one line."""
        return "v3: event simulation of files, merges, limiter and write controller (RocksDB 9.8)"


def _binding(case: Case, result: SimulationResult) -> str:
    """Name what held the writer back: itself, the limiter, the slots, or the controller alone."""
    if result.stall_fraction < STALLED_FRACTION:
        return "foreground"
    record, rate = case.workload.record_bytes, result.saturation_ops_per_s
    background_bytes_per_s = rate * record * result.write_amplification
    cap = write_cap_bytes_per_s(case)
    if cap is not None and background_bytes_per_s >= SATURATED_FRACTION * cap:
        return "limiter" if cap == case.limiter_bytes_per_s else "device_write"
    slots = job_limits(case.options, parallel=True).compactions
    if result.busy_slots >= SATURATED_FRACTION * slots:
        return "compaction_slots"
    return "controller"
