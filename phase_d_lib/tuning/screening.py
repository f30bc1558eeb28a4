"""Thousands of option sets asked of the simulation before one of them is measured."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from phase_d_lib.models.base import Case
from phase_d_lib.models.geometry import Foretold, foretold
from phase_d_lib.specs import RunSpec
from phase_d_lib.tuning.scenarios import TuningScenario
from phase_d_lib.tuning.space import (
    Point,
    SearchSpace,
    Value,
    changes_of,
    key_of,
    point_of,
    search_space,
)

CaseOf = Callable[[RunSpec], Case]
WINDOW_S = (10.0, 30.0)
"""What is simulated of each option set, from its own settled tree."""
ROUGH_SEEDS = (0,)
FINE_SEEDS = (0, 1, 2, 3, 4, 5)
FINE = 64
"""Best option sets of the rough look that are simulated with every seed."""
_BEAM = 4
_STEP = 1.5
_WORKERS = 2
_WORTH_PROCESSES = 24
"""Simulations above which starting processes pays."""


@dataclass(frozen=True)
class Candidates:
    """Option sets that keep the guards, and what the simulation says of each.

    Attributes
    ----------
    points : tuple of dict
    log_rates : ndarray, shape (points,)
        Logarithm of the simulated saturation rate, ops/s.
    """

    points: tuple[Point, ...]
    log_rates: np.ndarray

    def features(self, space: SearchSpace) -> np.ndarray:
        """Coordinates a surrogate sees, shape (points, features); see :func:`features`."""
        return np.array(
            [features(space, p, r) for p, r in zip(self.points, self.log_rates, strict=True)]
        )


def features(space: SearchSpace, point: Mapping[str, Value], log_rate: float) -> np.ndarray:
    """Coordinates of a point: share of each range, each choice on an axis of its own, and its rate.

    The simulated rate is among them because a model that is searched for its best promises is
    wrong most where it promises most.
    """
    coordinates: list[float] = []
    for dimension in space.dimensions:
        value = point[dimension.name]
        if dimension.scale == "choice":
            coordinates += [_APART * (value == choice) for choice in dimension.choices]
        else:
            coordinates.append(min(max(dimension.share_of(value), 0.0), 1.0))
    return np.array([*coordinates, log_rate])


_APART = 0.5
"""Two choices lie 0.7 apart, as do two ends of a range in seven tenths of it."""


class Screen:
    """Simulates option sets of one scenario, several at once, each only once.

    Parameters
    ----------
    tuned : TuningScenario
    case_of : callable
        All that may be known of a run before it starts.
    """

    def __init__(self, tuned: TuningScenario, case_of: CaseOf) -> None:
        self._tuned, self._case_of = tuned, case_of
        self.space = search_space(tuned.guards)
        self._known: dict[tuple[Value, ...], Foretold | None] = {}

    def log_rate(self, point: Point) -> float | None:
        """Logarithm of the simulated rate of one point; None where it is not simulated."""
        told = self._told([point], FINE_SEEDS)[0]
        return None if told is None else float(np.log(told.saturation_ops_per_s))

    def allowed(self, points: Iterable[Point]) -> Candidates:
        """Simulate points with every seed and keep those within the guards."""
        listed = list(points)
        return self._kept(listed, self._told(listed, FINE_SEEDS))

    def search(self, count: int, seed: int) -> Candidates:
        """Look for promising points: the default, half spread over the space, half near the best.

        Parameters
        ----------
        count : int
            Points simulated roughly, with one seed; the best of them once more with every seed.
        seed : int
            Of the space-filling half.
        """
        own = self.space.held(point_of(self._tuned.scenario))
        spread = [own, *islice(self.space.fill(seed), max(1, count // 2))]
        found = self._kept(spread, self._told(spread, ROUGH_SEEDS))
        seen, spent = {key_of(p) for p in spread}, len(spread)
        while spent < count and found.points:
            beam = np.argsort(-found.log_rates)[:_BEAM]
            near = {
                key_of(p): p
                for place in beam
                for _, p in self.space.neighbours(found.points[place], _STEP)
            }
            fresh = [p for key, p in near.items() if key not in seen][: count - spent]
            if not fresh:
                break
            seen |= {key_of(p) for p in fresh}
            spent += len(fresh)
            found = _joined(found, self._kept(fresh, self._told(fresh, ROUGH_SEEDS)))
        best = [found.points[place] for place in np.argsort(-found.log_rates)[:FINE]]
        return self.allowed(best)

    def _kept(self, points: Sequence[Point], told: Sequence[Foretold | None]) -> Candidates:
        guards, scenario = self._tuned.guards, self._tuned.scenario
        kept = [
            (point, found.saturation_ops_per_s)
            for point, found in zip(points, told, strict=True)
            if found is not None
            and not guards.breaches(self._spec(point), scenario.workload, found.space_amplification)
        ]
        return Candidates(
            points=tuple(point for point, _ in kept),
            log_rates=np.log([rate for _, rate in kept]) if kept else np.empty(0),
        )

    def _told(self, points: Sequence[Point], seeds: tuple[int, ...]) -> list[Foretold | None]:
        keys = [(*key_of(point), len(seeds)) for point in points]
        todo = {
            key: point for key, point in zip(keys, points, strict=True) if key not in self._known
        }
        cases = [self._case_of(self._spec(point)) for point in todo.values()]
        # A fork would share the threads of a kernel; a fresh process costs a second, once.
        if len(cases) * len(seeds) > _WORTH_PROCESSES:
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(_WORKERS, mp_context=context) as pool:
                answers = list(pool.map(foretold, cases, [seeds] * len(cases), chunksize=8))
        else:
            answers = [foretold(case, seeds) for case in cases]
        self._known |= dict(zip(todo, answers, strict=True))
        return [self._known[key] for key in keys]

    def _spec(self, point: Point) -> RunSpec:
        scenario = self._tuned.scenario
        start_s, end_s = WINDOW_S
        return scenario.spec(changes_of(point, scenario), duration_s=end_s, warmup_s=start_s)


def _joined(one: Candidates, other: Candidates) -> Candidates:
    return Candidates(
        points=(*one.points, *other.points),
        log_rates=np.concatenate([one.log_rates, other.log_rates]),
    )
