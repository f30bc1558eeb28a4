"""Answer a case file: every model's prediction, or why it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phase_d_lib.casefile import SIMULATED_LEVELS, CaseInputs, CaseOptions
from phase_d_lib.errors import ModelRefusal
from phase_d_lib.models.base import AmplificationSource, Case, PutRateModel, answer
from phase_d_lib.models.geometry import (
    LONGEST_SIMULATION_STEPS,
    predicted_amplification,
    simulation_steps,
)
from phase_d_lib.models.intervals import IntervalSource
from phase_d_lib.models.registry import load_models
from phase_d_lib.specs import Frozen


class CaseAnswer(Frozen):
    """What one model says about a case; all but `model` and `refused` are None in a refusal."""

    model: str
    saturation_ops_per_s: float | None = None
    s_max_ops_per_s: float | None = None
    interval_90: tuple[float, float] | None = None
    """Of the saturation rate."""
    binding: str | None = None
    stall_fraction: float | None = None
    amplification_source: AmplificationSource | None = None
    inside_calibration: bool | None = None
    """Whether every numeric input lies in the range calibrated on; False without calibration."""
    interval_source: IntervalSource | None = None
    """``residual_pool``: from errors recorded with the library, where no calibration is given."""
    refused: str | None = None

    def record(self) -> dict[str, Any]:
        """JSON object of the answer; `refused` only where the model refused."""
        return self.model_dump(exclude=set() if self.refused is not None else {"refused"})


def answers(
    inputs: CaseInputs, case: Case, models: Mapping[str, PutRateModel] | None = None
) -> tuple[CaseAnswer, ...]:
    """Ask every model.

    A null amplification is predicted from the simulated tree where that covers the case.

    Parameters
    ----------
    models : mapping, optional
        Models fitted on a calibration; by default every registered one, not fitted.
    """
    refusal = _uncovered(inputs.options)
    tree = refusal or _tree_gap(inputs, case)
    if case.amplification is None and tree is None:
        try:
            case = case.model_copy(update={"amplification": predicted_amplification(case)})
        except ModelRefusal as missing:
            tree = missing
    return tuple(
        _answer(model, case, refusal or _lacking(model, inputs, case, tree))
        for model in (load_models() if models is None else models).values()
    )


def table(asked: tuple[CaseAnswer, ...]) -> str:
    """Answers as a table to read; every rate is named."""
    lines = [
        f"{'model':6} {'saturation puts/s':>18} {'S_max puts/s':>13} {'90 % of saturation':>22}  "
        f"{'binding':17} {'stalled':>7}  amplification"
    ]
    for row in asked:
        if row.refused is not None:
            lines.append(f"{row.model:6} refused: {row.refused}")
            continue
        low_high = [f"{bound:,.0f}" for bound in row.interval_90 or ()]
        stalled = "-" if row.stall_fraction is None else f"{row.stall_fraction:.0%}"
        lines.append(
            f"{row.model:6} {_rate(row.saturation_ops_per_s):>18} {_rate(row.s_max_ops_per_s):>13} "
            f"{' to '.join(low_high) or '-':>22}  {row.binding or '-':17} {stalled:>7}  "
            f"{row.amplification_source or '-'}"
        )
    if any(row.amplification_source == "given" for row in asked):
        lines.append("given amplification makes a rate a closure figure, not a prediction")
    if any(row.interval_source == "residual_pool" for row in asked):
        lines.append("intervals come from errors recorded with the library on another machine")
    return "\n".join(lines)


def _rate(ops_per_s: float | None) -> str:
    return "-" if ops_per_s is None else f"{ops_per_s:,.0f}"


def _answer(model: PutRateModel, case: Case, refusal: ModelRefusal | None) -> CaseAnswer:
    if refusal is not None:
        return CaseAnswer(model=model.name, refused=str(refusal))
    prediction = answer(model, case)
    if prediction.refused is not None:
        return CaseAnswer(model=model.name, refused=prediction.refused)
    return CaseAnswer(
        model=model.name,
        saturation_ops_per_s=prediction.saturation_ops_per_s,
        s_max_ops_per_s=prediction.s_max_ops_per_s,
        interval_90=prediction.interval_90_ops_per_s,
        interval_source=prediction.interval_source,
        binding=prediction.binding,
        stall_fraction=prediction.stall_fraction,
        amplification_source=prediction.amplification_source,
        inside_calibration=bool(prediction.inside_calibration),
    )


def _uncovered(options: CaseOptions) -> ModelRefusal | None:
    """Refusal of what no model covers, or None."""
    if options.compaction_style != "level":
        return ModelRefusal(
            "compaction_style", f"{options.compaction_style} compaction is not covered, only level"
        )
    if options.enable_blob_files:
        return ModelRefusal("enable_blob_files", "values in blob files are not covered")
    return None


def _tree_gap(inputs: CaseInputs, case: Case) -> ModelRefusal | None:
    """Refusal of a tree that cannot be simulated from this file, or None."""
    options, data = inputs.options, inputs.data
    if data is None:
        return ModelRefusal("data", "the simulated tree needs the number of keys")
    if options.num_levels != SIMULATED_LEVELS:
        return ModelRefusal(
            "num_levels", f"{options.num_levels} levels; only {SIMULATED_LEVELS} are simulated"
        )
    if options.bottommost_compression not in ("same", options.compression):
        return ModelRefusal(
            "bottommost_compression", "only one compression for all levels is simulated"
        )
    if options.compression != "none" and data.compression_ratio is None:
        return ModelRefusal(
            "compression_ratio", f"needed with compression '{options.compression}'; not given"
        )
    if simulation_steps(case) > LONGEST_SIMULATION_STEPS:
        return ModelRefusal(
            "write_buffer_size",
            "as many memtables and files as these would be take too long to simulate; ask for "
            "fewer keys, larger buffers and files, or a shorter window_s",
        )
    return None


def _lacking(
    model: PutRateModel, inputs: CaseInputs, case: Case, tree: ModelRefusal | None
) -> ModelRefusal | None:
    """Refusal of a model for an input it cannot do without, or None."""
    given, device = inputs.amplification, case.device
    if given is None or model.simulates:
        return tree
    if model.name != "v2_1":
        return None
    if given.a_r is None:
        return ModelRefusal("a_r", "the mix of reads and writes is not given")
    if device.write_bytes_per_s is not None and device.read_bytes_per_s is None and given.a_r > 0:
        return ModelRefusal("read_bytes_per_s", "reads share the device at a rate not given")
    if device.read_bytes_per_s is not None and device.write_bytes_per_s is None:
        return ModelRefusal("write_bytes_per_s", "only the read rate of the device is given")
    return None
