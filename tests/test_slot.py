"""The benchmark slot excludes, and is freed by the death of its holder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from phase_d_lib.errors import SlotBusyError
from phase_d_lib.slot import benchmark_slot

HOLDER = """
import sys, time
from pathlib import Path
from phase_d_lib.slot import benchmark_slot
with benchmark_slot(0, Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_holder_is_refused_and_killed_holder_frees(tmp_path: Path) -> None:
    file = tmp_path / "slot"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SlotBusyError, match="benchmark slot"), benchmark_slot(0.0, file):
            pass
        holder.kill()
        holder.wait()
    with benchmark_slot(5.0, file):
        pass
