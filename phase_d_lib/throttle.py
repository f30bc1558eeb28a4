"""A slow device on a fast machine: the block device's bandwidth capped for one process.

Cgroup version 1's ``blkio.throttle`` (Documentation/admin-guide/cgroup-v1/blkio-controller.rst of
the kernel) caps direct reads and writes of the processes in a group, each direction on its own;
buffered writes pass it by. It needs root and a mounted v1 hierarchy.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from phase_d_lib.errors import InputError

_ROOT = Path("/sys/fs/cgroup/blkio")
_PREFIX = "phase-d-"
_EMPTY_PATIENCE_S = 2.0


class DeviceThrottle:
    """A group of processes whose direct I/O on one device is capped; use it as a context.

    Parameters
    ----------
    folder : Path
        Any path on the device.
    bytes_per_s : int
        Cap on reads, and on writes, each.

    Raises
    ------
    InputError
        Where no such cap can be set.
    """

    def __init__(self, folder: Path, bytes_per_s: int) -> None:
        if not throttling_available():
            raise InputError(
                f"device_limit_bytes_per_s = {bytes_per_s}: needs root and cgroup v1 blkio at "
                f"{_ROOT}; leave it out here"
            )
        rule = f"{_disk_number(folder)} {bytes_per_s}"
        self._group = _ROOT / f"{_PREFIX}{os.getpid()}"
        try:
            self._group.mkdir()
            for direction in ("read", "write"):
                (self._group / f"blkio.throttle.{direction}_bps_device").write_text(rule)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._group.rmdir()
            raise InputError(
                f"device_limit_bytes_per_s = {bytes_per_s}: the kernel refused the cap ({error}); "
                "leave it out here"
            ) from None

    def add(self, pid: int) -> None:
        """Put a process, all threads of it, under the cap."""
        (self._group / "cgroup.procs").write_text(str(pid))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A process that is still in the group goes back to the root, then the group can go.
        for pid in (self._group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (_ROOT / "cgroup.procs").write_text(pid)
        deadline = time.monotonic() + _EMPTY_PATIENCE_S
        while True:
            try:
                self._group.rmdir()
                return
            except OSError:
                if time.monotonic() > deadline:
                    return
                time.sleep(0.05)


def throttling_available() -> bool:
    """Whether this process may cap a device's bandwidth."""
    return os.access(_ROOT, os.W_OK) and (_ROOT / "blkio.throttle.write_bps_device").exists()


def _disk_number(folder: Path) -> str:
    """Device number of the whole disk below `folder`, as ``major:minor``."""
    number = folder.stat().st_dev
    name = f"{os.major(number)}:{os.minor(number)}"
    sysfs = Path("/sys/dev/block") / name
    if not sysfs.exists():
        raise InputError(f"{folder} lies on no block device; a device limit can't be set there")
    if (sysfs / "partition").exists():
        return (sysfs.resolve().parent / "dev").read_text().strip()
    return name
