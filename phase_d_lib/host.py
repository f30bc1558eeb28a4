"""The machine: what it is (provenance) and what it has done so far (counters from /proc)."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from phase_d_lib.specs import Frozen

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


class Host(Frozen):
    """Provenance of a measurement; holds no host name, user or absolute path."""

    cpu_model: str
    cores: int
    memory_bytes: int
    kernel: str
    filesystem: str
    device: str
    python: str
    engine_build: str
    rocksdb_version: str | None = None
    git_sha: str | None = None
    git_dirty: bool | None = None
    load_1m_start: float
    load_1m_end: float | None = None
    steal_fraction: float | None = None


@dataclass(frozen=True)
class CpuTimes:
    """Cumulative CPU seconds of the whole machine since boot."""

    busy_s: float
    steal_s: float
    total_s: float


@dataclass(frozen=True)
class ProcessCounters:
    """Cumulative counters of one process; I/O is -1 where /proc/PID/io is not readable."""

    cpu_s: float
    rss_bytes: int
    io_read_bytes: int
    io_write_bytes: int


def cpu_times() -> CpuTimes:
    """Read /proc/stat: busy = user, nice, system, irq, softirq; steal apart."""
    with Path("/proc/stat").open() as stream:
        fields = [int(x) for x in stream.readline().split()[1:9]]
    user, nice, system, idle, iowait, irq, softirq, steal = fields
    busy = user + nice + system + irq + softirq
    total = busy + idle + iowait + steal
    return CpuTimes(busy * _TICK_S, steal * _TICK_S, total * _TICK_S)


def process_counters(pid: int | str = "self") -> ProcessCounters:
    """Read CPU time, resident memory and device I/O of one process."""
    proc = Path(f"/proc/{pid}")
    after_name = (proc / "stat").read_text().rpartition(")")[2].split()
    cpu_s = (int(after_name[11]) + int(after_name[12])) * _TICK_S
    rss_bytes = int(after_name[21]) * os.sysconf("SC_PAGE_SIZE")
    read_bytes = write_bytes = -1
    try:
        for line in (proc / "io").read_text().splitlines():
            name, _, value = line.partition(": ")
            if name == "read_bytes":
                read_bytes = int(value)
            elif name == "write_bytes":
                write_bytes = int(value)
    except OSError:
        pass
    return ProcessCounters(cpu_s, rss_bytes, read_bytes, write_bytes)


def describe_host(where: Path, engine_build: str) -> Host:
    """Describe this machine and the file system that holds `where`."""
    filesystem, device = mount_of(where)
    sha, dirty = _git_state(Path(__file__).parent)
    return Host(
        cpu_model=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        filesystem=filesystem,
        device=device,
        python=platform.python_version(),
        engine_build=engine_build,
        git_sha=sha,
        git_dirty=dirty,
        load_1m_start=os.getloadavg()[0],
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def mount_of(where: Path) -> tuple[str, str]:
    """Return (file system type, block device name without /dev) of the mount that holds `where`."""
    target = str(where.resolve())
    best = ("", "unknown", "unknown")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        device, mount, kind = line.split()[:3]
        inside = target == mount or target.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best[0]):
            best = (mount, kind, device)
    return best[1], best[2].rpartition("/")[2]


def _git_state(folder: Path) -> tuple[str | None, bool | None]:
    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments],
                capture_output=True,
                text=True,
                timeout=5,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    sha = git("rev-parse", "--short=12", "HEAD")
    status = git("status", "--porcelain", "-uno")
    return sha, None if sha is None or status is None else bool(status)
