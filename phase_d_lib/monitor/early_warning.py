"""Early warning of a write stall from the slopes of level 0 and compaction debt, and its score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from phase_d_lib.monitor.spells import Spell, Target, risks, spells_of, stalled
from phase_d_lib.rates import BOOTSTRAP_SEED, Estimate
from phase_d_lib.runs import Run
from phase_d_lib.specs import Frozen, OptionsSpec

WARN_AT = 1.0
"""Risk at which the straight line reaches the trigger within the horizon."""
THRESHOLDS = tuple(round(0.1 * n, 1) for n in range(31))
RESAMPLES = 500


class RocPoint(Frozen):
    """What one warning threshold does."""

    threshold: float
    true_positive_fraction: float
    """Samples with a transition within the horizon that are warned at."""
    false_positive_fraction: float
    """Samples without one that are warned at."""
    transitions_warned_fraction: float
    """Transitions with a warning at any sample within the horizon before."""
    median_lead_s: float | None
    """From the start of that warning to the transition, at most the horizon; None without any."""
    false_alarms_per_h: float
    """Warnings with no transition within the horizon of any of their samples, per quiet hour."""


class EarlyWarningScore(Frozen):
    """How well the warning does on recorded runs."""

    target: Target
    horizon_s: float
    runs: int
    """Runs with a genuine transition: the only ones that count."""
    runs_without: int
    """Runs that hold none, because they never stall or never stop stalling."""
    transitions: int
    quiet_h: float
    """Time between stalls that was scored, hours."""
    roc: tuple[RocPoint, ...]
    auc: Estimate | None
    """Area under the curve over samples; interval by resampling whole runs. None without a pair."""
    auc_level_only: float | None
    """The same from the present levels without their slopes: what the slope has to beat."""
    at_rule: RocPoint | None
    """The point at risk 1, the threshold stated before looking."""
    calm_h: float
    """Hours of runs that never stall."""
    calm_false_alarms_per_h: float | None
    """Warnings at risk 1 in those; None without such a run."""


def risk(samples: pd.DataFrame, options: OptionsSpec, horizon_s: float, target: Target) -> float:
    """How far a straight line takes level 0 or compaction debt to their limit, at the last sample.

    risk = max over both of (x + horizon * slope) / limit, slope by least squares over the last
    `horizon_s` seconds. 1 says that the limit is reached within the horizon.

    Parameters
    ----------
    samples : DataFrame
        Columns time_s, l0_files and pending_compaction_bytes, oldest first.
    horizon_s : float
        How far to look ahead, and back, seconds.
    target : {"slowdown", "stop"}
        Whether the limits are those of a slowdown or of a stop.

    Returns
    -------
    float
        NaN where fewer than three samples or less than most of the horizon lie behind.
    """
    return float(risks(samples, options, horizon_s, target)[0][-1])


def score(
    runs: Sequence[Run],
    horizon_s: float = 5.0,
    target: Target = "slowdown",
    thresholds: Sequence[float] = THRESHOLDS,
) -> EarlyWarningScore:
    """Score the warning over recorded runs, sample by sample and transition by transition.

    A quiet spell is a stretch of samples without delay or stop of at least two seconds; a genuine
    transition is a stall that ends one. Its time is that of the last quiet sample, so that a lead
    time is never flattered by a stop that hid the samples after it. The last horizon of a spell
    that ends with the run is left out: nobody knows what came after.
    """
    watched = [(run, spells_of(run, horizon_s, target)) for run in runs]
    scored = [spells for _, spells in watched if any(s.ends_in_stall for s in spells)]
    calm = [s for run, spells in watched if not stalled(run.samples, target).any() for s in spells]
    spells = [spell for of_run in scored for spell in of_run]
    curve = tuple(_point(spells, threshold) for threshold in thresholds) if spells else ()
    return EarlyWarningScore(
        target=target,
        horizon_s=horizon_s,
        runs=len(scored),
        runs_without=len(runs) - len(scored),
        transitions=sum(s.ends_in_stall for s in spells),
        quiet_h=_hours(spells),
        roc=curve,
        auc=_auc_estimate(scored),
        auc_level_only=_auc(spells, level_only=True),
        at_rule=_point(spells, WARN_AT) if spells else None,
        calm_h=_hours(calm),
        calm_false_alarms_per_h=_false_alarms(calm, WARN_AT) / hours
        if (hours := _hours(calm)) > 0
        else None,
    )


def table(found: EarlyWarningScore) -> str:
    """Render a score as lines of text."""
    lines = [
        f"target               {found.target} within {found.horizon_s:g} s",
        f"runs                 {found.runs} with a transition, {found.runs_without} without",
        f"transitions          {found.transitions} in {found.quiet_h * 60:.1f} quiet minutes",
    ]
    if found.auc is None or found.at_rule is None:
        return "\n".join([*lines, "too few to score"])
    area, point = found.auc, found.at_rule
    interval = "" if area.low is None else f" [{area.low:.2f}, {area.high:.2f}]"
    level = "-" if found.auc_level_only is None else f"{found.auc_level_only:.2f}"
    lead = "-" if point.median_lead_s is None else f"{point.median_lead_s:.1f} s"
    calm = found.calm_false_alarms_per_h
    return "\n".join(
        [
            *lines,
            f"AUC                  {area.value:.2f}{interval}; level alone {level}",
            f"warned, risk >= 1    {point.transitions_warned_fraction:.0%} of transitions",
            f"median lead          {lead}",
            f"false alarms         {point.false_alarms_per_h:.0f} a quiet hour",
            f"in runs never stalled {'-' if calm is None else f'{calm:.0f}'} an hour",
        ]
    )


def _hours(spells: Sequence[Spell]) -> float:
    return sum(float(np.ptp(s.times_s)) for s in spells if len(s.times_s)) / 3600.0


def _false_alarms(spells: Sequence[Spell], threshold: float) -> int:
    return sum(not s.soon[a:b].any() for s in spells for a, b in s.warnings(threshold))


def _leads_s(spells: Sequence[Spell], threshold: float) -> list[float]:
    """Lead times of the warned transitions; the earliest warning that reaches the horizon."""
    leads = []
    for spell in spells:
        hits = [a for a, b in spell.warnings(threshold) if spell.soon[a:b].any()]
        if hits:
            leads.append(min(spell.horizon_s, float(spell.end_s - spell.times_s[hits[0]])))
    return leads


def _point(spells: Sequence[Spell], threshold: float) -> RocPoint:
    soon = np.concatenate([s.soon for s in spells])
    warned = np.concatenate([s.risks for s in spells]) >= threshold
    leads, transitions = _leads_s(spells, threshold), sum(s.ends_in_stall for s in spells)
    return RocPoint(
        threshold=threshold,
        true_positive_fraction=float(warned[soon].mean()) if soon.any() else 0.0,
        false_positive_fraction=float(warned[~soon].mean()) if (~soon).any() else 0.0,
        transitions_warned_fraction=len(leads) / transitions if transitions else 0.0,
        median_lead_s=float(np.median(leads)) if leads else None,
        false_alarms_per_h=_false_alarms(spells, threshold) / max(_hours(spells), 1e-9),
    )


def _auc(spells: Sequence[Spell], *, level_only: bool = False) -> float | None:
    """Share of (soon, not soon) pairs of samples in the right order; a tie counts half."""
    soon = np.concatenate([s.soon for s in spells]) if spells else np.array([], dtype=bool)
    if not soon.any() or soon.all():
        return None
    values = np.concatenate([s.levels if level_only else s.risks for s in spells])
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2.0
    hits, misses = int(soon.sum()), int((~soon).sum())
    return float((mean_rank[place][soon].sum() - hits * (hits + 1) / 2) / (hits * misses))


def _auc_estimate(scored: Sequence[Sequence[Spell]]) -> Estimate | None:
    value = _auc([spell for spells in scored for spell in spells])
    if value is None:
        return None
    rng, drawn = np.random.default_rng(BOOTSTRAP_SEED), []
    for _ in range(RESAMPLES):
        picks = rng.integers(0, len(scored), size=len(scored))
        area = _auc([spell for pick in picks for spell in scored[pick]])
        drawn += [] if area is None else [area]
    low, high = np.quantile(drawn, (0.025, 0.975)) if len(scored) > 1 else (None, None)
    return Estimate(
        value=value,
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        blocks=len(scored),
    )
