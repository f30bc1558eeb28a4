"""Geometry and dynamics of the LSM tree: a discrete event simulation of RocksDB 9.8 under puts."""

from phase_d_lib.lsm.geometry import Geometry, geometry
from phase_d_lib.lsm.picker import CompactionKind
from phase_d_lib.lsm.result import (
    CompactionRow,
    SeedResult,
    SeriesRow,
    SimulationResult,
    StallShare,
)
from phase_d_lib.lsm.simulation import DEFAULT_SEEDS, simulate
from phase_d_lib.lsm.states import SteadyState, steady_states

__all__ = [
    "DEFAULT_SEEDS",
    "CompactionKind",
    "CompactionRow",
    "Geometry",
    "SeedResult",
    "SeriesRow",
    "SimulationResult",
    "StallShare",
    "SteadyState",
    "geometry",
    "simulate",
    "steady_states",
]
