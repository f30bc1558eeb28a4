"""A capped device: the cap holds, is gone afterwards, and is refused where it can't be set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from phase_d_lib import throttle
from phase_d_lib.errors import InputError
from phase_d_lib.execution import execute
from phase_d_lib.specs import RunSpec
from phase_d_lib.throttle import DeviceThrottle, throttling_available
from phase_d_lib.units import MIB
from tests.support import SMALL_OPTIONS, small_spec, workspace_at

LIMIT_BYTES_PER_S = 8 * MIB
needs_cap = pytest.mark.skipif(
    not throttling_available(), reason="no cgroup v1 blkio that may be written"
)


def groups() -> list[str]:
    return [path.name for path in Path("/sys/fs/cgroup/blkio").glob("phase-d-*")]


def test_a_cap_needs_direct_io() -> None:
    with pytest.raises(ValueError, match="use_direct_io_for_flush_and_compaction"):
        small_spec(device_limit_bytes_per_s=LIMIT_BYTES_PER_S)


def test_where_it_cannot_be_set_the_refusal_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "_ROOT", tmp_path / "nothing")
    with pytest.raises(InputError, match="needs root and cgroup v1 blkio"):
        DeviceThrottle(tmp_path, LIMIT_BYTES_PER_S)


@needs_cap
def test_a_process_is_under_the_cap_and_free_again_afterwards(tmp_path: Path) -> None:
    membership = Path("/proc/self/cgroup")
    before = membership.read_text()
    with DeviceThrottle(tmp_path, LIMIT_BYTES_PER_S) as cap:
        cap.add(os.getpid())
        assert f"phase-d-{os.getpid()}" in membership.read_text()
    assert "phase-d-" not in membership.read_text()
    assert before.count("\n") == membership.read_text().count("\n")
    assert groups() == []


@needs_cap
@pytest.mark.slow
@pytest.mark.rocksdb
def test_a_run_writes_no_faster_than_its_device(tmp_path: Path) -> None:
    options = SMALL_OPTIONS.model_copy(update={"use_direct_io_for_flush_and_compaction": True})
    spec: RunSpec = small_spec(
        options=options,
        limiter_bytes_per_s=None,
        device_limit_bytes_per_s=LIMIT_BYTES_PER_S,
        duration_s=4.0,
        warmup_s=1.0,
    )
    run = execute(spec, workspace_at(tmp_path))
    inside = run.window
    written = (
        inside[["flush_write_bytes_total", "compact_write_bytes_total"]].iloc[-1]
        - inside[["flush_write_bytes_total", "compact_write_bytes_total"]].iloc[0]
    ).sum()
    elapsed_s = inside["time_s"].iloc[-1] - inside["time_s"].iloc[0]
    # Counters move when a file is finished, so one file may belong to the time before.
    assert written <= LIMIT_BYTES_PER_S * elapsed_s + 4 * options.write_buffer_size
    assert groups() == []
