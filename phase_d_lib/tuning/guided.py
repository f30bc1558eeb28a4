"""The sampler of ours: a simulation proposes, measured runs correct it.

The belief about an option set is what v3 simulates for it plus a residual, a Gaussian process on
the logarithm of measured over simulated rate. Its noise term is the scatter of repeated runs, so an
option set that looks good once is measured again before it is believed.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from phase_d_lib.tuning.screening import Candidates, Screen, features
from phase_d_lib.tuning.space import Point, Value, key_of
from phase_d_lib.tuning.study import distributions, leaders_by_mean

RESIDUAL_SD = 0.10
"""Of log measured over simulated rate, before anything is measured."""
NOISE_SD = 0.03
"""Of the logarithm of a short run's rate, likewise."""
_MIN_TO_FIT = 6
"""Runs below which the kernel keeps these two and is not fitted."""


class GuidedSampler(BaseSampler):
    """Proposes the candidate with the largest expected improvement over the best measured belief.

    Parameters
    ----------
    screen : Screen
        Asks the simulation.
    candidates : Candidates
        Option sets to choose from; measured ones among them may be proposed again.
    """

    def __init__(self, screen: Screen, candidates: Candidates) -> None:
        self._screen, self._candidates = screen, candidates
        self._features = candidates.features(screen.space)
        self._rest = RandomSampler(seed=0)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All dimensions are proposed together."""
        return distributions(self._screen.space)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose one option set."""
        points, values, told = self._measured(study)
        if not self._candidates.points:
            return {}  # the simulation covers nothing here: every dimension is drawn
        if not points:
            return dict(self._candidates.points[int(np.argmax(self._candidates.log_rates))])
        belief = _Belief(self._screen, points, values, told)
        mean, sd = belief(self._features, self._candidates.log_rates)
        best = float(belief(belief.features, told)[0].max())
        gain = expected_improvement(mean, sd, best)
        return dict(self._candidates.points[int(np.argmax(gain))])

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw a dimension that no candidate names."""
        return self._rest.sample_independent(study, trial, param_name, param_distribution)

    def leaders(self, study: optuna.Study, count: int) -> list[Point]:
        """Return the measured points of the highest belief, the best first."""
        points, values, told = self._measured(study)
        if not points:
            return leaders_by_mean(study, count)
        belief = _Belief(self._screen, points, values, told)
        mean, _ = belief(belief.features, told)
        order: dict[tuple[Value, ...], Point] = {}
        for place in np.argsort(-mean):
            order.setdefault(key_of(points[place]), points[place])
        return list(order.values())[:count]

    def _measured(self, study: optuna.Study) -> tuple[list[Point], np.ndarray, np.ndarray]:
        """Points, logarithms of their values, and of what the simulation says of them."""
        points: list[Point] = []
        values, told = [], []
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            log_rate = self._screen.log_rate(dict(trial.params))
            if log_rate is not None and trial.values[0] > 0:
                points.append(dict(trial.params))
                values.append(float(np.log(trial.values[0])))
                told.append(log_rate)
        return points, np.array(values), np.array(told)


class _Belief:
    """Simulated log rate plus the residual's posterior."""

    def __init__(
        self, screen: Screen, points: list[Point], values: np.ndarray, told: np.ndarray
    ) -> None:
        self.features = np.array(
            [features(screen.space, p, r) for p, r in zip(points, told, strict=True)]
        )
        residual = values - told
        # What is common to all is the host of the day, and ranks nothing.
        self._common = float(residual.mean())
        kernel = ConstantKernel(RESIDUAL_SD**2, (0.03**2, 0.4**2)) * Matern(
            1.5, (0.5, 10.0), nu=2.5
        ) + WhiteKernel(NOISE_SD**2, (0.01**2, 0.1**2))
        fitted = "fmin_l_bfgs_b" if len(points) >= _MIN_TO_FIT else None
        self._process = GaussianProcessRegressor(kernel, optimizer=fitted, random_state=0)
        with warnings.catch_warnings():
            # A parameter at the edge of its range is where a handful of runs leave it.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._process.fit(self.features, residual - self._common)

    def __call__(self, where: np.ndarray, told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the true log rate, without the noise of a run."""
        mean, sd = self._process.predict(where, return_std=True)
        noise = float(self._process.kernel_.k2.noise_level)
        return told + self._common + mean, np.sqrt(np.maximum(sd**2 - noise, 1e-12))


def expected_improvement(mean: np.ndarray, sd: np.ndarray, best: float) -> np.ndarray:
    """Expected excess of a normal belief over `best`; Mockus 1978, Jones, Schonlau, Welch 1998."""
    z = (mean - best) / sd
    improvement: np.ndarray = (mean - best) * norm.cdf(z) + sd * norm.pdf(z)
    return improvement
