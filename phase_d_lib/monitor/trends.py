"""Linear trends of a metric over the window, with their significance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from phase_d_lib.monitor.result import Trend

STABLE_CV_FRACTION = 0.05
TREND_ALPHA = 0.05
MIN_TREND_SAMPLES = 8


def block_means(times_s: np.ndarray, values: np.ndarray, block_s: float) -> np.ndarray:
    """Time-weighted means over whole blocks; a value holds for the interval before its time.

    Parameters
    ----------
    times_s, values : ndarray, shape (n,)
        Ascending times and the value at each.
    block_s : float
        Length of a block, seconds; a shorter rest is dropped.

    Returns
    -------
    ndarray, shape (blocks,)
        Empty with fewer than two samples.
    """
    if len(times_s) < 2:
        return np.array([])
    held = np.concatenate([[0.0], np.cumsum(values[1:] * np.diff(times_s))])
    slack_s = float(np.median(np.diff(times_s))) / 4
    edges = np.arange(times_s[0], times_s[-1] + slack_s, block_s)
    means: np.ndarray = np.diff(np.interp(edges, times_s, held)) / block_s
    return means


def trend(samples: pd.DataFrame, metric: str, loop_s: float) -> Trend:
    """Test a metric for a linear trend over the window, and how much its loop means vary.

    Ordinary least squares with Newey-West standard errors (lag n^(1/4)), because neighbouring
    samples depend on each other. Source: Newey and West (1987), Econometrica 55(3). Variation is
    that of means over `loop_s`, which is longer than the stall cycle: single samples always swing.
    """
    # Half a second to import, and only a monitored run needs it.
    from statsmodels.regression.linear_model import OLS
    from statsmodels.tools import add_constant

    series = samples[["time_s", metric]].dropna()
    values = series[metric].to_numpy(dtype=float)
    means = block_means(series["time_s"].to_numpy(dtype=float), values, loop_s)
    cv = float(means.std(ddof=1) / means.mean()) if len(means) > 1 and means.mean() else None
    slope, p_value = 0.0, 1.0
    if len(values) >= MIN_TREND_SAMPLES and np.ptp(values) > 0:
        design = add_constant(series["time_s"].to_numpy() / 60.0)
        lags = int(len(values) ** 0.25) + 1
        fitted = OLS(values, design).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
        slope, p_value = float(fitted.params[1]), float(fitted.pvalues[1])
    significant = p_value < TREND_ALPHA
    return Trend(
        metric=metric,
        slope_per_min=slope,
        p_value=p_value,
        significant=significant,
        cv_fraction=cv,
        stable=None if cv is None else not significant and cv <= STABLE_CV_FRACTION,
    )
