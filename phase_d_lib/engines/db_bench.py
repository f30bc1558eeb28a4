"""RocksDB's own benchmark, seen through its LOG; every flag that matters is pinned."""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import IO

from phase_d_lib.engines.child import ChildProcess, last_line
from phase_d_lib.engines.commands import die_with_parent
from phase_d_lib.engines.database import LIMITER_REFILL_US
from phase_d_lib.engines.protocol import EngineProcess
from phase_d_lib.errors import EngineError, InputError
from phase_d_lib.optionsfile import render_options
from phase_d_lib.specs import OptionsSpec, RunSpec, WorkloadSpec

OPTIONS_FILE = "db_bench-OPTIONS"
OUTPUT_FILE = "db_bench.txt"
FLAGS_FILE = "db_bench.flags"
"""In a run directory: what db_bench printed, and the flags it got, one a line."""
_MODULE = "phase_d_lib.engines.db_bench_process"
_LOAD = "filluniquerandom,flush,waitforcompaction"
_TAIL_S = 1
"""The run goes on so long after its end, so that a statistics dump covers the end."""


class DbBenchEngine:
    """The ``db_bench`` program.

    Its keys are ours in format and range, drawn by its own generator; its values are its own. Puts
    that it holds back to a rate are counted from when it started them, so it has no latency from
    the intended time, and a stall drops the puts that fell due in it.

    Parameters
    ----------
    program : str
        Path; empty takes the one on the PATH.

    Raises
    ------
    InputError
        When there is none.
    """

    name = "db_bench"

    def __init__(self, program: str = "") -> None:
        found = shutil.which(program or "db_bench")
        if found is None:
            raise InputError(
                f"db_bench = {program or 'db_bench'}: no such program; install it (Debian: "
                "apt install rocksdb-tools) or give its path: --engine db_bench=/path/db_bench"
            )
        self.program = Path(found).resolve()

    def build(self) -> str:
        """Describe the build: version and hash; no path."""
        stat = self.program.stat()
        return describe_program(self.program, stat.st_mtime_ns, stat.st_size)

    def check(self, spec: RunSpec) -> None:
        """Refuse what db_bench cannot do.

        Raises
        ------
        InputError
            One line naming it.
        """
        workload, period_s = spec.workload, spec.options.stats_dump_period_sec
        arrival = workload.arrival.kind
        refusals = (
            (
                workload.distribution != "uniform",
                f"distribution = {workload.distribution!r}: it overwrites uniform keys only",
            ),
            (
                workload.read_fraction > 0,
                f"read_fraction = {workload.read_fraction}: it does not mix reads into puts",
            ),
            (
                arrival not in ("closed", "constant"),
                f"arrival = {arrival!r}: it knows closed and constant arrivals only",
            ),
            (
                spec.options.compression != "none",
                f"compression = {spec.options.compression!r}: its values are not ours and would "
                "compress otherwise; only 'none' is comparable",
            ),
            (
                spec.sample_period_s != period_s,
                f"sample_period_s = {spec.sample_period_s}: it is seen through its LOG every "
                f"stats_dump_period_sec = {period_s} s; set both to 1",
            ),
            (
                spec.device_limit_bytes_per_s is not None,
                "device_limit_bytes_per_s: not for a program that starts another; leave it out",
            ),
        )
        for refused, why in refusals:
            if refused:
                raise InputError(f"engine db_bench cannot do this: {why}")

    def build_base(
        self, workload: WorkloadSpec, options: OptionsSpec, seed: int, folder: Path
    ) -> None:
        """Load every key once in random order, flush, and wait for the compactions.

        Raises
        ------
        EngineError
            With the last line db_bench said.
        """
        (folder / OPTIONS_FILE).write_text(render_options(options, self._version()))
        output = folder / OUTPUT_FILE
        flags = [*shared_flags(workload, seed), f"--benchmarks={_LOAD}", "--threads=1"]
        with (
            output.open("wb") as stream,
            start_program(self.program, flags, folder, stream) as child,
        ):
            try:
                code = child.wait()
            finally:
                child.kill()
        if code != 0:
            raise EngineError(f"loading the base tree failed: {last_line(output)}")

    def launch(self, spec: RunSpec, run: Path, database: Path) -> EngineProcess:
        """Start a process that runs db_bench and turns its LOG into samples."""
        self.check(spec)
        database.with_name(OPTIONS_FILE).write_text(render_options(spec.options, self._version()))
        flags = [*shared_flags(spec.workload, spec.seed), *run_flags(spec)]
        (run / FLAGS_FILE).write_text("\n".join(flags) + "\n")
        task = {
            "run": str(run),
            "database": str(database),
            "program": str(self.program),
            "flags": flags,
        }
        return ChildProcess(_MODULE, task, database.with_name("task.json"))

    def _version(self) -> str:
        stat = self.program.stat()
        return program_version(self.program, stat.st_mtime_ns, stat.st_size)


def shared_flags(workload: WorkloadSpec, seed: int) -> list[str]:
    """Flags of a load and of a run; paths are relative to the directory of the database."""
    return [
        "--db=db",
        f"--options_file={OPTIONS_FILE}",
        f"--num={workload.keys}",
        f"--key_size={workload.key_bytes}",
        f"--value_size={workload.value_bytes}",
        "--value_size_distribution_type=fixed",
        "--batch_size=1",
        f"--seed={seed + 1}",  # 0 takes the time of day
        "--sync=false",
        "--statistics=true",
        "--stats_level=3",  # as RocksDB's own default: all but detailed timers
        "--cache_size=8388608",
        "--histogram=false",
        "--progress_reports=false",
    ]


def run_flags(spec: RunSpec) -> list[str]:
    """Flags of a run alone."""
    workload, rate = spec.workload, spec.workload.arrival.rate_ops_per_s
    offered = 0 if rate is None else max(1, round(rate * workload.record_bytes))
    return [
        "--benchmarks=overwrite",
        f"--use_existing_db={'true' if workload.preload else 'false'}",
        f"--threads={workload.threads}",
        f"--duration={math.ceil(spec.duration_s) + _TAIL_S}",
        f"--disable_wal={'false' if workload.wal else 'true'}",
        f"--benchmark_write_rate_limit={offered}",
        f"--rate_limiter_bytes_per_sec={spec.limiter_bytes_per_s or 0}",
        f"--rate_limiter_refill_period_us={LIMITER_REFILL_US}",
        "--rate_limiter_auto_tuned=false",
        "--rate_limit_bg_reads=false",
    ]


def start_program(
    program: Path, flags: list[str], folder: Path, output: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start db_bench in the directory of its database; it dies with us."""
    return subprocess.Popen(
        [str(program), *flags],
        cwd=folder,
        # The lines of its LOG then carry UTC.
        env={**os.environ, "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        preexec_fn=die_with_parent,
    )


@lru_cache
def program_version(program: Path, modified_ns: int, size_bytes: int) -> str:
    """Return the version a db_bench names; the other arguments only tell files apart.

    Raises
    ------
    InputError
        When it names none.
    """
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"version (\d+\.\d+\.\d+)", said.stdout)
    if found is None:
        raise InputError(f"db_bench = {program}: does not say its version; is this db_bench?")
    return found.group(1)


@lru_cache
def describe_program(program: Path, modified_ns: int, size_bytes: int) -> str:
    """Describe a db_bench by its version and the hash of its file."""
    digest = hashlib.sha256(program.read_bytes()).hexdigest()[:12]
    version = program_version(program, modified_ns, size_bytes)
    return f"db_bench {version} sha256 {digest}"
