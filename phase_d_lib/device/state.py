"""What a device is and in what condition a measurement met it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime

from phase_d_lib.errors import InputError
from phase_d_lib.host import mount_of
from phase_d_lib.specs import Fraction, Frozen

_SECTOR_BYTES = 512  # the kernel's unit in `size` and `stat`, whatever the device's own sector
_SECTORS_WRITTEN = 6  # field of `stat`, as in /proc/diskstats after the name


class DeviceState(Frozen):
    """The block device under a directory, as the kernel tells it; None is what it does not tell.

    Holds no host name, user or path: the device is the kernel's name (``nvme0n1p2``, ``dm-0``),
    not the name a volume was given.
    """

    device: str | None
    model: str | None
    rotational: bool | None
    size_bytes: int | None
    filesystem: str | None
    filled_fraction: Fraction | None
    """Used blocks of the file system by all its blocks, those reserved included."""
    written_bytes_since_boot: int | None
    recent_write_bytes_per_s: float | None
    """Write rate of everybody during the look; None where it was not looked."""
    read_at: AwareDatetime


def read_state(folder: Path, look_s: float = 0.5) -> DeviceState:
    """Read the state of the device that holds `folder`.

    The device is found by the folder's device number, so bind mounts and ``/dev/root`` are no
    trouble; a file system without a block device of its own (tmpfs, overlay, network) has None.

    Parameters
    ----------
    folder : Path
        An existing directory.
    look_s : float
        How long to watch the device's write counter (the one of /proc/diskstats), seconds; 0
        leaves `recent_write_bytes_per_s` None.

    Raises
    ------
    InputError
        When `folder` is not a directory.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: not a directory; name one on the device to look at")
    number = folder.stat().st_dev
    link = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    device = link.resolve() if link.exists() else None
    before, began = _written_bytes(device), time.monotonic()
    if look_s > 0 and before is not None:
        time.sleep(look_s)
    after, seconds = _written_bytes(device), time.monotonic() - began
    looked = look_s > 0 and before is not None and after is not None
    # What a partition is made of is told by the disk around it.
    disk = device.parent if device is not None and (device / "partition").exists() else device
    rotational, sectors = _text(disk, "queue/rotational"), _text(device, "size")
    blocks = os.statvfs(folder)
    filesystem = mount_of(folder)[0]
    return DeviceState(
        device=None if device is None else device.name,
        model=_text(disk, "device/model"),
        rotational=None if rotational is None else rotational == "1",
        size_bytes=None if sectors is None else int(sectors) * _SECTOR_BYTES,
        filesystem=None if filesystem == "unknown" else filesystem,
        filled_fraction=1.0 - blocks.f_bfree / blocks.f_blocks if blocks.f_blocks else None,
        written_bytes_since_boot=after,
        recent_write_bytes_per_s=((after or 0) - (before or 0)) / seconds if looked else None,
        read_at=datetime.now(UTC),
    )


def _text(folder: Path | None, name: str) -> str | None:
    """Return a sysfs attribute; None where there is none or it is empty."""
    try:
        return None if folder is None else (folder / name).read_text().strip() or None
    except OSError:
        return None


def _written_bytes(device: Path | None) -> int | None:
    fields = (_text(device, "stat") or "").split()
    return int(fields[_SECTORS_WRITTEN]) * _SECTOR_BYTES if len(fields) > 6 else None
