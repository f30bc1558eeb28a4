"""What several test files share: small specs and a workspace of their own."""

from __future__ import annotations

from pathlib import Path

from phase_d_lib.specs import OptionsSpec, RunSpec, WorkloadSpec
from phase_d_lib.units import KIB, MIB
from phase_d_lib.workspace import Workspace

SMALL_OPTIONS = OptionsSpec(
    write_buffer_size=256 * KIB,
    target_file_size_base=256 * KIB,
    max_bytes_for_level_base=1 * MIB,
)
SMALL_WORKLOAD = WorkloadSpec(keys=5_000, value_bytes=200)


def small_spec(**changes: object) -> RunSpec:
    """A run of about a second on a tree of a megabyte, stalling under a 4 MiB/s limiter."""
    values: dict[str, object] = {
        "workload": SMALL_WORKLOAD,
        "options": SMALL_OPTIONS,
        "limiter_bytes_per_s": 4 * MIB,
        "duration_s": 1.5,
        "warmup_s": 0.3,
        "sample_period_s": 0.1,
        "seed": 11,
    }
    return RunSpec.model_validate({**values, **changes})


def workspace_at(root: Path) -> Workspace:
    """An empty workspace below `root`."""
    return Workspace(root)
