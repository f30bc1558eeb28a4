"""What every model takes and gives: a case, a prediction, and one small interface.

A new model is one file: a subclass of :class:`PutRateModel` with :meth:`~PutRateModel.estimate` and
:meth:`~PutRateModel.summary`, registered under the entry-point group ``phase_d.models``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from phase_d_lib.device.grid import DeviceGrid
from phase_d_lib.errors import ModelRefusal
from phase_d_lib.models.intervals import (
    IntervalSource,
    Residual,
    conformal_interval,
    pooled_residuals,
)
from phase_d_lib.specs import Frozen, OptionsSpec, RunSpec, WorkloadSpec

AmplificationSource = Literal["given", "geometry", "calibration"]
SMaxSource = Literal["simulated", "ratio"]
Passport = dict[str, tuple[float | str, ...]]
"""Input -> lowest and highest number, or every word, that a model was fitted on."""


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
    grid: DeviceGrid | None = None
    """Mixed bandwidth over read share, depth, jobs and block size."""
    limit_bytes_per_s: float | None = None
    """Cap set on each direction, for example by a control group; already in the two rates above."""

    @classmethod
    def of(cls, grid: DeviceGrid) -> DeviceEnvelope:
        """Take the two rates of a measured grid, and the grid without its outliers.

        Raises
        ------
        InputError
            When a direction has no point to take its rate from.
        """
        write, read = grid.sequential()
        clean = grid.cleaned() if grid.is_factorial else grid
        return cls(write_bytes_per_s=write, read_bytes_per_s=read, grid=clean)

    def capped(self, limit_bytes_per_s: float | None) -> DeviceEnvelope:
        """Return the envelope under a cap on each direction; a cap is a rate that is known."""
        if limit_bytes_per_s is None:
            return self
        rates = {
            name: min(limit_bytes_per_s, getattr(self, name) or limit_bytes_per_s)
            for name in ("write_bytes_per_s", "read_bytes_per_s")
        }
        return self.model_copy(update={**rates, "limit_bytes_per_s": limit_bytes_per_s})


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


class LedgerClosure(Frozen):
    """Whether the bytes of a run add up; None where it could not be seen."""

    write: float | None
    """(flush + compaction writes) / bytes that left the block builder."""
    device: float | None
    """Device writes of the process / (WAL + flush + compaction writes)."""


class Case(Frozen):
    """Everything a model may know about a configuration before it runs."""

    name: str
    workload: WorkloadSpec
    options: OptionsSpec
    limiter_bytes_per_s: int | None = None
    device: DeviceEnvelope = DeviceEnvelope()
    host: HostSpeeds
    amplification: Amplification | None = None
    closure: LedgerClosure | None = None
    """Of the ledger a given amplification comes from; None where there is no ledger."""
    wal_on_same_device: bool = True
    window_s: tuple[float, float] | None = None
    """Score the rate over this window after opening; None = steady state."""

    @classmethod
    def of(
        cls,
        spec: RunSpec,
        host: HostSpeeds,
        amplification: Amplification | None,
        device: DeviceEnvelope | None = None,
        closure: LedgerClosure | None = None,
    ) -> Case:
        """Build the case of a run; `device` is the envelope without the run's own cap."""
        return cls(
            name=spec.block or spec.run_id,
            workload=spec.workload,
            options=spec.options,
            limiter_bytes_per_s=spec.limiter_bytes_per_s,
            device=(device or DeviceEnvelope()).capped(spec.device_limit_bytes_per_s),
            host=host,
            amplification=amplification,
            closure=closure,
            # The WAL is written through the page cache, which a device cap does not see.
            wal_on_same_device=spec.device_limit_bytes_per_s is None,
            window_s=(spec.warmup_s, spec.duration_s),
        )


class Prediction(Frozen):
    """One model's answer for one case."""

    model: str
    saturation_ops_per_s: float | None = None
    s_max_ops_per_s: float | None = None
    s_max_source: SMaxSource | None = None
    """Simulated under arrivals, or the saturation rate times the ratio learned in calibration."""
    interval_90_ops_per_s: tuple[float, float] | None = None
    """90 % interval of the saturation rate."""
    interval_source: IntervalSource = "none"
    binding: str | None = None
    """Resource whose bound is lowest."""
    bounds_ops_per_s: dict[str, float | None] = Field(default_factory=dict)
    """Bound of each resource; None = that input was not measured."""
    states_ops_per_s: tuple[float, ...] = ()
    """Saturation rates of the steady states; two where the configuration has two."""
    stall_fraction: float | None = None
    stall_regime: str | None = None
    """Longest stall state, ``kind:cause`` as :func:`phase_d_lib.stalls.regime_name` writes it."""
    amplification_source: AmplificationSource | None = None
    write_bytes_per_user_byte: float | None = None
    """Flush plus compaction writes per user byte that the prediction used."""
    busy_slots_fraction: float | None = None
    """v4's compaction intensity: busy slots over slots at the predicted rate."""
    outside: tuple[str, ...] = ()
    """Inputs that lay outside what was measured and were clamped to its edge."""
    inside_calibration: bool | None = None
    calibration_hash: str | None = None
    refused: str | None = None
    """Why the model does not answer, or None."""


class MeasuredCase(Frozen):
    """A configuration that ran: the case as it was knowable before, and what was measured."""

    case: Case
    """Its amplification does not come from this run."""
    saturation_ops_per_s: float
    s_max_ops_per_s: float | None = None
    closure: LedgerClosure | None = None


class PutRateModel(ABC):
    """A model of the put rate; what :meth:`fit` learned is in attributes ending in ``_``.

    Attributes
    ----------
    name, version : str
    simulates : bool
        Whether it simulates the tree and the write controller, so that it names the stall regime
        and gives S_max without a learned ratio.
    residuals_ : tuple of Residual
        log(measured / predicted) of the runs fitted on.
    passport_ : dict of str to tuple
        Range of each numeric input over those runs, the values of each other one.
    s_max_ratio_ : float or None
        Geometric mean of S_max over saturation rate where both were measured.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    simulates: ClassVar[bool] = False

    def __init__(self) -> None:
        self.residuals_: tuple[Residual, ...] = ()
        self.passport_: Passport = {}
        self.s_max_ratio_: float | None = None

    def fit(self, runs: Sequence[MeasuredCase]) -> Self:
        """Learn residuals, passport and the ratio of S_max to saturation from measured cases."""
        self.residuals_ = tuple(
            Residual(
                log_ratio=float(np.log(run.saturation_ops_per_s / rate)),
                binding=asked.binding,
                source=asked.amplification_source,
            )
            for run in runs
            if (rate := (asked := answer(self, run.case, bare=True)).saturation_ops_per_s)
        )
        self.passport_ = _passport([run.case for run in runs])
        ratios = [
            np.log(run.s_max_ops_per_s / run.saturation_ops_per_s)
            for run in runs
            if run.s_max_ops_per_s
        ]
        self.s_max_ratio_ = float(np.exp(np.mean(ratios))) if ratios else None
        return self

    @abstractmethod
    def estimate(self, case: Case) -> Prediction:
        """Predict without interval, passport and learned ratio.

        Raises
        ------
        ModelRefusal
            When an input is missing or the case is not covered.
        """

    @abstractmethod
    def summary(self) -> str:
        """Equation and fitted values in a few lines."""

    def predict(self, case: Case) -> Prediction:
        """Predict the saturation rate of `case`, with what was learned of this model's errors.

        Raises
        ------
        ModelRefusal
            As :meth:`estimate`.
        """
        bare = self.estimate(case)
        rate, source = bare.saturation_ops_per_s, "none"
        own = [r for r in self.residuals_ if r.source == bare.amplification_source]
        interval = conformal_interval(rate, own, bare.binding)
        if interval is not None:
            source = "conformal"
        elif rate is not None:
            pool = pooled_residuals(self.name, self.version, bare.amplification_source)
            interval = conformal_interval(rate, pool, bare.binding)
            source = "residual_pool" if interval is not None else "none"
        learned: dict[str, object] = {
            "interval_90_ops_per_s": interval,
            "interval_source": source,
            "inside_calibration": _inside(self.passport_, case),
        }
        if self.simulates:
            s_max, s_max_source = self.sustained_ops_per_s(case), "simulated"
            learned |= {"states_ops_per_s": self.states_ops_per_s(case)}
        else:
            ratio = self.s_max_ratio_
            s_max = None if ratio is None or rate is None else rate * ratio
            s_max_source = "ratio"
        if s_max is not None:
            learned |= {"s_max_ops_per_s": s_max, "s_max_source": s_max_source}
        return bare.model_copy(update=learned)

    def sustained_ops_per_s(self, case: Case) -> float | None:
        """Simulate S_max; only a model that simulates does."""
        raise NotImplementedError(f"{self.name} says simulates = {self.simulates}")

    def states_ops_per_s(self, case: Case) -> tuple[float, ...]:
        """Simulate the rates of the steady states; only a model that simulates does."""
        raise NotImplementedError(f"{self.name} says simulates = {self.simulates}")


def answer(model: PutRateModel, case: Case, *, bare: bool = False) -> Prediction:
    """Ask a model, turning a refusal into a prediction that says so.

    Parameters
    ----------
    bare : bool
        Without interval, passport and learned ratio (:meth:`PutRateModel.estimate`).
    """
    try:
        return model.estimate(case) if bare else model.predict(case)
    except ModelRefusal as refusal:
        return Prediction(model=model.name, refused=str(refusal))


def _inputs(case: Case) -> dict[str, float | str]:
    """Inputs of a case by name: options, data, limits (0 where there is none)."""
    inputs = {
        **case.options.model_dump(exclude={"stats_dump_period_sec"}),
        **case.workload.model_dump(exclude={"arrival", "threads", "key_bytes"}),
        "limiter_bytes_per_s": case.limiter_bytes_per_s or 0,
        "device_limit_bytes_per_s": case.device.limit_bytes_per_s or 0,
    }
    if case.workload.distribution != "zipfian":
        inputs["zipf_s"] = 0.0
    return {name: v if isinstance(v, str) else float(v) for name, v in inputs.items()}


def _passport(cases: Sequence[Case]) -> Passport:
    rows = [_inputs(case) for case in cases]
    return {
        name: tuple(sorted({row[name] for row in rows}, key=str))
        if isinstance(first, str)
        else (min(row[name] for row in rows), max(row[name] for row in rows))
        for name, first in (rows[0] if rows else {}).items()
    }


def _inside(passport: Passport, case: Case) -> bool:
    inputs = _inputs(case)
    return bool(passport) and all(_within(inputs[n], known) for n, known in passport.items())


def _within(value: float | str, known: tuple[float | str, ...]) -> bool:
    if isinstance(value, str):
        return value in known
    low, high = known
    return not isinstance(low, str) and not isinstance(high, str) and low <= value <= high
