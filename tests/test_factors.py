"""Factors: fitted on what runs measured of an input, kept only where the rate gets better."""

from __future__ import annotations

import math

import pytest

from phase_d_lib.models.base import Amplification, Case, HostSpeeds, MeasuredCase
from phase_d_lib.models.factors import FACTORS, HIGHEST, MIN_ROWS, fit_factors, placed
from phase_d_lib.models.registry import load_models
from phase_d_lib.specs import OptionsSpec, WorkloadSpec
from phase_d_lib.units import MIB

LIMITER = 30 * MIB
MODELS = load_models()
WOBBLE = (1.01, 0.99, 1.02, 0.98, 1.0, 1.015)


def case_of(compaction: float, flush: float = 1.0) -> Case:
    return Case(
        name="x",
        workload=WorkloadSpec(),
        options=OptionsSpec(),
        limiter_bytes_per_s=LIMITER,
        host=HostSpeeds(cores=2, foreground_ops_per_s=150e3, slot_write_bytes_per_s=150e6),
        amplification=Amplification(
            source="geometry",
            wal_bytes_per_user_byte=1.0,
            flush_bytes_per_user_byte=flush,
            compaction_write_bytes_per_user_byte=compaction,
        ),
    )


def rows_whose_compaction_is(factor: float, count: int = 6):  # type: ignore[no-untyped-def]
    """Rows under a binding limiter, whose real compaction amplification is `factor` times ours."""
    rows = []
    for number in range(count):
        assumed = 2.0 + 0.5 * number
        real = assumed * factor * WOBBLE[number]
        case = case_of(assumed)
        rate = LIMITER / (1.0 + real) / case.workload.record_bytes
        measured = case_of(real).amplification
        rows.append((MeasuredCase(case=case, saturation_ops_per_s=rate), measured))
    return rows


def by_name(rows):  # type: ignore[no-untyped-def]
    return {(f.factor.model, f.factor.name): f for f in fit_factors(MODELS, rows).fitted}


def test_a_wrong_input_is_found_and_corrected() -> None:
    found = by_name(rows_whose_compaction_is(1.3))[("v1", "wa_factor")]
    assert found.status == "kept"
    assert found.value == pytest.approx(1.3, rel=0.01)
    assert found.interval_95 is not None
    assert found.interval_95[0] < 1.3 < found.interval_95[1]
    assert found.error_before is not None
    assert found.error_after is not None
    assert found.error_after < 0.2 * found.error_before


def test_a_row_has_no_part_in_the_factors_it_is_predicted_with() -> None:
    found = by_name(rows_whose_compaction_is(1.3))
    first, second = found["v1", "wa_factor"], found["v1", "flush_factor"]
    assert first.status == "kept"
    # The second starts where the first, estimated without the row, had come to.
    assert second.error_before == pytest.approx(first.error_after)


def test_an_input_that_is_right_is_left_alone() -> None:
    rows = rows_whose_compaction_is(1.0)
    found = by_name(rows)[("v1", "flush_factor")]
    # Flush was measured exactly as assumed: the factor is 1 and changes nothing.
    assert found.status == "not_better"
    assert found.value == pytest.approx(1.0)


def test_too_few_rows_and_absurd_values_are_named() -> None:
    few = by_name(rows_whose_compaction_is(1.3, MIN_ROWS - 1))
    assert few[("v1", "wa_factor")].status == "too_few_rows"
    wild = by_name(rows_whose_compaction_is(1.5 * HIGHEST))
    assert wild[("v1", "wa_factor")].status == "out_of_bounds"
    assert fit_factors(MODELS, rows_whose_compaction_is(3.0)).kept("v1") == {}


def test_outputs_are_never_fitted_and_every_input_has_a_status() -> None:
    found = by_name(rows_whose_compaction_is(1.1))
    inputs = {(f.model, f.name) for f in FACTORS if f.role == "input"}
    assert set(found) == inputs
    assert found[("v3", "compaction_factor")].status == "not_observed"


def test_a_factor_in_its_place_moves_the_rate_as_the_equation_says() -> None:
    case = case_of(3.0)
    plain = MODELS["v1"].estimate(case).saturation_ops_per_s
    scaled = MODELS["v1"].estimate(placed(case, {"wa_factor": 1.5})).saturation_ops_per_s
    assert plain is not None
    assert scaled is not None
    assert math.isclose(plain / scaled, (1.0 + 4.5) / (1.0 + 3.0), rel_tol=1e-9)
    assert placed(case, {}) == case
