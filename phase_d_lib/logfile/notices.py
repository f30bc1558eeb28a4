"""Lines that are no events: what tells of the write controller, and warnings of any kind."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

from phase_d_lib.logfile.clock import Clock
from phase_d_lib.logfile.complaints import Warnings
from phase_d_lib.logfile.controller import SESSION, Mark
from phase_d_lib.logfile.damage import Damage
from phase_d_lib.logfile.lines import decoded, meant_at, thread

_NOTICE = re.compile(
    rb"\] (?:(Stopping writes because |Stalling writes because |Increasing compaction threads|"
    rb"New memtable created|Moving |SetOptions\(\) succeeded)|(?<=WARN\] |RROR\] |ATAL\] ))"
)
_CAUSES = {
    b"immutable memtables": "memtable_limit",
    b"level-0 files": "l0_file_limit",
    None: "pending_bytes",
}
_STALL = re.compile(
    rb"(Stopping|Stalling) writes because "
    rb"(?:we have (\d{1,18}) (immutable memtables|level-0 files)"
    rb"|of estimated pending compaction bytes (\d{1,18}))"
    rb"(?:[^\n]* rate:? (\d{1,18}))?"  # with a colon in Speedb
)
_Stall = tuple[float, str, str, str, int, int | None]


class Notices:
    """Stalls and marks of the write controller, in local time."""

    def __init__(self, clock: Clock, damage: Damage, warnings: Warnings) -> None:
        self.stalls: list[_Stall] = []
        self.marks: list[Mark] = []
        self._clock = clock
        self._damage = damage
        self._warnings = warnings

    def read(self, text: bytes) -> None:
        """Read the lines of interest."""
        for found in _NOTICE.finditer(text):
            at = found.start()
            begin = text.rfind(b"\n", 0, at) + 1
            end = text.find(b"\n", at)
            what = found.group(1)
            if what is None:
                self._warnings.add(text, begin, at, end if end >= 0 else len(text))
                continue
            try:
                if end < 0:
                    raise ValueError("unfinished line")
                line = text[begin:end]
                family = text[text.rfind(b"[", begin, at) + 1 : at]
                _HANDLERS[what](self, line, decoded(family))
            except ValueError:
                self._damage.of(text[begin : end if end >= 0 else len(text)])

    def session_begun(self, stamp: bytes) -> None:
        """Mark that a session begins at ease, if its line is dated."""
        with contextlib.suppress(ValueError):
            self.marks.append(Mark(self._clock.local_s(stamp), 1, SESSION, None, "normal"))

    def _warning(self, line: bytes, family: str) -> None:
        found = _STALL.search(line)
        if found is None:
            raise ValueError("no stall warning")
        verb, count, what, pending_bytes, rate = found.groups()
        kind, cause = ("stop" if verb == b"Stopping" else "delay"), _CAUSES[what]
        time_s = self._clock.local_s(meant_at(line))
        value = int(pending_bytes if count is None else count)
        limit = None if rate is None else int(rate)
        self.stalls.append((time_s, family, kind, cause, value, limit))
        self.marks.append(Mark(time_s, 1, thread(line), family, kind, cause))

    def _at_ease(self, line: bytes, family: str) -> None:
        self._mark(line, 1, family, "normal")

    def _memtable_switched(self, line: bytes, family: str) -> None:
        self._mark(line, 0, family, "normal")

    def _move_begun(self, line: bytes, family: str) -> None:
        self._mark(line, 0, family, "")

    def _options_set(self, line: bytes, family: str) -> None:
        self._mark(line, 2, family, "normal")

    def _mark(self, line: bytes, order: int, family: str, kind: str) -> None:
        time_s = self._clock.local_s(meant_at(line))
        self.marks.append(Mark(time_s, order, thread(line), family, kind))


_HANDLERS: dict[bytes, Callable[[Notices, bytes, str], None]] = {
    b"Stopping writes because ": Notices._warning,
    b"Stalling writes because ": Notices._warning,
    b"Increasing compaction threads": Notices._at_ease,
    b"New memtable created": Notices._memtable_switched,
    b"Moving ": Notices._move_begun,
    b"SetOptions() succeeded": Notices._options_set,
}
