"""Events of the LOG, joined to jobs: start, files made, finish."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phase_d_lib.logfile.controller import Mark
from phase_d_lib.logfile.fields import files_per_level, integer, optional, seconds, text
from phase_d_lib.logfile.lines import thread
from phase_d_lib.logfile.tables import COMPACTION_COLUMNS, StoredData

_FILES = 400_000  # sizes of live files kept; of a larger tree the older are unknown
_JOBS = 20_000
PROPERTIES = ("filter_size", "raw_key_size", "raw_value_size", "num_entries")
"""Table properties summed here, in the order RocksDB writes them."""


class _Job:
    """What is known of a running job: its start event, the files it made, its input per level."""

    __slots__ = ("bytes_in", "column_family", "files_in", "made_bytes", "started", "started_s")

    def __init__(
        self, started: dict[str, Any] | None = None, started_s: float | None = None
    ) -> None:
        self.started = started or {}
        self.started_s = started_s
        self.files_in: dict[int, int] = {}
        self.bytes_in: dict[int, int | None] = {}
        self.made_bytes = 0
        self.column_family: str | None = None


class Jobs:
    """Flushes and compactions, running and finished, and the marks the finished ones leave."""

    def __init__(self) -> None:
        self.flushes: list[tuple[Any, ...]] = []
        self.compactions: list[tuple[Any, ...]] = []
        self.marks: list[Mark] = []
        self.data: dict[str, StoredData] = {}
        self.families: dict[str, None] = {}
        self._running: dict[int, _Job] = {}
        self._file_bytes: dict[int, int] = {}

    def forget_running(self) -> None:
        """Drop what a session that ended left behind: the next one counts jobs from the start."""
        self._running.clear()

    def _flush_started(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        self._run(integer(event, "job"), _Job(event, time_s))

    def _compaction_started(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        job = _Job(event, time_s)
        size_of = self._file_bytes.pop  # an input is never read again: the table stays small
        sizes = {}
        for key, files in event.items():
            if key.startswith("files_L"):
                level = int(key[7:])
                sizes[level] = [size_of(number, None) for number in files]
                job.files_in[level] = len(files)
        total = event.get("input_data_size")
        job.bytes_in = _bytes_by_level(sizes, total if type(total) is int else None)
        self._run(integer(event, "job"), job)

    def file_made(self, number: int, size: int, job_number: int, family: str | None) -> None:
        """Note a table file of a job; one of no known job began before the LOG."""
        job = self._running.get(job_number)
        if job is None:
            job = _Job()
            self._run(job_number, job)
        if len(self._file_bytes) >= _FILES:
            _drop_older_half(self._file_bytes)
        self._file_bytes[number] = size
        job.made_bytes += size
        if family and family != job.column_family:
            job.column_family = family
            self.families[family] = None

    def stored(self, family: str, files: int, sums: Sequence[int]) -> None:
        """Add what table files hold: their number, then sums of file bytes and `PROPERTIES`."""
        data = self.data.setdefault(family, StoredData())
        data.files += files
        data.file_bytes += sums[0]
        data.filter_bytes += sums[1]
        data.key_bytes += sums[2]
        data.value_bytes += sums[3]
        data.entries += sums[4]

    def _run(self, number: int, job: _Job) -> None:
        """Note a job that runs; of those that never finish only the latest are kept."""
        family = job.started.get("cf_name")
        if isinstance(family, str):  # starts name it since 10
            job.column_family = family
        if len(self._running) >= _JOBS:
            _drop_older_half(self._running)
        self._running[number] = job

    def _file_made(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        number, size = integer(event, "file_number"), integer(event, "file_size")
        family, properties = text(event, "cf_name"), event.get("table_properties")
        self.file_made(number, size, integer(event, "job"), family)
        if isinstance(properties, dict):
            sizes = [optional(properties, name) or 0 for name in PROPERTIES]
            self.stored(family or "", 1, [size, *sizes])

    def _flush_finished(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        number, levels = integer(event, "job"), files_per_level(event)
        job = self._running.pop(number, None) or _Job()
        start, family = job.started, job.column_family
        row = (
            job.started_s,
            time_s,
            number,
            family,
            start.get("flush_reason"),
            start.get("num_entries"),
            start.get("total_data_size"),
            job.made_bytes,
            levels[0] if levels else None,
            event.get("immutable_memtables"),
        )
        self.flushes.append(row)
        self.marks.append(Mark(time_s, 0, thread(prefix), family, "normal", "", levels, True))

    def _compaction_finished(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        number, levels = integer(event, "job"), files_per_level(event)
        level, output_bytes = integer(event, "output_level"), integer(event, "total_output_size")
        job = self._running.pop(number, None) or _Job()
        start, family = job.started, job.column_family
        start_level = min(job.files_in, default=None)
        row = (
            job.started_s,
            time_s,
            number,
            family,
            "intra_l0" if start_level == level == 0 else "merge",
            start.get("compaction_reason"),
            start.get("score"),
            start_level,
            level,
            *_split(job.files_in, level),
            start.get("input_data_size"),
            *_split(job.bytes_in, level),
            output_bytes,
            0,
            event.get("num_output_files"),
            seconds(event, "compaction_time_micros"),
            seconds(event, "compaction_time_cpu_micros"),
            event.get("num_subcompactions"),
            event.get("num_input_records"),
            event.get("num_output_records"),
            levels[0] if levels else None,
        )
        self.compactions.append(row)
        self.marks.append(Mark(time_s, 0, thread(prefix), family, "normal", "", levels))

    def _trivial_move(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        number, level = integer(event, "job"), integer(event, "destination_level")
        files, size = optional(event, "files"), integer(event, "total_files_size")
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
        self.compactions.append(tuple(row.get(column) for column in COMPACTION_COLUMNS))
        self.marks.append(Mark(time_s, 2, thread(prefix), None, "normal"))


HANDLERS: dict[str, Callable[[Jobs, dict[str, Any], float, bytes], None]] = {
    "flush_started": Jobs._flush_started,
    "flush_finished": Jobs._flush_finished,
    "compaction_started": Jobs._compaction_started,
    "compaction_finished": Jobs._compaction_finished,
    "trivial_move": Jobs._trivial_move,
    "table_file_creation": Jobs._file_made,
}
"""By event: takes (event, its time, what its line begins with).

Of a damaged event it raises KeyError, TypeError, ValueError or OverflowError and keeps no row.
"""


def _drop_older_half(known: dict[int, Any]) -> None:
    """Forget the half of a table that was filled first."""
    for key in list(known)[: len(known) // 2]:
        del known[key]


def _bytes_by_level(
    sizes: Mapping[int, list[int | None]], total: int | None
) -> dict[int, int | None]:
    """Return input bytes per level: the sum where each file's size is known, else None.

    One level with unknown files is the rest of the total.
    """
    known = {level: _sum(files) for level, files in sizes.items()}
    if None not in known.values():
        return known
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


def _sum(amounts: list[int | None]) -> int | None:
    """Return the sum, or None if any part is unknown."""
    try:
        return sum(amounts)  # type: ignore[arg-type]
    except TypeError:
        return None
