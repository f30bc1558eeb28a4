"""The two ways to drive a device at one grid point: threads of our own, or fio."""

from __future__ import annotations

import errno
import json
import mmap
import os
import random
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phase_d_lib.errors import InputError
from phase_d_lib.units import KIB, MIB

BUILTIN_VERSION = "1"
"""Changes when the built-in probe would measure something else."""


@dataclass(frozen=True)
class Load:
    """What one point asks of the device; units as in `importers.GRID_COLUMNS`."""

    read_fraction: float
    iodepth: int
    numjobs: int
    block_kib: int
    seconds: float
    seed: str


@dataclass(frozen=True)
class Transfer:
    """What the device did in one point."""

    read_bytes_per_s: float
    write_bytes_per_s: float
    written_bytes: int
    seconds: float
    cpu_cores: float | None
    """Cores this process kept busy; near 1 the interpreter, not the device, sets the rate."""


def fill(path: Path, file_bytes: int, filesystem: str | None, seed: int) -> None:
    """Preallocate a file and write all of it with direct I/O, then show that it was direct.

    Some file systems take O_DIRECT and buffer all the same. Reading back with RWF_NOWAIT tells:
    it returns bytes only from the page cache, where a direct write leaves none.

    Parameters
    ----------
    path : Path
        A file that does not exist.
    file_bytes : int
        A multiple of 1 MiB.
    filesystem : str or None
        Its name for the refusal.

    Raises
    ------
    InputError
        When the file system has no direct I/O, or too little space.
    """
    rng = np.random.default_rng(seed)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_DIRECT, 0o600)
        try:
            os.posix_fallocate(fd, 0, file_bytes)
            buffer = mmap.mmap(-1, MIB)  # anonymous memory starts on a page, as O_DIRECT needs
            for offset in range(0, file_bytes, MIB):
                buffer[:] = rng.bytes(MIB)
                if os.pwritev(fd, [buffer], offset) != MIB:
                    raise OSError(errno.ENOSPC, "short write")
            os.fsync(fd)
        finally:
            os.close(fd)
        direct = not _cached(path, file_bytes)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise InputError(
                f"no space for a probe file of {file_bytes / MIB:g} MiB on this "
                f"{filesystem or 'file system'}; free some or lower file_bytes"
            ) from None
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        direct = False
    if not direct:
        raise InputError(
            f"the folder's file system ({filesystem or 'unknown'}) has no direct I/O that can be "
            "shown to bypass the page cache; buffered rates say nothing about the device: name a "
            "folder on ext4 or xfs on the device to probe"
        )


def _cached(path: Path, file_bytes: int) -> bool:
    """Whether the page cache holds any of three pages of a file that was only written direct."""
    fd = os.open(path, os.O_RDONLY)
    try:
        for offset in (0, file_bytes // 2, file_bytes - 4 * KIB):
            try:
                if os.preadv(fd, [bytearray(4 * KIB)], offset, os.RWF_NOWAIT):
                    return True
            except BlockingIOError:
                pass
    finally:
        os.close(fd)
    return False


def drive_builtin(path: Path, file_bytes: int, load: Load) -> Transfer:
    """Random direct I/O from iodepth x numjobs threads, one request in flight each.

    Each thread takes its offsets from its own seeded generator and spreads its reads evenly over
    its requests, from a seeded phase, so the share of reads is exact in every run length. The rate
    is all bytes by the time from the common start to the end of the last request. Python costs
    some microseconds a request, so small blocks at great depth are a lower bound (see
    `Transfer.cpu_cores`); use fio for them.
    """
    block, threads = load.block_kib * KIB, load.iodepth * load.numjobs
    rng = np.random.default_rng(list(load.seed.encode()))
    began = [0.0]
    barrier = threading.Barrier(threads, action=lambda: began.__setitem__(0, time.perf_counter()))

    def work(number: int, buffer: mmap.mmap) -> tuple[int, int, float]:
        own = random.Random(f"{load.seed}/{number}")
        blocks, credit, read, written = file_bytes // block, own.random(), 0, 0
        barrier.wait()
        deadline = began[0] + load.seconds
        while (now := time.perf_counter()) < deadline or not read + written:
            credit += load.read_fraction
            offset = int(own.random() * blocks) * block
            if credit >= 1.0:
                credit -= 1.0
                read += os.preadv(fd, [buffer], offset)
            else:
                written += os.pwritev(fd, [buffer], offset)
        return read, written, now

    buffers = []
    for _ in range(threads):
        buffers.append(mmap.mmap(-1, block))
        buffers[-1][:] = rng.bytes(block)
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    try:
        cpu_began = time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            done = list(pool.map(work, range(threads), buffers))
        cpu_s = time.process_time() - cpu_began
    finally:
        os.close(fd)
    seconds = max(end for _, _, end in done) - began[0]
    written = sum(written for _, written, _ in done)
    return Transfer(
        read_bytes_per_s=sum(read for read, _, _ in done) / seconds,
        write_bytes_per_s=written / seconds,
        written_bytes=written,
        seconds=seconds,
        cpu_cores=cpu_s / seconds,
    )


def fio_version() -> str | None:
    """Version of the fio on PATH, for example '3.36'; None without one."""
    if shutil.which("fio") is None:
        return None
    return _run(["fio", "--version"], 10.0).strip().removeprefix("fio-")


def drive_fio(path: Path, file_bytes: int, load: Load) -> Transfer:
    """Run fio for one point: random direct I/O by libaio on the same filled file.

    Raises
    ------
    InputError
        When fio fails or prints no JSON.
    """
    share = round(load.read_fraction * 100)
    return parse_fio(
        _run(
            [
                "fio",
                "--name=point",
                f"--filename={path}",
                f"--size={file_bytes}",
                "--direct=1",
                "--ioengine=libaio",
                f"--rw={'randwrite' if share == 0 else 'randread' if share == 100 else 'randrw'}",
                f"--rwmixread={share}",
                f"--iodepth={load.iodepth}",
                f"--numjobs={load.numjobs}",
                f"--bs={load.block_kib}k",
                f"--runtime={round(load.seconds * 1000)}ms",
                "--time_based",
                "--norandommap",
                f"--randseed={random.Random(load.seed).getrandbits(31)}",
                "--group_reporting",
                "--output-format=json",
            ],
            load.seconds + 60.0,
        )
    )


def parse_fio(text: str) -> Transfer:
    """Read fio's JSON output: bandwidth summed over its jobs, of both directions.

    Raises
    ------
    InputError
        When `text` holds no complete JSON, or a job with an error.
    """
    try:
        # fio may print notes before the JSON.
        jobs: list[dict[str, Any]] = json.loads(text[text.index("{") :])["jobs"]
        failed = next((job["error"] for job in jobs if job.get("error")), None)
        if failed is None:
            sides = [(job["read"], job["write"]) for job in jobs]
            return Transfer(
                read_bytes_per_s=sum(float(read["bw_bytes"]) for read, _ in sides),
                write_bytes_per_s=sum(float(write["bw_bytes"]) for _, write in sides),
                written_bytes=sum(int(write["io_bytes"]) for _, write in sides),
                seconds=max(float(side["runtime"]) for pair in sides for side in pair) / 1000.0,
                cpu_cores=None,
            )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"fio printed no JSON result that can be read ({type(error).__name__}: {error}); "
            "probe with tool 'builtin'"
        ) from None
    raise InputError(f"fio ended a job with error {failed}; probe with tool 'builtin'")


def _run(command: list[str], timeout_s: float) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise InputError(
            f"fio failed ({said[-1] if said else error}); probe with tool 'builtin'"
        ) from None
    return done.stdout
