"""The design of calibration and held-out cases."""

from __future__ import annotations

import pytest

from phase_d_lib.design import draw_cases, draw_regime, regimes_shown
from phase_d_lib.profiles import Scenario, load_profile
from phase_d_lib.specs import OptionsSpec, RunSpec
from phase_d_lib.throttle import throttling_available
from phase_d_lib.workspace import find_workspace

FACTORS = (
    "write_buffer_size", "max_bytes_for_level_base", "level0_slowdown_writes_trigger",
    "max_bytes_for_level_multiplier", "keys", "value_bytes", "limiter_bytes_per_s",
    "max_background_jobs", "distribution", "compression", "level_compaction_dynamic_level_bytes",
    "max_write_buffer_number",
)  # fmt: skip


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_profile(find_workspace().profiles, "quick").scenario


def specs(scenario: Scenario, cases: dict[str, dict[str, object]]) -> list[RunSpec]:
    return [scenario.spec(changes) for changes in cases.values()]  # type: ignore[arg-type]


def test_the_same_seed_draws_the_same_cases_and_another_other_ones(scenario: Scenario) -> None:
    cases = draw_cases(scenario, 30, seed=3)
    assert cases == draw_cases(scenario, 30, seed=3)
    assert cases != draw_cases(scenario, 30, seed=4)
    assert len({spec.run_id for spec in specs(scenario, cases)}) == 30  # type: ignore[arg-type]


def test_every_factor_is_drawn_and_every_case_is_a_valid_spec(scenario: Scenario) -> None:
    cases = draw_cases(scenario, 60, seed=5)
    drawn = {name for changes in cases.values() for name in changes}
    assert drawn >= set(FACTORS)
    for spec in specs(scenario, cases):  # type: ignore[arg-type]
        own = scenario.options
        options = spec.options
        assert options.target_file_size_base == options.write_buffer_size
        assert (
            options.level0_stop_writes_trigger - options.level0_slowdown_writes_trigger
            == own.level0_stop_writes_trigger - own.level0_slowdown_writes_trigger
        )
        assert spec.limiter_bytes_per_s is not None


def test_no_limiter_factor_without_a_limiter(scenario: Scenario) -> None:
    free = scenario.model_copy(update={"limiter_bytes_per_s": None})
    cases = draw_cases(free, 60, seed=5)
    assert all("limiter_bytes_per_s" not in changes for changes in cases.values())


def test_regimes_are_drawn_as_described(scenario: Scenario) -> None:
    for spec in specs(scenario, draw_regime(scenario, "slots", 5, seed=1)):  # type: ignore[arg-type]
        assert spec.limiter_bytes_per_s is None
        assert spec.options.max_background_jobs == OptionsSpec().max_background_jobs
    for spec in specs(scenario, draw_regime(scenario, "device", 5, seed=1)):  # type: ignore[arg-type]
        assert spec.device_limit_bytes_per_s is not None
        assert spec.options.use_direct_io_for_flush_and_compaction
    for spec in specs(scenario, draw_regime(scenario, "cpu", 5, seed=1)):  # type: ignore[arg-type]
        assert spec.options.write_buffer_size == 8 * scenario.options.write_buffer_size
        assert spec.workload.keys <= scenario.workload.keys / 2
        assert spec.workload.value_bytes <= scenario.workload.value_bytes


def test_the_device_regime_is_shown_only_where_a_cap_can_be_set() -> None:
    assert ("device" in regimes_shown()) is throttling_available()
