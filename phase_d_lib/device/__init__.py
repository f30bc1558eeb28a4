"""The block device: its measured bandwidth grid, its state, the probe, and comparisons."""

from phase_d_lib.device.comparison import Comparison, Decline, compare, within
from phase_d_lib.device.grid import DeviceGrid, GridAnswer, GridPoint
from phase_d_lib.device.probe import DeviceProbe, MeasuredPoint, ProbeTool, probe
from phase_d_lib.device.state import DeviceState, read_state

__all__ = [
    "Comparison",
    "Decline",
    "DeviceGrid",
    "DeviceProbe",
    "DeviceState",
    "GridAnswer",
    "GridPoint",
    "MeasuredPoint",
    "ProbeTool",
    "compare",
    "probe",
    "read_state",
    "within",
]
