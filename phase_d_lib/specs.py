"""What a run is asked to do: frozen, typed, range-checked, and hashed into the run id.

Nothing here touches a file or a process. Option names are RocksDB's own.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from phase_d_lib.errors import InputError
from phase_d_lib.units import GIB, KIB, MIB

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]

ArrivalKind = Literal["closed", "constant", "poisson", "bursts", "ramp", "trace"]
Distribution = Literal["uniform", "zipfian", "sequential"]
Compression = Literal["none", "snappy", "lz4", "zstd"]


class Frozen(BaseModel):
    """Base of every spec and result: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class ArrivalSpec(Frozen):
    """How puts arrive.

    ``closed`` has the writer always ready (saturation rate); the others are open-loop
    schedules, so latency is counted from the intended start of each put.
    """

    kind: ArrivalKind = "closed"
    rate_ops_per_s: float | None = Field(default=None, gt=0)
    """Mean arrival rate; for ``ramp`` the rate at the start."""
    end_rate_ops_per_s: float | None = Field(default=None, gt=0)
    """``ramp``: rate at the end of the run."""
    burst_factor: float = Field(default=2.0, gt=1)
    """``bursts``: rate inside a burst divided by the mean rate."""
    burst_period_s: float = Field(default=4.0, gt=0)
    """``bursts``: length of one on/off cycle."""
    trace_s: tuple[float, ...] | None = None
    """``trace``: arrival times in seconds from the start, ascending."""

    @model_validator(mode="after")
    def _complete(self) -> ArrivalSpec:
        if self.kind == "trace":
            if not self.trace_s:
                raise ValueError("arrival kind 'trace' needs trace_s (ascending seconds)")
            if any(b < a for a, b in zip(self.trace_s, self.trace_s[1:], strict=False)):
                raise ValueError("trace_s must ascend")
        elif self.kind != "closed" and self.rate_ops_per_s is None:
            raise ValueError(f"arrival kind '{self.kind}' needs rate_ops_per_s")
        if self.kind == "ramp" and self.end_rate_ops_per_s is None:
            raise ValueError("arrival kind 'ramp' needs end_rate_ops_per_s")
        return self


class WorkloadSpec(Frozen):
    """Keys, values and arrivals of one run."""

    keys: int = Field(default=200_000, ge=1, le=2_000_000_000)
    key_bytes: int = Field(default=16, ge=8, le=1024)
    value_bytes: int = Field(default=400, ge=1, le=16 * MIB)
    distribution: Distribution = "uniform"
    zipf_s: float = Field(default=0.99, gt=0, le=5)
    value_compression_ratio: float = Field(default=1.0, gt=0, le=1.0)
    """Declared compressed/uncompressed size of a value; 1 = incompressible."""
    read_fraction: Fraction = 0.0
    """Share of operations that are point reads."""
    threads: int = Field(default=1, ge=1, le=64)
    preload: bool = True
    """Load every key once and let the tree settle before the run."""
    wal: bool = True
    arrival: ArrivalSpec = ArrivalSpec()

    @property
    def record_bytes(self) -> int:
        """User bytes of one put: key plus value."""
        return self.key_bytes + self.value_bytes


class SustainCriterion(Frozen):
    """When an open-loop arrival rate counts as sustained, measured or simulated alike.

    In steady state: no write stop, compaction debt bounded, the achieved rate within
    `max_shortfall_fraction` of the offered one, and the p99.9 put latency from the intended start
    within `max_p999_ms`. Source: Luo and Carey, PVLDB 13(4), 2019, for testing at a rate below
    saturation; the numbers are ours to state with each result.
    """

    max_shortfall_fraction: float = Field(default=0.02, gt=0, le=0.5)
    max_p999_ms: float = Field(default=50.0, gt=0, le=60_000)
    max_stop_s: float = Field(default=0.0, ge=0)


class OptionsSpec(Frozen):
    """RocksDB options of one run, all of them pinned (defaults: the stall workload S)."""

    write_buffer_size: int = Field(default=2 * MIB, ge=64 * KIB, le=64 * GIB)
    max_write_buffer_number: int = Field(default=2, ge=2, le=64)
    min_write_buffer_number_to_merge: int = Field(default=1, ge=1, le=64)
    target_file_size_base: int = Field(default=2 * MIB, ge=64 * KIB, le=64 * GIB)
    max_bytes_for_level_base: int = Field(default=8 * MIB, ge=64 * KIB, le=1024 * GIB)
    max_bytes_for_level_multiplier: float = Field(default=10.0, gt=1, le=100)
    level0_file_num_compaction_trigger: int = Field(default=4, ge=1, le=10_000)
    level0_slowdown_writes_trigger: int = Field(default=8, ge=1, le=10_000)
    level0_stop_writes_trigger: int = Field(default=12, ge=1, le=10_000)
    soft_pending_compaction_bytes_limit: int = Field(default=64 * GIB, ge=0)
    hard_pending_compaction_bytes_limit: int = Field(default=256 * GIB, ge=0)
    max_background_jobs: int = Field(default=2, ge=1, le=256)
    max_subcompactions: int = Field(default=1, ge=1, le=256)
    delayed_write_rate: int = Field(default=30 * MIB, ge=16 * KIB)
    level_compaction_dynamic_level_bytes: bool = False
    compression: Compression = "none"
    use_direct_io_for_flush_and_compaction: bool = False
    use_direct_reads: bool = False
    stats_dump_period_sec: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _ordered_triggers(self) -> OptionsSpec:
        a = self.level0_file_num_compaction_trigger
        b = self.level0_slowdown_writes_trigger
        c = self.level0_stop_writes_trigger
        if not a <= b <= c:
            raise ValueError(
                "level-0 triggers must ascend: level0_file_num_compaction_trigger "
                f"{a} <= level0_slowdown_writes_trigger {b} <= level0_stop_writes_trigger {c}"
            )
        if self.min_write_buffer_number_to_merge >= self.max_write_buffer_number:
            raise ValueError(
                "min_write_buffer_number_to_merge must be below max_write_buffer_number"
            )
        return self


class RunSpec(Frozen):
    """One workload against one RocksDB. Its hash is the run id."""

    workload: WorkloadSpec = WorkloadSpec()
    options: OptionsSpec = OptionsSpec()
    limiter_bytes_per_s: int | None = Field(default=None, ge=64 * KIB)
    """RocksDB rate limiter (flush + compaction writes), the declared device of small profiles."""
    device_limit_bytes_per_s: int | None = Field(default=None, ge=KIB * KIB)
    """Cap on direct reads, and on direct writes, of the engine (:mod:`phase_d_lib.throttle`)."""
    engine: str = "embedded"
    duration_s: float = Field(default=20.0, gt=0, le=7 * 86_400)
    warmup_s: float = Field(default=6.0, ge=0)
    """Leading part of the run that no summary counts."""
    sample_period_s: float = Field(default=0.5, ge=0.1, le=1.0)
    seed: int = Field(default=1, ge=0, lt=2**63)
    repeat: int = Field(default=0, ge=0)
    base_options: OptionsSpec | None = None
    """Options the base tree is loaded with; None means those of the run."""
    base_seed: int = Field(default=1, ge=0, lt=2**63)
    """Seed of the load, apart from the run's, so that repeats start from one tree."""
    block: str = ""
    """Name of the experimental block (pair, case) the run belongs to."""

    @model_validator(mode="after")
    def _window(self) -> RunSpec:
        if self.warmup_s >= self.duration_s:
            raise ValueError(f"warmup_s {self.warmup_s} must be below duration_s {self.duration_s}")
        direct = self.options.use_direct_io_for_flush_and_compaction
        if self.device_limit_bytes_per_s is not None and not direct:
            raise ValueError(
                "device_limit_bytes_per_s needs use_direct_io_for_flush_and_compaction: "
                "buffered writes pass it by"
            )
        return self

    @property
    def run_id(self) -> str:
        """Sixteen hex digits of the spec's hash."""
        return digest(self)

    def configuration_id(self) -> str:
        """Return the hash of what is measured: the spec without seed, repeat, block and times."""
        return digest(
            self, exclude={"seed", "repeat", "block", "duration_s", "warmup_s", "sample_period_s"}
        )


Spec = TypeVar("Spec", bound=BaseModel)


def digest(model: BaseModel, exclude: set[str] | None = None) -> str:
    """Return sixteen hex digits of a SHA-256 over the model's sorted JSON."""
    import json

    payload = json.dumps(model.model_dump(mode="json", exclude=exclude), sort_keys=True)
    return hashlib.sha256(payload.encode()).hexdigest()[:16]


def parse(kind: type[Spec], values: dict[str, Any], source: str) -> Spec:
    """Build a spec from untrusted values.

    Raises
    ------
    InputError
        One line naming the source, the field, the value given and what is allowed.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{source}: {first_problem(kind, error)}") from None


def first_problem(kind: type[BaseModel], error: ValidationError) -> str:
    """Describe the first problem of a validation error in one line."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"]) or kind.__name__
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{where}'; allowed here: {', '.join(_allowed(kind, problem['loc']))}"
    message = problem["msg"].removeprefix("Value error, ")
    given = repr(problem["input"]) if not isinstance(problem["input"], dict) else ""
    return f"{where}{' = ' + given if given else ''}: {message}"


def _allowed(kind: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """List the field names of the (nested) model that rejected the last part of `loc`."""
    current: type[BaseModel] = kind
    for part in loc[:-1]:
        field = current.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type):
            break
        if issubclass(field.annotation, BaseModel):
            current = field.annotation
    return list(current.model_fields)
