"""Rows a model must beat: predictors that know no model, frozen and scored like one."""

from __future__ import annotations

import math

from phase_d_lib.calibration import Calibration
from phase_d_lib.models.base import Case, Prediction

NEAREST_RUN = "nearest_run"
LIMITER_OVER_GEOMETRY = "limiter_over_geometry"
BASELINES = (NEAREST_RUN, LIMITER_OVER_GEOMETRY)


def baselines(case: Case, calibration: Calibration) -> list[Prediction]:
    """Predict a case as the nearest measured run did, and as the write cap over its geometry."""
    return [_nearest(case, calibration), _cap_over_geometry(case)]


def _nearest(case: Case, calibration: Calibration) -> Prediction:
    """Rate of the calibration run whose inputs differ least, in factors of two."""
    rows = calibration.usable
    if not rows:
        return Prediction(model=NEAREST_RUN, refused="rows: no valid calibration run")
    nearest = min(rows, key=lambda row: _distance(case, row.case))
    return Prediction(model=NEAREST_RUN, saturation_ops_per_s=nearest.measured_ops_per_s.value)


def _distance(one: Case, other: Case) -> float:
    """Sum over inputs of |log2 ratio|; an input that is a word, a switch or absent counts one."""
    mine, theirs = _inputs(one), _inputs(other)
    return sum(_steps(value, theirs[name]) for name, value in mine.items())


def _steps(one: object, other: object) -> float:
    if one == other:
        return 0.0
    switch = isinstance(one, bool) or isinstance(other, bool)
    if not switch and isinstance(one, int | float) and isinstance(other, int | float):
        return abs(math.log2(one / other)) if one > 0 and other > 0 else 1.0
    return 1.0


def _inputs(case: Case) -> dict[str, object]:
    workload = case.workload.model_dump(exclude={"arrival"})
    limits = {
        "limiter_bytes_per_s": case.limiter_bytes_per_s,
        "device_limit_bytes_per_s": case.device.limit_bytes_per_s,
    }
    return {**case.options.model_dump(), **workload, **limits}


def _cap_over_geometry(case: Case) -> Prediction:
    """The limiter, or the device where there is none, over flush and compaction writes."""
    cap = case.limiter_bytes_per_s or case.device.write_bytes_per_s
    amplification = case.amplification
    if cap is None or amplification is None:
        missing = "device" if cap is None else "amplification"
        return Prediction(model=LIMITER_OVER_GEOMETRY, refused=f"{missing}: not known")
    written = amplification.background_bytes_per_user_byte
    if case.limiter_bytes_per_s is None and case.wal_on_same_device:
        written += amplification.wal_bytes_per_user_byte  # a limiter does not count the WAL
    if written <= 0:
        return Prediction(model=LIMITER_OVER_GEOMETRY, refused="amplification: nothing is written")
    per_put = written * case.workload.record_bytes
    return Prediction(
        model=LIMITER_OVER_GEOMETRY,
        saturation_ops_per_s=cap / per_put,
        amplification_source=amplification.source,
        write_bytes_per_user_byte=amplification.background_bytes_per_user_byte,
    )
