"""v1 and v2_1 against their equations, worked by hand."""

from __future__ import annotations

import pytest

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.models.base import (
    Amplification,
    Case,
    DeviceEnvelope,
    HostSpeeds,
    LevelFlow,
    answer,
)
from phase_d_lib.models.bounds import resource_bounds_ops_per_s
from phase_d_lib.models.geometry import predicted_amplification
from phase_d_lib.models.registry import OWN_MODELS, load_models
from phase_d_lib.models.v1 import V1
from phase_d_lib.models.v2_1 import V21
from phase_d_lib.models.v3 import V3
from phase_d_lib.specs import OptionsSpec, WorkloadSpec

MB = 1_000_000
AMPLIFICATION = Amplification(
    source="given",
    wal_bytes_per_user_byte=1.0,
    flush_bytes_per_user_byte=1.0,
    compaction_write_bytes_per_user_byte=3.0,
    device_read_bytes_per_user_byte=2.0,
)
HOST = HostSpeeds(
    cores=2,
    foreground_ops_per_s=1e6,
    slot_write_bytes_per_s=60 * MB,
    cpu_s_per_put=5e-6,
    cpu_s_per_compacted_byte=1e-8,
)


def case(**changes: object) -> Case:
    values: dict[str, object] = {
        "name": "by hand",
        "workload": WorkloadSpec(key_bytes=16, value_bytes=984),
        "options": OptionsSpec(max_background_jobs=4),
        "limiter_bytes_per_s": 100 * MB,
        "device": DeviceEnvelope(write_bytes_per_s=500 * MB, read_bytes_per_s=300 * MB),
        "host": HOST,
        "amplification": AMPLIFICATION,
    }
    return Case.model_validate({**values, **changes})


def test_v1_bounds_by_hand() -> None:
    # 1,000 B records; a_w = 1 + 1 + 3, a_r = 2, four jobs give three compaction slots.
    bounds = resource_bounds_ops_per_s(case())
    assert bounds == {
        "device_write": pytest.approx(500e6 / 5 / 1000),
        "device_read": pytest.approx(300e6 / 2 / 1000),
        "limiter": pytest.approx(100e6 / 4 / 1000),
        "compaction_slots": pytest.approx(3 * 60e6 / 3 / 1000),
        "foreground": 1e6,
        "cpu": pytest.approx(2 / (5e-6 + 3 * 1000 * 1e-8)),
    }
    prediction = V1().predict(case())
    assert prediction.binding == "limiter"
    assert prediction.saturation_ops_per_s == pytest.approx(25_000)


def test_the_wal_counts_only_on_the_same_device() -> None:
    bounds = resource_bounds_ops_per_s(case(wal_on_same_device=False))
    assert bounds["device_write"] == pytest.approx(500e6 / 4 / 1000)
    assert bounds["limiter"] == pytest.approx(25_000)


def test_unmeasured_inputs_leave_their_bound_absent() -> None:
    prediction = V1().predict(
        case(
            device=DeviceEnvelope(), limiter_bytes_per_s=None, host=HostSpeeds(cores=2)
        ).model_copy(update={"host": HostSpeeds(cores=2, foreground_ops_per_s=1234.0)})
    )
    known = {name for name, bound in prediction.bounds_ops_per_s.items() if bound is not None}
    assert known == {"foreground"}
    assert prediction.saturation_ops_per_s == 1234.0


@pytest.mark.parametrize("model", [V1(), V21()])
def test_no_amplification_or_no_bound_is_a_refusal_by_name(model: V1 | V21) -> None:
    with pytest.raises(ModelRefusal, match="amplification"):
        model.predict(case(amplification=None))
    nothing = case(device=DeviceEnvelope(), limiter_bytes_per_s=None, host=HostSpeeds(cores=2))
    refused = answer(model, nothing)
    assert refused.saturation_ops_per_s is None
    assert refused.refused is not None
    assert refused.refused.startswith("bounds:")


def test_v2_1_mixes_reads_and_writes_harmonically() -> None:
    bounds = V21().bounds_ops_per_s(case())
    rho = 2 / 7
    bandwidth = 1 / (rho / 300e6 + (1 - rho) / 500e6)
    assert bounds["mixed_device"] == pytest.approx(bandwidth / (7 * 1000))
    # The mixed bound lies below both pure ones.
    assert bounds["mixed_device"] < min(500e6 / 5 / 1000, 300e6 / 2 / 1000)  # type: ignore[operator]


def test_v2_1_sums_slot_time_over_levels_and_reports_the_stall_share() -> None:
    levels = (
        LevelFlow(level=0, write_bytes_per_user_byte=1.0),
        LevelFlow(level=1, write_bytes_per_user_byte=2.0),
        LevelFlow(level=2, write_bytes_per_user_byte=1.0),
    )
    with_levels = AMPLIFICATION.model_copy(update={"levels": levels})
    # Level 1 has a speed of its own, level 2 takes the mean over levels.
    host = HOST.model_copy(update={"level_slot_write_bytes_per_s": {1: 40e6}})
    bounds = V21().bounds_ops_per_s(case(amplification=with_levels, host=host))
    assert bounds["compaction_slots"] == pytest.approx(3 / ((2 / 40e6 + 1 / 60e6) * 1000))
    prediction = V21().predict(case())
    assert prediction.saturation_ops_per_s is not None
    assert prediction.stall_fraction == pytest.approx(
        1 - prediction.saturation_ops_per_s / 1_000_000
    )


def test_the_registry_lists_what_is_installed() -> None:
    models = load_models()
    assert tuple(models)[:5] == OWN_MODELS
    for model in models.values():
        assert model.summary()
        assert model.version


def scenario_case(**changes: object) -> Case:
    values: dict[str, object] = {
        "workload": WorkloadSpec(),
        "options": OptionsSpec(),
        "limiter_bytes_per_s": 30 << 20,
        "device": DeviceEnvelope(),
        "host": HostSpeeds(cores=2, foreground_ops_per_s=85_000.0),
        "amplification": None,
        "window_s": (6.0, 20.0),
    }
    return case(**{**values, **changes})


def test_geometry_predicts_amplification_of_the_stall_workload() -> None:
    amplification = predicted_amplification(scenario_case())
    assert amplification.source == "geometry"
    # 12 bytes of batch header, a type byte, one- and two-byte lengths, on 416 user bytes.
    assert amplification.wal_bytes_per_user_byte == pytest.approx(432 / 416)
    # Measured on RocksDB 9.8.4 with rocksdict (DESIGN.md): WA 4.24 and 4.04 in two seeds.
    assert amplification.background_bytes_per_user_byte == pytest.approx(4.14, rel=0.08)
    compaction = sum(f.write_bytes_per_user_byte for f in amplification.levels if f.level > 0)
    assert compaction == pytest.approx(amplification.compaction_write_bytes_per_user_byte)


def test_v3_predicts_the_stall_workload_without_having_seen_it() -> None:
    prediction = V3().predict(scenario_case())
    # Measured there: 17.8 and 18.7 k puts/s, stalled 86 %.
    assert prediction.saturation_ops_per_s == pytest.approx(18_250, rel=0.08)
    assert prediction.stall_fraction == pytest.approx(0.80, abs=0.1)
    assert prediction.binding == "limiter"


def test_with_the_limiter_binding_v1_on_geometry_agrees_with_v3() -> None:
    # One identity seen from two sides: S (a_flush + a_c) r = limiter.
    bare = scenario_case()
    given = bare.model_copy(update={"amplification": predicted_amplification(bare)})
    one, three = V1().predict(given), V3().predict(bare)
    assert one.saturation_ops_per_s == pytest.approx(three.saturation_ops_per_s, rel=0.05)


def test_an_unlimited_writer_is_bound_by_itself() -> None:
    prediction = V3().predict(
        scenario_case().model_copy(
            update={
                "limiter_bytes_per_s": 100 << 30,
                "host": HostSpeeds(cores=2, foreground_ops_per_s=500.0),
            }
        )
    )
    assert prediction.binding == "foreground"
    # The simulated foreground is jittered by memtable, as a real one is.
    assert prediction.saturation_ops_per_s == pytest.approx(500.0, rel=0.1)


def test_what_the_simulation_lacks_is_refused_by_name() -> None:
    unknown = scenario_case().model_copy(update={"host": HostSpeeds(cores=2)})
    refused = answer(V3(), unknown)
    assert refused.refused is not None
    assert refused.refused.startswith("foreground_ops_per_s:")


def test_v3_without_a_limiter_is_held_back_by_its_slots_not_by_a_fast_device() -> None:
    fast = DeviceEnvelope(write_bytes_per_s=1.5e9, read_bytes_per_s=1.5e9)
    host = HostSpeeds(cores=2, foreground_ops_per_s=150_000.0, slot_write_bytes_per_s=120e6)
    free = scenario_case(limiter_bytes_per_s=None, host=host)
    alone, beside = V3().estimate(free), V3().estimate(free.model_copy(update={"device": fast}))
    assert alone.binding == beside.binding == "compaction_slots"
    assert alone.saturation_ops_per_s is not None
    assert alone.saturation_ops_per_s < 120_000
    assert beside.saturation_ops_per_s == pytest.approx(alone.saturation_ops_per_s, rel=0.02)


def test_v3_under_a_capped_device_is_held_back_by_it() -> None:
    host = HostSpeeds(cores=2, foreground_ops_per_s=150_000.0, slot_write_bytes_per_s=120e6)
    free = scenario_case(limiter_bytes_per_s=None, host=host)
    slow = free.model_copy(update={"device": DeviceEnvelope().capped(40 << 20)})
    prediction = V3().estimate(slow)
    assert prediction.binding == "device_write"
    assert prediction.saturation_ops_per_s is not None
    assert prediction.write_bytes_per_user_byte is not None
    written = prediction.saturation_ops_per_s * 416 * prediction.write_bytes_per_user_byte
    assert written == pytest.approx(40 << 20, rel=0.1)
