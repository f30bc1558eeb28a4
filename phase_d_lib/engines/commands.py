"""How the process of a run is commanded: by lines on standard input, and by its parent's death."""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, even inside a stalled put.

    Linux only; elsewhere, and for a parent that is already gone, the end of standard input stops
    the run at its next sample.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Commands:
    """Commands on standard input, JSON lines: ``{"set_options": {..}}`` or ``{"stop": true}``.

    Parameters
    ----------
    set_options : callable
        Applies a change; what it raises is journalled.
    journal : Path
        ``commands.jsonl`` of the run.
    """

    def __init__(self, set_options: Callable[[dict[str, str]], None], journal: Path) -> None:
        self._set_options, self._journal = set_options, journal
        self._selector = selectors.DefaultSelector()
        os.set_blocking(sys.stdin.fileno(), False)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._pending = ""
        self.stopped = False

    def poll(self, now_s: float) -> None:
        """Carry out what has arrived; a refused change is journalled and does not end the run."""
        if self.stopped or not self._selector.select(timeout=0):
            return
        chunk = os.read(sys.stdin.fileno(), 65_536).decode()
        if not chunk:
            self.stopped = True
            return
        *lines, self._pending = (self._pending + chunk).split("\n")
        for line in lines:
            self._apply(json.loads(line), now_s)

    def _apply(self, command: dict[str, Any], now_s: float) -> None:
        if command.get("stop"):
            self.stopped = True
            return
        outcome: dict[str, Any] = {"time_s": now_s, **command, "error": None}
        try:
            self._set_options(command["set_options"])
        except Exception as error:  # rocksdict raises bare Exception for a refused option
            outcome["error"] = str(error)
        with self._journal.open("a") as stream:
            stream.write(json.dumps(outcome) + "\n")
