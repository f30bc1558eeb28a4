"""The events of a text: where they stand, and those that need no JSON parser.

Files made and deleted are most of the bytes of an event-heavy LOG. RocksDB writes their fields
in one order, so one pattern reads them; whatever differs goes to the parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from phase_d_lib.logfile.clock import Clock
from phase_d_lib.logfile.damage import Damage
from phase_d_lib.logfile.events import HANDLERS, Jobs
from phase_d_lib.logfile.fields import event_of
from phase_d_lib.logfile.lines import decoded, positions, written_at
from phase_d_lib.logfile.sessions import VERSION_LINE
from phase_d_lib.units import US_PER_S

_EVENT = re.compile(
    rb'EVENT_LOG_v1 \{(?:"time_micros": (\d{1,18}), (?:"cf_name": "([^"\\\n]*)", )?'
    rb'"job": (\d{1,18}), "event": "(?:table_file_creation|table_file_deletion)", '
    rb'"file_number": (\d{1,18})(?:, "file_size": (\d{1,18})(?=,)|(?=\})))?'
)
_BRACE = len(b"EVENT_LOG_v1 ")
_STORED = b'"filter_size": '
_STORED_SIZES = re.compile(
    rb'"filter_size": (\d{1,18}), "raw_key_size": (\d{1,18}), "raw_average_key_size": \d+, '
    rb'"raw_value_size": (\d{1,18}), (?:"\w+": \d+, )+?"num_entries": (\d{1,18})'
)
_CLOSING = b"}"[0]
_HEADER_BYTES = 256  # more than stands between two events without a line between them
_TEACHING = 10  # file events of a text that teach the clock, should there be no others


class Events:
    """Reads events into jobs, counts them by type and teaches the clock.

    Attributes
    ----------
    counts : dict of str to int
        Events read, by type.
    """

    def __init__(self, jobs: Jobs, clock: Clock, damage: Damage) -> None:
        self.counts: dict[str, int] = {}
        self._jobs = jobs
        self._clock = clock
        self._damage = damage
        self._names: dict[bytes, str] = {}

    def read(self, text: bytes, version_line: Callable[[bytes, int], None]) -> bytes:
        """Read the events of a text of whole lines and return the text between them.

        Parameters
        ----------
        text : bytes
        version_line : callable
            Called with the text and the place of each line that may begin a session, in order
            with the events.
        """
        between: list[bytes] = []
        made = deleted = done = 0
        name_of, file_made = self._names.get, self._jobs.file_made
        stored: list[tuple[Any, ...]] = []
        for found in _EVENT.finditer(text):
            at, fields_end = found.span()
            gap = text[done:at]
            if len(gap) > _HEADER_BYTES and VERSION_LINE in gap:
                self._sessions(text, done, gap, version_line)
            between.append(gap)
            end = text.find(b"\n", fields_end)
            if end < 0:
                end = len(text)
            time_us, family, job, number, size = found.groups()
            if size is not None and text[end - 1] == _CLOSING:
                name, file_bytes = name_of(family) or self._name(family), int(size)
                file_made(int(number), file_bytes, int(job), name)
                held_at = text.find(_STORED, fields_end, end)
                held = _STORED_SIZES.match(text, held_at) if held_at >= 0 else None
                if held is not None:
                    stored.append((name, file_bytes, *held.groups()))
                made += 1
            elif size is None and number is not None and fields_end + 1 == end:
                deleted += 1
            else:
                self._parsed(text, at, end, gap)
                done = end
                continue
            if made + deleted < _TEACHING:
                self._teach(gap, int(time_us) / US_PER_S)
            done = end
        gap = text[done:]
        if VERSION_LINE in gap:
            self._sessions(text, done, gap, version_line)
        between.append(gap)
        self._stored(stored)
        self._count("table_file_creation", made)
        self._count("table_file_deletion", deleted)
        return b"".join(between)

    def _sessions(
        self, text: bytes, done: int, gap: bytes, version_line: Callable[[bytes, int], None]
    ) -> None:
        for at in positions(gap, VERSION_LINE):
            version_line(text, done + at)

    def _parsed(self, text: bytes, at: int, end: int, gap: bytes) -> None:
        """Read one event by its JSON, or count its line as damaged."""
        prefix = gap[gap.rfind(b"\n") + 1 :]
        try:
            event = event_of(text[at + _BRACE : end])
            name, time_us = event["event"], event["time_micros"]
            if type(name) is not str or type(time_us) is not int:
                raise ValueError("no event")
            time_s = time_us / US_PER_S
            handler = HANDLERS.get(name)
            if handler is not None:
                handler(self._jobs, event, time_s, prefix)
        except (KeyError, TypeError, ValueError, OverflowError):
            self._damage.at(at)
            return
        self.counts[name] = self.counts.get(name, 0) + 1
        if prefix[:13] not in self._clock.learned:
            self._clock.learn(written_at(prefix), time_s)

    def _stored(self, files: list[tuple[Any, ...]]) -> None:
        """Add up what table files hold: rows of column family, file bytes and `PROPERTIES`."""
        for family in {row[0] for row in files}:
            columns = [*zip(*(row[1:] for row in files if row[0] == family), strict=True)]
            self._jobs.stored(family, len(columns[0]), [sum(map(int, cells)) for cells in columns])

    def _name(self, family: bytes | None) -> str:
        name = decoded(family or b"")
        if family is not None:
            self._names[family] = name
        return name

    def _count(self, name: str, events: int) -> None:
        if events:
            self.counts[name] = self.counts.get(name, 0) + events

    def _teach(self, gap: bytes, time_s: float) -> None:
        """Teach the clock by an event that was read without a parser."""
        stamp = gap[gap.rfind(b"\n") + 1 :][:26]
        if stamp[:13] not in self._clock.learned:
            self._clock.learn(stamp, time_s)
