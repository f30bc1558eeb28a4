"""The seed report's factors: what each means in the equations, and fitting those that have a place.

A factor with a place multiplies one input of one model. It is estimated from what runs measured of
that very input, never from the rate, and kept only if the rate of calibration runs that had no part
in it is predicted better with it than without. A factor that is an output is never fitted: fitting
a result to itself would hide the error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from phase_d_lib.models.base import Amplification, Case, MeasuredCase, PutRateModel, answer
from phase_d_lib.specs import Frozen

LOWEST, HIGHEST = 0.5, 2.0
"""Bounds of a fitted factor: beyond them the model is wrong, not its input."""
MIN_ROWS = 4
"""Fewer runs fit no factor."""

Role = Literal["input", "output", "tracked"]
"""``input``: has a place and is fitted here; ``output``: a result; ``tracked``: v5 estimates it."""
Status = Literal["kept", "not_better", "too_few_rows", "out_of_bounds", "not_observed"]


class Factor(Frozen):
    """One factor of the seed report and its meaning."""

    model: str
    name: str
    role: Role
    place: str
    """Symbol or result it stands for."""


FACTORS = (
    Factor(model="v1", name="wa_factor", role="input", place="a_c"),
    Factor(model="v1", name="flush_factor", role="input", place="a_flush"),
    Factor(model="v1", name="memtable_factor", role="input", place="memtable fill at flush"),
    Factor(model="v1", name="stall_factor", role="output", place="stall share"),
    Factor(model="v2_1", name="WA", role="input", place="a_w"),
    Factor(model="v2_1", name="B_write", role="input", place="B_w"),
    Factor(model="v2_1", name="B_read", role="input", place="B_r"),
    Factor(model="v2_1", name="p_stall", role="output", place="stall share"),
    Factor(model="v3", name="compaction_factor", role="input", place="mu"),
    Factor(model="v3", name="stall_factor", role="output", place="stall share"),
    Factor(model="v4", name="degradation_factor", role="input", place="B now / B calibrated"),
    Factor(model="v4", name="io_contention_factor", role="input", place="B left by others"),
    Factor(model="v4", name="compaction_intensity", role="output", place="busy slots / n"),
    Factor(model="v5", name="throughput_factor", role="tracked", place="measured / model rate"),
    Factor(model="v5", name="latency_factor", role="tracked", place="measured / predicted p99.9"),
    Factor(model="v5", name="accuracy_factor", role="tracked", place="interval scale"),
    Factor(model="v5", name="scaling_factor", role="tracked", place="mu now / mu calibrated"),
)
"""All of them, with their place as the models define it."""


class FittedFactor(Frozen):
    """What calibration made of one factor."""

    factor: Factor
    status: Status
    value: float | None = None
    """Geometric mean of measured over assumed input."""
    interval_95: tuple[float, float] | None = None
    spread_log: float | None = None
    """Standard deviation of the log ratios: how much it varies between configurations."""
    rows: int = 0
    error_before: float | None = None
    """Mean |log error| of the rate, each row predicted without the factor."""
    error_after: float | None = None
    """The same with the factor as the other rows give it."""


class FactorCalibration(Frozen):
    """All factors that have a place, in the order they were tried."""

    fitted: tuple[FittedFactor, ...] = ()

    def kept(self, model: str) -> dict[str, float]:
        """Factors of one model that predict better than 1 does."""
        return {
            f.factor.name: f.value
            for f in self.fitted
            if f.factor.model == model and f.status == "kept" and f.value is not None
        }


def placed(case: Case, factors: Mapping[str, float]) -> Case:
    """Return a case with a model's factors in their places."""
    for name, value in factors.items():
        case = _PLACES[name].put(case, value)
    return case


def fit_factors(
    models: Mapping[str, PutRateModel],
    rows: Sequence[tuple[MeasuredCase, Amplification | None]],
) -> FactorCalibration:
    """Fit every factor with a place, one after the other, and keep those that help.

    Parameters
    ----------
    models : mapping
        Name -> model.
    rows : sequence
        Configurations that ran: as they were knowable before, and the amplification measured.
    """
    fitted: list[FittedFactor] = []
    for factor in FACTORS:
        if factor.role == "input" and factor.model in models:
            kept = tuple(FactorCalibration(fitted=tuple(fitted)).kept(factor.model))
            fitted.append(_fit(factor, models[factor.model], rows, kept))
    return FactorCalibration(fitted=tuple(fitted))


def _fit(
    factor: Factor,
    model: PutRateModel,
    rows: Sequence[tuple[MeasuredCase, Amplification | None]],
    kept: Sequence[str],
) -> FittedFactor:
    place = _PLACES.get(factor.name)
    if place is None:
        return FittedFactor(factor=factor, status="not_observed")
    seen = place.seen(rows)
    if len(seen) < MIN_ROWS:
        return FittedFactor(factor=factor, status="too_few_rows", rows=len(seen))
    logs = np.log([ratio for _, ratio in seen])
    value, half = float(np.exp(logs.mean())), _half_width(logs)
    before, after = [], []
    for row, _ in seen:
        # Whatever was kept before is estimated without this row too: it has no part in either side.
        others = [pair for pair in rows if pair[0] is not row]
        case = placed(row.case, {name: _mean_ratio(_PLACES[name], others) for name in kept})
        errors = [
            _log_error(model, tried, row.saturation_ops_per_s)
            for tried in (case, place.put(case, _mean_ratio(place, others)))
        ]
        if None not in errors:
            before.append(errors[0])
            after.append(errors[1])
    if len(before) < MIN_ROWS:
        return FittedFactor(factor=factor, status="too_few_rows", rows=len(before))
    old, new = float(np.mean(before)), float(np.mean(after))  # type: ignore[arg-type]
    inside = LOWEST <= value <= HIGHEST
    return FittedFactor(
        factor=factor,
        status="out_of_bounds" if not inside else "kept" if new < old else "not_better",
        value=value,
        interval_95=(value * math.exp(-half), value * math.exp(half)),
        spread_log=float(logs.std(ddof=1)),
        rows=len(before),
        error_before=old,
        error_after=new,
    )


def _mean_ratio(place: _Place, rows: Sequence[tuple[MeasuredCase, Amplification | None]]) -> float:
    """Geometric mean of measured over assumed input."""
    return float(np.exp(np.mean(np.log([ratio for _, ratio in place.seen(rows)]))))


def _half_width(logs: np.ndarray) -> float:
    """Half of the 95 % t interval of the mean."""
    return float(stdtrit(len(logs) - 1, 0.975) * logs.std(ddof=1) / math.sqrt(len(logs)))


def _log_error(model: PutRateModel, case: Case, measured: float) -> float | None:
    rate = answer(model, case, bare=True).saturation_ops_per_s
    return abs(math.log(rate / measured)) if rate else None


class _Place:
    """Where a factor acts, and how a run shows it."""

    def __init__(
        self,
        put: Callable[[Case, float], Case],
        observed: Callable[[Case, Amplification | None], float | None],
    ) -> None:
        self.put, self._observed = put, observed

    def seen(
        self, rows: Sequence[tuple[MeasuredCase, Amplification | None]]
    ) -> list[tuple[MeasuredCase, float]]:
        """Rows that show the input, with measured over assumed."""
        return [
            (row, ratio) for row, measured in rows if (ratio := self._observed(row.case, measured))
        ]


def _scaled(*fields: str) -> Callable[[Case, float], Case]:
    def put(case: Case, factor: float) -> Case:
        known = case.amplification
        if known is None:
            return case
        changes: dict[str, object] = {name: getattr(known, name) * factor for name in fields}
        if "compaction_write_bytes_per_user_byte" in fields:
            changes["levels"] = tuple(
                flow
                if flow.level == 0
                else flow.model_copy(
                    update={"write_bytes_per_user_byte": flow.write_bytes_per_user_byte * factor}
                )
                for flow in known.levels
            )
        return case.model_copy(update={"amplification": known.model_copy(update=changes)})

    return put


def _ratio(*fields: str) -> Callable[[Case, Amplification | None], float | None]:
    def observed(case: Case, measured: Amplification | None) -> float | None:
        if measured is None or case.amplification is None:
            return None
        seen, assumed = (
            sum(getattr(source, name) for name in fields)
            for source in (measured, case.amplification)
        )
        return seen / assumed if seen > 0 and assumed > 0 else None

    return observed


_BACKGROUND = ("flush_bytes_per_user_byte", "compaction_write_bytes_per_user_byte")
_PLACES = {
    "wa_factor": _Place(_scaled(_BACKGROUND[1]), _ratio(_BACKGROUND[1])),
    "flush_factor": _Place(_scaled(_BACKGROUND[0]), _ratio(_BACKGROUND[0])),
    "WA": _Place(_scaled(*_BACKGROUND), _ratio(*_BACKGROUND)),
}
"""By factor. The others with a place need a second probe of the device, or runs of free slots."""
