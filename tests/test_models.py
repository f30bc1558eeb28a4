"""v1 and v2_1 against their equations, worked by hand."""

from __future__ import annotations

import pytest

from phase_d_lib.deployment import load_models
from phase_d_lib.errors import ModelRefusal
from phase_d_lib.models.base import (
    Amplification,
    Case,
    DeviceEnvelope,
    HostSpeeds,
    LevelFlow,
    answer,
)
from phase_d_lib.models.v1 import V1
from phase_d_lib.models.v2_1 import V21
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
    bounds = V1().bounds_ops_per_s(case())
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
    bounds = V1().bounds_ops_per_s(case(wal_on_same_device=False))
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
        LevelFlow(level=1, write_bytes_per_user_byte=2.0, slot_write_bytes_per_s=40e6),
        LevelFlow(level=2, write_bytes_per_user_byte=1.0, slot_write_bytes_per_s=80e6),
    )
    with_levels = AMPLIFICATION.model_copy(update={"levels": levels})
    bounds = V21().bounds_ops_per_s(case(amplification=with_levels))
    assert bounds["compaction_slots"] == pytest.approx(3 / ((2 / 40e6 + 1 / 80e6) * 1000))
    prediction = V21().predict(case())
    assert prediction.saturation_ops_per_s is not None
    assert prediction.stall_fraction == pytest.approx(
        1 - prediction.saturation_ops_per_s / 1_000_000
    )


def test_the_registry_lists_what_is_installed() -> None:
    models = load_models()
    assert list(models)[:2] == ["v1", "v2_1"]
    for model in models.values():
        assert model.summary()
        assert model.version
