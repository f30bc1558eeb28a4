"""A wait that SIGINT and SIGTERM end."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ending:
    """Takes SIGINT and SIGTERM while it is entered; main thread only.

    The signal arrives as a byte in a pipe, so that none is lost between two waits, whichever
    thread it reaches, and also where the shell had SIGINT ignored.
    """

    def __enter__(self) -> Ending:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _nothing) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> bool:
        """Wait; return at once, and True, when a signal came."""
        ready, _, _ = select.select([self._read], [], [], max(0.0, seconds))
        return bool(ready)


def _nothing(_: int, __: FrameType | None) -> None:
    """Do nothing: the byte in the pipe says it."""
