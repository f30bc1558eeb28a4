"""What a sample says of the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from phase_d_lib.engines.sampling import Sampler, disk_columns
from phase_d_lib.monitor import RULES
from tests.support import small_spec, workspace_at


def test_the_disk_is_that_of_the_directory(tmp_path: Path) -> None:
    told, usage = disk_columns(tmp_path), shutil.disk_usage(tmp_path)
    assert told["disk_total_bytes"] == usage.total
    # Other programs write meanwhile.
    assert abs(told["disk_free_bytes"] - usage.free) < 0.1 * usage.total


def test_without_a_directory_there_is_no_disk() -> None:
    sampler = Sampler(lambda _: None, lambda _: None, lambda: None)
    assert not {name for name in sampler.sample(0, 0, 0, np.array([])) if "disk" in name}


@pytest.mark.slow
@pytest.mark.rocksdb
def test_a_run_samples_its_disk(tmp_path: Path) -> None:
    from phase_d_lib.execution import execute

    run = execute(small_spec(duration_s=0.6), workspace_at(tmp_path))
    needed = {name for rule in RULES if rule.kind == "disk_filling" for name in rule.needs}
    assert needed <= set(run.samples)
    assert (run.samples["disk_free_bytes"] <= run.samples["disk_total_bytes"]).all()
    assert (run.samples["disk_free_bytes"] > 0).all()
