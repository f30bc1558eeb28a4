"""Tuners compared on a landscape: how many of its runs each needs to find a set as good as any.

Every evaluation answers with one of the runs measured of a configuration, so the noise is real;
how good what a tuner believes in really is, is told by the mean of all its runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np
from optuna.samplers import BaseSampler
from optuna.trial import TrialState, create_trial

from phase_d_lib.errors import InputError
from phase_d_lib.guards import Guards
from phase_d_lib.laboratory import derived_seed
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.specs import Frozen
from phase_d_lib.tuning.guided import GuidedSampler
from phase_d_lib.tuning.landscape import Landscape, LandscapeRow
from phase_d_lib.tuning.outcome import without_debt
from phase_d_lib.tuning.screening import Screen
from phase_d_lib.tuning.search import Leaders
from phase_d_lib.tuning.space import Point, SearchSpace, key_of, point_of, search_space
from phase_d_lib.tuning.study import distributions, leaders_by_mean, open_study

GOAL_FRACTION = 0.95
"""Share of the best known gain that a tuner has to reach."""


class Pool:
    """Configurations of a landscape that a tuner may choose from, with their runs.

    Runs that lost the CPU to others are left out, and configurations that broke a guard as
    measured.

    Raises
    ------
    InputError
        When the landscape has no run of the default, or of nothing else.
    """

    def __init__(self, landscape: Landscape) -> None:
        tuned = landscape.scenario
        self.space: SearchSpace = search_space(tuned.guards)
        rows: dict[int, list[LandscapeRow]] = {}
        for row in landscape.rows:
            if not row.spoiled:
                rows.setdefault(row.configuration, []).append(row)
        kept = {n: found for n, found in sorted(rows.items()) if _allowed(found, tuned.guards)}
        if 0 not in kept or len(kept) < 2:
            raise InputError(
                f"landscape of {tuned.name}: no usable run of the default, or of nothing else; "
                f"measure on: phase-d landscape --scenario {tuned.name}"
            )
        length_s = landscape.plan.duration_s - landscape.plan.warmup_s
        record = tuned.scenario.workload.record_bytes
        self.held = {n: [_held(row, length_s, record) for row in kept[n]] for n in kept}
        """Configuration -> held rate of each of its runs, ops/s."""
        self.changes: dict[int, OptionChanges] = {n: kept[n][0].changes for n in kept}
        self.points: dict[int, Point] = {
            n: self.space.held(point_of(tuned.scenario, self.changes[n])) for n in kept
        }
        self.shares = np.array([self.space.shares(self.points[n]) for n in kept])
        self.numbers = list(kept)

    def mean(self, number: int) -> float:
        """Mean held rate of a configuration, ops/s."""
        return float(np.mean(self.held[number]))

    @property
    def best_gain(self) -> float:
        """Highest mean held rate over the default's."""
        return max(map(self.mean, self.numbers)) / self.mean(0)

    @property
    def goal_ops_per_s(self) -> float:
        """Mean held rate from which on a configuration counts as found."""
        return self.mean(0) * (1.0 + GOAL_FRACTION * (self.best_gain - 1.0))

    def nearest(self, point: Point, used: Mapping[int, int]) -> int:
        """Return the configuration nearest to a point that has a run left.

        Parameters
        ----------
        used : mapping
            Configuration -> runs of it that were taken.
        """
        free = [used.get(n, 0) < len(self.held[n]) for n in self.numbers]
        distance = ((self.shares - self.space.shares(point)) ** 2).sum(axis=1)
        return self.numbers[int(np.where(free, distance, np.inf).argmin())]


class TunerScore(Frozen):
    """One tuner over all seeds."""

    tuner: str
    evaluations: tuple[int, ...]
    """By seed: evaluations, the default's included, until the set it believes in is good enough."""
    reached: int
    """Seeds in which it got there; the others count the whole budget plus one."""

    @property
    def median(self) -> float:
        """Median over the seeds."""
        return median(self.evaluations)


class TunerComparison(Frozen):
    """All tuners on one landscape."""

    scenario: str
    configurations: int
    runs: int
    best_gain: float
    """Mean of the best configuration over the default's."""
    good_enough: int
    """Configurations that reach the goal."""
    budget: int
    seeds: tuple[int, ...]
    scores: tuple[TunerScore, ...]


MakeSampler = Callable[[Pool, int], tuple[BaseSampler, Leaders]]
"""Pool and seed -> a sampler, and what it believes in."""


def on_pool(make: Callable[[int], BaseSampler]) -> MakeSampler:
    """Let a sampler of Optuna's propose points; each becomes the nearest configuration."""
    return lambda pool, seed: (make(seed), leaders_by_mean)


def guided_on_pool(screen: Screen) -> MakeSampler:
    """Let ours choose among the configurations by what the simulation says of each."""

    def make(pool: Pool, seed: int) -> tuple[BaseSampler, Leaders]:
        sampler = GuidedSampler(screen, screen.allowed(pool.points.values()))
        return sampler, sampler.leaders

    return make


def evaluations_to_goal(pool: Pool, make: MakeSampler, seed: int, budget: int) -> int:
    """Count evaluations until the leader's mean reaches the goal; `budget` + 1 if it never does.

    The default is the first evaluation of every tuner.
    """
    sampler, leaders = make(pool, derived_seed(seed, "sampler"))
    study = open_study("pool", sampler)
    space, used = distributions(pool.space), dict[int, int]()
    by_point = {key_of(point): n for n, point in pool.points.items()}
    for count in range(1, budget + 1):
        if count == 1:
            number = 0
        else:
            asked = study.ask(space)
            study.tell(asked, state=TrialState.FAIL)  # what was measured is told in its stead
            number = pool.nearest(asked.params, used)
        order = np.argsort([derived_seed(seed, number, k) for k in range(len(pool.held[number]))])
        value = pool.held[number][int(order[used.get(number, 0)])]
        used[number] = used.get(number, 0) + 1
        study.add_trial(create_trial(params=pool.points[number], distributions=space, value=value))
        best = by_point[key_of(leaders(study, 1)[0])]
        if pool.mean(best) >= pool.goal_ops_per_s:
            return count
    return budget + 1


def compare_tuners(
    landscape: Landscape,
    tuners: Mapping[str, MakeSampler],
    seeds: Sequence[int],
    budget: int | None = None,
) -> TunerComparison:
    """Compare tuners over seeds.

    Parameters
    ----------
    budget : int, optional
        Evaluations at most; by default as many as there are configurations.
    """
    pool = Pool(landscape)
    most = budget or len(pool.numbers)
    scores = []
    for name, make in tuners.items():
        counts = tuple(evaluations_to_goal(pool, make, seed, most) for seed in seeds)
        reached = sum(count <= most for count in counts)
        scores.append(TunerScore(tuner=name, evaluations=counts, reached=reached))
    return TunerComparison(
        scenario=landscape.scenario.name,
        configurations=len(pool.numbers),
        runs=sum(map(len, pool.held.values())),
        best_gain=pool.best_gain,
        good_enough=sum(pool.mean(n) >= pool.goal_ops_per_s for n in pool.numbers),
        budget=most,
        seeds=tuple(seeds),
        scores=tuple(scores),
    )


def table(found: TunerComparison) -> str:
    """Plain text for the command line."""
    lines = [
        f"{found.scenario}: {found.configurations} configurations, {found.runs} runs, best "
        f"{found.best_gain:.2f} times the default, {found.good_enough} reach "
        f"{GOAL_FRACTION:.0%} of that gain",
        f"{'tuner':16} {'median':>7} {'10-90 %':>10}  reached",
    ]
    for score in found.scores:
        low, high = np.quantile(score.evaluations, (0.1, 0.9))
        lines.append(
            f"{score.tuner:16} {score.median:>7.1f} {f'{low:.0f}-{high:.0f}':>10}  "
            f"{score.reached} of {len(found.seeds)} seeds within {found.budget} evaluations"
        )
    return "\n".join(lines)


def _allowed(rows: Sequence[LandscapeRow], guards: Guards) -> bool:
    return all(row.space_amplification <= guards.space_amplification for row in rows)


def _held(row: LandscapeRow, length_s: float, record_bytes: int) -> float:
    per_user_byte = row.write_bytes_per_user_byte or 0.0
    written = row.put_ops_per_s * length_s * record_bytes * per_user_byte
    return without_debt(row.put_ops_per_s, written, row.pending_bytes_end - row.pending_bytes_start)
