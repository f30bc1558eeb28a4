"""Cases from elsewhere: a JSON file that says all a model may know of a configuration.

The format is :class:`CaseInputs`, published as ``data/schemas/case.schema.json``; sizes are bytes,
times seconds. What the file leaves out is not known, and a model that needs it says so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from phase_d_lib.device import DeviceGrid
from phase_d_lib.errors import InputError
from phase_d_lib.importers import read_device_grid
from phase_d_lib.lsm.geometry import batch_bytes
from phase_d_lib.models.base import Amplification, Case, DeviceEnvelope, HostSpeeds
from phase_d_lib.specs import Compression, Frozen, OptionsSpec, WorkloadSpec, parse
from phase_d_lib.units import GIB, KIB, MIB
from phase_d_lib.workspace import read_json_object

KEY_BYTES = 16
"""Key size of every case; the rest of a record is its value."""
UNLIMITED_DELAYED_RATE_BYTES_PER_S = 16 * MIB
"""What ``delayed_write_rate`` 0 means without a limiter (``SanitizeOptions``, 9.8)."""
SIMULATED_LEVELS = 7
"""Levels of the simulated tree, RocksDB's own default."""
_LONGEST_ERROR = 500
_ROUNDING = 1e-9
_COMPRESSIONS = {
    "kNoCompression": "none",
    "kSnappyCompression": "snappy",
    "kLZ4Compression": "lz4",
    "kZSTD": "zstd",
}
_BOTTOMMOST = {**_COMPRESSIONS, "kDisableCompressionOption": "same"}
_STYLES = {
    "kCompactionStyleLevel": "level",
    "kCompactionStyleUniversal": "universal",
    "kCompactionStyleFIFO": "fifo",
}
_OURS = {**_BOTTOMMOST, **_STYLES}

BytesPerS = Annotated[float, Field(gt=0, le=1e15)]
BytesPerByte = Annotated[float, Field(ge=0, le=10_000)]
Second = Annotated[float, Field(ge=0, le=86_400)]
RocksDBName = BeforeValidator(lambda name: _OURS.get(name, name) if isinstance(name, str) else name)


def _either(names: dict[str, str]) -> dict[str, Any]:
    """Let the schema list RocksDB's names of a value beside ours."""
    return {"enum": [*names.values(), *names]}


_STRICT = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    use_attribute_docstrings=True,
)


def _whole_numbers(values: Any) -> Any:
    # JSON has one kind of number: 4e6 is as whole as 4000000.
    if not isinstance(values, dict):
        return values
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in values.items()
    }


class Section(Frozen):
    """Base of the file's parts: no unknown key, no coercion, no NaN."""

    model_config = _STRICT

    @model_validator(mode="before")
    @classmethod
    def _numbers(cls, values: Any) -> Any:
        return _whole_numbers(values)


class CaseOptions(OptionsSpec):
    """RocksDB options by RocksDB's names; one left out has RocksDB 9.8's documented default.

    Unlike the stall workload's: ``write_buffer_size`` and ``target_file_size_base`` 64 MiB,
    ``max_bytes_for_level_base`` 256 MiB, ``level0_slowdown_writes_trigger`` 20,
    ``level0_stop_writes_trigger`` 36, ``delayed_write_rate`` 0,
    ``level_compaction_dynamic_level_bytes`` true, ``compression`` snappy and
    ``stats_dump_period_sec`` 600. Alike: two write buffers, one to merge, multiplier 10, compaction
    trigger 4, pending limits 64 and 256 GiB, two jobs, one subcompaction, buffered I/O. A slowdown
    or stop trigger left out is raised to the one below it, as RocksDB does on open.
    """

    model_config = _STRICT

    write_buffer_size: int = Field(default=64 * MIB, ge=64 * KIB, le=64 * GIB)
    target_file_size_base: int = Field(default=64 * MIB, ge=64 * KIB, le=64 * GIB)
    max_bytes_for_level_base: int = Field(default=256 * MIB, ge=64 * KIB, le=1024 * GIB)
    level0_slowdown_writes_trigger: int = Field(default=20, ge=1, le=10_000)
    level0_stop_writes_trigger: int = Field(default=36, ge=1, le=10_000)
    delayed_write_rate: int = Field(default=0, ge=0, le=10**15)
    """Ceiling of the delayed rate, bytes/s; 0: the limiter's rate, else 16 MiB/s."""
    level_compaction_dynamic_level_bytes: bool = True
    compression: Annotated[Compression, RocksDBName] = Field(
        default="snappy", json_schema_extra=_either(_COMPRESSIONS)
    )
    stats_dump_period_sec: int = Field(default=600, ge=0)
    bottommost_compression: Annotated[
        Literal["same", "none", "snappy", "lz4", "zstd"], RocksDBName
    ] = Field(default="same", json_schema_extra=_either(_BOTTOMMOST))
    """The simulated tree knows only the compression of the other levels."""
    compaction_style: Annotated[Literal["level", "universal", "fifo"], RocksDBName] = Field(
        default="level", json_schema_extra=_either(_STYLES)
    )
    """Every model refuses any but level."""
    num_levels: int = Field(default=SIMULATED_LEVELS, ge=1, le=100)
    """The simulated tree has seven."""
    enable_blob_files: bool = False
    """Every model refuses blob files."""

    @model_validator(mode="before")
    @classmethod
    def _numbers_and_triggers(cls, values: Any) -> Any:
        return _raised_triggers(_whole_numbers(values))

    @field_validator("delayed_write_rate")
    @classmethod
    def _above_the_floor(cls, rate: int) -> int:
        if 0 < rate < 16 * KIB:
            raise ValueError("give 0 or at least 16384, the lowest rate RocksDB delays to")
        return rate

    def pinned(self, limiter_bytes_per_s: int | None) -> OptionsSpec:
        """Return the options as the database would use them, nothing left to a default."""
        values = self.model_dump(include=set(OptionsSpec.model_fields))
        delayed = self.delayed_write_rate or limiter_bytes_per_s
        values["delayed_write_rate"] = delayed or UNLIMITED_DELAYED_RATE_BYTES_PER_S
        return OptionsSpec.model_validate(values)


def _raised_triggers(values: Any) -> Any:
    """Raise a slowdown or stop trigger that is left out to the trigger below it."""
    if not isinstance(values, dict):
        return values
    raised, floor = dict(values), values.get("level0_file_num_compaction_trigger")
    for name in ("level0_slowdown_writes_trigger", "level0_stop_writes_trigger"):
        default = CaseOptions.model_fields[name].default
        if name not in values and isinstance(floor, int) and floor > default:
            raised[name] = floor
        floor = raised.get(name, default)
    return raised


class DeviceInputs(Section):
    """Bandwidth of the device under O_DIRECT: a measured grid, or its two rates."""

    grid_csv: str | None = Field(default=None, min_length=1)
    """CSV of fio points, relative to the case file or else to the working directory."""
    write_bytes_per_s: BytesPerS | None = None
    read_bytes_per_s: BytesPerS | None = None

    @model_validator(mode="after")
    def _one_source(self) -> DeviceInputs:
        rates = self.write_bytes_per_s is not None or self.read_bytes_per_s is not None
        if rates is (self.grid_csv is not None):
            raise ValueError("give grid_csv, or write_bytes_per_s and read_bytes_per_s, not both")
        return self


class HostInputs(Section):
    """What the host's CPU allows."""

    slot_write_bytes_per_s: BytesPerS | None = None
    """mu: compaction write bytes/s of a busy slot, not measured under a limiter."""
    foreground_ops_per_s: float | None = Field(default=None, gt=0, le=1e9)
    """U: puts/s of all writers together when nothing stalls them."""
    cores: int | None = Field(default=None, ge=1, le=65_536)


class AmplificationInputs(Section):
    """Device bytes per byte put, from the ledger of a run of this configuration."""

    a_w: Annotated[float, Field(gt=0, le=10_000)]
    """Flush and compaction writes, and the WAL where it is on and shares the device."""
    a_r: BytesPerByte | None = None
    """Bytes read from the device, which is less than compaction reads under a page cache."""
    a_c: BytesPerByte
    """Compaction writes."""


class DataInputs(Section):
    """The keys and values put."""

    keys: int = Field(ge=1, le=2_000_000_000)
    distribution: Literal["uniform", "zipfian"] = "uniform"
    zipf_s: float | None = Field(default=None, gt=0, le=5)
    compression_ratio: float | None = Field(default=None, gt=0, le=1)
    """Compressed over uncompressed bytes of a value; 1 is incompressible."""
    preloaded: bool = True
    """Every key was loaded, and the tree settled, before window_s begins to count."""

    @model_validator(mode="after")
    def _skew(self) -> DataInputs:
        if self.distribution == "zipfian" and self.zipf_s is None:
            raise ValueError("distribution 'zipfian' needs zipf_s")
        return self


class CaseInputs(Section):
    """One case file: a configuration, its data, and what was measured of device and host."""

    record_bytes: int = Field(gt=KEY_BYTES, le=16 * MIB + KEY_BYTES)
    """User bytes of one put: a 16-byte key and the value."""
    options: CaseOptions
    device: DeviceInputs | None = None
    limiter_bytes_per_s: int | None = Field(default=None, ge=64 * KIB, le=10**15)
    """RocksDB's rate limiter: flush and compaction writes together, not the WAL."""
    wal_on: bool = True
    wal_on_same_device: bool = True
    direct_io: bool | None = None
    """Flush and compaction under O_DIRECT; left out, what the options say."""
    host: HostInputs | None = None
    amplification: AmplificationInputs | None = None
    """Null: predicted from options and data by simulating the tree."""
    amplification_base: Literal["batch", "user"] = "user"
    """What a_w, a_r and a_c are divided by: bytes.written of RocksDB, or key plus value bytes."""
    data: DataInputs | None = None
    window_s: Annotated[tuple[Second, Second], Field(strict=False)] | None = None
    """Rate over this window after opening; left out, the steady state."""

    @field_validator("window_s")
    @classmethod
    def _ascending(cls, window_s: tuple[float, float] | None) -> tuple[float, float] | None:
        if window_s is not None and window_s[0] >= window_s[1]:
            raise ValueError("the start must be below the end")
        return window_s


_SECTIONS: dict[str, type[BaseModel]] = {
    "options": CaseOptions,
    "device": DeviceInputs,
    "host": HostInputs,
    "amplification": AmplificationInputs,
    "data": DataInputs,
}


def read_case(path: Path) -> CaseInputs:
    """Read and check a case file.

    Raises
    ------
    InputError
        One line: the file cannot be read, is no JSON object, or holds an unknown key, a wrong type
        or a value out of range.
    """
    try:
        values = read_json_object(path)
        for name, kind in _SECTIONS.items():
            # Checked one by one first: an unknown key is then told with its own section's keys.
            if isinstance(values.get(name), dict):
                _parse_section(kind, values[name], f"{path}: {name}")
        return parse(CaseInputs, values, str(path))
    except InputError as error:
        raise _one_line(str(error)) from None


def _parse_section(kind: type[BaseModel], values: dict[str, Any], source: str) -> None:
    try:
        parse(kind, values, source)
    except InputError as error:
        # A rule over several fields is told under the section's name, not its class's.
        raise InputError(str(error).replace(f"{kind.__name__}: ", "", 1)) from None


def to_case(inputs: CaseInputs, path: Path) -> Case:
    """Turn a case file into what the models take; amplification None stays None.

    Parameters
    ----------
    inputs : CaseInputs
    path : Path
        The file they come from: it names the case, and a relative grid path starts beside it.

    Notes
    -----
    In a steady state every key has been written, so without `window_s` the tree counts as
    preloaded whatever `data.preloaded` says. `host.cores` binds only with CPU seconds per put,
    which no case file holds.

    Raises
    ------
    InputError
        One line: an unusable grid, options that contradict `direct_io`, or an a_w below its parts.
    """
    data = inputs.data
    workload: dict[str, Any] = {
        "key_bytes": KEY_BYTES,
        "value_bytes": inputs.record_bytes - KEY_BYTES,
        "wal": inputs.wal_on,
    }
    if data is not None:
        workload |= {
            "keys": data.keys,
            "distribution": data.distribution,
            "value_compression_ratio": data.compression_ratio or 1.0,
            "preload": data.preloaded or inputs.window_s is None,
        }
        if data.zipf_s is not None:
            workload["zipf_s"] = data.zipf_s
    host = inputs.host or HostInputs()
    try:
        return Case(
            name=path.stem,
            workload=WorkloadSpec.model_validate(workload),
            options=_options(inputs),
            limiter_bytes_per_s=inputs.limiter_bytes_per_s,
            device=_device(inputs.device, path.parent),
            host=HostSpeeds(
                cores=host.cores or 1,
                foreground_ops_per_s=host.foreground_ops_per_s,
                slot_write_bytes_per_s=host.slot_write_bytes_per_s,
            ),
            amplification=_given_amplification(inputs),
            wal_on_same_device=inputs.wal_on_same_device,
            window_s=inputs.window_s,
        )
    except InputError as error:
        raise _one_line(f"{path}: {error}") from None


def schema_text() -> str:
    """JSON Schema of a case file, as published."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema = {**dialect, **CaseInputs.model_json_schema()}
    return json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _options(inputs: CaseInputs) -> OptionsSpec:
    name, direct = "use_direct_io_for_flush_and_compaction", inputs.direct_io
    given = inputs.options
    if direct is None:
        return given.pinned(inputs.limiter_bytes_per_s)
    named = name in given.model_fields_set
    if named and given.use_direct_io_for_flush_and_compaction is not direct:
        raise InputError(f"direct_io = {direct} contradicts options.{name}; give one of them")
    return given.pinned(inputs.limiter_bytes_per_s).model_copy(update={name: direct})


def _device(device: DeviceInputs | None, folder: Path) -> DeviceEnvelope:
    if device is None:
        return DeviceEnvelope()
    if device.grid_csv is None:
        return DeviceEnvelope(
            write_bytes_per_s=device.write_bytes_per_s, read_bytes_per_s=device.read_bytes_per_s
        )
    path = folder / device.grid_csv
    try:
        grid = DeviceGrid.from_table(
            read_device_grid(path if path.is_file() else Path(device.grid_csv))
        )
        return DeviceEnvelope.of(grid)
    except (InputError, ValueError) as error:  # ValueError: a path no file can have
        raise InputError(f"device.grid_csv: {error}") from None


def _given_amplification(inputs: CaseInputs) -> Amplification | None:
    """Amplification of the file per user byte, its a_w split into WAL, flush and compaction.

    The WAL holds each batch once. A batch is taken to hold one put: of puts that RocksDB writes as
    one group, bytes.written counts the 12-byte header only once, so there the batch base turns out
    up to 12 bytes in a record too high.
    """
    given = inputs.amplification
    if given is None:
        return None
    batch = batch_bytes(KEY_BYTES, inputs.record_bytes - KEY_BYTES) / inputs.record_bytes
    scale = batch if inputs.amplification_base == "batch" else 1.0
    wal = batch if inputs.wal_on else 0.0
    shared = wal if inputs.wal_on_same_device else 0.0
    flush = given.a_w * scale - shared - given.a_c * scale
    if flush < -_ROUNDING:
        raise InputError(
            f"amplification.a_w = {given.a_w:g}: less than its parts, a_c {given.a_c:g} and "
            f"{shared / scale:.4g} of WAL (0 unless wal_on and wal_on_same_device)"
        )
    return Amplification(
        source="given",
        wal_bytes_per_user_byte=wal,
        flush_bytes_per_user_byte=max(0.0, flush),
        compaction_write_bytes_per_user_byte=given.a_c * scale,
        device_read_bytes_per_user_byte=None if given.a_r is None else given.a_r * scale,
    )


def _one_line(message: str) -> InputError:
    line = " ".join(message.split())
    return InputError(line if len(line) <= _LONGEST_ERROR else line[: _LONGEST_ERROR - 3] + "...")
