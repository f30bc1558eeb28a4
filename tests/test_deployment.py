"""Which model is active: by error within noise, by the user, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phase_d_lib import deployment
from phase_d_lib.calibration import Calibration, CalibrationRow
from phase_d_lib.deployment import Fleet
from phase_d_lib.errors import InputError, NotOursError
from phase_d_lib.models.base import Amplification, Case, HostSpeeds
from phase_d_lib.rates import Estimate
from phase_d_lib.specs import OptionsSpec, RunSpec, WorkloadSpec
from phase_d_lib.units import MIB
from phase_d_lib.validity import Verdict
from phase_d_lib.workspace import Workspace, claim
from tests.support import workspace_at

HOST = HostSpeeds(cores=2, foreground_ops_per_s=150_000.0, slot_write_bytes_per_s=150e6)
WORKLOAD = WorkloadSpec(keys=20_000)
BUFFERS = (MIB, 2 * MIB, 3 * MIB, 4 * MIB)


def spec(buffer_bytes: int) -> RunSpec:
    return RunSpec(
        workload=WORKLOAD,
        options=OptionsSpec(write_buffer_size=buffer_bytes),
        limiter_bytes_per_s=30 * MIB,
        duration_s=20.0,
        block="calibration",
    )


def row(buffer_bytes: int, measured_ops_per_s: float, valid: bool = True) -> CalibrationRow:
    amplification = Amplification(
        source="given",
        wal_bytes_per_user_byte=1.0,
        flush_bytes_per_user_byte=1.0,
        compaction_write_bytes_per_user_byte=3.0,
    )
    return CalibrationRow(
        name=f"buffer-{buffer_bytes}",
        run_id="0" * 16,
        changes={"write_buffer_size": buffer_bytes},
        case=Case.of(spec(buffer_bytes), HOST, amplification),
        measured_ops_per_s=Estimate(value=measured_ops_per_s),
        stall_fraction=0.8,
        verdict=Verdict(valid=valid),
    )


def calibration(rates_ops_per_s: dict[int, float], valid: bool = True) -> Calibration:
    return Calibration(
        measured_at="2026-01-01T00:00:00+00:00",
        seed=1,
        rocksdb_version="9.8.4",
        host=HOST,
        sources={},
        rows=tuple(row(size, rate, valid) for size, rate in rates_ops_per_s.items()),
    )


def predicted(model: str) -> dict[int, float]:
    """What a model says of each calibration configuration."""
    fleet = Fleet(calibration(dict.fromkeys(BUFFERS, 20_000.0)))
    rates = {}
    for size in BUFFERS:
        asked = next(p for p in fleet.predict(spec(size)) if p.model == model)
        assert asked.saturation_ops_per_s is not None
        rates[size] = asked.saturation_ops_per_s
    return rates


def test_a_model_that_tells_more_wins_within_noise() -> None:
    # Measured exactly as v1 says: v3 stands on the same simulation, so it is as good within noise.
    fleet = Fleet(calibration({s: r * f for (s, r), f in zip(predicted("v1").items(),
                                                             (1.02, 0.97, 1.04, 0.99),
                                                             strict=True)}))  # fmt: skip
    assert fleet.record.active == "v3"
    assert fleet.record.regime == "limiter"
    assert fleet.record.active_reason in (
        "within_one_standard_error_and_simulates",
        "lowest_cross_validated_error",
    )
    state = next(d for d in fleet.record.models if d.model == "v3")
    assert state.status == "active"
    assert state.cross_validated_error_fraction is not None
    assert state.cross_validated_error_fraction < 0.1
    assert state.passport["write_buffer_size"] == (MIB, 4 * MIB)


def test_models_without_a_device_refuse_and_say_so() -> None:
    fleet = Fleet(calibration(dict.fromkeys(BUFFERS, 20_000.0)))
    state = next(d for d in fleet.record.models if d.model == "v4")
    assert state.reason == "refused"
    assert state.refusal is not None
    assert state.refusal.startswith("grid_csv")


def test_without_a_valid_run_nothing_is_active() -> None:
    record = Fleet(calibration({MIB: 20_000.0}, valid=False)).record
    assert record.active is None
    assert record.active_reason == "no_valid_calibration_run"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_at(tmp_path)


def test_a_user_activates_and_rolls_back(workspace: Workspace) -> None:
    assert deployment.read_choice(workspace) is None
    deployment.keep_choice(
        workspace, deployment.Choice(active="v3", active_since="2026-01-01T00:00:00+00:00")
    )
    chosen = deployment.activate(workspace, "v1")
    assert (chosen.active, chosen.previous, chosen.by_user) == ("v1", "v3", True)
    assert deployment.pinned_model(workspace) == "v1"
    # Again is no new choice: what was before stays v3.
    assert deployment.activate(workspace, "v1") == chosen
    record = Fleet(calibration(dict.fromkeys(BUFFERS, 20_000.0))).deploy(
        choice=deployment.read_choice(workspace)
    )
    assert (record.active, record.active_reason) == ("v1", "chosen_by_user")
    assert record.previous == "v3"
    back = deployment.roll_back(workspace)
    # Rolled back means staying there, also through the next calibration.
    assert (back.active, back.previous, back.by_user) == ("v3", "v1", True)
    assert deployment.pinned_model(workspace) == "v3"
    deployment.choose_by_error(workspace)
    assert deployment.pinned_model(workspace) is None


def test_activating_what_is_active_keeps_the_way_back(workspace: Workspace) -> None:
    deployment.keep_choice(
        workspace,
        deployment.Choice(active="v3", active_since="2026-01-01T00:00:00+00:00", previous="v1"),
    )
    pinned = deployment.activate(workspace, "v3")
    assert (pinned.previous, pinned.active_since) == ("v1", "2026-01-01T00:00:00+00:00")
    assert deployment.roll_back(workspace).active == "v1"


def test_a_foreign_directory_is_not_written_into(workspace: Workspace) -> None:
    workspace.calibrations.mkdir(parents=True)
    (workspace.calibrations / "theirs.json").write_text("{}")
    with pytest.raises(NotOursError):
        deployment.activate(workspace, "v1")
    assert [p.name for p in workspace.calibrations.iterdir()] == ["theirs.json"]


def test_a_model_that_answers_only_the_easy_rows_is_not_chosen() -> None:
    fleet = Fleet(calibration(dict.fromkeys(BUFFERS, 20_000.0)))
    errors = {"v1": np.array([0.1, 0.1, 0.1]), "v2_1": np.array([0.01, np.inf, np.inf])}
    assert fleet._select(errors) == ("v1", "lowest_cross_validated_error")
    refused = {"v1": np.array([np.inf, np.inf])}
    assert fleet._select(refused) == (None, "every_model_refused")


def test_bad_choices_are_one_clear_line(workspace: Workspace) -> None:
    with pytest.raises(InputError, match=r"model = 'v9': not installed; installed are v1"):
        deployment.activate(workspace, "v9")
    with pytest.raises(InputError, match="nothing to roll back to"):
        deployment.roll_back(workspace)
    claim(workspace.calibrations)
    deployment.choice_file(workspace).write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        deployment.read_choice(workspace)
