"""Which models are deployed, which one is active, and why."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Literal

import numpy as np
from pydantic import Field

from phase_d_lib.calibration import Calibration, calibrate
from phase_d_lib.errors import ModelRefusal
from phase_d_lib.host import Host
from phase_d_lib.laboratory import Laboratory
from phase_d_lib.models.base import Amplification, Case, Model, Prediction, answer
from phase_d_lib.models.geometry import predicted_amplification
from phase_d_lib.profiles import IntegrationPlan, Scenario
from phase_d_lib.runs import utc_now
from phase_d_lib.specs import Frozen, RunSpec

ENTRY_POINTS = "phase_d.models"
PLANNED_MODELS = ("v1", "v2_1", "v3", "v4", "v5")
MIN_CONFORMAL_RESIDUALS = 9


class Deployment(Frozen):
    """State of one model."""

    model: str
    version: str | None
    status: Literal["active", "deployed", "not_deployed"]
    reason: str
    calibration_hash: str | None
    deployed_at: str | None
    cross_validated_error_fraction: float | None
    """Median |log ratio| over calibration rows, each predicted from the others."""
    residuals: tuple[float, ...] = ()
    """log(measured / predicted) of those rows."""
    passport: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Range of each numeric option over the calibration rows."""


class DeploymentRecord(Frozen):
    """All models, the active one and the one before it."""

    models: tuple[Deployment, ...]
    active: str | None
    active_reason: str
    active_since: str | None
    previous: str | None = None


class Fleet:
    """The deployed models and the calibration they predict from.

    Parameters
    ----------
    calibration : Calibration
    """

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.models = load_models()
        self.record = self._deploy()

    def predict(self, spec: RunSpec) -> list[Prediction]:
        """Ask every deployed model about a run that has not started."""
        case = self._predictable(Case.of(spec, self.calibration.host, None))
        return [self._with_interval(answer(model, case), spec) for model in self.models.values()]

    def _predictable(self, case: Case, leave_out: str | None = None) -> Case:
        """Give a case the amplification that can be known before it runs.

        From the simulated geometry; where that does not cover the case, the mean of the calibration
        configurations other than `leave_out`.
        """
        try:
            amplification: Amplification | None = predicted_amplification(case)
        except ModelRefusal:
            rows = [row for row in self.calibration.usable if row.name != leave_out]
            amplification = mean_amplification([row.case.amplification for row in rows])
        return case.model_copy(update={"amplification": amplification})

    def _residuals(self, model: Model) -> tuple[float, ...]:
        """log(measured / predicted) of each calibration row, its own measurement left out."""
        found = []
        for row in self.calibration.usable:
            case = self._predictable(row.case, leave_out=row.name)
            rate = answer(model, case).saturation_ops_per_s
            if rate:
                found.append(float(np.log(row.measured_ops_per_s.value / rate)))
        return tuple(found)

    def _deploy(self) -> DeploymentRecord:
        residuals = {name: self._residuals(model) for name, model in self.models.items()}
        errors = {n: float(np.median(np.abs(r))) for n, r in residuals.items() if r}
        active, why = None, "no_valid_calibration_run"
        if errors:
            active, why = min(errors, key=lambda n: errors[n]), "lowest_cross_validated_error"
        elif self.calibration.usable:
            active, why = next(iter(self.models)), "too_few_runs_to_cross_validate"
        now = utc_now()
        names = [*PLANNED_MODELS, *(n for n in self.models if n not in PLANNED_MODELS)]
        return DeploymentRecord(
            models=tuple(
                self._state(n, active, errors.get(n), residuals.get(n, ()), now) for n in names
            ),
            active=active,
            active_reason=why,
            active_since=now if active else None,
        )

    def _state(
        self,
        name: str,
        active: str | None,
        error: float | None,
        residuals: tuple[float, ...],
        now: str,
    ) -> Deployment:
        model = self.models.get(name)
        if model is None:
            return Deployment(
                model=name,
                version=None,
                status="not_deployed",
                reason="not_built",
                calibration_hash=None,
                deployed_at=None,
                cross_validated_error_fraction=None,
            )
        return Deployment(
            model=name,
            version=model.version,
            status="active" if name == active else "deployed",
            reason="calibrated" if residuals else "not_cross_validated",
            calibration_hash=self.calibration.hash,
            deployed_at=now,
            cross_validated_error_fraction=error,
            residuals=residuals,
            passport=_passport(self.calibration),
        )

    def _with_interval(self, prediction: Prediction, spec: RunSpec) -> Prediction:
        state = next(d for d in self.record.models if d.model == prediction.model)
        interval = conformal_interval(prediction.saturation_ops_per_s, state.residuals)
        return prediction.model_copy(
            update={
                "interval_90_ops_per_s": interval,
                "interval_source": "conformal" if interval else "none",
                "inside_calibration": _inside(state.passport, spec),
                "calibration_hash": self.calibration.hash,
            }
        )


def load_models() -> dict[str, Model]:
    """Return every registered model by name, in the report's order."""
    found = {point.name: point.load()() for point in entry_points(group=ENTRY_POINTS)}
    order = [name for name in PLANNED_MODELS if name in found]
    return {name: found[name] for name in [*order, *sorted(set(found) - set(order))]}


def conformal_interval(
    rate: float | None, residuals: tuple[float, ...]
) -> tuple[float, float] | None:
    """90 % split-conformal interval on the log scale; None below nine residuals.

    Source: Vovk et al. (2005); the k-th smallest |residual| with k = ceil(0.9 (n + 1)).
    """
    if rate is None or len(residuals) < MIN_CONFORMAL_RESIDUALS:
        return None
    rank = int(np.ceil(0.9 * (len(residuals) + 1)))
    width = sorted(abs(r) for r in residuals)[rank - 1]
    return rate * float(np.exp(-width)), rate * float(np.exp(width))


def mean_amplification(known: list[Amplification | None]) -> Amplification | None:
    """Average measured amplifications of other configurations; None when there are none."""
    measured = [a for a in known if a is not None]
    if not measured:
        return None
    reads = [a.device_read_bytes_per_user_byte for a in measured]

    def mean(name: str) -> float:
        return float(np.mean([getattr(a, name) for a in measured]))

    return Amplification(
        source="calibration",
        wal_bytes_per_user_byte=mean("wal_bytes_per_user_byte"),
        flush_bytes_per_user_byte=mean("flush_bytes_per_user_byte"),
        compaction_write_bytes_per_user_byte=mean("compaction_write_bytes_per_user_byte"),
        device_read_bytes_per_user_byte=(
            float(np.mean([r for r in reads if r is not None]))
            if any(r is not None for r in reads)
            else None
        ),
    )


def _passport(calibration: Calibration) -> dict[str, tuple[float, float]]:
    rows = [row.case.options.model_dump() for row in calibration.usable]
    numeric = [k for k, v in (rows[0] if rows else {}).items() if isinstance(v, int | float)]
    return {k: (float(min(r[k] for r in rows)), float(max(r[k] for r in rows))) for k in numeric}


def _inside(passport: dict[str, tuple[float, float]], spec: RunSpec) -> bool:
    options = spec.options.model_dump()
    return bool(passport) and all(low <= options[k] <= high for k, (low, high) in passport.items())


class IntegrationResult(Frozen):
    """What the integration stage hands on."""

    seed: int
    scenario: Scenario
    host: Host
    calibration: Calibration
    record: DeploymentRecord


def integrate(
    laboratory: Laboratory, scenario: Scenario, plan: IntegrationPlan, seed: int
) -> IntegrationResult:
    """Calibrate host and models, deploy every model, choose the active one."""
    calibration = calibrate(laboratory, scenario, plan, seed)
    return IntegrationResult(
        seed=seed,
        scenario=scenario,
        host=laboratory.used[-1].host,
        calibration=calibration,
        record=Fleet(calibration).record,
    )
