"""Record the runs that replay and the tests read: measured for real, then kept small."""

from __future__ import annotations

import gzip
import math
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from phase_d_lib.calibration import DEFAULT
from phase_d_lib.deployment import Fleet, IntegrationResult, integrate
from phase_d_lib.errors import InputError
from phase_d_lib.execution import MAX_RETRIES
from phase_d_lib.laboratory import DEVICE_FILE, Laboratory, fresh_seed
from phase_d_lib.models import intervals
from phase_d_lib.profiles import load_profile
from phase_d_lib.runs import Run, without_statistics_dumps
from phase_d_lib.stages import run_through
from phase_d_lib.validation import ValidationResult, validate
from phase_d_lib.workspace import MARKER, Workspace, claim, remove, write_atomically

POOL_PROFILE = "pool"
_HOST_LINE = re.compile(rb"(Host name \(Env\):\s*)\S+")
_ABSOLUTE_PATH = re.compile(rb"(?<![\w.])/(?:tmp|root|home|work|var|Users)/[\w./+-]*")
_KEPT = (
    "spec.json", "host.json", "prediction.json", "result.json", "OPTIONS", "commands.jsonl", MARKER
)  # fmt: skip


def record(workspace: Workspace, profile_name: str, say: Callable[[str], None]) -> None:
    """Run a recorded profile live and replace ``tests/data/recorded`` with its runs.

    The profile's seed fixes every spec, so replay finds the same ones. The periodic statistics
    dumps are cut from each LOG, host name and paths are redacted, the rest is compressed.

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
        laboratory = Laboratory(Workspace(Path(scratch)), retries=MAX_RETRIES, announce=say)
        run_through(laboratory, profile)
        remove(workspace.recorded_runs)
        claim(workspace.recorded_runs)
        for run in laboratory.used:
            keep(run, workspace.recorded_runs / run.spec.run_id)
        for probed in laboratory.probed:
            probed.save(workspace.recorded_runs / DEVICE_FILE)
    say(f"recorded {len(laboratory.used)} runs of seed {profile.seed}")


def record_pool(workspace: Workspace, seed: int | None, say: Callable[[str], None]) -> Path:
    """Measure the cases of profile ``pool`` and write every model's residuals into the library.

    Residuals with the amplification of the geometry stand beside those with the amplification of
    the very run, which belong to closure figures. Invalid cases are left out and counted.
    """
    profile = load_profile(workspace.profiles, POOL_PROFILE)
    laboratory = Laboratory.of(profile, workspace, say)
    chosen = fresh_seed(profile.seed if seed is None else seed)
    integration = integrate(laboratory, profile.scenario, profile.integration, chosen)
    fleet = Fleet(integration.calibration, integration.record)
    result = validate(
        laboratory, profile.scenario, profile.validation, fleet, (DEFAULT, {}), chosen
    )
    pool = pool_of(result, integration)
    if not pool.residuals:
        raise InputError(
            "no case was valid; the pool was left as it is, measure on a quiet machine"
        )
    file = workspace.root / "phase_d_lib" / "models" / intervals.POOL_FILE
    write_atomically(file, pool.model_dump_json(indent=1) + "\n")
    valid = sum(case.verdict.valid for case in result.cases)
    say(f"{len(pool.residuals)} residuals of {valid} valid cases of {len(result.cases)}")
    return file


def pool_of(result: ValidationResult, integration: IntegrationResult) -> intervals.ResidualPool:
    """Gather the residuals of a validation with their provenance."""
    versions = {state.model: state.version for state in integration.record.models}
    rows = [
        intervals.PooledResidual(
            model=asked.model,
            version=versions[asked.model],
            case=case.name,
            log_ratio=math.log(case.measured_ops_per_s.value / asked.saturation_ops_per_s),
            binding=asked.binding,
            source=asked.amplification_source,
        )
        for case in result.cases
        if case.verdict.valid
        for asked in (*case.predictions, *case.closures)
        if asked.saturation_ops_per_s
    ]
    host = integration.host
    return intervals.ResidualPool(
        recorded_at=integration.calibration.measured_at,
        rocksdb_version=host.rocksdb_version,
        cpu_model=host.cpu_model,
        seed=result.seed,
        residuals=tuple(rows),
    )


def keep(run: Run, target: Path) -> None:
    """Copy a finished run without earlier attempts, its LOG cut and compressed."""
    claim(target)
    for name in _KEPT:
        if (run.path / name).is_file():
            shutil.copyfile(run.path / name, target / name)
    for name in ("samples", "latency"):
        shutil.copyfile(run.path / f"{name}.parquet", target / f"{name}.parquet")
    log = without_statistics_dumps((run.path / "LOG").read_bytes())
    log = _HOST_LINE.sub(rb"\1redacted", _ABSOLUTE_PATH.sub(b"/redacted", log))
    (target / "LOG.gz").write_bytes(gzip.compress(log, mtime=0))
