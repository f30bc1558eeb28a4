"""fio's JSON output as jobs with options: what differs between fio 2.0 and today, in one place.

``stat.c`` of fio: bandwidth is ``bw`` in KiB/s throughout; ``io_bytes`` was in KiB until 2.21 added
``io_kbytes``; latencies are ``lat`` in microseconds before 3.0 and ``lat_ns`` since; the options of
a job are printed from 2.6 on.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from phase_d_lib.errors import InputError
from phase_d_lib.units import KIB

_OBJECT = re.compile(r"^[ \t]*\{", re.MULTILINE)
_ALIASES: dict[str, str] = {"readwrite": "rw", "blocksize": "bs"}


@dataclass(frozen=True)
class Direction:
    """Reads, or writes, of one job.

    Attributes
    ----------
    bytes_per_s : float
        Mean bandwidth over the job's run time.
    io_bytes, runtime_s : float
    ops_per_s : float
    latency_s : float
        Mean, from submission to completion; 0 where there was none.
    """

    bytes_per_s: float
    io_bytes: float
    runtime_s: float
    ops_per_s: float
    latency_s: float


@dataclass(frozen=True)
class Job:
    """One entry of ``jobs``: a job, or under group_reporting all jobs of a group.

    Attributes
    ----------
    name : str
    group : int
        Jobs of one group run at the same time.
    error : int
        errno it ended with; 0 is none.
    options : dict of str to str or None
        Its own over the global ones; None where this version prints none.
    read, write : Direction
    mixed : bool
        Reads and writes were reported as one (``unified_rw_reporting``).
    """

    name: str
    group: int
    error: int
    options: dict[str, str] | None
    read: Direction
    write: Direction
    mixed: bool


@dataclass(frozen=True)
class FioOutput:
    """One run of fio."""

    version: str | None
    jobs: tuple[Job, ...]


def parse_fio(text: str, source: str) -> FioOutput:
    """Parse what fio printed with ``--output-format=json`` or ``json+``.

    Lines before and after the object, as fio prints them with a warning or a second format, are
    passed over.

    Raises
    ------
    InputError
        If there is no whole JSON object, more than one, or one that fio does not write.
    """
    values = _only_object(text, source)
    jobs = values.get("jobs")
    if "client_stats" in values:
        raise InputError(f"{source}: fio's client/server output is not supported; import each host")
    if not isinstance(jobs, list) or not jobs:
        raise InputError(f"{source}: no 'jobs' of fio in it")
    version = values.get("fio version")
    shared = values.get("global options")
    parsed = tuple(_job(job, shared, f"{source}: job {n}") for n, job in enumerate(jobs, 1))
    return FioOutput(version if isinstance(version, str) else None, parsed)


def _only_object(text: str, source: str) -> dict[str, Any]:
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    start = _OBJECT.search(text)
    if start is None:
        raise InputError(f"{source}: holds no JSON object of fio")
    try:
        values, end = decoder.raw_decode(text, start.end() - 1)
    except RecursionError:
        raise InputError(f"{source}: not fio's JSON (nested too deep)") from None
    except ValueError as error:
        raise InputError(f"{source}: truncated or damaged JSON ({error})") from None
    if _OBJECT.search(text, end):
        raise InputError(
            f"{source}: more than one JSON object (--status-interval, or files put together); "
            "give a file each"
        )
    if not isinstance(values, dict):
        raise InputError(f"{source}: no JSON object of fio")
    return values


def _job(job: Any, shared: Any, where: str) -> Job:
    if not isinstance(job, dict):
        raise InputError(f"{where}: no object")
    own = job.get("job options")
    options = None
    if isinstance(own, dict) or isinstance(shared, dict):
        options = {**_strings(shared), **_strings(own)}
    return Job(
        name=str(job.get("jobname", ""))[:200],
        group=int(_number(job, "groupid", where)),
        error=int(_number(job, "error", where)),
        options=options,
        read=_direction(job.get("read"), f"{where}: read"),
        write=_direction(job.get("write"), f"{where}: write"),
        mixed="mixed" in job,
    )


def _strings(options: object) -> dict[str, str]:
    """Return options under one name each; fio prints all of them as strings."""
    if not isinstance(options, dict):
        return {}
    return {_ALIASES.get(str(name), str(name)): str(given)[:200] for name, given in options.items()}


def _direction(values: Any, where: str) -> Direction:
    if not isinstance(values, dict):
        return Direction(0.0, 0.0, 0.0, 0.0, 0.0)
    exact = "bw_bytes" in values
    bandwidth = _number(values, "bw_bytes" if exact else "bw", where)
    unit = 1 if "io_kbytes" in values else KIB
    return Direction(
        bytes_per_s=bandwidth if exact else bandwidth * KIB,
        io_bytes=_number(values, "io_bytes", where) * unit,
        runtime_s=_number(values, "runtime", where) / 1000,
        ops_per_s=_number(values, "iops", where),
        latency_s=_latency_s(values, where),
    )


def _latency_s(values: dict[str, Any], where: str) -> float:
    for name, unit in (("lat_ns", 1e-9), ("lat", 1e-6)):
        if isinstance(values.get(name), dict):
            return _number(values[name], "mean", f"{where}: {name}") * unit
    return 0.0


def _number(values: dict[str, Any], name: str, where: str) -> float:
    """Return a number that is finite and not negative; 0 where it is left out."""
    given = values.get(name, 0)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise InputError(f"{where}: {name} is {str(given)[:40]!r}, not a number")
    if not 0 <= given < 1e18 or not math.isfinite(given):
        raise InputError(f"{where}: {name} is {str(given)[:40]}; allowed: 0 to 1e18")
    return float(given)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
