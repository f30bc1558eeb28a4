"""The benchmark slot: one measuring run on a machine at a time, whoever starts it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phase_d_lib.errors import SlotBusyError

_YIELD_S = 0.15
"""Pause after a release, longer than the poll, so that whoever waits gets its turn."""
SLOT_FILE = Path("/tmp/phase-d-benchmark.slot")


@contextmanager
def benchmark_slot(timeout_s: float = 86_400.0, slot_file: Path = SLOT_FILE) -> Iterator[None]:
    """Hold the machine's benchmark slot; the kernel frees it when the holder dies.

    Parameters
    ----------
    timeout_s : float
        How long to wait for another run, seconds.
    slot_file : Path
        The lock file; never deleted, so that two holders always lock the same inode.

    Raises
    ------
    SlotBusyError
        When the slot is still taken after `timeout_s`.
    """
    descriptor = _open(slot_file)
    try:
        _acquire(descriptor, timeout_s, slot_file)
        yield
    finally:
        os.close(descriptor)
        time.sleep(_YIELD_S)


def _open(slot_file: Path) -> int:
    # A lock needs no write access, so another user's slot file will do; O_CREAT on it would be
    # refused in a sticky directory.
    try:
        return os.open(slot_file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(slot_file, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.fchmod(descriptor, 0o644)  # whatever the umask: other users lock it too
        return descriptor


def _acquire(descriptor: int, timeout_s: float, slot_file: Path) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise SlotBusyError(
                    f"another run has held the benchmark slot {slot_file} for {timeout_s:.0f} s; "
                    "wait for it or stop it, then start again"
                ) from None
            time.sleep(0.1)
