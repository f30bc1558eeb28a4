"""A run is a directory: how it is laid out, written and read. Everything else reads runs.

While a run goes, samples and latency rows are JSON lines, so a killed run keeps what it had.
:func:`finish` turns them into Parquet and writes ``result.json`` last, atomically.
"""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pandas as pd
from pydantic import ValidationError

from phase_d_lib.errors import InputError
from phase_d_lib.host import Host
from phase_d_lib.latency import bucket_upper_us, histogram_quantiles_us
from phase_d_lib.logfile import LogTables, read_log
from phase_d_lib.rates import Estimate, counter_rate, steady_rate, window
from phase_d_lib.specs import Frozen, RunSpec
from phase_d_lib.validity import Verdict, judge
from phase_d_lib.workspace import MARKER, claim, write_atomically

SCHEMA_VERSION = 1
Status = Literal["complete", "stopped", "partial"]
_STATISTICS_DUMP = re.compile(
    rb"^.*------- DUMPING STATS -------\n(?:(?!\d{4}/).*\n)*", re.MULTILINE
)


class RunResult(Frozen):
    """Summary of one run over its window (after the warm-up)."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    attempt: int
    status: Status
    reason: str | None
    """Why a run is not complete, or None."""
    started_at: str
    """UTC time of the first sample, ISO 8601."""
    duration_s: float
    window_start_s: float
    window_end_s: float
    samples: int
    put_rate_ops_per_s: Estimate
    """Closed loop: the saturation rate. Open loop: the achieved rate."""
    offered_rate_ops_per_s: float | None
    get_rate_ops_per_s: float
    rate_cv_fraction: float | None
    """Coefficient of variation of the per-sample rates."""
    put_latency_us: dict[str, float | None]
    stall_fraction: float
    """stall.micros over time: 1 means the (single) writer was always delayed or stopped."""
    flush_bytes_per_user_byte: float | None
    compaction_write_bytes_per_user_byte: float | None
    compaction_read_bytes_per_user_byte: float | None
    wal_bytes_per_user_byte: float | None
    mean_l0_files: float
    pending_compaction_bytes_end: float | None
    """None where the engine does not tell it."""
    cpu_cores_used: float
    steal_fraction: float
    sampler_cpu_fraction: float
    """CPU seconds of the sampler per second of run (one core = 1)."""
    longest_gap_s: float
    validity: Verdict

    @property
    def write_bytes_per_user_byte(self) -> float | None:
        """Flush plus compaction writes per user byte (without WAL); None without writes."""
        flush, compaction = (
            self.flush_bytes_per_user_byte,
            self.compaction_write_bytes_per_user_byte,
        )
        return None if flush is None or compaction is None else flush + compaction


class Run:
    """One run directory, read-only.

    Parameters
    ----------
    path : Path
        The directory.

    Raises
    ------
    InputError
        When `path` holds no ``spec.json``.
    """

    def __init__(self, path: Path) -> None:
        if not (path / "spec.json").is_file():
            raise InputError(f"{path} is not a run directory: it has no spec.json")
        self.path = path

    @cached_property
    def spec(self) -> RunSpec:
        """What was asked."""
        return RunSpec.model_validate_json((self.path / "spec.json").read_bytes())

    @cached_property
    def result(self) -> RunResult | None:
        """Summary and verdict; None while there is none (:meth:`summarise` makes one)."""
        file = self.path / "result.json"
        return RunResult.model_validate_json(file.read_bytes()) if file.is_file() else None

    @cached_property
    def host(self) -> Host:
        """Provenance."""
        return Host.model_validate_json((self.path / "host.json").read_bytes())

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row a sample: counters (``_total``), gauges, rates over the interval before."""
        file = self.path / "samples.parquet"
        if file.is_file():
            return pd.read_parquet(file)
        return with_interval_rates(pd.DataFrame(read_json_lines(self.path / "samples.jsonl")))

    @cached_property
    def latency(self) -> pd.DataFrame:
        """Latency histogram: second, operation, bucket, upper_us, count."""
        file = self.path / "latency.parquet"
        if file.is_file():
            return pd.read_parquet(file)
        return _latency_table(read_json_lines(self.path / "latency.jsonl"))

    @cached_property
    def log(self) -> LogTables:
        """RocksDB's own log, read."""
        plain = self.path / "LOG"
        return read_log(plain if plain.exists() else self.path / "LOG.gz")

    @cached_property
    def predictions(self) -> dict[str, Any] | None:
        """What the models said before the run, or None."""
        file = self.path / "prediction.json"
        return orjson.loads(file.read_bytes()) if file.is_file() else None

    @property
    def window(self) -> pd.DataFrame:
        """Samples after the warm-up; all of them when the run ended before."""
        inside = window(self.samples, self.spec.warmup_s)
        return inside if len(inside) >= 2 else self.samples

    @property
    def readable(self) -> bool:
        """Whether spec and result fit this version of the library."""
        try:
            _ = self.spec, self.result
        except ValidationError:
            return False
        return True

    @property
    def valid(self) -> bool:
        """Whether the run may be scored."""
        return self.result is not None and self.result.validity.valid

    def summarise(self, status: Status, reason: str | None, attempt: int = 1) -> RunResult:
        """Compute the summary and the validity verdict from what was sampled."""
        return _summary(self, status, reason, attempt)

    def _repr_html_(self) -> str:
        result = self.result
        if result is None:
            return f"<p>run {self.spec.run_id}: unfinished, {len(self.samples)} samples</p>"
        rate = result.put_rate_ops_per_s
        interval = "" if rate.low is None else f" [{rate.low:,.0f}, {rate.high:,.0f}]"
        verdict = "valid" if result.validity.valid else "; ".join(map(str, result.validity.reasons))
        return (
            f"<p>run {self.spec.run_id} ({result.status}): {rate.value:,.0f} puts/s{interval}, "
            f"stalled {result.stall_fraction:.0%}, {verdict}</p>"
        )


def create(runs: Path, spec: RunSpec) -> Path:
    """Create the directory of a run; an earlier attempt is moved to ``attempt-N`` inside it."""
    path = claim(runs / spec.run_id)
    previous = [entry for entry in path.iterdir() if not _is_kept(entry)]
    if previous:
        shelf = path / f"attempt-{1 + _attempts(path)}"
        shelf.mkdir()
        for entry in previous:
            entry.rename(shelf / entry.name)
    write_atomically(path / "spec.json", spec.model_dump_json(indent=1))
    return path


def _attempts(path: Path) -> int:
    """Highest number of an earlier attempt, 0 when there is none."""
    numbers = (entry.name.removeprefix("attempt-") for entry in path.glob("attempt-*"))
    return max((int(number) for number in numbers if number.isdigit()), default=0)


def _is_kept(entry: Path) -> bool:
    return entry.name == MARKER or entry.name.startswith("attempt-")


def freeze_predictions(path: Path, predictions: list[dict[str, Any]]) -> None:
    """Write what the models said, with the time, before the run starts.

    Raises
    ------
    InputError
        When the run has already sampled something: a prediction can't be made afterwards.
    """
    if (path / "samples.jsonl").exists() or (path / "samples.parquet").exists():
        raise InputError(f"{path.name} has started; a prediction must be written before the run")
    payload = {"written_at": utc_now(), "predictions": predictions}
    write_atomically(path / "prediction.json", orjson.dumps(payload, option=orjson.OPT_INDENT_2))


def finish(path: Path, status: Status, reason: str | None) -> Run:
    """Turn JSON lines into Parquet and write ``result.json``; safe to call again after a kill."""
    run = Run(path)
    for name, table in (("samples", run.samples), ("latency", run.latency)):
        if len(table):
            partial = path / f".{name}.parquet.part"
            table.to_parquet(partial, index=False)
            partial.replace(path / f"{name}.parquet")
    attempt = 1 + _attempts(path)
    result = run.summarise(status, reason, attempt)
    write_atomically(path / "result.json", result.model_dump_json(indent=1))
    for name in ("samples.jsonl", "latency.jsonl"):
        (path / name).unlink(missing_ok=True)
    return Run(path)


def keep_database_files(path: Path, database: Path) -> None:
    """Copy RocksDB's LOG and newest OPTIONS file into the run directory."""
    if (database / "LOG").is_file():
        shutil.copyfile(database / "LOG", path / "LOG")
    options = sorted(database.glob("OPTIONS-*"))
    if options:
        shutil.copyfile(options[-1], path / "OPTIONS")


def without_statistics_dumps(log: bytes) -> bytes:
    """Return a LOG without its statistics dumps, most of its size; no number needs them."""
    return _STATISTICS_DUMP.sub(b"", log)


def find_runs(runs: Path) -> list[Run]:
    """Open every run directory below `runs` that this version can read, newest first."""
    folders = [spec.parent for spec in runs.glob("*/spec.json")]
    ordered = sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True)
    return [run for run in map(Run, ordered) if run.readable]


def utc_now() -> str:
    """Return the present UTC time, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_json_lines(file: Path) -> list[dict[str, Any]]:
    """Read JSON lines; a torn last line (the writer was killed) is dropped."""
    if not file.is_file():
        return []
    rows = []
    lines = file.read_bytes().split(b"\n")
    for number, line in enumerate(lines):
        try:
            rows.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            if line and number < len(lines) - 1:
                raise
    return rows


def with_interval_rates(samples: pd.DataFrame) -> pd.DataFrame:
    """Add what happened since the previous sample: rates, shares and amplification."""
    if samples.empty:
        return samples
    # What an engine lacks is None in every row.
    absent = [c for c in samples.columns if samples[c].dtype == object]
    latencies = [c for c in samples.columns if str(c).startswith("put_latency_")]
    numeric = samples.astype(dict.fromkeys([*latencies, *absent], float))
    elapsed_s = numeric["time_s"].diff()
    change = numeric.filter(like="_total").diff().div(elapsed_s, axis=0)
    machine = numeric["machine_cpu_s_total"].diff()
    readable = numeric["io_write_bytes_total"] >= 0
    background = change["flush_write_bytes_total"] + change["compact_write_bytes_total"]
    return numeric.assign(
        put_ops_per_s=change["puts_total"],
        get_ops_per_s=change["gets_total"],
        flush_write_bytes_per_s=change["flush_write_bytes_total"],
        compact_write_bytes_per_s=change["compact_write_bytes_total"],
        compact_read_bytes_per_s=change["compact_read_bytes_total"],
        # -1 where /proc/PID/io could not be read: unknown, not zero.
        device_write_bytes_per_s=change["io_write_bytes_total"].where(readable),
        device_read_bytes_per_s=change["io_read_bytes_total"].where(readable),
        write_bytes_per_batch_byte=background / change["batch_bytes_total"].replace(0.0, np.nan),
        stall_fraction=(change["stall_us_total"] / 1e6),
        process_cpu_cores=change["process_cpu_s_total"],
        machine_busy_fraction=numeric["machine_busy_s_total"].diff() / machine,
        steal_fraction=numeric["machine_steal_s_total"].diff() / machine,
    )


def _latency_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    flat = [
        (row["second"], row["operation"], int(bucket), count)
        for row in rows
        for bucket, count in row["counts"].items()
    ]
    table = pd.DataFrame(flat, columns=["second", "operation", "bucket", "count"])
    table["upper_us"] = bucket_upper_us(table["bucket"].to_numpy()) if len(table) else []
    keys = ["second", "operation", "bucket", "upper_us"]
    return pd.DataFrame(table.groupby(keys, as_index=False).agg({"count": "sum"}))


def _variation(rates: pd.Series[float]) -> float | None:
    return float(rates.std() / rates.mean()) if len(rates) > 1 and rates.mean() > 0 else None


def _ratio(samples: pd.DataFrame, counter: str, user_bytes: float) -> float | None:
    if user_bytes <= 0:
        return None
    return float(samples[counter].iloc[-1] - samples[counter].iloc[0]) / user_bytes


def _summary(run: Run, status: Status, reason: str | None, attempt: int) -> RunResult:
    spec = run.spec
    if len(run.samples) < 2:
        raise InputError(f"run {spec.run_id} has fewer than two samples; nothing to summarise")
    inside = run.window
    first, last = inside.iloc[0], inside.iloc[-1]
    puts = last["puts_total"] - first["puts_total"]
    user_bytes = float(puts * spec.workload.record_bytes)
    rates = inside["put_ops_per_s"].iloc[1:]
    in_window = (run.latency["operation"] == "put") & (
        run.latency["second"] >= int(first["time_s"])
    )
    machine_s = last["machine_cpu_s_total"] - first["machine_cpu_s_total"]
    steal = (last["machine_steal_s_total"] - first["machine_steal_s_total"]) / max(machine_s, 1e-9)
    return RunResult(
        run_id=spec.run_id,
        attempt=attempt,
        status=status,
        reason=reason,
        started_at=datetime.fromtimestamp(run.samples["unix_time_s"].iloc[0], UTC).isoformat(
            timespec="milliseconds"
        ),
        duration_s=float(run.samples["time_s"].iloc[-1]),
        window_start_s=float(first["time_s"]),
        window_end_s=float(last["time_s"]),
        samples=len(run.samples),
        put_rate_ops_per_s=steady_rate(inside),
        offered_rate_ops_per_s=spec.workload.arrival.rate_ops_per_s,
        get_rate_ops_per_s=counter_rate(inside, "gets_total"),
        rate_cv_fraction=_variation(rates),
        put_latency_us=histogram_quantiles_us(run.latency.loc[in_window]),
        stall_fraction=counter_rate(inside, "stall_us_total") / 1e6 / spec.workload.threads,
        flush_bytes_per_user_byte=_ratio(inside, "flush_write_bytes_total", user_bytes),
        compaction_write_bytes_per_user_byte=_ratio(
            inside, "compact_write_bytes_total", user_bytes
        ),
        compaction_read_bytes_per_user_byte=_ratio(inside, "compact_read_bytes_total", user_bytes),
        wal_bytes_per_user_byte=_ratio(inside, "wal_bytes_total", user_bytes),
        mean_l0_files=float(inside["l0_files"].mean()),
        pending_compaction_bytes_end=float(last["pending_compaction_bytes"]),
        cpu_cores_used=counter_rate(inside, "process_cpu_s_total"),
        steal_fraction=float(steal),
        sampler_cpu_fraction=counter_rate(inside, "sampler_cpu_s_total"),
        longest_gap_s=float(inside["gap_s"].max()),
        validity=judge(spec, inside, complete=status == "complete"),
    )
