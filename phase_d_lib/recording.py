"""Record the runs that replay and the tests read: measured for real, then kept small."""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml

from phase_d_lib import batch
from phase_d_lib.errors import InputError
from phase_d_lib.profiles import load_profile
from phase_d_lib.runs import Run, find_runs
from phase_d_lib.workspace import MARKER, Workspace, claim, remove

_STATISTICS_DUMP = re.compile(
    rb"^.*------- DUMPING STATS -------\n(?:(?!\d{4}/).*\n)*", re.MULTILINE
)
_KEPT = ("spec.json", "host.json", "prediction.json", "result.json", "OPTIONS", MARKER)


def record(workspace: Workspace, profile_name: str, say: Callable[[str], None]) -> None:
    """Run a recorded profile live and replace ``tests/data/recorded`` with its runs.

    The profile's seed fixes every spec, so replay finds the same ones. The periodic statistics
    dumps are cut from each LOG and the rest is compressed; nothing else is changed.

    Raises
    ------
    InputError
        When the profile is not a recorded one.
    """
    profile = load_profile(workspace.profiles, profile_name)
    if not profile.recorded:
        raise InputError(
            f"profile = {profile_name!r} is not recorded; name one with recorded: true"
        )
    with tempfile.TemporaryDirectory(prefix="phase-d-record-") as scratch:
        studio = _studio(workspace, profile_name, Path(scratch))
        batch.run_stages(studio, profile_name, claim(studio.root / "report"), say=say)
        runs = [run for run in find_runs(studio.runs) if run.result is not None]
        remove(workspace.recorded_runs)
        claim(workspace.recorded_runs)
        for run in runs:
            keep(run, workspace.recorded_runs / run.spec.run_id)
    say(f"recorded {len(runs)} runs of seed {profile.seed}")


def keep(run: Run, target: Path) -> None:
    """Copy a finished run without earlier attempts, its LOG cut and compressed."""
    claim(target)
    for name in _KEPT:
        if (run.path / name).is_file():
            shutil.copyfile(run.path / name, target / name)
    for name in ("samples", "latency"):
        shutil.copyfile(run.path / f"{name}.parquet", target / f"{name}.parquet")
    log = _STATISTICS_DUMP.sub(b"", (run.path / "LOG").read_bytes())
    (target / "LOG.gz").write_bytes(gzip.compress(log, mtime=0))


def _studio(workspace: Workspace, profile_name: str, scratch: Path) -> Workspace:
    """A copy of what stages need, in which the recorded profile measures instead of reading."""
    shutil.copytree(workspace.notebooks, scratch / "notebooks")
    shutil.copytree(workspace.profiles, scratch / "data" / "profiles")
    (scratch / "phase_d_lib").symlink_to(workspace.root / "phase_d_lib")
    shutil.copyfile(workspace.root / "requirements.lock", scratch / "requirements.lock")
    file = scratch / "data" / "profiles" / f"{profile_name}.yaml"
    values = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**values, "recorded": False}, allow_unicode=True))
    return Workspace(scratch)
