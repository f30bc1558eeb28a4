"""Measure a device grid with direct I/O, and keep what it was measured with."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from itertools import product
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
from pydantic import AwareDatetime, Field

from phase_d_lib import workspace
from phase_d_lib.device.grid import DeviceGrid, GridPoint
from phase_d_lib.device.state import DeviceState, read_state
from phase_d_lib.device.tools import (
    BUILTIN_VERSION,
    Load,
    drive_builtin,
    drive_fio,
    fill,
    fio_version,
)
from phase_d_lib.errors import InputError
from phase_d_lib.importers import read_device_grid
from phase_d_lib.profiles import ProbePlan
from phase_d_lib.specs import Frozen, parse
from phase_d_lib.units import MIB

_FILE_NAME = "probe.bin"


class ProbeTool(Frozen):
    """What drove the device."""

    kind: Literal["fio", "builtin"]
    version: str


class MeasuredPoint(Frozen):
    """One point of one round."""

    round: int = Field(ge=0)
    point: GridPoint
    started_s: float
    """From the start of the first point."""
    seconds: float
    written_bytes_before: int
    """Bytes the probe had written until then, its file included."""
    cpu_cores: float | None = None
    """Cores the built-in probe kept busy; near 1 the rate is a lower bound."""


class DeviceProbe(Frozen):
    """A measured device grid with its provenance; grid, spread and outliers follow from it."""

    schema_version: Literal[1] = 1
    tool: ProbeTool
    direct: Literal[True] = True
    plan: ProbePlan
    state: DeviceState
    """Before the probe wrote anything."""
    measured: tuple[MeasuredPoint, ...] = Field(min_length=1)
    """In time order."""
    probed_at: AwareDatetime

    @cached_property
    def grid(self) -> DeviceGrid:
        """Median over the rounds of each direction's rate, in order of the factors."""
        return DeviceGrid(
            points=tuple(
                points[0].model_copy(
                    update={
                        "read_mib_s": median(p.read_mib_s for p in points),
                        "write_mib_s": median(p.write_mib_s for p in points),
                    }
                )
                for points in self._rounds()
            )
        )

    @cached_property
    def spread(self) -> tuple[float, ...]:
        """Range of the total rate over the rounds by its median, for each point of `grid`."""
        totals = [[p.total_mib_s for p in points] for points in self._rounds()]
        return tuple((max(x) - min(x)) / median(x) if median(x) else 0.0 for x in totals)

    @property
    def outliers(self) -> tuple[GridPoint, ...]:
        """The outliers of `grid`; see `DeviceGrid.outliers`."""
        return self.grid.outliers()

    def _rounds(self) -> list[list[GridPoint]]:
        grouped: dict[tuple[float, ...], list[GridPoint]] = {}
        for measured in self.measured:
            grouped.setdefault(measured.point.factors, []).append(measured.point)
        return [grouped[factors] for factors in sorted(grouped)]

    def save(self, path: Path) -> Path:
        """Write ``<stem>.csv``, as `importers.read_device_grid` reads it, and ``<stem>.json``.

        Returns
        -------
        Path
            The CSV file.
        """
        workspace.write_atomically(path.with_suffix(".json"), self.model_dump_json(indent=1) + "\n")
        target = path.with_suffix(".csv")
        workspace.write_atomically(target, self.grid.table().to_csv(index=False))
        return target

    @classmethod
    def load(cls, path: Path) -> DeviceProbe:
        """Read what `save` wrote, by the name of either file.

        Raises
        ------
        InputError
            When a file is missing or broken, or the CSV is not the grid of the JSON.
        """
        provenance = path.with_suffix(".json")
        probe = parse(cls, workspace.read_json_object(provenance), str(provenance))
        table = read_device_grid(path.with_suffix(".csv"))
        mine = probe.grid.table()
        if table.shape != mine.shape or not np.allclose(table, mine):
            raise InputError(
                f"{path.with_suffix('.csv')}: not the medians of {provenance.name}; "
                "it was changed by hand, save the probe again"
            )
        return probe


def probe(folder: Path, plan: ProbePlan) -> DeviceProbe:
    """Measure the device under `folder` with direct I/O.

    One file is preallocated and fully written in a fresh directory below `folder` and removed
    whatever happens; each point reads and overwrites it at random block-aligned offsets. Nothing
    is buffered: where direct I/O cannot be shown the probe refuses. Writes are not synchronised
    (as fio's are not), so a drive's volatile cache counts.

    Parameters
    ----------
    folder : Path
        An existing directory on the device.
    plan : ProbePlan

    Raises
    ------
    InputError
        When `folder` is no directory, its file system has no direct I/O or no space, or fio was
        asked for and is missing or fails.
    """
    tool = _tool(plan)
    drive = drive_fio if tool.kind == "fio" else drive_builtin
    state = read_state(folder)
    probed_at = datetime.now(UTC)
    free = os.statvfs(folder)
    if free.f_bavail * free.f_frsize < plan.file_bytes:
        raise InputError(
            f"no space for a probe file of {plan.file_bytes / MIB:g} MiB: "
            f"{free.f_bavail * free.f_frsize / MIB:.0f} MiB are free; free some or lower file_bytes"
        )
    measured: list[MeasuredPoint] = []
    with _own_directory(folder) as own:
        path = own / _FILE_NAME
        fill(path, plan.file_bytes, state.filesystem, plan.seed)
        written, began = plan.file_bytes, time.perf_counter()
        for number, load in _loads(plan):
            started_s = time.perf_counter() - began
            done = drive(path, plan.file_bytes, load)
            measured.append(
                MeasuredPoint(
                    round=number,
                    point=GridPoint(
                        read_fraction=load.read_fraction,
                        iodepth=load.iodepth,
                        numjobs=load.numjobs,
                        block_kib=load.block_kib,
                        read_mib_s=done.read_bytes_per_s / MIB,
                        write_mib_s=done.write_bytes_per_s / MIB,
                    ),
                    started_s=started_s,
                    seconds=done.seconds,
                    written_bytes_before=written,
                    cpu_cores=done.cpu_cores,
                )
            )
            written += done.written_bytes
    return DeviceProbe(
        tool=tool, plan=plan, state=state, measured=tuple(measured), probed_at=probed_at
    )


def _tool(plan: ProbePlan) -> ProbeTool:
    version = None if plan.tool == "builtin" else fio_version()
    if version is not None:
        return ProbeTool(kind="fio", version=version)
    if plan.tool == "fio":
        raise InputError("tool = 'fio', but no fio is on PATH; install it or use 'builtin'")
    return ProbeTool(kind="builtin", version=BUILTIN_VERSION)


def _loads(plan: ProbePlan) -> Iterator[tuple[int, Load]]:
    """Yield round and load in the order they are measured."""
    points = list(product(plan.blocks_kib, plan.numjobs, plan.iodepths, plan.read_fractions))
    for number in range(plan.repeats):
        for block, jobs, depth, share in points if number % 2 == 0 else reversed(points):
            seed = f"{plan.seed}/{number}/{block}/{jobs}/{depth}/{share}"
            yield number, Load(share, depth, jobs, block, plan.seconds_per_point, seed)


@contextmanager
def _own_directory(folder: Path) -> Iterator[Path]:
    own = Path(tempfile.mkdtemp(prefix="phase-d-probe-", dir=folder))
    try:
        yield workspace.claim(own)
    finally:
        workspace.remove(own)
