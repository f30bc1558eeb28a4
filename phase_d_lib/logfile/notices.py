"""Lines that are no events but tell of the write controller: warnings, memtables, options."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

from phase_d_lib.logfile.clock import Clock
from phase_d_lib.logfile.controller import SESSION, Mark
from phase_d_lib.logfile.lines import decoded, meant_at, positions, thread, written_at

_CAUSES = {
    b"immutable memtables": "memtable_limit",
    b"level-0 files": "l0_file_limit",
    None: "pending_bytes",
}
_STALL = re.compile(
    rb"\[([^\[\]]*)\] (Stopping|Stalling) writes because "
    rb"(?:we have (\d{1,18}) (immutable memtables|level-0 files)"
    rb"|of estimated pending compaction bytes (\d{1,18}))"
    rb"(?:[^\n]* rate (\d{1,18}))?"
)
_FAMILY = re.compile(rb"\[([^\[\]]*)\] (?:New memtable|Moving |SetOptions|Increasing)")
_Stall = tuple[float, str, str, str, int, int | None]


class Notices:
    """Stalls and marks of the write controller, in local time."""

    def __init__(self, clock: Clock) -> None:
        self.stalls: list[_Stall] = []
        self.marks: list[Mark] = []
        self._clock = clock

    def read(self, text: bytes) -> int:
        """Read the lines of interest and return how many were damaged."""
        damaged = 0
        for needle, handler in _HANDLERS.items():
            for at in positions(text, needle):
                begin = text.rfind(b"\n", 0, at) + 1
                end = text.find(b"\n", at)
                try:
                    if end < 0:
                        raise ValueError("unfinished line")
                    handler(self, text[begin:end])
                except ValueError:
                    damaged += 1
        return damaged

    def session_begun(self, line: bytes) -> None:
        """Mark that a session begins at ease, if its line is dated."""
        with contextlib.suppress(ValueError):
            time_s = self._clock.local_s(written_at(line))
            self.marks.append(Mark(time_s, 1, SESSION, None, "normal"))

    def _warning(self, line: bytes) -> None:
        found = _STALL.search(line)
        if found is None:
            raise ValueError("no stall warning")
        family, verb, count, what, pending_bytes, rate = found.groups()
        kind, cause = ("stop" if verb == b"Stopping" else "delay"), _CAUSES[what]
        time_s, name = self._clock.local_s(meant_at(line)), decoded(family)
        value = int(pending_bytes if count is None else count)
        self.stalls.append((time_s, name, kind, cause, value, None if rate is None else int(rate)))
        self.marks.append(Mark(time_s, 1, thread(line), name, kind, cause))

    def _at_ease(self, line: bytes) -> None:
        self._mark(line, 1, "normal")

    def _memtable_switched(self, line: bytes) -> None:
        self._mark(line, 0, "normal")

    def _move_begun(self, line: bytes) -> None:
        self._mark(line, 0, "")

    def _options_set(self, line: bytes) -> None:
        self._mark(line, 2, "normal")

    def _mark(self, line: bytes, order: int, kind: str) -> None:
        found = _FAMILY.search(line)
        family = decoded(found.group(1)) if found else None
        time_s = self._clock.local_s(meant_at(line))
        self.marks.append(Mark(time_s, order, thread(line), family, kind))


_HANDLERS: dict[bytes, Callable[[Notices, bytes], None]] = {
    b" writes because ": Notices._warning,
    b"Increasing compaction threads": Notices._at_ease,
    b"] New memtable created": Notices._memtable_switched,
    b"] Moving ": Notices._move_begun,
    b"] SetOptions() succeeded": Notices._options_set,
}
