"""Where stages get their runs from: a real engine now, or recorded runs of one."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from phase_d_lib.device import DeviceProbe, probe
from phase_d_lib.engines import find_engine
from phase_d_lib.errors import InputError
from phase_d_lib.execution import OnSample, execute
from phase_d_lib.profiles import ProbePlan, Profile
from phase_d_lib.runs import Run, find_runs
from phase_d_lib.slot import benchmark_slot
from phase_d_lib.specs import RunSpec
from phase_d_lib.workspace import Workspace, claim

Announce = Callable[[str], None]
DEVICE_FILE = "device.json"
"""Name of a recorded device probe; its grid lies beside it as CSV."""


@dataclass
class Laboratory:
    """Runs specs, or looks up the recorded run of the same block and repeat.

    Parameters
    ----------
    workspace : Workspace
    recorded : bool
        Read recorded runs; no database is written.
    retries : int
        Attempts after an invalid one.
    announce : callable
        Told in one line what starts.
    resumes : bool
        Take the complete run of a spec by the engine build in use instead of running it again.
    """

    workspace: Workspace
    recorded: bool = False
    retries: int = 0
    announce: Announce = print
    resumes: bool = False
    used: list[Run] = field(default_factory=list)
    """Every run handed out, in order."""
    probed: list[DeviceProbe] = field(default_factory=list)
    """Every device probe handed out, in order."""

    @classmethod
    def of(cls, profile: Profile, workspace: Workspace, announce: Announce = print) -> Laboratory:
        """Build the laboratory a profile asks for."""
        return cls(workspace, profile.recorded, profile.retries, announce)

    def run(
        self,
        spec: RunSpec,
        *,
        predictions: Sequence[dict[str, Any]] | None = None,
        on_sample: OnSample | None = None,
        cool_off_s: float = 0.0,
    ) -> Run:
        """Carry out `spec`, or return its recording, or the run that is there already.

        Parameters
        ----------
        cool_off_s : float
            Idle time before a run that is carried out, seconds.

        Raises
        ------
        InputError
            When no recording fits.
        """
        done = self._finished(spec) if self.resumes and not self.recorded else None
        verb = "reading" if self.recorded else "reusing" if done else "running"
        self.announce(f"{verb} {spec.block}, {spec.duration_s:.0f} s, repeat {spec.repeat}")
        if self.recorded:
            run = self._recording(spec)
        elif done is not None:
            run = done
        else:
            time.sleep(cool_off_s)
            run = self._execute(spec, predictions, on_sample)
        self.used.append(run)
        return run

    def _execute(
        self,
        spec: RunSpec,
        predictions: Sequence[dict[str, Any]] | None,
        on_sample: OnSample | None,
    ) -> Run:
        frozen = None if predictions is None else list(predictions)
        return execute(
            spec, self.workspace, predictions=frozen, on_sample=on_sample, retries=self.retries
        )

    def probe(self, plan: ProbePlan) -> DeviceProbe:
        """Measure the device under the databases, or return the recorded probe.

        Raises
        ------
        InputError
            When nothing was recorded, or direct I/O is not possible here.
        """
        self.announce(f"{'reading' if self.recorded else 'measuring'} the device")
        if self.recorded:
            found = DeviceProbe.load(self.workspace.recorded_runs / DEVICE_FILE)
        else:
            with benchmark_slot():
                found = probe(claim(self.workspace.work / "probe"), plan)
        self.probed.append(found)
        return found

    def _finished(self, spec: RunSpec) -> Run | None:
        """Return the complete, readable run of a spec by the engine build in use, or None."""
        path = self.workspace.runs / spec.run_id
        if not all((path / file).is_file() for file in ("spec.json", "result.json", "host.json")):
            return None
        run = Run(path)
        complete = run.readable and run.result is not None and run.result.status == "complete"
        same = complete and run.host.engine_build == find_engine(spec.engine).build()
        return run if same else None

    def _recording(self, spec: RunSpec) -> Run:
        for run in find_runs(self.workspace.recorded_runs):
            if run.spec == spec:
                return run
        raise InputError(
            f"no recorded run fits block {spec.block!r}, repeat {spec.repeat}; "
            "record them again with: phase-d record"
        )


def fresh_seed(fixed: int | None) -> int:
    """Return the fixed seed, or draw one from the operating system (to be recorded)."""
    return secrets.randbelow(2**31) if fixed is None else fixed


def derived_seed(seed: int, *names: object) -> int:
    """Derive an independent 31-bit seed for a named purpose, the same on every platform."""
    text = ":".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
