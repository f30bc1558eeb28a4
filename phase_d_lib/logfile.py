"""RocksDB's LOG as tables: flushes, compactions, stalls and the state of the write controller.

Reading never raises on what a file holds: a damaged line is counted and the rest is read.

Three passes, so that a new kind of line or event is one function and one entry in a table:

1. `_Reader` cuts the file at ``EVENT_LOG_v1`` with ``find``, gives the JSON to orjson and each
   event to `_EVENTS`; of the text between, it looks only for the needles in `_NOTICES`.
2. Jobs are joined as their events pass: start, files made, finish.
3. `_controller_states` puts all re-evaluations of the write controller in order of their true time.

True time: an event carries ``time_micros``; any other line its local time of day, or the
``(Original Log Time ...)`` of a line RocksDB wrote late. The distance of local time from UTC is
taken from the events of the same hour.

Wording and order of lines: db/column_family.cc, db/db_impl, db/flush_job.cc and db/compaction of
RocksDB; the wording was compared by eye for 6.8, 7.8, 9.8, 10.7 and 11.8, the order of lines for
6.8, 9.8 and 10.7, and real stalls were run on 9.8 only.
"""

from __future__ import annotations

import calendar
import contextlib
import gzip
import math
import re
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, BinaryIO, NamedTuple, cast

import orjson
import pandas as pd

from phase_d_lib.errors import InputError
from phase_d_lib.units import US_PER_S

_BLOCK_BYTES = 8 << 20
_HEADER_BYTES = 1 << 20  # options stand at the front of a session; a search may stop here
_TAIL_BYTES = 1 << 16
_INT64 = 1 << 63
_SESSION = b"session"

_FLUSH_COLUMNS = {
    "start_time_s": "float64",
    "end_time_s": "float64",
    "job": "Int64",
    "column_family": "str",
    "reason": "str",
    "entries": "Int64",
    "input_bytes": "Int64",
    "output_bytes": "Int64",
    "l0_files_after": "Int64",
    "immutable_memtables": "Int64",
}
_COMPACTION_COLUMNS = {
    "start_time_s": "float64",
    "end_time_s": "float64",
    "job": "Int64",
    "column_family": "str",
    "kind": "str",
    "reason": "str",
    "score": "float64",
    "start_level": "Int64",
    "output_level": "Int64",
    "files_in_start": "Int64",
    "files_in_output": "Int64",
    "input_bytes": "Int64",
    "input_bytes_start": "Int64",
    "input_bytes_output": "Int64",
    "output_bytes": "Int64",
    "moved_bytes": "Int64",
    "output_files": "Int64",
    "compaction_time_s": "float64",
    "cpu_time_s": "float64",
    "subcompactions": "Int64",
    "num_input_records": "Int64",
    "num_output_records": "Int64",
    "l0_files_after": "Int64",
}
_STALL_COLUMNS = {
    "time_s": "float64",
    "column_family": "str",
    "kind": "str",
    "cause": "str",
    "value": "Int64",
    "delayed_write_rate_bytes_per_s": "Int64",
}
_STATE_COLUMNS = {"time_s": "float64", "column_family": "str", "kind": "str", "cause": "str"}

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
_ORIGINAL_TIME = b"(Original Log Time "
_EVENT = b"EVENT_LOG_v1 {"
_PROPERTIES = b', "table_properties"'
_SESSION_ID = re.compile(rb"DB Session ID:\s+(\w+)")
_VERSION = re.compile(rb"RocksDB version: (\d[\w.]*)")
_OPTION = re.compile(rb"^\d{4}/\S+ \S+ +Options\.([^\s:]+)\s*: ?([^\r\n]*)", re.MULTILINE)
_STAMP = re.compile(rb"(\d{4}/\d\d/\d\d)-(\d\d):(\d\d):(\d\d\.\d{6})")
_DATED_LINE = re.compile(rb"^\d{4}/\d\d/\d\d-\d\d:\d\d:\d\d\.\d{6}(?= )", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class LogTables:
    """What one LOG, or several of one database, say. Absent tables are empty with their columns.

    Attributes
    ----------
    version : str or None
        RocksDB version of the first session.
    options : dict of str to str
        ``Options.name: value`` lines of the first session; of several column families the first.
    lines, event_lines, skipped_lines : int
        All lines; events read; lines of a kind read here that were damaged.
    first_time_s, last_time_s : float
        Epoch seconds of the first and last dated line; NaN without any.
    flushes : DataFrame
        One row per finished flush: ``start_time_s``, ``end_time_s`` (epoch), ``job``,
        ``column_family``, ``reason``, ``entries``, ``input_bytes`` (memtable data),
        ``output_bytes`` (table files made), ``l0_files_after``, ``immutable_memtables``.
    compactions : DataFrame
        One row per finished compaction, ``kind`` 'merge', 'intra_l0' or 'trivial_move'. Input is
        split into ``_start`` (all levels but the output level) and ``_output``; bytes per level
        are NA when a file is older than the LOG. A trivial move reads and writes nothing; its
        size is ``moved_bytes`` and its start, score, reason and start level are not logged.
    stalls : DataFrame
        One row per warning: ``time_s``, ``column_family``, ``kind`` ('delay', 'stop'), ``cause``
        ('memtable_limit', 'l0_file_limit', 'pending_bytes'), ``value`` (memtables, files or
        bytes), ``delayed_write_rate_bytes_per_s`` (NA for a stop).
    controller : DataFrame
        One row per re-evaluation of the write controller: ``time_s``, ``column_family`` (missing:
        all of them), ``kind`` ('normal', 'delay', 'stop'), ``cause``. See `stall_seconds_by_cause`.
    """

    version: str | None
    options: dict[str, str]
    lines: int
    event_lines: int
    skipped_lines: int
    first_time_s: float
    last_time_s: float
    flushes: pd.DataFrame
    compactions: pd.DataFrame
    stalls: pd.DataFrame
    controller: pd.DataFrame


def read_log(path: str | Path, *more: str | Path) -> LogTables:
    """Read a LOG file, or all LOG files of one database, in any order.

    Parameters
    ----------
    path, *more : str or Path
        Files such as ``LOG`` and ``LOG.old.1700000000000000``.

    Raises
    ------
    InputError
        If a file cannot be opened. What a file holds never raises.
    """
    reader = _Reader()
    for file in sorted((Path(p) for p in (path, *more)), key=_first_date):
        try:
            with _open(file) as stream:
                reader.read(stream)
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"LOG {file}: cannot be read ({reason})") from None
    return reader.tables()


def stall_seconds_by_cause(log: LogTables, start_s: float, end_s: float) -> pd.DataFrame:
    """Return how long the write controller was delaying or stopping writes, by cause.

    RocksDB decides anew whenever a column family installs a super version - a memtable switch, a
    flush, a compaction, a trivial move, an option change - and says so on the spot: a warning if
    writes are delayed or stopped, "Increasing compaction threads" if they are not but compaction
    is behind, nothing if all is well. A state therefore lasts from its warning to the next
    re-evaluation, of whatever outcome. Silent ones are found by thread: decision and event are
    written by one thread under one lock, so a finished flush or compaction, or a new memtable,
    that its thread does not follow by a decision (a trivial move or option change: that none
    precedes) found all well. A flush after which the levels are as before was installed by
    another thread and decided nothing.

    Bias: 'delay' is time under the delayed rate, limiting or not, so the sum is at least what
    ``rocksdb.stall.micros`` counts for one writer. Of several column families the worst state
    counts, earliest cause first. A silent memtable switch is dated a lock wait early; one whose
    column family is not named is left out. The last state holds to the end of the LOG, a killed
    session's to the start of the next. Needs a LOG at level INFO.

    Parameters
    ----------
    log : LogTables
    start_s, end_s : float
        Window in epoch seconds.

    Returns
    -------
    DataFrame
        Six rows: ``cause``, ``kind``, ``seconds``, ``count`` (warnings in the window).
    """
    seconds = {(cause, kind): 0.0 for cause in _CAUSES.values() for kind in ("stop", "delay")}
    for begin, end, state in _intervals(log):
        if state in seconds:
            seconds[state] += max(0.0, min(end, end_s) - max(begin, start_s))
    inside = log.stalls[log.stalls["time_s"].between(start_s, end_s, inclusive="left")]
    counts = inside.groupby(["cause", "kind"]).size().to_dict()
    rows = [(*state, spent, int(counts.get(state, 0))) for state, spent in seconds.items()]
    return pd.DataFrame(rows, columns=["cause", "kind", "seconds", "count"])


def level_flows(log: LogTables, start_s: float, end_s: float) -> pd.DataFrame:
    """Return what flushes and compactions wrote into each level and read for it.

    Parameters
    ----------
    log : LogTables
    start_s, end_s : float
        Window in epoch seconds. A job belongs to the window it ends in, with all its bytes and
        time, so bytes and busy time of a row are of the same jobs.

    Returns
    -------
    DataFrame
        One row per output level, ascending: ``level`` (0: flushes and intra-L0 merges),
        ``write_bytes``, ``read_bytes`` (0 for flushes), ``jobs``, ``busy_s`` (start to end).
        Trivial moves are left out: they move no bytes.
    """
    flushes = log.flushes.assign(level=0, read_bytes=0)
    merges = log.compactions[log.compactions["kind"] != "trivial_move"]
    merges = merges.rename(columns={"output_level": "level", "input_bytes": "read_bytes"})
    columns = ["level", "output_bytes", "read_bytes", "start_time_s", "end_time_s"]
    jobs = pd.concat([flushes[columns], merges[columns]], ignore_index=True)
    jobs = jobs[jobs["end_time_s"].between(start_s, end_s, inclusive="left")]
    jobs = jobs.assign(busy_s=jobs["end_time_s"] - jobs["start_time_s"])
    flows = jobs.groupby("level").agg(
        write_bytes=("output_bytes", "sum"),
        read_bytes=("read_bytes", "sum"),
        jobs=("end_time_s", "size"),
        busy_s=("busy_s", "sum"),
    )
    integers = {"level": "int64", "write_bytes": "int64", "read_bytes": "int64", "jobs": "int64"}
    return flows.reset_index().astype({**integers, "busy_s": "float64"})


def _intervals(log: LogTables) -> Iterator[tuple[float, float, tuple[str, str]]]:
    """Yield (begin, end, (cause, kind)) of every stall state; the worst column family counts."""
    states: dict[str, tuple[str, str]] = {}
    since = 0.0
    for time_s, family, kind, cause in log.controller.itertuples(index=False):
        if states:
            yield since, time_s, _worst(states)
        since = time_s
        if kind != "normal":
            states[family] = (cause, kind)
        elif isinstance(family, str):
            states.pop(family, None)
        else:
            states.clear()
    if states:
        yield since, log.last_time_s, _worst(states)


def _worst(states: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """Return the (cause, kind) that rules: a stop before a delay, then the order of causes."""
    rank = list(_CAUSES.values())
    return min(states.values(), key=lambda state: (state[1] != "stop", rank.index(state[0])))


class _Mark(NamedTuple):
    """A sign of one re-evaluation of the write controller, as its thread left it."""

    time_s: float
    order: int
    """0: the decision follows; 1: the decision itself; 2: the decision came before."""
    thread: bytes
    column_family: str | None
    kind: str = ""
    """Of a decision: what it was. Of the others: what silence means; '' for nothing."""
    cause: str = ""
    levels: tuple[int, ...] = ()
    """Of a flush or compaction: files per level after it."""
    flush: bool = False


def _controller_states(marks: Iterable[_Mark]) -> list[_Mark]:
    """Return all decisions in order of time, silent ones too; see `stall_seconds_by_cause`."""
    threads: dict[bytes, list[_Mark]] = {}
    for mark in _without_idle_flushes(sorted(marks, key=lambda mark: mark[:2])):
        threads.setdefault(mark.thread, []).append(mark)
    found = [mark for own in threads.values() for mark in _decisions(own)]
    if len({mark.column_family for mark in found} - {None}) > 1:
        found = [m for m in found if m.column_family is not None or m.thread == _SESSION]
    return sorted(found, key=lambda mark: mark.time_s)


def _without_idle_flushes(marks: Iterable[_Mark]) -> Iterator[_Mark]:
    """Pass on marks in order of time; silence after a flush that changed no level means nothing."""
    levels: dict[str | None, tuple[int, ...]] = {}
    for mark in marks:
        if mark.levels:
            idle = mark.flush and levels.get(mark.column_family) == mark.levels
            levels[mark.column_family] = mark.levels
            yield mark._replace(kind="") if idle else mark
        else:
            yield mark


def _decisions(marks: list[_Mark]) -> Iterator[_Mark]:
    """Yield the decisions of one thread from its marks in order of time."""
    opened: _Mark | None = None
    unclaimed = False
    for mark in marks:
        if mark.order == 1:
            # A trivial move opens (its kind is '') and closes: its decision is claimed at the end.
            unclaimed = opened is None or not opened.kind
            opened = None
            yield mark
            continue
        if opened is not None and opened.kind:
            yield opened
        if mark.order == 2 and not unclaimed:
            family = opened.column_family if opened and not opened.kind else mark.column_family
            yield mark if family == mark.column_family else mark._replace(column_family=family)
        opened = mark if mark.order == 0 else None
        unclaimed = False
    if opened is not None and opened.kind:
        yield opened


class _Clock:
    """Turns the LOG's local time of day into epoch seconds."""

    def __init__(self) -> None:
        self._days: dict[bytes, int] = {}
        self._offsets_s: dict[bytes, list[int]] = {}
        self.learned: set[bytes] = set()
        """Hours, as in ``2023/06/18-14``, with enough events for a sure offset."""

    def local_s(self, stamp: bytes) -> float:
        """Return seconds of ``2023/06/18-14:55:55.079783`` read as if it were UTC.

        Raises
        ------
        ValueError
            If it is no such date.
        """
        parts = _STAMP.fullmatch(stamp)
        if parts is None:
            raise ValueError("no date and time")
        day, hours, minutes, seconds = parts.groups()
        if day not in self._days:
            year, month, day_of_month = (int(part) for part in day.split(b"/"))
            self._days[day] = calendar.timegm((year, month, day_of_month, 0, 0, 0))
        return self._days[day] + int(hours) * 3600 + int(minutes) * 60 + float(seconds)

    def learn(self, stamp: bytes, epoch_s: float) -> None:
        """Note how far a line's local time is from the epoch time of its event."""
        try:
            quarters = round((self.local_s(stamp) - epoch_s) / 900)  # a line may be seconds late
        except ValueError:
            return
        if abs(quarters) <= 14 * 4:
            seen = self._offsets_s.setdefault(stamp[:13], [])
            seen.append(quarters * 900)
            if len(seen) == 5:  # one damaged date cannot move their median
                self.learned.add(stamp[:13])

    def epoch_of(self) -> Callable[[float], float]:
        """Return the function from local to epoch seconds; without any event, local is UTC."""
        known = sorted(
            (self.local_s(hour + b":00:00.000000"), median(seen))
            for hour, seen in self._offsets_s.items()
        )
        begins = [begin for begin, _ in known]

        def epoch_s(local_s: float) -> float:
            if not known:
                return local_s
            return local_s - known[max(0, bisect_right(begins, local_s) - 1)][1]

        return epoch_s


class _Job:
    """What is known of a running job: its start event, the files it made, its input per level."""

    __slots__ = ("bytes_in", "column_family", "files_in", "made_bytes", "started", "started_s")

    def __init__(
        self,
        started: dict[str, Any] | None = None,
        started_s: float | None = None,
        files_in: dict[int, int | None] | None = None,
        bytes_in: dict[int, int | None] | None = None,
    ) -> None:
        self.started = started or {}
        self.started_s = started_s
        self.files_in = files_in or {}
        self.bytes_in = bytes_in or {}
        self.made_bytes = 0
        self.column_family: str | None = None


class _Reader:
    """Collects rows and marks from any number of files; local times are resolved at the end."""

    def __init__(self) -> None:
        self.version: str | None = None
        self.options: dict[str, str] = {}
        self.lines = self.event_lines = self.skipped_lines = 0
        self.flushes: list[tuple[Any, ...]] = []
        self.compactions: list[tuple[Any, ...]] = []
        self.stalls: list[tuple[Any, ...]] = []
        self.marks: list[_Mark] = []
        self.local_marks: list[_Mark] = []
        self.local_dates: list[float] = []
        self.clock = _Clock()
        self._jobs: dict[int, _Job] = {}
        self._file_bytes: dict[int, int] = {}
        self._session: bytes | None = None

    def read(self, stream: BinaryIO) -> None:
        """Read one file in blocks of whole lines."""
        rest = b""
        while block := stream.read(_BLOCK_BYTES):
            block = rest + block
            cut = block.rfind(b"\n") + 1 or len(block)
            rest = block[cut:]
            self._block(block[:cut])
        if rest:
            self._block(rest)

    def tables(self) -> LogTables:
        """Return everything read, in order of time, with epoch times."""
        epoch_s = self.clock.epoch_of()
        dates = [epoch_s(local_s) for local_s in self.local_dates]
        marks = self.marks + [_Mark(epoch_s(m.time_s), *m[1:]) for m in self.local_marks]
        states = [(m.time_s, m.column_family, m.kind, m.cause) for m in _controller_states(marks)]
        stalls = [(epoch_s(local_s), *rest) for local_s, *rest in self.stalls]
        return LogTables(
            version=self.version,
            options=self.options,
            lines=self.lines,
            event_lines=self.event_lines,
            skipped_lines=self.skipped_lines,
            first_time_s=min(dates, default=math.nan),
            last_time_s=max(dates, default=math.nan),
            flushes=_table(self.flushes, _FLUSH_COLUMNS, "end_time_s"),
            compactions=_table(self.compactions, _COMPACTION_COLUMNS, "end_time_s"),
            stalls=_table(stalls, _STALL_COLUMNS, "time_s"),
            controller=_table(states, _STATE_COLUMNS, "time_s"),
        )

    def _block(self, block: bytes) -> None:
        """Read whole lines: events where they stand, the text between them for notices."""
        self.lines += block.count(b"\n") + (not block.endswith(b"\n"))
        self._note_dates(block)
        sessions = list(_positions(block, b"RocksDB version: "))[::-1]
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
        self._notices(b"".join(between))

    def _note_dates(self, block: bytes) -> None:
        """Note the first and the last date at the front of a line."""
        first = _DATED_LINE.search(block)
        tail = _DATED_LINE.findall(block, max(0, len(block) - _TAIL_BYTES))
        for stamp in (first.group() if first else b"", *tail[-1:]):
            with contextlib.suppress(ValueError):
                self.local_dates.append(self.clock.local_s(stamp))

    def _start_session(self, block: bytes, at: int) -> None:
        """Begin a session at its version line, unless a rolled LOG only repeats its header."""
        header = block[at : at + _HEADER_BYTES]
        session = _SESSION_ID.search(header[:4096])
        if session is not None and session.group(1) == self._session:
            return
        self._session = session.group(1) if session is not None else None
        self._jobs.clear()
        line = block[block.rfind(b"\n", 0, at) + 1 : at]
        with contextlib.suppress(ValueError):
            time_s = self.clock.local_s(line[:26])
            self.local_marks.append(_Mark(time_s, 1, _SESSION, None, "normal"))
        if self.version is None and (version := _VERSION.match(header)):
            self.version = version.group(1).decode()
            end = header.find(b"DB pointer")
            for name, value in _OPTION.findall(header[: end if end >= 0 else None]):
                self.options.setdefault(_decoded(name), _decoded(value).strip())

    def _event(self, payload: bytes, prefix: bytes) -> bool:
        """Read one event; count it as read or skipped and return which."""
        try:
            event = _json(payload)
            time_s = _integer(event, "time_micros") / US_PER_S
            handler = _EVENTS.get(event["event"])
            if handler is not None:
                handler(self, event, time_s, prefix)
        except (KeyError, TypeError, ValueError, OverflowError):
            self.skipped_lines += 1
            return False
        self.event_lines += 1
        if prefix[:13] not in self.clock.learned:
            self.clock.learn(prefix[:26], time_s)
        return True

    def _notices(self, text: bytes) -> None:
        """Read the lines of interest that are no events."""
        for needle, handler in _NOTICES.items():
            for at in _positions(text, needle):
                begin = text.rfind(b"\n", 0, at) + 1
                end = text.find(b"\n", at)
                try:
                    if end < 0:
                        raise ValueError("unfinished line")
                    handler(self, text[begin:end])
                except ValueError:
                    self.skipped_lines += 1

    def _flush_started(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        self._jobs[_integer(event, "job")] = _Job(event, time_s)

    def _compaction_started(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        files = {int(key[7:]): value for key, value in event.items() if key.startswith("files_L")}
        # An input is never read again, so this also keeps the table of files small.
        sizes = {level: [self._file_bytes.pop(n, None) for n in files[level]] for level in files}
        self._jobs[_integer(event, "job")] = _Job(
            event,
            time_s,
            files_in={level: len(numbers) for level, numbers in files.items()},
            bytes_in=_bytes_by_level(sizes, _optional(event, "input_data_size")),
        )

    def _file_made(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        number, size = _integer(event, "file_number"), _integer(event, "file_size")
        job_number = _integer(event, "job")
        job = self._jobs.get(job_number)
        if job is None:
            job = self._jobs[job_number] = _Job()
        self._file_bytes[number] = size
        job.made_bytes += size
        job.column_family = _text(event, "cf_name") or job.column_family

    def _flush_finished(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        number, levels = _integer(event, "job"), _levels(event)
        immutable = _optional(event, "immutable_memtables")
        job = self._jobs.pop(number, None) or _Job()
        start = job.started
        row = (
            job.started_s,
            time_s,
            number,
            job.column_family,
            _text(start, "flush_reason"),
            _optional(start, "num_entries"),
            _optional(start, "total_data_size"),
            job.made_bytes,
            levels[0] if levels else None,
            immutable,
        )
        self.flushes.append(row)
        family = job.column_family
        self.marks.append(_Mark(time_s, 0, _thread(prefix), family, "normal", "", levels, True))

    def _compaction_finished(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        number, levels = _integer(event, "job"), _levels(event)
        level, output_bytes = _integer(event, "output_level"), _integer(event, "total_output_size")
        job = self._jobs.pop(number, None) or _Job()
        start = job.started
        start_level = min(job.files_in, default=None)
        row = (
            job.started_s,
            time_s,
            number,
            job.column_family,
            "intra_l0" if start_level == level == 0 else "merge",
            _text(start, "compaction_reason"),
            _real(start, "score"),
            start_level,
            level,
            *_split(job.files_in, level),
            _optional(start, "input_data_size"),
            *_split(job.bytes_in, level),
            output_bytes,
            0,
            _optional(event, "num_output_files"),
            _seconds(event, "compaction_time_micros"),
            _seconds(event, "compaction_time_cpu_micros"),
            _optional(event, "num_subcompactions"),
            _optional(event, "num_input_records"),
            _optional(event, "num_output_records"),
            levels[0] if levels else None,
        )
        self.compactions.append(row)
        family = job.column_family
        self.marks.append(_Mark(time_s, 0, _thread(prefix), family, "normal", "", levels))

    def _trivial_move(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        number, level = _integer(event, "job"), _integer(event, "destination_level")
        files, size = _optional(event, "files"), _integer(event, "total_files_size")
        row = {
            "start_time_s": time_s,
            "end_time_s": time_s,
            "job": number,
            "kind": "trivial_move",
            "output_level": level,
            "files_in_start": files,
            "files_in_output": 0,
            "input_bytes": 0,
            "output_bytes": 0,
            "moved_bytes": size,
            "output_files": files,
            "compaction_time_s": 0.0,
            "cpu_time_s": 0.0,
        }
        self.compactions.append(tuple(row.get(column) for column in _COMPACTION_COLUMNS))
        self.marks.append(_Mark(time_s, 2, _thread(prefix), None, "normal"))

    def _warning(self, line: bytes) -> None:
        found = _STALL.search(line)
        if found is None:
            raise ValueError("no stall warning")
        family, verb, count, what, pending_bytes, rate = found.groups()
        kind, cause = ("stop" if verb == b"Stopping" else "delay"), _CAUSES[what]
        local_s, name = self._local_s(line), _decoded(family)
        value = int(pending_bytes if count is None else count)
        self.stalls.append((local_s, name, kind, cause, value, None if rate is None else int(rate)))
        self.local_marks.append(_Mark(local_s, 1, _thread(line), name, kind, cause))

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
        family = _decoded(found.group(1)) if found else None
        mark = _Mark(self._local_s(line), order, _thread(line), family, kind)
        self.local_marks.append(mark)

    def _local_s(self, line: bytes) -> float:
        """Return the true local time of a line."""
        late = line.find(_ORIGINAL_TIME)
        begin = late + len(_ORIGINAL_TIME) if late >= 0 else 0
        return self.clock.local_s(line[begin : begin + 26])


_EVENTS: dict[str, Callable[[_Reader, dict[str, Any], float, bytes], None]] = {
    "flush_started": _Reader._flush_started,
    "flush_finished": _Reader._flush_finished,
    "compaction_started": _Reader._compaction_started,
    "compaction_finished": _Reader._compaction_finished,
    "trivial_move": _Reader._trivial_move,
    "table_file_creation": _Reader._file_made,
}
_NOTICES: dict[bytes, Callable[[_Reader, bytes], None]] = {
    b" writes because ": _Reader._warning,
    b"Increasing compaction threads": _Reader._at_ease,
    b"] New memtable created": _Reader._memtable_switched,
    b"] Moving ": _Reader._move_begun,
    b"] SetOptions() succeeded": _Reader._options_set,
}


def _table(rows: list[tuple[Any, ...]], columns: Mapping[str, str], by: str) -> pd.DataFrame:
    """Return rows as a table with these columns and dtypes, in order of time."""
    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    series = {
        name: pd.Series(list(cells), dtype=dtype)
        for (name, dtype), cells in zip(columns.items(), values, strict=True)
    }
    return pd.DataFrame(series).sort_values(by, kind="stable", ignore_index=True)


def _open(path: Path) -> BinaryIO:
    """Open a LOG, plain or gzip (told by its first bytes, not its name)."""
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    return cast("BinaryIO", gzip.open(path)) if zipped else path.open("rb")


def _first_date(path: Path) -> bytes:
    """Return the first date of a file, to order files; empty when there is none to read."""
    try:
        with _open(path) as stream:
            found = _DATED_LINE.search(stream.read(_TAIL_BYTES))
    except (OSError, EOFError, zlib.error):
        return b""
    return found.group() if found else b""


def _positions(text: bytes, needle: bytes) -> Iterator[int]:
    """Yield where a needle occurs."""
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + len(needle))


def _thread(line: bytes) -> bytes:
    """Return the thread id of a line: what stands behind its date."""
    return line[27:64].lstrip().partition(b" ")[0]


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _json(payload: bytes) -> dict[str, Any]:
    """Return an event's JSON object without its table properties; what is no UTF-8 is replaced.

    The properties are most of a LOG and stand last: leaving them out trebles the speed.

    Raises
    ------
    ValueError
        If it is not whole, no object, or names no event.
    """
    cut = payload.find(_PROPERTIES)
    if cut >= 0:
        payload = payload[:cut] + b"}"
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        event = orjson.loads(_decoded(payload))
    if not (isinstance(event, dict) and isinstance(event.get("event"), str)):
        raise ValueError("no event")
    return event


def _integer(event: Mapping[str, Any], key: str) -> int:
    """Return a required 64-bit integer of an event."""
    value = event[key]
    if type(value) is int and -_INT64 <= value < _INT64:
        return value
    raise ValueError(f"{key} is no integer")


def _optional(event: Mapping[str, Any], key: str) -> int | None:
    value = event.get(key)
    return value if type(value) is int and -_INT64 <= value < _INT64 else None


def _seconds(event: Mapping[str, Any], key: str) -> float | None:
    micros = _optional(event, key)
    return None if micros is None else micros / US_PER_S


def _real(event: Mapping[str, Any], key: str) -> float | None:
    value = event.get(key)
    return float(value) if isinstance(value, float) or type(value) is int else None


def _text(event: Mapping[str, Any], key: str) -> str | None:
    value = event.get(key)
    return value if isinstance(value, str) else None


def _levels(event: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the number of files per level after a job; empty when absent or damaged."""
    state = event.get("lsm_state")
    return tuple(state) if isinstance(state, list) and {*map(type, state)} == {int} else ()


def _bytes_by_level(
    sizes: Mapping[int, list[int | None]], total: int | None
) -> dict[int, int | None]:
    """Return input bytes per level: the sum where each file's size is known, else None.

    One level with unknown files is the rest of the total.
    """
    known = {level: _sum(files) for level, files in sizes.items()}
    unknown = [level for level, size in known.items() if size is None]
    if len(unknown) == 1 and total is not None:
        known[unknown[0]] = total - sum(size for size in known.values() if size is not None)
    return known


def _split(per_level: Mapping[int, int | None], output_level: int) -> tuple[int | None, int | None]:
    """Return what a compaction took from the levels above its output level, and from that one.

    Within one level (intra-L0) all of it is start.
    """
    if not per_level:
        return None, None
    if list(per_level) == [output_level]:
        return per_level[output_level], 0
    above = [amount for level, amount in per_level.items() if level != output_level]
    return _sum(above), per_level.get(output_level, 0)


def _sum(amounts: Iterable[int | None]) -> int | None:
    """Return the sum, or None if any part is unknown."""
    total = 0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total
