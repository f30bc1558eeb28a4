"""What the host tells of a database somebody else runs: process, disk, machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from phase_d_lib.attach.process import Process
from phase_d_lib.attach.result import HostFigures
from phase_d_lib.engines.sampling import disk_columns
from phase_d_lib.host import cpu_times, process_counters


def host_columns(database: Path, process: Process | None) -> dict[str, float]:
    """Return sample columns of machine, disk and process; what cannot be read is left out.

    Parameters
    ----------
    database : Path
        Its file system is the disk.
    process : Process or None
        The program that holds it, if known.
    """
    cpu = cpu_times()
    columns: dict[str, float] = {
        "host_time_s": time.monotonic(),
        "machine_busy_s_total": cpu.busy_s,
        "machine_steal_s_total": cpu.steal_s,
        "machine_cpu_s_total": cpu.total_s,
    }
    with suppress(OSError):
        columns |= disk_columns(database)
    if process is not None:
        with suppress(OSError):
            counters = process_counters(process.pid)
            columns["process_cpu_s_total"] = counters.cpu_s
            columns["rss_bytes"] = counters.rss_bytes
            if counters.io_write_bytes >= 0:
                columns["io_read_bytes_total"] = counters.io_read_bytes
                columns["io_write_bytes_total"] = counters.io_write_bytes
    return columns


def figures(
    before: Mapping[str, Any], now: Mapping[str, Any], *, same_process: bool
) -> HostFigures:
    """Return what happened between two samples, and what holds at the second.

    Parameters
    ----------
    before, now : mapping
        Of `host_columns`.
    same_process : bool
        Whether both are of one process: else its counters cannot be compared.
    """
    elapsed_s = now["host_time_s"] - before["host_time_s"]

    def rate(column: str) -> float | None:
        if not same_process or column not in before or column not in now or elapsed_s <= 0:
            return None
        return float(now[column] - before[column]) / float(elapsed_s)

    machine_s = now["machine_cpu_s_total"] - before["machine_cpu_s_total"]
    stolen_s = now["machine_steal_s_total"] - before["machine_steal_s_total"]
    return HostFigures(
        process_cpu_cores=rate("process_cpu_s_total"),
        rss_bytes=now.get("rss_bytes"),
        io_read_bytes_per_s=rate("io_read_bytes_total"),
        io_write_bytes_per_s=rate("io_write_bytes_total"),
        steal_fraction=stolen_s / machine_s if machine_s > 0 else None,
        disk_free_bytes=now.get("disk_free_bytes"),
        disk_total_bytes=now.get("disk_total_bytes"),
    )
