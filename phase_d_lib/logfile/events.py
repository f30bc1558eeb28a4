"""Events of the LOG, joined to jobs: start, files made, finish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from phase_d_lib.logfile.controller import Mark
from phase_d_lib.logfile.fields import files_per_level, integer, optional, real, seconds, text
from phase_d_lib.logfile.lines import thread
from phase_d_lib.logfile.tables import COMPACTION_COLUMNS


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


class Jobs:
    """Flushes and compactions, running and finished, and the marks the finished ones leave."""

    def __init__(self) -> None:
        self.flushes: list[tuple[Any, ...]] = []
        self.compactions: list[tuple[Any, ...]] = []
        self.marks: list[Mark] = []
        self._running: dict[int, _Job] = {}
        self._file_bytes: dict[int, int] = {}

    def forget_running(self) -> None:
        """Drop what a session that ended left behind: the next one counts jobs from the start."""
        self._running.clear()

    def _flush_started(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        self._running[integer(event, "job")] = _Job(event, time_s)

    def _compaction_started(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        files = {int(key[7:]): value for key, value in event.items() if key.startswith("files_L")}
        # An input is never read again, so this also keeps the table of files small.
        sizes = {level: [self._file_bytes.pop(n, None) for n in files[level]] for level in files}
        self._running[integer(event, "job")] = _Job(
            event,
            time_s,
            files_in={level: len(numbers) for level, numbers in files.items()},
            bytes_in=_bytes_by_level(sizes, optional(event, "input_data_size")),
        )

    def _file_made(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        number, size = integer(event, "file_number"), integer(event, "file_size")
        job_number = integer(event, "job")
        job = self._running.get(job_number)
        if job is None:
            job = self._running[job_number] = _Job()
        self._file_bytes[number] = size
        job.made_bytes += size
        job.column_family = text(event, "cf_name") or job.column_family

    def _flush_finished(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        number, levels = integer(event, "job"), files_per_level(event)
        immutable = optional(event, "immutable_memtables")
        job = self._running.pop(number, None) or _Job()
        start = job.started
        row = (
            job.started_s,
            time_s,
            number,
            job.column_family,
            text(start, "flush_reason"),
            optional(start, "num_entries"),
            optional(start, "total_data_size"),
            job.made_bytes,
            levels[0] if levels else None,
            immutable,
        )
        self.flushes.append(row)
        family = job.column_family
        self.marks.append(Mark(time_s, 0, thread(prefix), family, "normal", "", levels, True))

    def _compaction_finished(self, event: dict[str, Any], time_s: float, prefix: bytes) -> None:
        number, levels = integer(event, "job"), files_per_level(event)
        level, output_bytes = integer(event, "output_level"), integer(event, "total_output_size")
        job = self._running.pop(number, None) or _Job()
        start = job.started
        start_level = min(job.files_in, default=None)
        row = (
            job.started_s,
            time_s,
            number,
            job.column_family,
            "intra_l0" if start_level == level == 0 else "merge",
            text(start, "compaction_reason"),
            real(start, "score"),
            start_level,
            level,
            *_split(job.files_in, level),
            optional(start, "input_data_size"),
            *_split(job.bytes_in, level),
            output_bytes,
            0,
            optional(event, "num_output_files"),
            seconds(event, "compaction_time_micros"),
            seconds(event, "compaction_time_cpu_micros"),
            optional(event, "num_subcompactions"),
            optional(event, "num_input_records"),
            optional(event, "num_output_records"),
            levels[0] if levels else None,
        )
        self.compactions.append(row)
        family = job.column_family
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
