"""Two reports against each other: what differs around them, and which numbers differ for certain.

Repeated runs of the default options are compared run by run, pairs pair by pair, held-out cases
case by case; the one monitored run of each report block by block. Every test is Welch's, adjusted
for their number after Holm (1979), Scandinavian Journal of Statistics 6, 65.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from scipy.special import stdtrit

from phase_d_lib.bundle.sides import Side, read_side
from phase_d_lib.bundle.spread import (
    QUANTITIES,
    RELATIVE,
    Spread,
    Welch,
    over_runs,
    welch,
)
from phase_d_lib.bundle.tolerance import trial_values
from phase_d_lib.calibration import DEFAULT
from phase_d_lib.report.document_types import (
    PhaseDReport,
)
from phase_d_lib.specs import Frozen
from phase_d_lib.tuning.comparison import Trial
from phase_d_lib.validation import CaseScore
from phase_d_lib.workspace import Workspace

ALPHA = 0.05
"""Adjusted p below which two numbers count as different."""
Basis = Literal["runs", "blocks", "trials", "pairs", "cases"]
Absent = Literal["too_few", "no_spread", "shared_runs", "not_measured", "no_samples"]


class Contrast(Frozen):
    """One number of both reports and whether they differ for certain."""

    name: str
    """``rate``, ``p999``, ``stall``, ``wa``, ``s_max``, ``gain`` or ``error/MODEL``."""
    basis: Basis
    relative: bool
    first: float | None
    second: float | None
    parts: tuple[int, int]
    """Independent values on each side."""
    test: Welch | None
    absent: Absent | None = None
    """Why there is no test, or None."""
    p_adjusted: float | None = None

    @property
    def differs(self) -> bool | None:
        """Whether they differ for certain; None where that can't be told."""
        return None if self.p_adjusted is None else self.p_adjusted < ALPHA


class Comparison(Frozen):
    """Two reports against each other."""

    first: PhaseDReport
    second: PhaseDReport
    tested: tuple[Contrast, ...]
    option_sets: tuple[str | None, str | None]
    """Tuned set of each report; None: the default was kept."""

    @property
    def same_load(self) -> bool:
        """Whether both measured the same workload under the same limits."""
        one, other = (header.profile.scenario for header in (self.first, self.second))
        return one.model_dump(exclude={"engine"}) == other.model_dump(exclude={"engine"})


def compare(first: Path, second: Path, workspace: Workspace) -> Comparison:
    """Compare two reports or bundles.

    Raises
    ------
    InputError
        When one of them is neither, or was written by another version of this library.
    """
    one, other = read_side(first, workspace), read_side(second, workspace)
    tested = [*_repeated(one, other), *_monitored(one, other), *_searched(one, other)]
    tested += [_gain(one, other), *_errors(one, other)]
    names = [side.tuned[0] if side.tuned else None for side in (one, other)]
    return Comparison(
        first=one.header,
        second=other.header,
        tested=adjusted(tested),
        option_sets=(names[0], names[1]),
    )


def adjusted(tested: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """Adjust the p values for the number of tests (Holm)."""
    order = sorted(
        (n for n, one in enumerate(tested) if one.test is not None),
        key=lambda n: tested[n].test.p_value,  # type: ignore[union-attr] # those with a test
    )
    found, largest = list(tested), 0.0
    for place, number in enumerate(order):
        test = tested[number].test
        if test is not None:
            largest = max(largest, min(1.0, (len(order) - place) * test.p_value))
            found[number] = tested[number].model_copy(update={"p_adjusted": largest})
    return tuple(found)


def _tested(
    name: str,
    basis: Basis,
    sides: tuple[Spread | None, Spread | None],
    *,
    relative: bool,
    shared: bool = False,
    absent: Absent = "too_few",
) -> Contrast:
    one, other = sides
    test = welch(one, other, relative=relative) if one and other and not shared else None
    if one and other:
        several = min(one.parts, other.parts) > 1
        absent = "shared_runs" if shared else "no_spread" if several else "too_few"
    return Contrast(
        name=name,
        basis=basis,
        relative=relative,
        first=one.value if one else None,
        second=other.value if other else None,
        parts=(one.parts if one else 0, other.parts if other else 0),
        test=test,
        absent=None if test else absent,
    )


def _monitored(one: Side, other: Side) -> Iterator[Contrast]:
    shared = one.monitored_run_id == other.monitored_run_id
    for quantity in QUANTITIES:
        sides = (one.blocks.get(quantity), other.blocks.get(quantity))
        found = _tested(
            quantity, "blocks", sides, relative=quantity in RELATIVE, shared=shared,
            absent="no_samples",
        )  # fmt: skip
        shown = {"first": one.monitored(quantity), "second": other.monitored(quantity)}
        yield found.model_copy(update=shown)


def _repeated(one: Side, other: Side) -> Iterator[Contrast]:
    trials = (one.default_trials, other.default_trials)
    shared = _share(*trials)
    for quantity in QUANTITIES:
        relative = quantity in RELATIVE
        first, second = (over_runs(trial_values(t, quantity), relative=relative) for t in trials)
        yield _tested(quantity, "runs", (first, second), relative=relative, shared=shared)


def _searched(one: Side, other: Side) -> Iterator[Contrast]:
    """S_max, where both measured it; its interval is that of a likelihood on n - 2."""
    found = [side.performance.s_max for side in (one, other)]
    if found[0] is None and found[1] is None:
        return
    spreads: list[Spread | None] = []
    for result in found:
        estimate = result.s_max_ops_per_s if result else None
        if estimate is None or not estimate.low or not estimate.high or estimate.blocks < 4:
            spreads.append(None)
            continue
        half = float(stdtrit(estimate.blocks - 2, 0.5 + estimate.confidence / 2))
        error = math.log(estimate.high / estimate.low) / 2 / half
        spreads.append(Spread(value=estimate.value, error=error, parts=estimate.blocks - 1))
    ids = [set(result.run_ids) if result else set() for result in found]
    yield _tested(
        "s_max", "trials", (spreads[0], spreads[1]), relative=True, shared=bool(ids[0] & ids[1]),
        absent="not_measured",
    )  # fmt: skip


def _gain(one: Side, other: Side) -> Contrast:
    tuned = (one.tuned, other.tuned)
    spreads = [over_runs(_ratios(*each), relative=True) if each else None for each in tuned]
    shared = bool(tuned[0] and tuned[1] and _share(tuned[0][1], tuned[1][1]))
    return _tested("gain", "pairs", (spreads[0], spreads[1]), relative=True, shared=shared)


def _ratios(name: str, trials: Sequence[Trial]) -> list[float]:
    """Rate of a set over the default's, in each pair whose two runs are valid."""
    rates = {(t.option_set, t.pair): t.put_ops_per_s for t in trials if t.verdict.valid}
    pairs = sorted({pair for _, pair in rates})
    return [
        rates[name, pair] / rates[DEFAULT, pair]
        for pair in pairs
        if (name, pair) in rates and rates.get((DEFAULT, pair))
    ]


def _errors(one: Side, other: Side) -> Iterator[Contrast]:
    """Mean |log(predicted / measured)| of each model over the cases of the scenario's regime."""
    cases = [side.performance.held_out_cases for side in (one, other)]
    shared = bool({case.run_id for case in cases[0]} & {case.run_id for case in cases[1]})
    named = [{score.model for score in side.performance.scores} for side in (one, other)]
    for score in one.performance.scores:
        if score.model not in named[1]:
            continue
        first, second = (
            over_runs(_log_errors(found, score.model), relative=False) for found in cases
        )
        yield _tested(
            f"error/{score.model}", "cases", (first, second), relative=False, shared=shared
        )


def _log_errors(cases: Sequence[CaseScore], model: str) -> list[float | None]:
    return [
        abs(math.log(said.saturation_ops_per_s / case.measured_ops_per_s.value))
        for case in cases
        for said in case.predictions
        if case.drawn_for is None
        and case.verdict.valid
        and said.model == model
        and said.saturation_ops_per_s
    ]


def _share(one: Sequence[Trial], other: Sequence[Trial]) -> bool:
    return bool({trial.run_id for trial in one} & {trial.run_id for trial in other})
