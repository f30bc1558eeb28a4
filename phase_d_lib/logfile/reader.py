"""One pass over the bytes of a LOG."""

from __future__ import annotations

import contextlib
import math
import zlib
from pathlib import Path
from typing import BinaryIO, Protocol

from phase_d_lib.errors import InputError
from phase_d_lib.logfile.clock import Clock
from phase_d_lib.logfile.controller import Mark, controller_states
from phase_d_lib.logfile.events import HANDLERS, Jobs
from phase_d_lib.logfile.fields import event_of, integer
from phase_d_lib.logfile.lines import DATED_LINE, positions, written_at
from phase_d_lib.logfile.notices import Notices
from phase_d_lib.logfile.sessions import VERSION_LINE, Sessions
from phase_d_lib.logfile.tables import (
    COMPACTION_COLUMNS,
    FLUSH_COLUMNS,
    STALL_COLUMNS,
    STATE_COLUMNS,
    LogTables,
    table,
)
from phase_d_lib.units import US_PER_S

_GZIP = 16 + zlib.MAX_WBITS
_PIECE_BYTES = 1 << 12  # small, so that damage costs little of what stands before it
BLOCK_BYTES = 8 << 20
_TAIL_BYTES = 1 << 16
_EVENT = b"EVENT_LOG_v1 {"


def read_log(path: str | Path, *more: str | Path) -> LogTables:
    """Read a LOG file, or all LOG files of one database, in any order.

    Parameters
    ----------
    path, *more : str or Path
        Files such as ``LOG`` and ``LOG.old.1700000000000000``, plain or gzip.

    Raises
    ------
    InputError
        If a file cannot be opened. What a file holds never raises.
    """
    reader = _Reader()
    for file in sorted((Path(p) for p in (path, *more)), key=_first_date):
        try:
            with file.open("rb") as stream:
                reader.read(_plain(stream))
        except OSError as error:
            raise InputError(f"LOG {file}: cannot be read ({error.strerror})") from None
    return reader.tables()


class _Reader:
    """Reads any number of files; local times are resolved at the end."""

    def __init__(self) -> None:
        self._lines = self._event_lines = self._skipped_lines = 0
        self._local_dates: list[float] = []
        self._clock = Clock()
        self._sessions = Sessions()
        self._jobs = Jobs()
        self._notices = Notices(self._clock)

    def read(self, stream: _Readable) -> None:
        """Read one file in blocks of whole lines."""
        rest = b""
        while block := stream.read(BLOCK_BYTES):
            block = rest + block
            cut = block.rfind(b"\n") + 1 or len(block)
            rest = block[cut:]
            self._block(block[:cut])
        if rest:
            self._block(rest)

    def tables(self) -> LogTables:
        """Return everything read, in order of time, with epoch times."""
        epoch_s = self._clock.epoch_of()
        dates = [epoch_s(local_s) for local_s in self._local_dates]
        marks = self._jobs.marks + [Mark(epoch_s(m.time_s), *m[1:]) for m in self._notices.marks]
        states = [(m.time_s, m.column_family, m.kind, m.cause) for m in controller_states(marks)]
        stalls = [(epoch_s(local_s), *rest) for local_s, *rest in self._notices.stalls]
        return LogTables(
            version=self._sessions.version,
            options=self._sessions.options,
            lines=self._lines,
            event_lines=self._event_lines,
            skipped_lines=self._skipped_lines,
            first_time_s=min(dates, default=math.nan),
            last_time_s=max(dates, default=math.nan),
            flushes=table(self._jobs.flushes, FLUSH_COLUMNS, "end_time_s"),
            compactions=table(self._jobs.compactions, COMPACTION_COLUMNS, "end_time_s"),
            stalls=table(stalls, STALL_COLUMNS, "time_s"),
            controller=table(states, STATE_COLUMNS, "time_s"),
        )

    def _block(self, block: bytes) -> None:
        """Read whole lines: events where they stand, the text between them for notices."""
        self._lines += block.count(b"\n") + (not block.endswith(b"\n"))
        self._note_dates(block)
        sessions = list(positions(block, VERSION_LINE))[::-1]
        between: list[bytes] = []
        done = 0
        at = block.find(_EVENT)
        while at >= 0:
            while sessions and sessions[-1] < at:
                self._start_session(block, sessions.pop())
            begin = block.rfind(b"\n", done, at) + 1 or done
            end = block.find(b"\n", at)
            end = end if end >= 0 else len(block)
            if self._event(block[at + len(_EVENT) - 1 : end], block[begin:at]):
                between.append(block[done:begin])
                done = at = end
            # A damaged line may hold another, whole event: go on behind the marker, not the line.
            at = block.find(_EVENT, at + 1)
        while sessions:
            self._start_session(block, sessions.pop())
        between.append(block[done:])
        self._skipped_lines += self._notices.read(b"".join(between))

    def _note_dates(self, block: bytes) -> None:
        """Note the first and the last date at the front of a line."""
        first = DATED_LINE.search(block)
        tail = DATED_LINE.findall(block, max(0, len(block) - _TAIL_BYTES))
        for stamp in (first.group() if first else b"", *tail[-1:]):
            with contextlib.suppress(ValueError):
                self._local_dates.append(self._clock.local_s(stamp))

    def _start_session(self, block: bytes, at: int) -> None:
        if self._sessions.begins(block, at):
            self._jobs.forget_running()
            self._notices.session_begun(block[block.rfind(b"\n", 0, at) + 1 : at])

    def _event(self, payload: bytes, prefix: bytes) -> bool:
        """Read one event; count it as read or skipped and return which."""
        try:
            event = event_of(payload)
            time_s = integer(event, "time_micros") / US_PER_S
            handler = HANDLERS.get(event["event"])
            if handler is not None:
                handler(self._jobs, event, time_s, prefix)
        except (KeyError, TypeError, ValueError, OverflowError):
            self._skipped_lines += 1
            return False
        self._event_lines += 1
        if prefix[:13] not in self._clock.learned:
            self._clock.learn(written_at(prefix), time_s)
        return True


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """Return some bytes, empty at the end."""
        ...


class _Unzipped:
    """Reads a gzip stream as far as it is whole; what follows damage is lost, nothing raises."""

    def __init__(self, stream: _Readable) -> None:
        self._stream = stream
        self._inflate = zlib.decompressobj(_GZIP)
        self._damaged = False

    def read(self, size: int, /) -> bytes:
        """Return at least `size` bytes where there are as many, empty at the end or at damage."""
        parts: list[bytes] = []
        wanted = size
        while wanted > 0 and not self._damaged:
            packed = self._inflate.unused_data or self._stream.read(_PIECE_BYTES)
            if not packed:
                break
            if self._inflate.eof:  # another member follows, as after `cat a.gz b.gz`
                self._inflate = zlib.decompressobj(_GZIP)
            try:
                parts.append(self._inflate.decompress(packed))
            except zlib.error:
                self._damaged = True
                break
            wanted -= len(parts[-1])
        return b"".join(parts)


def _plain(stream: BinaryIO) -> _Readable:
    """Return a stream of plain text; gzip is told by its first bytes, not its name."""
    zipped = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    return _Unzipped(stream) if zipped else stream


def _first_date(path: Path) -> bytes:
    """Return the first date of a file, to order files; empty when there is none to read."""
    try:
        with path.open("rb") as stream:
            found = DATED_LINE.search(_plain(stream).read(_TAIL_BYTES))
    except OSError:
        return b""
    return found.group() if found else b""
