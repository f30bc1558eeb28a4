"""What every model takes and gives: a case, a prediction, and one small interface."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import Field

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.specs import Frozen, OptionsSpec, RunSpec, WorkloadSpec

AmplificationSource = Literal["given", "geometry", "calibration"]


class LevelFlow(Frozen):
    """Write traffic into one level, per user byte put; flush is level 0."""

    level: int
    write_bytes_per_user_byte: float


class Amplification(Frozen):
    """How many device bytes each user byte causes."""

    source: AmplificationSource
    wal_bytes_per_user_byte: float
    flush_bytes_per_user_byte: float
    compaction_write_bytes_per_user_byte: float
    device_read_bytes_per_user_byte: float | None = None
    levels: tuple[LevelFlow, ...] = ()

    @property
    def background_bytes_per_user_byte(self) -> float:
        """Flush plus compaction writes: what a RocksDB rate limiter counts."""
        return self.flush_bytes_per_user_byte + self.compaction_write_bytes_per_user_byte


class DeviceEnvelope(Frozen):
    """Measured device bandwidth; None where it was not measured."""

    write_bytes_per_s: float | None = None
    read_bytes_per_s: float | None = None


class HostSpeeds(Frozen):
    """What the host's CPU allows, measured."""

    cores: int
    foreground_ops_per_s: float | None = None
    """U: puts/s of an unstalled foreground."""
    slot_write_bytes_per_s: float | None = None
    """mu: compaction write bytes/s of one busy slot, without a limiter."""
    level_slot_write_bytes_per_s: dict[int, float] = Field(default_factory=dict)
    """mu_l: the same by output level, for the levels that run compacted into."""
    cpu_s_per_put: float | None = None
    cpu_s_per_compacted_byte: float | None = None


class Case(Frozen):
    """Everything a model may know about a configuration before it runs."""

    name: str
    workload: WorkloadSpec
    options: OptionsSpec
    limiter_bytes_per_s: int | None = None
    device: DeviceEnvelope = DeviceEnvelope()
    host: HostSpeeds
    amplification: Amplification | None = None
    wal_on_same_device: bool = True
    window_s: tuple[float, float] | None = None
    """Score the rate over this window after opening; None = steady state."""

    @classmethod
    def of(cls, spec: RunSpec, host: HostSpeeds, amplification: Amplification | None) -> Case:
        """Build the case of a run."""
        return cls(
            name=spec.block or spec.run_id,
            workload=spec.workload,
            options=spec.options,
            limiter_bytes_per_s=spec.limiter_bytes_per_s,
            host=host,
            amplification=amplification,
            window_s=(spec.warmup_s, spec.duration_s),
        )


class Prediction(Frozen):
    """One model's answer for one case."""

    model: str
    saturation_ops_per_s: float | None = None
    s_max_ops_per_s: float | None = None
    interval_90_ops_per_s: tuple[float, float] | None = None
    """90 % interval of the saturation rate."""
    interval_source: Literal["conformal", "residual_pool", "none"] = "none"
    binding: str | None = None
    """Resource whose bound is lowest."""
    bounds_ops_per_s: dict[str, float | None] = Field(default_factory=dict)
    """Bound of each resource; None = that input was not measured."""
    stall_fraction: float | None = None
    amplification_source: AmplificationSource | None = None
    write_bytes_per_user_byte: float | None = None
    """Flush plus compaction writes per user byte that the prediction used."""
    inside_calibration: bool | None = None
    calibration_hash: str | None = None
    refused: str | None = None
    """Why the model does not answer, or None."""


class Model(Protocol):
    """A model of the put rate. Implementations keep what they fitted in attributes ending in _."""

    name: str
    version: str

    def predict(self, case: Case) -> Prediction:
        """Predict the saturation rate of `case`.

        Raises
        ------
        ModelRefusal
            When an input is missing or the case is not covered.
        """
        ...

    def summary(self) -> str:
        """Equation and fitted values in a few lines."""
        ...


def answer(model: Model, case: Case) -> Prediction:
    """Ask a model, turning a refusal into a prediction that says so."""
    try:
        return model.predict(case)
    except ModelRefusal as refusal:
        return Prediction(model=model.name, refused=str(refusal))


def tightest(model: str, case: Case, bounds: dict[str, float | None]) -> Prediction:
    """Predict the lowest bound that was measured; its resource binds.

    Parameters
    ----------
    bounds : dict
        Resource -> bound in ops/s, None where an input was not measured.

    Raises
    ------
    ModelRefusal
        When no resource has a measured bound.
    """
    known = {name: value for name, value in bounds.items() if value is not None}
    if not known:
        raise ModelRefusal("bounds", "no resource of this case has a measured bound")
    binding = min(known, key=lambda resource: known[resource])
    amplification = case.amplification
    return Prediction(
        model=model,
        saturation_ops_per_s=known[binding],
        binding=binding,
        bounds_ops_per_s=bounds,
        amplification_source=amplification.source if amplification else None,
        write_bytes_per_user_byte=(
            amplification.background_bytes_per_user_byte if amplification else None
        ),
    )
