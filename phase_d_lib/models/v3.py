"""v3: dynamic, compaction-aware simulation of the tree and RocksDB's write controller."""

from __future__ import annotations

from phase_d_lib.lsm import SimulationResult
from phase_d_lib.models.base import Case, Prediction
from phase_d_lib.models.geometry import simulated
from phase_d_lib.stalls import job_limits

_UNSTALLED_FRACTION = 0.05
_SATURATED_FRACTION = 0.85


class V3:
    """Mean put rate of the simulated configuration over the scored window.

    State: memtables, level-0 files, levels as lists of key-range files, running jobs, the delayed
    rate; rules: RocksDB 9.8's compaction picker and write controller (:mod:`phase_d_lib.lsm`,
    :mod:`phase_d_lib.stalls`). Nothing is fitted to a measured rate: its inputs are the options,
    the data, the limiter, U and mu. The stall share and the amplification are outputs.
    """

    name = "v3"
    version = "3.0"

    def predict(self, case: Case) -> Prediction:
        """Predict the saturation rate, the stall share and the amplification."""
        result = simulated(case)
        return Prediction(
            model=self.name,
            saturation_ops_per_s=result.saturation_ops_per_s,
            binding=_binding(case, result),
            stall_fraction=result.stall_fraction,
            amplification_source="geometry",
            write_bytes_per_user_byte=result.write_amplification,
        )

    def summary(self) -> str:
        """What it simulates, in one line."""
        return "v3: event simulation of files, merges, limiter and write controller (RocksDB 9.8)"


def _binding(case: Case, result: SimulationResult) -> str:
    """Name what held the writer back: itself, the limiter, the slots, or the controller alone."""
    if result.stall_fraction < _UNSTALLED_FRACTION:
        return "foreground"
    record, rate = case.workload.record_bytes, result.saturation_ops_per_s
    background_bytes_per_s = rate * record * result.write_amplification
    limiter = case.limiter_bytes_per_s
    if limiter is not None and background_bytes_per_s >= _SATURATED_FRACTION * limiter:
        return "limiter"
    slots = job_limits(case.options, parallel=True).compactions
    if result.busy_slots >= _SATURATED_FRACTION * slots:
        return "compaction_slots"
    return "controller"
