"""The whole protocol: search, fresh pairs with the default, S_max, what each option does."""

from __future__ import annotations

from pathlib import Path

from optuna.samplers import BaseSampler
from pydantic import Field

from phase_d_lib.calibration import DEFAULT
from phase_d_lib.deployment import Fleet
from phase_d_lib.errors import InputError
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.models.base import Case
from phase_d_lib.models.factors import FactorCalibration
from phase_d_lib.models.geometry import simulated_space_amplification
from phase_d_lib.profiles import SEARCHED, OptionChanges, Profile, Scenario, TuningPlan
from phase_d_lib.smax import SMaxResult, measure
from phase_d_lib.specs import Frozen
from phase_d_lib.tuning.comparison import (
    Comparison,
    Trial,
    choose,
    compare_with_default,
    run_pairs,
)
from phase_d_lib.tuning.effects import Effects, measure_effects
from phase_d_lib.tuning.guided import GuidedSampler
from phase_d_lib.tuning.scenarios import TuningScenario
from phase_d_lib.tuning.screening import Screen
from phase_d_lib.tuning.search import Leaders, Search, SearchResult
from phase_d_lib.tuning.study import BASELINE_SAMPLERS, leaders_by_mean

GUIDED = "guided"
"""Name of the sampler that a model guides."""
_START = 0.8
"""Share of the saturation rate at which the search for S_max begins."""


class TuningResult(Frozen):
    """Everything tuning measured, and the option set to use."""

    seed: int
    search: SearchResult | None = None
    trials: tuple[Trial, ...]
    comparisons: tuple[Comparison, ...]
    chosen: str
    """Name of the option set to use; ``default`` when nothing improved."""
    chosen_changes: OptionChanges
    sustained: dict[str, SMaxResult] = Field(default_factory=dict)
    """S_max of the default and of the chosen set, where the plan asks for it."""
    effects: Effects | None = None
    factors: FactorCalibration = FactorCalibration()
    """Factors of the models, fitted on the calibration."""

    @property
    def comparison(self) -> Comparison | None:
        """The chosen set against the default; the searched one where nothing was chosen."""
        wanted = SEARCHED if self.chosen == DEFAULT else self.chosen
        return next((c for c in self.comparisons if c.option_set == wanted), None)


def tune_scenario(
    laboratory: Laboratory,
    tuned: TuningScenario,
    plan: TuningPlan,
    seed: int,
    fleet: Fleet,
    search: Search | None = None,
) -> TuningResult:
    """Search, then measure the winner in fresh pairs with the default, and choose.

    Without a search the plan's candidates are measured; one that breaks a guard does not run. A
    set counts only if the whole interval of its gain lies above 1, the gain is no borrowed debt,
    and it breaks no guard as measured; of these the one with the highest ratio is chosen, else the
    default is kept. What S_max of default and chosen set is, and what each option does, is measured
    last.

    Parameters
    ----------
    search : Search, optional
        Begins with the plan's candidates.
    """
    scenario, found = tuned.scenario, search.run() if search else None
    candidates = dict(plan.candidates)
    if found is not None:
        candidates = {SEARCHED: found.chosen} if found.chosen else {}
    allowed = {
        name: changes
        for name, changes in candidates.items()
        if not tuned.guards.breaches(scenario.spec(changes), scenario.workload)
    }
    trials = run_pairs(laboratory, scenario, plan, allowed, "tuning", seed) if allowed else ()
    comparisons = tuple(
        compare_with_default(name, changes, trials, scenario, tuned.guards)
        for name, changes in candidates.items()
    )
    chosen = choose(comparisons)
    changes = candidates.get(chosen, {})
    effects = None
    if plan.effects is not None and chosen != DEFAULT:
        effects = measure_effects(laboratory, tuned, changes, plan.effects, seed)
    return TuningResult(
        seed=seed,
        search=found,
        trials=trials,
        comparisons=comparisons,
        chosen=chosen,
        chosen_changes=changes,
        sustained=_sustained(laboratory, scenario, plan, trials, (chosen, changes), seed),
        effects=effects,
        factors=fleet.calibrate_factors(),
    )


def make_search(
    laboratory: Laboratory,
    tuned: TuningScenario,
    plan: TuningPlan,
    seed: int,
    fleet: Fleet,
    sampler: str = GUIDED,
    journal: Path | None = None,
) -> Search | None:
    """Build the search a plan asks for; None where it asks for none.

    Parameters
    ----------
    sampler : str
        ``guided``, or one of :data:`phase_d_lib.tuning.study.BASELINE_SAMPLERS`.
    journal : Path, optional
        Where the study is kept.

    Raises
    ------
    InputError
        For an unknown sampler.
    """
    if plan.search is None:
        return None
    check_sampler(sampler)
    leaders: Leaders = leaders_by_mean
    proposing: BaseSampler
    if sampler == GUIDED:
        screen = make_screen(tuned, fleet)
        laboratory.announce(f"simulating {plan.search.simulated} option sets")
        found = screen.search(plan.search.simulated, derived_seed(seed, "screen"))
        if not found.points:
            laboratory.announce("none of them can be simulated: option sets are drawn at random")
        proposing = guided = GuidedSampler(screen, found)
        leaders = guided.leaders
    else:
        proposing = BASELINE_SAMPLERS[sampler](derived_seed(seed, "sampler"))
    return Search(
        laboratory=laboratory,
        tuned=tuned,
        plan=plan.search,
        sampler=proposing,
        name=sampler,
        seed=seed,
        candidates=plan.candidates,
        journal=journal,
        leaders=leaders,
        space_of=lambda spec: simulated_space_amplification(fleet.case_of(spec)),
    )


def check_sampler(name: str) -> None:
    """Refuse a sampler there is not.

    Raises
    ------
    InputError
        With the names that are allowed.
    """
    names = (GUIDED, *BASELINE_SAMPLERS)
    if name not in names:
        raise InputError(f"sampler = {name!r}: allowed are {', '.join(names)}")


def make_screen(tuned: TuningScenario, fleet: Fleet) -> Screen:
    """Build the simulation of a scenario on the host that a fleet was calibrated on."""
    host, envelope = fleet.calibration.host, fleet.calibration.envelope
    # Amplification is an output of the simulation, so none is predicted for it.
    return Screen(tuned, lambda spec: Case.of(spec, host, None, envelope))


def tune_profile(laboratory: Laboratory, profile: Profile, seed: int, fleet: Fleet) -> TuningResult:
    """Tune the scenario of a profile, as its plan says."""
    plan = profile.tuning
    tuned = TuningScenario(
        name=profile.name,
        description_ko=profile.description_ko,
        scenario=profile.scenario,
        guards=plan.guards,
    )
    search = make_search(laboratory, tuned, plan, seed, fleet)
    return tune_scenario(laboratory, tuned, plan, seed, fleet, search)


def _sustained(
    laboratory: Laboratory,
    scenario: Scenario,
    plan: TuningPlan,
    trials: tuple[Trial, ...],
    tuned: tuple[str, OptionChanges],
    seed: int,
) -> dict[str, SMaxResult]:
    """Measure S_max of the default and of the chosen set; nothing when that is the default."""
    name, changes = tuned
    if plan.s_max is None or name == DEFAULT:
        return {}
    found = {}
    for side, own in ((DEFAULT, OptionChanges()), (name, changes)):
        rates = [t.held_ops_per_s for t in trials if t.option_set == side and t.verdict.valid]
        spec = scenario.spec(own, block=f"tuning/{side}", base_options=scenario.options)
        search_plan = plan.s_max.model_copy(update={"seed": derived_seed(seed, "s_max", side)})
        found[side] = measure(laboratory, spec, _START * sum(rates) / len(rates), search_plan)
    return found
