"""How well v5 follows a running database: traces with a change of regime, forecast and scored."""

from __future__ import annotations

from collections.abc import Sequence

from phase_d_lib.adaptation.scores import (
    AdaptationResult,
    CaseOf,
    score,
    summary,
)
from phase_d_lib.adaptation.traces import TraceSpec, run_trace, standard_traces
from phase_d_lib.adaptation.windows import WINDOW_S, Followed, follow
from phase_d_lib.errors import ModelRefusal
from phase_d_lib.laboratory import Laboratory
from phase_d_lib.models.v5 import V5
from phase_d_lib.smax import COVARIATES

__all__ = [
    "WINDOW_S",
    "AdaptationResult",
    "Followed",
    "follow",
    "measure",
    "standard_traces",
    "table",
]


def measure(
    laboratory: Laboratory, traces: Sequence[TraceSpec], model: V5, case_of: CaseOf
) -> AdaptationResult:
    """Run every trace and compare v5 with predictors that know no model.

    A trace whose run is not valid for its covariates after the laboratory's retries, or that the
    prior refuses, is not scored but listed with its reason.
    """
    scored, refused = [], {}
    for trace in traces:
        run = run_trace(laboratory, trace)
        reasons = run.result.validity.reasons if run.result else ()
        spoiled = [str(reason) for reason in reasons if reason.code in COVARIATES]
        try:
            if run.result is not None and not spoiled:
                scored.append(score(trace, run, model, case_of))
                continue
        except ModelRefusal as refusal:
            spoiled.append(str(refusal))
        refused[trace.name] = "; ".join(spoiled) or "unfinished"
    return summary(scored).model_copy(update={"refused": refused})


def table(result: AdaptationResult) -> str:
    """Errors and differences as plain text for the command line."""
    lines = [f"{'group':12} {'predictor':26} {'windows':>7} {'mean |log error|':>17} {'after':>7}"]
    for row in result.errors:
        after = row.after_change_log_error
        lines.append(
            f"{row.group:12} {row.predictor:26} {row.windows:>7} {row.mean_log_error:>17.3f} "
            f"{'-' if after is None else f'{after:.3f}':>7}"
        )
    for d in result.differences:
        ends = (
            "-" if d.interval_95 is None else f"{d.interval_95[0]:+.3f} to {d.interval_95[1]:+.3f}"
        )
        lines.append(
            f"v5 - {d.against}, {d.group} ({d.traces} traces): {d.mean_log:+.3f}, 95 % {ends}: "
            f"{d.verdict}"
        )
    low, high = result.coverage_95 or (0.0, 1.0)
    lines.append(
        f"90 % intervals hold {result.covered} of {result.windows} windows "
        f"(95 % interval {low:.3f} to {high:.3f}); passed: {result.passed}"
    )
    return "\n".join(lines)
