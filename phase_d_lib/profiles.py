"""Profiles: how much each stage measures, typed and range-checked, one YAML file each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, model_validator

from phase_d_lib.errors import InputError
from phase_d_lib.specs import Frozen, OptionsSpec, RunSpec, WorkloadSpec, parse

OptionChanges = dict[str, int | float | bool | str]


class Scenario(Frozen):
    """The database and load every stage measures, apart from the changes it makes."""

    workload: WorkloadSpec
    options: OptionsSpec
    limiter_bytes_per_s: int | None = Field(default=None, ge=64 * 1024)
    engine: str = "embedded"

    def spec(self, changes: OptionChanges | None = None, **run: Any) -> RunSpec:
        """Build the spec of one run with some options changed.

        Raises
        ------
        InputError
            When a change names no option or leaves its range.
        """
        values = {**self.options.model_dump(), **(changes or {})}
        options = parse(OptionsSpec, values, "option changes")
        return RunSpec(
            workload=self.workload,
            options=options,
            limiter_bytes_per_s=self.limiter_bytes_per_s,
            engine=self.engine,
            **run,
        )


class Window(Frozen):
    """Length of a run and of the leading part that no summary counts, seconds."""

    duration_s: float = Field(gt=0, le=86_400)
    warmup_s: float = Field(ge=0)

    @model_validator(mode="after")
    def _inside(self) -> Window:
        if self.warmup_s >= self.duration_s:
            raise ValueError(f"warmup_s {self.warmup_s} must be below duration_s {self.duration_s}")
        return self


class IntegrationPlan(Window):
    """Calibration of host and models."""

    foreground_s: float = Field(gt=1, le=3600)
    """Length of the unstalled run that measures U."""
    slot_s: float = Field(gt=1, le=3600)
    """Length of the unlimited run that measures mu."""
    calibration: dict[str, OptionChanges] = Field(min_length=1)
    """Configurations measured for amplification and residuals, by name."""


class MonitoringPlan(Window):
    """One live run."""

    loop_s: float = Field(gt=0.5, le=3600)
    """Length of one monitoring loop."""
    sample_period_s: float = Field(ge=0.1, le=1.0)


class TuningPlan(Window):
    """Paired comparison of option sets with the scenario's own."""

    pairs: int = Field(ge=1, le=100)
    candidates: dict[str, OptionChanges] = Field(min_length=1)


class ValidationPlan(Window):
    """Held-out cases and tuned-against-default pairs."""

    held_out: int = Field(ge=1, le=200)
    pairs: int = Field(ge=1, le=100)


class Profile(Frozen):
    """Everything a report measures."""

    name: str
    description_ko: str
    indicative: bool
    """Too small for firm statements; the report says so."""
    budget_s: float = Field(gt=0)
    recorded: bool = False
    """Read the recorded runs instead of writing to a database."""
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    """Fixed seed; None draws a fresh one that is recorded."""
    retries: int = Field(default=0, ge=0, le=2)
    scenario: Scenario
    integration: IntegrationPlan
    monitoring: MonitoringPlan
    tuning: TuningPlan
    validation: ValidationPlan

    @model_validator(mode="after")
    def _changes_fit(self) -> Profile:
        sets = [*self.integration.calibration.items(), *self.tuning.candidates.items()]
        for name, changes in sets:
            try:
                self.scenario.spec(changes)
            except InputError as error:
                raise ValueError(f"{name}: {error}") from None
        if self.scenario.workload.arrival.kind != "closed":
            raise ValueError("scenario.workload.arrival.kind: stages measure the closed loop only")
        if "default" in self.tuning.candidates:
            raise ValueError("tuning.candidates: the name 'default' is taken, choose another")
        if self.monitoring.loop_s > self.monitoring.duration_s - self.monitoring.warmup_s:
            raise ValueError("monitoring.loop_s is longer than the window after the warm-up")
        if self.recorded and self.seed is None:
            raise ValueError("recorded: true needs the seed the runs were recorded with")
        return self

    def planned_s(self) -> float:
        """Sum of all planned run lengths, seconds, without set-up, loading and retries."""
        one, two, three = self.integration, self.tuning, self.validation
        return (
            one.foreground_s
            + one.slot_s
            + one.duration_s * len(one.calibration)
            + self.monitoring.duration_s
            + two.duration_s * two.pairs * (len(two.candidates) + 1)
            + three.duration_s * (three.held_out + 2 * three.pairs)
        )


def load_profile(profiles: Path, name: str) -> Profile:
    """Load a profile by name; ``extends: NAME`` takes every section it does not set from another.

    Raises
    ------
    InputError
        For an unknown profile, bad YAML, a wrong key, type, range or combination.
    """
    values = _read(profiles, name)
    base = values.pop("extends", None)
    if base is not None:
        values = {**_read(profiles, str(base)), **values}
    file = Path(f"{name}.yaml")
    profile = parse(Profile, {"name": name, **values}, file.name)
    if profile.planned_s() > profile.budget_s:
        raise InputError(
            f"{file.name}: planned runs take {profile.planned_s():.0f} s, more than "
            f"budget_s = {profile.budget_s:.0f}; shorten them or raise the budget"
        )
    return profile


def _read(profiles: Path, name: str) -> dict[str, Any]:
    known = sorted(path.stem for path in profiles.glob("*.yaml"))
    if name not in known:
        raise InputError(f"profile = {name!r} is unknown; there are: {', '.join(known)}")
    try:
        values = yaml.safe_load((profiles / f"{name}.yaml").read_text())
    except yaml.YAMLError as error:
        raise InputError(f"{name}.yaml: not readable as YAML: {_one_line(error)}") from None
    if not isinstance(values, dict):
        raise InputError(f"{name}.yaml: holds no keys; copy data/profiles/quick.yaml and change it")
    return values


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
