"""The twin tested on LOGs of our own that were chosen before they were measured."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from pydantic import Field

from phase_d_lib.advice.facts import facts_of
from phase_d_lib.advice.twin import BackTest, back_test, twin_of
from phase_d_lib.errors import ModelRefusal
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.profiles import OptionChanges, Scenario, read_yaml
from phase_d_lib.runs import Run
from phase_d_lib.specs import ArrivalSpec, Frozen, RunSpec, parse

_SPOILS = ("incomplete", "steal", "foreign")


class DeclaredCase(Frozen):
    """One instance whose LOG is tested."""

    name: str
    changes: OptionChanges = Field(default_factory=dict)
    arrival: ArrivalSpec = ArrivalSpec()


class DeclaredPlan(Frozen):
    """All of them, declared together."""

    scenario: Scenario
    duration_s: float = Field(gt=0, le=86_400)
    cases: tuple[DeclaredCase, ...] = Field(min_length=1)

    def spec(self, case: DeclaredCase, seed: int) -> RunSpec:
        """Spec of the run whose LOG is tested.

        Raises
        ------
        InputError
            When a change names nothing that can change, or leaves its range.
        """
        spec = self.scenario.spec(
            case.changes,
            duration_s=self.duration_s,
            warmup_s=0.0,
            seed=derived_seed(seed, "back-test", case.name),
            block=f"back-test/{case.name}",
        )
        loaded = spec.workload.model_copy(update={"arrival": case.arrival})
        return spec.model_copy(update={"workload": loaded})


class DeclaredResult(Frozen):
    """What came of one case."""

    name: str
    run_id: str
    tested: BackTest | None
    refused: str | None = None
    """Why there is no twin of it, or None."""
    spoiled: str | None = None
    """How the host spoiled the run, so that its LOG is not scored; or None."""


class DeclaredScore(Frozen):
    """Medians over the cases tested, of the twin and of the first half repeated."""

    seed: int
    results: tuple[DeclaredResult, ...]

    @property
    def tested(self) -> tuple[BackTest, ...]:
        """Back-tests there are."""
        return tuple(result.tested for result in self.results if result.tested)

    def medians(self) -> dict[str, float]:
        """Median of each absolute error, by name; empty without a case tested."""
        names = (
            "stall_error_points",
            "persistent_stall_error_points",
            "bytes_error_fraction",
            "persistent_bytes_error_fraction",
        )
        if not self.tested:
            return {}
        return {name: median(abs(getattr(t, name)) for t in self.tested) for name in names}


def load_plan(folder: Path, name: str) -> DeclaredPlan:
    """Load ``NAME.yaml``.

    Raises
    ------
    InputError
        For an unknown name, bad YAML, a wrong key, type or range.
    """
    plan = parse(DeclaredPlan, read_yaml(folder, name, "back-test"), f"{name}.yaml")
    for case in plan.cases:
        plan.spec(case, 1)
    return plan


def measure(laboratory: Laboratory, plan: DeclaredPlan, seed: int) -> DeclaredScore:
    """Run every case and test the twin on its LOG."""
    results = [score_of(laboratory.run(plan.spec(case, seed)), case.name) for case in plan.cases]
    return DeclaredScore(seed=seed, results=tuple(results))


def score_of(run: Run, name: str) -> DeclaredResult:
    """Build the twin of one run's LOG and score what it says of the second half."""
    verdict = run.result.validity if run.result else None
    lost = [str(r) for r in verdict.reasons if r.code in _SPOILS] if verdict else ["no result"]
    if lost:
        return DeclaredResult(
            name=name, run_id=run.spec.run_id, tested=None, spoiled="; ".join(lost)
        )
    try:
        facts = facts_of(run.log)
        tested = back_test(twin_of(facts), facts)
    except ModelRefusal as refusal:
        return DeclaredResult(name=name, run_id=run.spec.run_id, tested=None, refused=str(refusal))
    return DeclaredResult(name=name, run_id=run.spec.run_id, tested=tested)


def table(score: DeclaredScore) -> str:
    """Plain text for the command line."""
    lines = [f"{'case':24} {'stall, points':>24} {'bytes':>18}"]
    for result in score.results:
        if result.tested is None:
            why = f"refused: {result.refused}" if result.refused else f"spoiled: {result.spoiled}"
            lines.append(f"{result.name:24} {why}")
            continue
        t = result.tested
        lines.append(
            f"{result.name:24} {t.stall_error_points:+10.1f} "
            f"({t.persistent_stall_error_points:+.1f} repeated) "
            f"{t.bytes_error_fraction:+8.1%} ({t.persistent_bytes_error_fraction:+.1%})"
        )
    found = score.medians()
    if found:
        lines.append(
            f"median of {len(score.tested)}: stall {found['stall_error_points']:.1f} points "
            f"({found['persistent_stall_error_points']:.1f} repeated), bytes "
            f"{found['bytes_error_fraction']:.1%} "
            f"({found['persistent_bytes_error_fraction']:.1%} repeated)"
        )
    return "\n".join(lines)
