"""Which models are deployed, which one is active, and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from phase_d_lib.calibration import DEFAULT, Calibration, calibrate
from phase_d_lib.errors import InputError, ModelRefusal
from phase_d_lib.host import Host
from phase_d_lib.laboratory import Laboratory
from phase_d_lib.models.base import (
    Amplification,
    Case,
    MeasuredCase,
    Passport,
    Prediction,
    PutRateModel,
    answer,
)
from phase_d_lib.models.factors import FactorCalibration, fit_factors
from phase_d_lib.models.geometry import predicted_amplification
from phase_d_lib.models.regimes import Regime, regime_of
from phase_d_lib.models.registry import load_models
from phase_d_lib.profiles import IntegrationPlan, Scenario
from phase_d_lib.runs import utc_now
from phase_d_lib.specs import Frozen, RunSpec, parse
from phase_d_lib.workspace import Workspace, claim, read_json_object, write_atomically

MIN_REGIME_ROWS = 3
"""Fewer calibration rows in the present regime than this, and all rows select the model."""

ActiveReason = Literal[
    "lowest_cross_validated_error",
    "within_one_standard_error_and_simulates",
    "every_model_refused",
    "no_valid_calibration_run",
    "chosen_by_user",
]


class Deployment(Frozen):
    """State of one model."""

    model: str
    version: str
    status: Literal["active", "deployed"]
    reason: Literal["calibrated", "refused", "not_cross_validated"]
    refusal: str | None = None
    """Why the model answers none of the calibration cases, or None."""
    calibration_hash: str
    deployed_at: str
    cross_validated_error_fraction: float | None
    """Median |predicted / measured - 1| over calibration rows, each predicted without its run."""
    regime_error_fraction: float | None = None
    """The same over the rows of the present regime that it answered."""
    residuals: tuple[float, ...] = ()
    """log(measured / predicted) of all rows."""
    s_max_ratio: float | None = None
    """S_max over saturation rate, learned in calibration."""
    passport: Passport = Field(default_factory=dict)
    """Range of each numeric input over the calibration rows, the values of each other one."""


class DeploymentRecord(Frozen):
    """All models, the active one and the one before it."""

    models: tuple[Deployment, ...]
    regime: Regime | None
    """What most models predict to bind in the scenario's own configuration."""
    active: str | None
    active_reason: ActiveReason
    active_since: str | None
    previous: str | None = None


class Choice(Frozen):
    """Who is active by the user's or the last calibration's choice; kept between reports."""

    active: str | None
    active_since: str | None
    previous: str | None = None
    by_user: bool = False
    """The user chose it, by activating it or by rolling back to it: calibration leaves it."""


class Fleet:
    """The deployed models, fitted on a calibration they then predict from.

    Parameters
    ----------
    calibration : Calibration
    record : DeploymentRecord, optional
        What was decided when this calibration was deployed; by default it is decided now.
    """

    def __init__(self, calibration: Calibration, record: DeploymentRecord | None = None) -> None:
        self.calibration = calibration
        self.models = load_models()
        self._rows = [self._measured(row.name) for row in calibration.usable]
        for model in self.models.values():
            model.fit(self._rows)
        self._refusals = {
            name: self._refusal(model, self._rows) for name, model in self.models.items()
        }
        self.record = record or self.deploy()

    def predict(self, spec: RunSpec) -> list[Prediction]:
        """Ask every deployed model about a run that has not started."""
        case = self.case_of(spec)
        return [
            answer(model, case).model_copy(update={"calibration_hash": self.calibration.hash})
            for model in self.models.values()
        ]

    def case_of(self, spec: RunSpec) -> Case:
        """Return all that may be known of a run before it starts."""
        calibration = self.calibration
        case = Case.of(spec, calibration.host, None, calibration.envelope)
        return self._predictable(case)

    def calibrate_factors(self) -> FactorCalibration:
        """Fit the models' factors on the calibration's own rows."""
        measured = [row.case.amplification for row in self.calibration.usable]
        return fit_factors(self.models, list(zip(self._rows, measured, strict=True)))

    def _measured(self, name: str) -> MeasuredCase:
        """Return a calibration row as what a model is fitted on: its own run's ledger left out."""
        row = next(row for row in self.calibration.rows if row.name == name)
        device = self.calibration.envelope.capped(row.case.device.limit_bytes_per_s)
        known = {"amplification": None, "closure": None, "device": device}
        s_max = row.s_max_ops_per_s
        return MeasuredCase(
            case=self._predictable(row.case.model_copy(update=known), leave_out=name),
            saturation_ops_per_s=row.measured_ops_per_s.value,
            s_max_ops_per_s=s_max.value if s_max else None,
            closure=row.case.closure,
        )

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

    @staticmethod
    def _refusal(model: PutRateModel, measured: list[MeasuredCase]) -> str | None:
        refused = [answer(model, row.case, bare=True).refused for row in measured]
        return refused[0] if refused and None not in refused else None

    def deploy(self, own: RunSpec | None = None, choice: Choice | None = None) -> DeploymentRecord:
        """Choose the active model.

        Parameters
        ----------
        own : RunSpec, optional
            The scenario's own configuration, whose regime the choice looks at; by default the most
            frequent regime of the calibration rows.
        choice : Choice, optional
            What was active before.
        """
        regime = self._regime(own)
        rows = self._rows_of(regime)
        errors = {name: self._errors(model, rows) for name, model in self.models.items()}
        active, why = self._select(errors)
        if choice is not None and choice.by_user and choice.active in self.models:
            active, why = choice.active, "chosen_by_user"
        now = utc_now()
        before = choice or Choice(active=None, active_since=None)
        same = before.active == active
        return DeploymentRecord(
            models=tuple(self._state(name, active, errors[name], now) for name in self.models),
            regime=regime,
            active=active,
            active_reason=why,
            active_since=None if active is None else before.active_since if same else now,
            previous=before.previous if same else before.active,
        )

    def _regime(self, own: RunSpec | None) -> Regime | None:
        """Regime of the scenario's own configuration, else the most frequent one of the rows."""
        if own is not None:
            return self._consensus(self.case_of(own))
        named = [r for row in self._rows if (r := self._consensus(row.case)) is not None]
        return Counter(named).most_common(1)[0][0] if named else None

    def _rows_of(self, regime: Regime | None) -> list[MeasuredCase]:
        """Calibration rows that most models place in the regime; all where those are too few."""
        inside = [row for row in self._rows if self._consensus(row.case) == regime]
        return inside if len(inside) >= MIN_REGIME_ROWS else self._rows

    def _consensus(self, case: Case) -> Regime | None:
        named = [
            regime
            for model in self.models.values()
            if (regime := regime_of(answer(model, case, bare=True).binding)) is not None
        ]
        return Counter(named).most_common(1)[0][0] if named else None

    @staticmethod
    def _errors(model: PutRateModel, rows: list[MeasuredCase]) -> np.ndarray:
        """|predicted / measured - 1| of each row, infinite where refused: a refusal is a miss."""
        rates = [answer(model, row.case, bare=True).saturation_ops_per_s for row in rows]
        return np.array(
            [
                abs(rate / row.saturation_ops_per_s - 1.0) if rate else np.inf
                for row, rate in zip(rows, rates, strict=True)
            ]
        )

    def _select(self, errors: dict[str, np.ndarray]) -> tuple[str | None, ActiveReason]:
        """Take the lowest median error, or a model as good within noise that tells more.

        All models are compared on the same rows. One that simulates, so that it names the stall
        regime and gives S_max itself, is taken when its errors exceed the best one's by no more
        than one standard error of their paired differences (the one-standard-error rule: Breiman
        et al., Classification and Regression Trees, 1984).
        """
        if not self._rows:
            return None, "no_valid_calibration_run"
        median = {name: float(np.median(found)) for name, found in errors.items()}
        best = min(median, key=lambda name: median[name])
        if not np.isfinite(median[best]):
            return None, "every_model_refused"
        for name, own in errors.items():
            if not self.models[name].simulates or self.models[best].simulates:
                continue
            both = np.isfinite(own) & np.isfinite(errors[best])
            more = (own - errors[best])[both]
            noise = float(more.std(ddof=1) / np.sqrt(len(more))) if len(more) > 1 else 0.0
            if both.sum() == np.isfinite(errors[best]).sum() and more.mean() <= noise:
                return name, "within_one_standard_error_and_simulates"
        return best, "lowest_cross_validated_error"

    def _state(self, name: str, active: str | None, errors: np.ndarray, now: str) -> Deployment:
        model, refusal = self.models[name], self._refusals[name]
        every = [abs(np.expm1(-r.log_ratio)) for r in model.residuals_]
        regime = errors[np.isfinite(errors)]
        calibrated = "refused" if refusal else "calibrated" if every else "not_cross_validated"
        return Deployment(
            model=name,
            version=model.version,
            status="active" if name == active else "deployed",
            reason=calibrated,
            refusal=refusal,
            calibration_hash=self.calibration.hash,
            deployed_at=now,
            cross_validated_error_fraction=float(np.median(every)) if every else None,
            regime_error_fraction=float(np.median(regime)) if len(regime) else None,
            residuals=tuple(r.log_ratio for r in model.residuals_),
            s_max_ratio=model.s_max_ratio_,
            passport=model.passport_,
        )


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


# -- the choice, kept between reports --------------------------------------------------------------


def choice_file(workspace: Workspace) -> Path:
    """Return the file that keeps which model is active; it may be missing."""
    return workspace.calibrations / "active.json"


def read_choice(workspace: Workspace) -> Choice | None:
    """Read what is active, or None before the first deployment.

    Raises
    ------
    InputError
        One line, when the file is damaged.
    """
    file = choice_file(workspace)
    if not file.is_file():
        return None
    return parse(Choice, read_json_object(file), str(file))


def choose_by_error(workspace: Workspace) -> None:
    """Leave the choice to the next calibration again."""
    now = read_choice(workspace)
    if now is not None:
        keep_choice(workspace, now.model_copy(update={"by_user": False}))


def pinned_model(workspace: Workspace) -> str | None:
    """Return the model a user made active, or None."""
    choice = read_choice(workspace)
    return choice.active if choice is not None and choice.by_user else None


def keep_choice(workspace: Workspace, choice: Choice) -> None:
    """Write which model is active."""
    claim(workspace.calibrations)
    write_atomically(choice_file(workspace), choice.model_dump_json(indent=1))


def activate(workspace: Workspace, model: str) -> Choice:
    """Make a model active by the user's will, whatever its error, until it is rolled back.

    Raises
    ------
    InputError
        When no such model is installed.
    """
    models = load_models()
    if model not in models:
        raise InputError(f"model = {model!r}: not installed; installed are {', '.join(models)}")
    before = read_choice(workspace) or Choice(active=None, active_since=None)
    same = before.active == model
    chosen = Choice(
        active=model,
        active_since=before.active_since if same else utc_now(),
        previous=before.previous if same else before.active,
        by_user=True,
    )
    keep_choice(workspace, chosen)
    return chosen


def roll_back(workspace: Workspace) -> Choice:
    """Return to the model that was active before, and stay with it.

    Raises
    ------
    InputError
        When there is none before.
    """
    now = read_choice(workspace)
    if now is None or now.previous is None:
        raise InputError("no model was active before the present one; nothing to roll back to")
    back = Choice(active=now.previous, active_since=utc_now(), previous=now.active, by_user=True)
    keep_choice(workspace, back)
    return back


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
    """Calibrate device, host and models, deploy every model, choose the active one.

    Live, the choice is kept in the workspace, so that the next one knows what was active before.
    """
    calibration = calibrate(laboratory, scenario, plan, seed)
    workspace = laboratory.workspace
    choice = None if laboratory.recorded else read_choice(workspace)
    own = scenario.spec(duration_s=plan.duration_s, warmup_s=plan.warmup_s, block=DEFAULT)
    record = Fleet(calibration).deploy(own, choice)
    if not laboratory.recorded:
        by_user = record.active_reason == "chosen_by_user"
        keep_choice(
            workspace,
            Choice(
                active=record.active,
                active_since=record.active_since,
                previous=record.previous,
                by_user=by_user,
            ),
        )
    return IntegrationResult(
        seed=seed,
        scenario=scenario,
        host=laboratory.used[-1].host,
        calibration=calibration,
        record=record,
    )
