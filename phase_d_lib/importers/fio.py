"""The kind ``fio``: fio's JSON as points of a device grid, in the columns `GRID_COLUMNS`.

Jobs of one group ran at the same time, so a group is one point and its bandwidths add up, whether
fio reported each clone or, with group_reporting, their sum.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pandas as pd

from phase_d_lib.errors import InputError
from phase_d_lib.importers.base import Check, Imported, agree, near, read_capped
from phase_d_lib.importers.fio_json import Direction, FioOutput, Job, parse_fio
from phase_d_lib.importers.grid import GRID_COLUMNS
from phase_d_lib.units import KIB, MIB

_SIZE = re.compile(r"(\d{1,12})([kmg]?)(?:i?b)?", re.IGNORECASE)
_UNITS = {"": 1, "k": KIB, "m": MIB, "g": KIB * MIB}
_READS = {"read": 1.0, "randread": 1.0, "write": 0.0, "randwrite": 0.0}
_MIXED = ("rw", "readwrite", "randrw")
_SPREAD = ("bsrange", "bssplit", "blocksize_range", "bs_unaligned")
_LARGEST_COUNT = 100_000
_BANDWIDTH = 0.02
_LATENCY = 0.2
_SHARE = 0.03


class _NoPointError(Exception):
    """A group is no point of a grid; the message says why."""


@dataclass(frozen=True)
class _Point:
    read_fraction: float
    iodepth: int
    numjobs: int
    block_kib: float


def import_fio(paths: Sequence[Path]) -> Imported:
    """Import one or more outputs of fio as rows of one grid, in the order given.

    Raises
    ------
    InputError
        If a file is no fio JSON, or none of its groups is a point of a grid.
    """
    rows: list[dict[str, object]] = []
    checks: list[Check] = []
    notes: list[str] = []
    versions, names, reasons = [], [], []
    for path in paths:
        output = parse_fio(read_capped(path), str(path))
        versions.append(output.version)
        many = f"{path}: " if len(paths) > 1 else ""
        for group, jobs in _groups(output):
            where = f"{many}group {group} ({jobs[0].name})"
            names.append(jobs[0].name)
            try:
                point = _point(jobs, output)
            except _NoPointError as reason:
                notes.append(f"{where}: left out, {reason}")
                reasons.append(f"group {group}: {reason}")
                continue
            rows.append(_row(jobs, point))
            checks.extend(_checks(jobs, point, where))
    if not rows:
        raise InputError(f"{paths[0]}: no point of a device grid; {'; '.join(reasons)}"[:500])
    values = {
        "kind": "fio",
        "source": ", ".join(map(str, paths)),
        "fio_version": ", ".join(dict.fromkeys(version or "?" for version in versions)),
        "jobs": names,
        "points": rows,
    }
    grid = pd.DataFrame(rows, columns=list(GRID_COLUMNS))
    return Imported(values, tuple(checks), tuple(notes), grid=grid, names={"jobs": "job"})


def _groups(output: FioOutput) -> Iterable[tuple[int, list[Job]]]:
    ordered = sorted(output.jobs, key=lambda job: job.group)
    return ((group, list(jobs)) for group, jobs in groupby(ordered, lambda job: job.group))


def _row(jobs: list[Job], point: _Point) -> dict[str, object]:
    return {
        "read_fraction": point.read_fraction,
        "iodepth": point.iodepth,
        "numjobs": point.numjobs,
        "block_kib": point.block_kib,
        "read_mib_s": sum(job.read.bytes_per_s for job in jobs) / MIB,
        "write_mib_s": sum(job.write.bytes_per_s for job in jobs) / MIB,
    }


def _point(jobs: list[Job], output: FioOutput) -> _Point:
    """Return what a group asked of the device, if all its jobs asked the same."""
    if any(_starts_beside(job.options or {}) for job in output.jobs):
        raise _NoPointError("new_group without stonewall: the groups ran at the same time")
    asked = [_asked(job) for job in jobs]
    if len({(one.read_fraction, one.iodepth, one.block_kib) for one in asked}) > 1:
        raise _NoPointError("its jobs differ in direction, depth or block and ran at once")
    first = asked[0]
    # One entry stands for all clones under group_reporting, else each clone has its own.
    jobs_at_once = first.numjobs if len(jobs) == 1 else len(jobs)
    return _Point(first.read_fraction, first.iodepth, jobs_at_once, first.block_kib)


def _starts_beside(options: dict[str, str]) -> bool:
    return "new_group" in options and "stonewall" not in options


def _asked(job: Job) -> _Point:
    options = job.options
    if options is None:
        raise _NoPointError("this fio prints no job options, so depth and block are not known")
    if job.error:
        raise _NoPointError(f"it ended with error {job.error}")
    if job.mixed:
        raise _NoPointError("unified_rw_reporting adds reads and writes up")
    spread = [name for name in _SPREAD if name in options]
    if spread:
        raise _NoPointError(f"{spread[0]} mixes block sizes")
    return _Point(
        read_fraction=_read_fraction(options),
        iodepth=_count(options, "iodepth"),
        numjobs=_count(options, "numjobs"),
        block_kib=_block_bytes(options.get("bs", "4k")) / KIB,
    )


def _read_fraction(options: dict[str, str]) -> float:
    """Return the share of reads asked for; fio's own defaults are read, and half of each."""
    mode = options.get("rw", "read").split(":")[0].lower()
    if mode in _READS:
        return _READS[mode]
    if mode not in _MIXED:
        raise _NoPointError(f"rw={mode} is neither reading nor writing")
    reads, writes = options.get("rwmixread"), options.get("rwmixwrite")
    given = reads if reads is not None else writes if writes is not None else "50"
    if not (given.isascii() and given.isdecimal() and len(given) < 4 and int(given) <= 100):
        raise _NoPointError(f"rwmixread={given} is no percentage")
    share = int(given) / 100
    return share if reads is not None or writes is None else 1 - share


def _count(options: dict[str, str], name: str) -> int:
    given = options.get(name, "1").strip()
    if not (given.isascii() and given.isdecimal() and len(given) < 7):
        raise _NoPointError(f"{name}={given} is no count")
    if not 1 <= int(given) <= _LARGEST_COUNT:
        raise _NoPointError(f"{name}={given} is outside 1 to {_LARGEST_COUNT}")
    return int(given)


def _block_bytes(given: str) -> int:
    """Return a block size in bytes; fio's suffixes are powers of 1024 unless kb_base says else."""
    sizes = {part.strip() for part in given.split(",") if part.strip()}
    found = _SIZE.fullmatch(sizes.pop()) if len(sizes) == 1 else None
    if found is None or int(found[1]) == 0:
        raise _NoPointError(f"bs={given} is no single block size")
    return int(found[1]) * _UNITS[found[2].lower()]


def _checks(jobs: list[Job], point: _Point, where: str) -> list[Check]:
    checks = []
    for job in jobs:
        checks += _direction_checks(job.read, point, f"{where}: read")
        checks += _direction_checks(job.write, point, f"{where}: write")
    options = jobs[0].options or {}
    asked = options.get("numjobs", "1")
    if len(jobs) > 1 and asked != "1":
        what = f"{where}: jobs reported, and numjobs"
        checks.append(agree("job_count", len(jobs), _count(options, "numjobs"), 0.0, what))
    direct = options.get("direct", "0") == "1" or options.get("buffered") == "0"
    what = f"{where}: direct, and 1 (without it this is the page cache, not the device)"
    checks.append(agree("direct", float(direct), 1.0, 0.0, what))
    return checks + _depth_check(jobs, point, where) + _share_check(jobs, point, where)


def _direction_checks(moved: Direction, point: _Point, where: str) -> list[Check]:
    """Bandwidth against bytes over time, and against operations of one block."""
    if moved.bytes_per_s <= 0 or moved.runtime_s <= 0:
        return []
    rate, block = moved.bytes_per_s, point.block_kib * KIB
    mean = moved.io_bytes / moved.runtime_s
    rounding = KIB / rate + 0.001 / moved.runtime_s
    by_time = f"{where}: bytes / seconds, and bandwidth in bytes/s"
    by_block = f"{where}: IOPS x block, and bandwidth in bytes/s"
    rounded_ops = block / rate  # before 2.2 IOPS are whole numbers
    return [
        agree("bytes_rate_time", mean, rate, _BANDWIDTH + rounding, by_time),
        agree("iops_block", moved.ops_per_s * block, rate, _BANDWIDTH + rounded_ops, by_block),
    ]


def _depth_check(jobs: list[Job], point: _Point, where: str) -> list[Check]:
    """Compare rate x latency, the operations in flight (Little's law), with those asked for.

    A synchronous engine keeps one in flight, whatever iodepth says.
    """
    moves = [moved for job in jobs for moved in (job.read, job.write) if moved.ops_per_s > 0]
    if not moves or any(moved.latency_s <= 0 for moved in moves):
        return []
    in_flight = sum(moved.ops_per_s * moved.latency_s for moved in moves)
    what = f"{where}: IOPS x latency, and iodepth x jobs"
    asked = float(point.iodepth * point.numjobs)
    return [agree("threads_latency_rate", in_flight, asked, _LATENCY, what)]


def _share_check(jobs: list[Job], point: _Point, where: str) -> list[Check]:
    read = sum(job.read.io_bytes for job in jobs)
    total = read + sum(job.write.io_bytes for job in jobs)
    if total <= 0:
        return []
    what = f"{where}: share of reads in bytes moved, and asked for"
    return [near("read_share", read / total, point.read_fraction, _SHARE, what)]
