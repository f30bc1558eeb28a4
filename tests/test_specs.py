"""Specs: ranges, hashing, one-line errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase_d_lib.errors import InputError
from phase_d_lib.specs import ArrivalSpec, OptionsSpec, RunSpec, parse


def test_run_id_depends_on_seed_repeat_and_block_but_configuration_does_not() -> None:
    one = RunSpec(seed=1, block="a")
    two = RunSpec(seed=2, block="b", repeat=3)
    assert one.run_id != two.run_id
    assert one.configuration_id() == two.configuration_id()


def test_run_id_survives_a_round_trip() -> None:
    spec = RunSpec(limiter_bytes_per_s=30 << 20)
    assert RunSpec.model_validate_json(spec.model_dump_json()).run_id == spec.run_id


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"workload": {"kees": 3}}, "unknown key 'workload.kees'; allowed here: keys,"),
        ({"workload": {"keys": "many"}}, "workload.keys = 'many'"),
        ({"options": {"write_buffer_size": 1}}, "options.write_buffer_size = 1"),
        ({"options": {"level0_stop_writes_trigger": 3}}, "level-0 triggers must ascend"),
        ({"duration_s": 5, "warmup_s": 5}, "warmup_s 5.0 must be below duration_s 5.0"),
        ({"sample_period_s": 3}, "sample_period_s = 3"),
    ],
)
def test_bad_values_give_one_line_that_names_them(values: dict[str, object], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(RunSpec, values, "case.yaml")
    message = str(caught.value)
    assert message.startswith("case.yaml: ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "constant"},
        {"kind": "ramp", "rate_ops_per_s": 10},
        {"kind": "trace"},
        {"kind": "trace", "trace_s": (2.0, 1.0)},
    ],
)
def test_incomplete_arrivals_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(InputError):
        parse(ArrivalSpec, values, "arrival")


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50))
def test_triggers_ascend_or_are_refused(trigger: int, slowdown: int, stop: int) -> None:
    values = {
        "level0_file_num_compaction_trigger": trigger,
        "level0_slowdown_writes_trigger": slowdown,
        "level0_stop_writes_trigger": stop,
    }
    if trigger <= slowdown <= stop:
        assert parse(OptionsSpec, values, "x").level0_stop_writes_trigger == stop
    else:
        with pytest.raises(InputError):
            parse(OptionsSpec, values, "x")
