"""A search space as Optuna sees it, and the study on disk that a killed search goes on from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from phase_d_lib.tuning.space import Dimension, Point, SearchSpace, Value, key_of

Baseline = Literal["random", "tpe"]
BASELINE_SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed, multivariate=True),
}
"""Name -> sampler of a seed, to compare ours with."""

optuna.logging.set_verbosity(logging.WARNING)


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Return the space in Optuna's terms, by dimension."""
    return {d.name: _distribution(d) for d in space.dimensions}


def _distribution(dimension: Dimension) -> BaseDistribution:
    low, high = dimension.low, dimension.high
    if dimension.scale == "choice":
        return CategoricalDistribution(dimension.choices)
    if dimension.scale == "log":
        return FloatDistribution(low, high, log=True)
    return IntDistribution(int(low), int(high), log=dimension.scale == "log_integer")


def open_study(name: str, sampler: BaseSampler, journal: Path | None = None) -> optuna.Study:
    """Open the study of a journal, or begin one.

    Parameters
    ----------
    journal : Path, optional
        File that every step is appended to; None keeps the study in memory.
    """
    storage = (
        InMemoryStorage() if journal is None else JournalStorage(JournalFileBackend(str(journal)))
    )
    return optuna.create_study(
        storage=storage,
        sampler=sampler,
        study_name=name,
        direction="maximize",
        load_if_exists=True,
    )


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that were evaluated, in order, whatever came of them."""
    return [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]


def unfinished(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that a killed search left going."""
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def waiting(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that were asked for and not begun."""
    return study.get_trials(deepcopy=False, states=(TrialState.WAITING,))


def values_by_point(study: optuna.Study) -> dict[tuple[Value, ...], list[float]]:
    """Values of the complete trials, by the values of their dimensions."""
    found: dict[tuple[Value, ...], list[float]] = {}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        found.setdefault(key_of(trial.params), []).append(float(trial.values[0]))
    return found


def leaders_by_mean(study: optuna.Study, count: int) -> list[Point]:
    """Return the points with the highest mean value, the best first."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    points = {key_of(trial.params): dict(trial.params) for trial in complete}
    values = values_by_point(study)
    best = sorted(points, key=lambda key: -sum(values[key]) / len(values[key]))
    return [points[key] for key in best[:count]]
