"""The process that carries out one run for a notebook.

``python -m phase_d_lib.explore.live_process`` - started by :mod:`phase_d_lib.explore.live_run`,
never by hand. A process of its own, because a run must end at once in whatever it is doing -
waiting for the benchmark slot, loading the base tree, hanging in a stalled put - and only a signal
to a main thread does that. One JSON line on standard input says what to run. The end of standard
input stops the run: a pressed button closes it, and so does the death of the notebook's kernel.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any

from phase_d_lib import runs
from phase_d_lib.engines.protocol import EngineProcess
from phase_d_lib.errors import PhaseDError
from phase_d_lib.execution import execute
from phase_d_lib.monitor import AlertBook, Expectations
from phase_d_lib.specs import Frozen, RunSpec
from phase_d_lib.workspace import Workspace

STOPPED_CODE = 130
"""Exit code of a run that was stopped, as of a shell command after Ctrl-C."""


class Task(Frozen):
    """What to run, and what was predicted of it."""

    root: Path
    spec: RunSpec
    expected: Expectations
    predictions: list[dict[str, Any]]


def main() -> int:
    """Run the task of standard input; return the exit code."""
    task = Task.model_validate_json(sys.stdin.readline())
    over = threading.Event()
    # A shell ignores SIGINT for what it starts in the background, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_stop_at_end, args=(threading.get_ident(), over), daemon=True).start()
    workspace = Workspace(task.root)
    path = workspace.runs / task.spec.run_id
    book = AlertBook(task.expected, path / "alerts.jsonl")

    def observe(row: dict[str, Any], _: EngineProcess) -> None:
        book.observe(row)

    try:
        execute(task.spec, workspace, predictions=task.predictions, on_sample=observe)
    except KeyboardInterrupt:
        _finish(path)
        return STOPPED_CODE
    except PhaseDError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    finally:
        over.set()
        signal.signal(signal.SIGINT, before)
    return 0


def _stop_at_end(main_thread: int, over: threading.Event) -> None:
    """Interrupt the main thread when standard input ends; even a wait for a child returns then."""
    sys.stdin.read()
    if not over.is_set():
        signal.pthread_kill(main_thread, signal.SIGINT)


def _finish(path: Path) -> None:
    """Give a run its result where the interruption fell between its end and its result."""
    sampled = path / "samples.jsonl"
    if not (path / "result.json").exists() and len(runs.read_json_lines(sampled)) > 1:
        runs.finish(path, "partial", "interrupted by its user")


if __name__ == "__main__":
    sys.exit(main())
