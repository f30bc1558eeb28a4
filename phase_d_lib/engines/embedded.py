"""The default engine: RocksDB from the rocksdict wheel, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from phase_d_lib.engines.protocol import EngineProcess
from phase_d_lib.errors import EngineError
from phase_d_lib.specs import OptionsSpec, RunSpec, WorkloadSpec

_MODULE = "phase_d_lib.engines.embedded_process"


class EmbeddedProcess:
    """The child process of one run, and the pipe that commands it."""

    def __init__(self, task: dict[str, Any], task_file: Path) -> None:
        self._errors = task_file.with_name("engine.stderr")
        with self._errors.open("wb") as stream:
            self._child = _start("run", task, task_file, stream)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._child.pid

    def poll(self) -> int | None:
        """Return the exit code, or None while running."""
        return self._child.poll()

    def set_options(self, changes: dict[str, str]) -> None:
        """Send a live option change."""
        self._send({"set_options": changes})

    def stop(self) -> None:
        """Ask the run to end at its next sample."""
        self._send({"stop": True})

    def end(self, patience_s: float) -> tuple[int, str]:
        """Wait up to `patience_s` seconds, then kill; return exit code and last message."""
        try:
            code = self._child.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        if self._child.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._child.stdin.close()
        return code, last_line(self._errors)

    def _send(self, command: dict[str, Any]) -> None:
        if self._child.stdin is None or self._child.poll() is not None:
            return
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(json.dumps(command).encode() + b"\n")
            self._child.stdin.flush()


class EmbeddedEngine:
    """RocksDB through rocksdict."""

    name = "embedded"

    def build(self) -> str:
        """Describe the build."""
        return f"rocksdict {version('rocksdict')} wheel, release build"

    def build_base(
        self, workload: WorkloadSpec, options: OptionsSpec, seed: int, folder: Path
    ) -> None:
        """Load, settle and checkpoint in a child process.

        Raises
        ------
        EngineError
            With the last line the child said.
        """
        task = {
            "workload": workload.model_dump(),
            "options": options.model_dump(),
            "seed": seed,
            "database": str(folder / "loading"),
            "checkpoint": str(folder / "db"),
        }
        with (
            (folder / "engine.stderr").open("wb") as errors,
            _start("base", task, folder / "task.json", errors) as child,
        ):
            try:
                code = child.wait()
            finally:
                child.kill()
        if code != 0:
            raise EngineError(
                f"loading the base tree failed: {last_line(folder / 'engine.stderr')}"
            )
        shutil.rmtree(folder / "loading")

    def launch(self, spec: RunSpec, run: Path, database: Path) -> EngineProcess:
        """Start the child process of a run."""
        task = {"run": str(run), "database": str(database)}
        return EmbeddedProcess(task, database.with_name("task.json"))


def last_line(file: Path) -> str:
    """Return the last non-empty line of a text file, or a note that there is none."""
    lines = [line for line in file.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "the engine process left no message"


def _start(
    kind: str, task: dict[str, Any], task_file: Path, errors: Any
) -> subprocess.Popen[bytes]:
    task_file.write_text(json.dumps(task))
    return subprocess.Popen(
        [sys.executable, "-m", _MODULE, kind, str(task_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
    )
