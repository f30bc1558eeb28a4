"""Start a run from a notebook, follow it from outside, stop it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from phase_d_lib.explore.desk import Desk
from phase_d_lib.explore.live_process import STOPPED_CODE, Task
from phase_d_lib.explore.watched import Watched
from phase_d_lib.laboratory import fresh_seed
from phase_d_lib.models.base import Prediction
from phase_d_lib.monitor import monitoring_spec
from phase_d_lib.monitor.tail import sample_rows
from phase_d_lib.runs import Run
from phase_d_lib.specs import RunSpec

COMMAND = (sys.executable, "-m", "phase_d_lib.explore.live_process")
STOP_PATIENCE_S = 10.0
"""The engine is killed 2 s after a stop; the rest is for writing the result of what was sampled."""
_LOOK_S = 0.5
_REFRESH_S = 1.0
_FAILED = "실행하지 못했습니다"
_LOADING = "기준 트리를 준비합니다. 처음에는 몇 초 걸립니다"
_WAITING = "다른 측정이 끝나기를 기다립니다"

Show = Callable[[Watched], None]


class LiveRun:
    """One run of the desk's scenario, with a fresh seed, in a process of its own.

    Parameters
    ----------
    desk : Desk
    show : callable
        Called with what is known, about once a second and at the end, in another thread.
    duration_s : float, optional
        Length; None keeps the profile's.
    command : sequence of str
        What carries the task out.
    """

    def __init__(
        self,
        desk: Desk,
        show: Show,
        duration_s: float | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._desk, self._command = desk, command
        self._show_it, self._shown_s = show, 0.0
        self._stopping, self._starting = threading.Event(), threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None
        self.watched = Watched(live_spec(desk, duration_s))
        self._follower = threading.Thread(target=self._carry_out, daemon=True)

    def start(self) -> None:
        """Predict, start the process and follow it, all in a thread."""
        self._follower.start()

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until the run is over and shown."""
        self._follower.join(timeout_s)

    def stop(self) -> None:
        """End the run, two seconds after the call at the latest, and wait until all is put away."""
        self._stopping.set()
        with self._starting:
            process = self.process
        if process is not None:
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            try:
                process.wait(STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()  # the engine dies with it, and the next run clears up
        self.wait()

    def _carry_out(self) -> None:
        try:
            predictions = self._desk.fleet.predict(self.watched.spec)
            self.watched.expect(predictions, self._desk.fleet.record.active)
            with self._starting:
                if not self._stopping.is_set():
                    self.process = self._launch(self._task(predictions))
            if self.process is None:
                self.watched.end("시작하기 전에 중지했습니다")
            else:
                self._follow(self.process)
        except Exception as error:  # a thread's traceback would reach nobody
            self.watched.end(_FAILED, f"{type(error).__name__}: {error}")
        self._show_it(self.watched)

    def _task(self, predictions: Sequence[Prediction]) -> Task:
        return Task(
            root=self._desk.workspace.root,
            spec=self.watched.spec,
            expected=self.watched.expected,
            predictions=[p.model_dump(mode="json") for p in predictions],
        )

    def _launch(self, task: Task) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # an interrupted cell is no stopped run
        )
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(task.model_dump_json().encode() + b"\n")
                process.stdin.flush()
        return process

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        said: list[bytes] = []
        # A full pipe would stop the run, so somebody listens.
        listener = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
        listener.start()
        path = self._desk.workspace.runs / self.watched.spec.run_id
        with contextlib.suppress(_ProcessEnded):
            self._await_start(process, path)
            for row in sample_rows(path, lambda _: self._pause(process, path)):
                self.watched.take(row)
        code = process.wait()
        listener.join()
        _close(process)
        _conclude(self.watched, path, code, b"".join(said).decode(errors="replace"))

    def _await_start(self, process: subprocess.Popen[bytes], path: Path) -> None:
        """Say what the run waits for until its directory is there."""
        place = self._desk.workspace.work / f"run-{path.name}"
        while not (path / "spec.json").is_file():
            self.watched.phase = _LOADING if place.exists() else _WAITING
            self._pause(process, path)
        self.watched.phase = "측정하고 있습니다"

    def _pause(self, process: subprocess.Popen[bytes], path: Path) -> None:
        """Show, look whether the process still lives, wait for the next sample."""
        if time.monotonic() - self._shown_s >= _REFRESH_S - _LOOK_S / 2:
            self._shown_s = time.monotonic()
            self._show_it(self.watched)
        if process.poll() is not None and not (path / "result.json").is_file():
            raise _ProcessEnded
        time.sleep(_LOOK_S)


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close our ends of the pipes of a process that has ended."""
    for pipe in (process.stdin, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class _ProcessEnded(Exception):  # noqa: N818 - an end, not an error
    """The process is gone and left no result."""


def live_spec(desk: Desk, duration_s: float | None) -> RunSpec:
    """Return a run of the desk's scenario with a fresh seed."""
    plan = desk.profile.monitoring
    if duration_s is not None:
        warmup_s = min(plan.warmup_s, duration_s / 4)
        plan = plan.model_copy(update={"duration_s": duration_s, "warmup_s": warmup_s})
    return monitoring_spec(desk.profile.scenario, plan, fresh_seed(None))


def _conclude(watched: Watched, path: Path, code: int, said: str) -> None:
    stopped = code == STOPPED_CODE or code < 0
    if (path / "result.json").is_file():
        watched.run = Run(path)
        watched.end("중지했습니다" if stopped else "끝났습니다")
    elif stopped:
        watched.end("표본을 얻기 전에 중지했습니다")
    else:
        lines = [line for line in said.splitlines() if line.strip()]
        watched.end(_FAILED, lines[-1] if lines else f"exit code {code}")
