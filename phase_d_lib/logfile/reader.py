"""One pass over the bytes of LOG files."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from phase_d_lib.logfile.blocks import Readable, line_blocks, whole_messages
from phase_d_lib.logfile.clock import Clock
from phase_d_lib.logfile.complaints import Warnings
from phase_d_lib.logfile.controller import Decisions, Mark
from phase_d_lib.logfile.damage import Damage
from phase_d_lib.logfile.dumps import Dumps, DumpText
from phase_d_lib.logfile.events import Jobs
from phase_d_lib.logfile.framing import SAMPLE_BYTES, Framing
from phase_d_lib.logfile.lines import DATE_BYTES, DATED_LINE
from phase_d_lib.logfile.notices import Notices
from phase_d_lib.logfile.scan import Events
from phase_d_lib.logfile.sessions import Sessions
from phase_d_lib.logfile.tables import SessionStart, WarningCount

BLOCK_BYTES = 4 << 20
_LATE_S = 10.0  # how far apart lines of one moment may stand
_HELD_MARKS = 200_000


@dataclass(frozen=True)
class Rows:
    """What was read since the last time it was asked for, in epoch seconds.

    Attributes
    ----------
    flushes, compactions, stalls, states : list of tuple
        Rows of the tables of these names (`states`: of the table ``controller``).
    dumps : list of DumpText
        Stats dumps; `dump_rows` makes their rows.
    """

    flushes: list[tuple[Any, ...]]
    compactions: list[tuple[Any, ...]]
    stalls: list[tuple[Any, ...]]
    states: list[tuple[Any, ...]]
    dumps: list[DumpText]


class LogReader:
    """Reads LOG files in order of time; see `read` and `rows`."""

    def __init__(self) -> None:
        self.lines = 0
        self.foreign_lines = 0
        self.damage = Damage()
        self.clock = Clock()
        self.sessions = Sessions()
        self.jobs = Jobs()
        self.warnings = Warnings(self.clock)
        self.notices = Notices(self.clock, self.damage, self.warnings)
        self.dumps = Dumps(self.clock)
        self.events = Events(self.jobs, self.clock, self.damage)
        self._first_local_s, self._last_local_s = math.inf, -math.inf
        self._decisions = Decisions()
        self._early: list[Mark] = []

    def read(self, stream: Readable) -> Iterator[None]:
        """Read one file; yields now and then, so that what was read can be taken."""
        self.damage.next_file()
        for text in whole_messages(self._own_text(stream)):
            self._text(text)
            yield

    @property
    def is_log(self) -> bool:
        """Whether any line of RocksDB's was met."""
        dated = self._first_local_s < math.inf
        return dated or bool(self.events.counts)

    def time_range_s(self) -> tuple[float, float]:
        """Return epoch seconds of the first and last dated line; NaN without any."""
        if self._last_local_s < self._first_local_s:
            return math.nan, math.nan
        epoch_s = self.clock.epoch_of()
        return epoch_s(self._first_local_s), epoch_s(self._last_local_s)

    def column_families(self) -> dict[str, dict[str, str]]:
        """Return the options of each column family met, as far as printed."""
        met = dict.fromkeys(self.jobs.families)
        return {name: {} for name in met if name} | self.sessions.column_families

    def session_starts(self) -> tuple[SessionStart, ...]:
        """Return every opening of the database met."""
        return tuple(
            SessionStart(self._epoch_s(s.stamp), s.session_id, s.product, s.version, s.base_version)
            for s in self.sessions.all
        )

    def warning_counts(self) -> tuple[WarningCount, ...]:
        """Return the warnings by kind, the most frequent first."""
        epoch_s = self.clock.epoch_of()
        found = [
            WarningCount(*key, kind.count, *(t if t is None else epoch_s(t) for t in kind.times_s))
            for key, kind in self.warnings.kinds.items()
        ]
        return tuple(sorted(found, key=lambda warning: -warning.count))

    def _epoch_s(self, stamp: bytes) -> float | None:
        try:
            return self.clock.epoch_of()(self.clock.local_s(stamp))
        except ValueError:
            return None

    def rows(self, final: bool = True) -> Rows:
        """Return what was read since the last call and forget it.

        Parameters
        ----------
        final : bool
            Whether nothing follows. If something does, the marks of the last seconds are kept:
            RocksDB writes some lines late.
        """
        jobs = self.jobs
        local = final or self.clock.knows or len(self.notices.marks) > _HELD_MARKS
        taken = Rows(
            flushes=jobs.flushes,
            compactions=jobs.compactions,
            stalls=self._stalls() if local else [],
            states=self._states(final) if local else [],
            dumps=self._dumps() if local else [],
        )
        jobs.flushes, jobs.compactions = [], []
        return taken

    def _stalls(self) -> list[tuple[Any, ...]]:
        epoch_s = self.clock.epoch_of()
        stalls, self.notices.stalls = self.notices.stalls, []
        return [(epoch_s(local_s), *rest) for local_s, *rest in stalls]

    def _dumps(self) -> list[DumpText]:
        epoch_s = self.clock.epoch_of()
        dumps, self.dumps.texts = self.dumps.texts, []
        return [d if d.time_s is None else d._replace(time_s=epoch_s(d.time_s)) for d in dumps]

    def _states(self, final: bool) -> list[tuple[Any, ...]]:
        epoch_s = self.clock.epoch_of()
        marks = self._early + self.jobs.marks
        marks += [Mark._make((epoch_s(mark[0]), *mark[1:])) for mark in self.notices.marks]
        self.jobs.marks, self.notices.marks = [], []
        until_s = math.inf if final else max((m.time_s for m in marks), default=0.0) - _LATE_S
        self._early = [mark for mark in marks if mark.time_s > until_s]
        decided = self._decisions.of([mark for mark in marks if mark.time_s <= until_s])
        return [(m.time_s, m.column_family, m.kind, m.cause) for m in decided]

    def _own_text(self, stream: Readable) -> Iterator[bytes]:
        """Yield the lines of a file as RocksDB wrote them, other programs' lines left empty."""
        framing: Framing | None = None
        for block in line_blocks(stream, BLOCK_BYTES):
            if framing is None:
                framing = Framing(block[:SAMPLE_BYTES])
            before = framing.foreign_lines
            text = framing.own_text(block)
            self.foreign_lines += framing.foreign_lines - before
            self._decisions.coarse |= framing.coarse
            yield text

    def _text(self, text: bytes) -> None:
        """Read whole messages: events where they stand, the text between them for the rest."""
        lines = text.count(b"\n") + (not text.endswith(b"\n"))
        self.lines += lines
        self.damage.enter(text, lines)
        self.damage.find_garbage()
        self._note_dates(text)
        between = self.events.read(text, self._start_session)
        self.sessions.read_names(between)
        self.notices.read(between)
        self.dumps.read(between)

    def _note_dates(self, text: bytes) -> None:
        """Note the first and the last date at the front of a line."""
        first = DATED_LINE.search(text)
        if first is None:
            return
        begin = text.rfind(b"\n2", 0, len(text)) + 1
        while begin > 0 and not DATED_LINE.match(text, begin):
            begin = text.rfind(b"\n2", 0, begin - 1) + 1
        for stamp in (first.group(), text[begin : begin + DATE_BYTES]):
            with contextlib.suppress(ValueError):
                local_s = self.clock.local_s(stamp)
                self._first_local_s = min(self._first_local_s, local_s)
                self._last_local_s = max(self._last_local_s, local_s)

    def _start_session(self, text: bytes, at: int) -> None:
        if self.sessions.begins(text, at):
            self.jobs.forget_running()
            self.notices.session_begun(self.sessions.all[-1].stamp)
