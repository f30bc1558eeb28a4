"""The parent's side of an engine process: start it, command it, wait for it, end it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from phase_d_lib.errors import EngineError
from phase_d_lib.specs import OptionsSpec, WorkloadSpec


class ChildProcess:
    """The child process of one run, and the pipe that commands it.

    Parameters
    ----------
    module : str
        Module to run; it gets the task's kind and the task file as arguments.
    task : dict
        Written to `task_file` as JSON.
    task_file : Path
        In a directory of ours; what the process says on standard error is kept beside it.
    """

    def __init__(self, module: str, task: dict[str, Any], task_file: Path) -> None:
        self._errors = task_file.with_name("engine.stderr")
        with self._errors.open("wb") as stream:
            self._child = _start(module, "run", task, task_file, stream)

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


def build_base_tree(
    module: str,
    workload: WorkloadSpec,
    options: OptionsSpec,
    seed: int,
    folder: Path,
    **more: str,
) -> None:
    """Load, settle and checkpoint in a child process; the tree is left at ``folder / "db"``.

    Parameters
    ----------
    **more
        Further entries of the task.

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
        **more,
    }
    with (
        (folder / "engine.stderr").open("wb") as errors,
        _start(module, "base", task, folder / "task.json", errors) as child,
    ):
        try:
            code = child.wait()
        finally:
            child.kill()
    if code != 0:
        raise EngineError(f"loading the base tree failed: {last_line(folder / 'engine.stderr')}")
    shutil.rmtree(folder / "loading", ignore_errors=True)


def last_line(file: Path) -> str:
    """Return the last non-empty line of a text file, or a note that there is none."""
    lines = [line for line in file.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "the engine process left no message"


def _start(
    module: str, kind: str, task: dict[str, Any], task_file: Path, errors: Any
) -> subprocess.Popen[bytes]:
    task_file.write_text(json.dumps(task))
    return subprocess.Popen(
        [sys.executable, "-m", module, kind, str(task_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
    )
