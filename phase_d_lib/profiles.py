"""Profiles: how much each stage measures, typed and range-checked, one YAML file each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from phase_d_lib.errors import InputError
from phase_d_lib.guards import Guards
from phase_d_lib.specs import (
    Fraction,
    Frozen,
    OptionsSpec,
    Positive,
    RunSpec,
    SustainCriterion,
    WorkloadSpec,
    parse,
)
from phase_d_lib.units import GIB, KIB, MIB

OptionChanges = dict[str, int | float | bool | str | None]
"""What differs from a scenario, by name: RocksDB options, fields of the workload, and
``limiter_bytes_per_s`` and ``device_limit_bytes_per_s``, where None means none."""


SEARCHED = "searched"
"""Name of the option set that a search found."""
_EFFECT_RUNS = 16  # at most: each dimension of the search space, and the whole set three times
_OTHER_REGIMES = 3  # most that any machine shows beside the scenario's own
_LIMITS = ("limiter_bytes_per_s", "device_limit_bytes_per_s")


class Scenario(Frozen):
    """The database and load every stage measures, apart from the changes it makes."""

    workload: WorkloadSpec
    options: OptionsSpec
    limiter_bytes_per_s: int | None = Field(default=None, ge=64 * 1024)
    device_limit_bytes_per_s: int | None = None
    engine: str = "embedded"

    def spec(self, changes: OptionChanges | None = None, **run: Any) -> RunSpec:
        """Build the spec of one run with some things changed.

        Raises
        ------
        InputError
            When a change names nothing that can change, or leaves its range.
        """
        options, workload = self.options.model_dump(), self.workload.model_dump()
        limits: dict[str, Any] = {name: getattr(self, name) for name in _LIMITS}
        for name, value in (changes or {}).items():
            home = next((d for d in (limits, workload) if name in d), options)
            home[name] = value
        values = {
            "workload": workload,
            "options": parse(OptionsSpec, options, "option changes"),
            "engine": self.engine,
            **limits,
            **run,
        }
        return parse(RunSpec, values, "changes")


class Window(Frozen):
    """Length of a run and of the leading part that no summary counts, seconds."""

    duration_s: float = Field(gt=0, le=86_400)
    warmup_s: float = Field(ge=0)

    @model_validator(mode="after")
    def _inside(self) -> Window:
        if self.warmup_s >= self.duration_s:
            raise ValueError(f"warmup_s {self.warmup_s} must be below duration_s {self.duration_s}")
        return self


MAX_IN_FLIGHT = 1024
"""Most requests a probe keeps in flight."""
BlockKib = Annotated[int, Field(ge=4, le=16 * KIB, multiple_of=4)]


class ProbePlan(Frozen):
    """Which points to measure, for how long and how often.

    The points are all combinations of the four tuples. A round measures each once; every second
    round runs in reverse order, so that a steady drift does not load on late points.
    """

    read_fractions: tuple[Fraction, ...] = Field(default=(0.0, 0.25, 0.5, 0.75, 1.0), min_length=1)
    """Whole hundredths."""
    iodepths: tuple[Positive, ...] = Field(default=(1, 4, 16, 64), min_length=1)
    numjobs: tuple[Positive, ...] = Field(default=(1, 2, 4), min_length=1)
    blocks_kib: tuple[BlockKib, ...] = Field(default=(4, 64, 1024), min_length=1)
    """Multiples of 4, what direct I/O needs on any device."""
    seconds_per_point: float = Field(default=1.0, ge=0.05, le=3600)
    repeats: int = Field(default=2, ge=1, le=100)
    """Rounds."""
    file_bytes: int = Field(default=1 * GIB, ge=MIB, le=1024 * GIB, multiple_of=MIB)
    tool: Literal["auto", "fio", "builtin"] = "auto"
    """``auto``: fio where it is installed, else the built-in probe."""
    seed: int = Field(default=1, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _possible(self) -> ProbePlan:
        for name in ("read_fractions", "iodepths", "numjobs", "blocks_kib"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} names a value twice")
        if any(abs(x * 100 - round(x * 100)) > 1e-9 for x in self.read_fractions):
            raise ValueError("read_fractions must be whole hundredths, the unit of fio's rwmixread")
        if max(self.iodepths) * max(self.numjobs) > MAX_IN_FLIGHT:
            raise ValueError(f"iodepth x numjobs must not exceed {MAX_IN_FLIGHT}")
        if max(self.blocks_kib) * KIB > self.file_bytes:
            raise ValueError("file_bytes must hold the largest block")
        return self

    @classmethod
    def small(cls) -> ProbePlan:
        """Twelve points in two rounds on 64 MiB: under ten seconds in all."""
        return cls(
            read_fractions=(0.0, 0.5, 1.0),
            iodepths=(1, 16),
            numjobs=(1,),
            blocks_kib=(64, 1024),
            seconds_per_point=0.25,
            repeats=2,
            file_bytes=64 * MIB,
        )


SMaxArrival = Literal["constant", "poisson"]


class SMaxPlan(Frozen):
    """How S_max of one configuration is searched for."""

    arrival: SMaxArrival = "constant"
    trial_s: float = Field(default=30.0, gt=0, le=86_400)
    """Length of one trial, warm-up included."""
    warmup_s: float = Field(default=10.0, ge=0)
    budget_s: float = Field(default=600.0, gt=0)
    """Sum of trial lengths and cool-off times the search may spend."""
    cool_off_s: float = Field(default=0.0, ge=0, le=3600)
    """Idle time before each trial, for the device: the tree is a fresh clone anyway."""
    target_width_fraction: float = Field(default=0.10, gt=0, le=1)
    """Stop when the interval of the threshold, over the threshold, is this narrow."""
    min_trials: int = Field(default=8, ge=3)
    """Valid trials before the search may stop on width."""
    criterion: SustainCriterion = SustainCriterion()
    seed: int = Field(default=1, ge=0, lt=2**63)

    @property
    def trial_cost_s(self) -> float:
        """What one trial takes from the budget, seconds."""
        return self.trial_s + self.cool_off_s

    @model_validator(mode="after")
    def _fits(self) -> SMaxPlan:
        if self.warmup_s >= self.trial_s:
            raise ValueError(f"warmup_s {self.warmup_s} must be below trial_s {self.trial_s}")
        if self.budget_s < self.trial_cost_s:
            raise ValueError(
                f"budget_s {self.budget_s} must cover a trial: trial_s + cool_off_s = "
                f"{self.trial_cost_s}"
            )
        return self


class IntegrationPlan(Window):
    """Calibration of host and models."""

    foreground_s: float = Field(gt=1, le=3600)
    """Length of the unstalled run that measures U."""
    slot_s: float = Field(gt=1, le=3600)
    """Length of the unlimited run that measures mu."""
    calibration: dict[str, OptionChanges] = Field(default_factory=dict)
    """Configurations measured for amplification and residuals, by name."""
    device: ProbePlan | None = None
    """Points of the device grid; None measures no device."""
    s_max: SMaxPlan | None = None
    """Search for S_max of the scenario's own configuration; None leaves it out."""
    drawn: int = Field(default=0, ge=0, le=200)
    """Further configurations, drawn from the design of the held-out cases by another seed."""

    @property
    def host_only(self) -> IntegrationPlan:
        """The same with nothing but the two runs that measure the host."""
        nothing: dict[str, Any] = {"calibration": {}, "device": None, "s_max": None, "drawn": 0}
        return self.model_copy(update=nothing)


class MonitoringPlan(Window):
    """One live run."""

    loop_s: float = Field(gt=0.5, le=3600)
    """Length of one monitoring loop."""
    sample_period_s: float = Field(ge=0.1, le=1.0)


class PairsPlan(Window):
    """Option sets beside the scenario's own, in pairs."""

    pairs: int = Field(ge=1, le=100)


class SearchPlan(Window):
    """Search for an option set: short runs that screen, then long ones of the best."""

    duration_s: float = Field(default=20.0, gt=0, le=86_400)
    warmup_s: float = Field(default=8.0, ge=0)
    evaluations: int = Field(default=20, ge=2, le=1000)
    """Runs to spend: the default's, repeats and finalists included, the pairs after it not."""
    finalists: int = Field(default=3, ge=0, le=20)
    """Option sets measured once more, for longer, before one is chosen; of the evaluations."""
    finalist_s: float = Field(default=90.0, gt=0, le=86_400)
    finalist_warmup_s: float = Field(default=20.0, ge=0)
    simulated: int = Field(default=1024, ge=1, le=1_000_000)
    """Option sets the model looks at before the first is measured."""

    @model_validator(mode="after")
    def _fits(self) -> SearchPlan:
        if self.finalist_warmup_s >= self.finalist_s:
            raise ValueError(
                f"finalist_warmup_s {self.finalist_warmup_s} must be below finalist_s "
                f"{self.finalist_s}"
            )
        if self.finalists + 2 > self.evaluations:
            raise ValueError(
                f"evaluations {self.evaluations} must hold the default, one more option set and "
                f"{self.finalists} finalists"
            )
        return self

    @property
    def planned_s(self) -> float:
        """Sum of the run lengths, seconds."""
        screened = self.evaluations - self.finalists
        return screened * self.duration_s + self.finalists * self.finalist_s


class TuningPlan(PairsPlan):
    """Paired comparison of option sets with the scenario's own."""

    candidates: dict[str, OptionChanges] = Field(default_factory=dict)
    """Option sets given by name; a search measures each once, before its own."""
    search: SearchPlan | None = None
    """Look for the set to compare; None compares the candidates."""
    guards: Guards
    """What no chosen option set breaks."""
    s_max: SMaxPlan | None = None
    """Search for S_max of the default and of the chosen set; None leaves it out."""
    effects: Window | None = None
    """Runs of the chosen set without each of its options; None measures none."""

    @model_validator(mode="after")
    def _something_to_compare(self) -> TuningPlan:
        if not self.candidates and self.search is None:
            raise ValueError("tuning: name candidates, or plan a search, or both")
        needed = len(self.candidates) + 1 + (self.search.finalists if self.search else 0)
        if self.search is not None and self.search.evaluations < needed:
            raise ValueError(
                f"tuning.search.evaluations {self.search.evaluations} must hold the default, "
                f"{len(self.candidates)} candidates and {self.search.finalists} finalists"
            )
        return self


class ValidationPlan(PairsPlan):
    """Held-out cases and tuned-against-default pairs."""

    held_out: int = Field(ge=1, le=200)
    """Cases of the scenario's own regime."""
    held_out_per_regime: int = Field(default=0, ge=0, le=100)
    """Cases of each other regime this machine can show."""


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
        for taken in {"default", SEARCHED} & set(self.tuning.candidates):
            raise ValueError(f"tuning.candidates: the name '{taken}' is taken, choose another")
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
            + one.duration_s * (len(one.calibration) + one.drawn)
            + (one.duration_s + one.s_max.budget_s if one.s_max else 0.0)
            + self.monitoring.duration_s
            + (two.search.planned_s if two.search else 0.0)
            + (2 * two.s_max.budget_s if two.s_max else 0.0)
            + (_EFFECT_RUNS * two.effects.duration_s if two.effects else 0.0)
            + two.duration_s * two.pairs * (1 if two.search else len(two.candidates))
            + two.duration_s * two.pairs
            + three.duration_s * (three.held_out + 2 * three.pairs)
            + three.duration_s * _OTHER_REGIMES * three.held_out_per_regime
        )


def read_changes(pairs: list[str]) -> OptionChanges:
    """Read ``NAME=VALUE`` arguments; values as YAML writes them, so ``null`` is none.

    Raises
    ------
    InputError
        One line, for an argument without a name and a value.
    """
    changes: OptionChanges = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        if not name or not equals or isinstance(value, list | dict):
            raise InputError(
                f"--set {pair}: give NAME=VALUE, for example write_buffer_size=8388608"
            )
        changes[name.strip()] = value
    return changes


def load_profile(profiles: Path, name: str) -> Profile:
    """Load a profile by name; ``extends: NAME`` takes every section it does not set from another.

    Raises
    ------
    InputError
        For an unknown profile, bad YAML, a wrong key, type, range or combination.
    """
    profile = parse(Profile, {"name": name, **read_yaml(profiles, name, "profile")}, f"{name}.yaml")
    if profile.planned_s() > profile.budget_s:
        raise InputError(
            f"{name}.yaml: planned runs take {profile.planned_s():.0f} s, more than "
            f"budget_s = {profile.budget_s:.0f}; shorten them or raise the budget"
        )
    return profile


def read_yaml(folder: Path, name: str, kind: str) -> dict[str, Any]:
    """Read ``NAME.yaml`` of a folder; ``extends: NAME`` supplies every key it does not set.

    Raises
    ------
    InputError
        For an unknown name, bad YAML, or a file without keys.
    """
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise InputError(f"{kind} = {name!r} is unknown; there are: {', '.join(known)}")
    try:
        values = yaml.safe_load((folder / f"{name}.yaml").read_text())
    except yaml.YAMLError as error:
        raise InputError(f"{name}.yaml: not readable as YAML: {_one_line(error)}") from None
    if not isinstance(values, dict):
        raise InputError(
            f"{name}.yaml: holds no keys; copy another {kind} beside it and change that"
        )
    base = values.pop("extends", None)
    return values if base is None else {**read_yaml(folder, str(base), kind), **values}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
