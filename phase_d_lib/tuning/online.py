"""Tuning a running instance: one bounded step at a time, watched, and taken back if it fails.

The tuner sees nothing but sample rows. It looks at a reference window, sets one step, lets the
transient pass (the first seconds after a change are borrowed or repaid debt), looks at a canary
window as long, and keeps the step only if the whole 95 % interval of the difference is on the good
side and no guard broke. While the instance is behind its arrivals the objective is the put rate;
once it keeps up, the share of time stalled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field
from scipy.stats import ttest_ind

from phase_d_lib.guards import Guards
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.specs import Frozen, OptionsSpec
from phase_d_lib.tuning.steps import Propose, Step

Objective = Literal["put_ops_per_s", "stall_fraction", "backlog"]
Outcome = Literal["kept", "rolled_back", "restored"]
Row = dict[str, Any]
_LOAD_CHANGED = "the load changed while the step was watched"


class OnlinePlan(Frozen):
    """Times and thresholds of online tuning."""

    window_s: float = Field(default=20.0, gt=0)
    """Length of a reference and of a canary window."""
    transient_s: float = Field(default=10.0, ge=0)
    """Time after a change that counts not."""
    blocks: int = Field(default=4, ge=3)
    """Parts a window is cut into for its interval; each longer than the stall cycle."""
    healthy_stall_fraction: float = Field(default=0.05, ge=0, lt=1)
    """Stalled for less than this, and not behind: nothing is tried."""
    behind_s: float = Field(default=0.5, gt=0)
    """Arrivals waiting for longer than this: the instance is behind."""
    min_predicted_gain_fraction: float = Field(default=0.03, ge=0)
    """A step that promises less is not tried."""
    load_shift_fraction: float = Field(default=0.2, gt=0)
    """Arrivals that changed by more are another load: a canary is void, a settled state is left."""


class Sight(Frozen):
    """What one window showed."""

    start_s: float
    end_s: float
    arrived_ops_per_s: float
    put_ops_per_s: tuple[float, ...]
    """By block."""
    stall_fraction: tuple[float, ...]
    """By block."""
    backlog_s: float
    """Arrivals waiting at the end, over their rate."""
    live_sst_bytes: float

    @classmethod
    def of(cls, rows: Sequence[Row], blocks: int, threads: int = 1) -> Sight:
        """Summarise sample rows, the first and last of which bound the window.

        RocksDB sums the stalls of all writers, so their number divides them.
        """
        times = np.array([row["time_s"] for row in rows])
        puts, stalled_us, backlog = (
            np.array([row[name] for row in rows], dtype=float)
            for name in ("puts_total", "stall_us_total", "backlog_ops")
        )
        edges = np.linspace(times[0], times[-1], blocks + 1)
        lengths_s = np.diff(edges)
        length_s = float(times[-1] - times[0])
        arrived = (puts[-1] + backlog[-1] - puts[0] - backlog[0]) / length_s
        return cls(
            start_s=float(times[0]),
            end_s=float(times[-1]),
            arrived_ops_per_s=float(arrived),
            put_ops_per_s=tuple((np.diff(np.interp(edges, times, puts)) / lengths_s).tolist()),
            stall_fraction=tuple(
                (np.diff(np.interp(edges, times, stalled_us)) / 1e6 / threads / lengths_s).tolist()
            ),
            backlog_s=float(backlog[-1] / arrived) if arrived > 0 else 0.0,
            live_sst_bytes=float(np.mean([row["live_sst_bytes"] for row in rows])),
        )


class Adjustment(Frozen):
    """One change of the running instance, and what became of it."""

    at_s: float
    dimension: str
    changes: OptionChanges
    before: OptionChanges
    """The values that a rollback sets again."""
    predicted_ratio: float | None
    decided_at_s: float
    outcome: Outcome
    objective: Objective | None = None
    reference: float | None = None
    canary: float | None = None
    difference_95: tuple[float, float] | None = None
    """Canary less reference."""
    reason: str


class OnlineTuner:
    """Decides, sample by sample, what to set on one running instance.

    Parameters
    ----------
    options : OptionsSpec
        What the instance runs with now.
    user_bytes : float
        User bytes of the live keys, for the guard on space.
    propose : callable
        Options -> steps, best first.
    guards : Guards
    plan : OnlinePlan
    threads : int
        Writers of the instance.
    """

    def __init__(
        self,
        options: OptionsSpec,
        user_bytes: float,
        propose: Propose,
        guards: Guards,
        plan: OnlinePlan | None = None,
        threads: int = 1,
    ) -> None:
        self.first = self.options = options
        self.adjustments: list[Adjustment] = []
        self._user_bytes, self._propose, self._guards = user_bytes, propose, guards
        self._plan, self._threads = plan or OnlinePlan(), threads
        self._rows: list[Row] = []
        self._from_s = self._plan.transient_s
        self._reference: Sight | None = None
        self._trying: tuple[Step, float] | None = None
        self._tried: list[OptionChanges] = []
        self._exhausted = False

    @property
    def settled(self) -> bool:
        """Whether nothing is being tried: all is well, or no step is left for this load."""
        return self._trying is None

    def observe(self, row: Row) -> OptionChanges:
        """Take the next sample; return the options to set now, empty for none."""
        if row["time_s"] < self._from_s:
            self._rows = []
            return {}
        self._rows.append(row)
        if row["time_s"] - self._rows[0]["time_s"] < self._plan.window_s or len(self._rows) < 3:
            return {}
        sight, self._rows = Sight.of(self._rows, self._plan.blocks, self._threads), [row]
        if self._trying is not None:
            return self._judge(sight)
        if self._reference is not None and self._shifted(sight):
            # This window saw both loads: begin anew, and look at a whole one first.
            self._tried, self._exhausted, self._reference = [], False, None
            return {}
        return {} if self._exhausted else self._next_step(sight)

    def restore(self, at_s: float) -> OptionChanges:
        """Return what sets the instance back to its first options, and journal it."""
        changes = _from_to(self.options, self.first)
        if self._trying is not None:
            changes = {**self._undone(self._trying[0]), **changes}
            self._trying = None
        if changes:
            before = {name: getattr(self.options, name) for name in changes}
            self.adjustments.append(
                Adjustment(
                    at_s=at_s,
                    dimension="all",
                    changes=changes,
                    before=before,
                    predicted_ratio=None,
                    decided_at_s=at_s,
                    outcome="restored",
                    reason="tuning ended and was not told to keep its options",
                )
            )
        self.options = self.first
        return changes

    def _next_step(self, sight: Sight) -> OptionChanges:
        self._reference = sight
        behind = sight.backlog_s > self._plan.behind_s
        if not behind and np.mean(sight.stall_fraction) < self._plan.healthy_stall_fraction:
            return {}
        enough = 1.0 + self._plan.min_predicted_gain_fraction
        steps = [s for s in self._propose(self.options) if s.changes not in self._tried]
        if not steps or steps[0].predicted_ratio < enough:
            self._exhausted = True
            return {}
        step = steps[0]
        self._tried.append(step.changes)
        self._trying = (step, sight.end_s)
        self._wait(sight.end_s)
        return step.changes

    def _judge(self, canary: Sight) -> OptionChanges:
        assert self._trying is not None
        assert self._reference is not None
        (step, at_s), reference = self._trying, self._reference
        self._trying = None
        kept, found = self._verdict(reference, canary)
        self.adjustments.append(
            Adjustment(
                at_s=at_s,
                dimension=step.dimension,
                changes=step.changes,
                before=self._undone(step),
                predicted_ratio=step.predicted_ratio,
                decided_at_s=canary.end_s,
                outcome="kept" if kept else "rolled_back",
                **found,
            )
        )
        if kept:
            self.options = self.options.model_copy(update=step.changes)
            return self._next_step(canary)
        if found["reason"] == _LOAD_CHANGED:
            self._tried.remove(step.changes)
            self._reference = None
        self._wait(canary.end_s)
        return self._undone(step)

    def _verdict(self, reference: Sight, canary: Sight) -> tuple[bool, dict[str, Any]]:
        """Whether to keep a step, and the part of its record that says why."""
        plan = self._plan
        space = canary.live_sst_bytes / self._user_bytes
        if space > self._guards.space_amplification:
            bound = self._guards.space_amplification
            return False, {"reason": f"guard: space amplification {space:.2f} above {bound:g}"}
        if _changed(reference.arrived_ops_per_s, canary.arrived_ops_per_s) > (
            plan.load_shift_fraction
        ):
            return False, {"reason": _LOAD_CHANGED}
        behind = [s.backlog_s > plan.behind_s for s in (reference, canary)]
        if behind[0] != behind[1]:
            return behind[0], {
                "objective": "backlog",
                "reference": reference.backlog_s,
                "canary": canary.backlog_s,
                "reason": "caught up with arrivals" if behind[0] else "fell behind arrivals",
            }
        objective: Objective = "put_ops_per_s" if behind[0] else "stall_fraction"
        old, new = getattr(reference, objective), getattr(canary, objective)
        interval = _difference_95(old, new)
        better = interval[0] > 0.0 if objective == "put_ops_per_s" else interval[1] < 0.0
        return better, {
            "objective": objective,
            "reference": float(np.mean(old)),
            "canary": float(np.mean(new)),
            "difference_95": interval,
            "reason": "better with 95 % confidence" if better else "not shown to be better",
        }

    def _shifted(self, sight: Sight) -> bool:
        """Whether the load is another than that of the last window."""
        assert self._reference is not None
        before = self._reference.arrived_ops_per_s
        return _changed(before, sight.arrived_ops_per_s) > self._plan.load_shift_fraction

    def _wait(self, now_s: float) -> None:
        self._rows, self._from_s = [], now_s + self._plan.transient_s

    def _undone(self, step: Step) -> OptionChanges:
        return {name: getattr(self.options, name) for name in step.changes}


def _from_to(now: OptionsSpec, wanted: OptionsSpec) -> OptionChanges:
    target = wanted.model_dump()
    return {name: target[name] for name, value in now.model_dump().items() if target[name] != value}


def _changed(before: float, after: float) -> float:
    """Relative change of a rate, the larger over the smaller less 1."""
    low, high = sorted((before, after))
    return math.inf if low <= 0 < high else high / low - 1.0 if low > 0 else 0.0


def _difference_95(old: Sequence[float], new: Sequence[float]) -> tuple[float, float]:
    """95 % interval of mean(new) - mean(old) by Welch's t.

    Source: Welch (1947), Biometrika 34.
    """
    if np.ptp(old) == 0.0 and np.ptp(new) == 0.0:
        return new[0] - old[0], new[0] - old[0]
    interval = ttest_ind(new, old, equal_var=False).confidence_interval(0.95)
    return float(interval.low), float(interval.high)
