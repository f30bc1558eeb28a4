"""The file of db_bench's ``--report_file``.

Its column ``interval_qps`` holds operations of the INTERVAL, not of a second
(``ReporterAgent::SleepAndReport`` never divides); ``secs_elapsed`` is rounded to whole seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from phase_d_lib.errors import InputError

HEADER = ("secs_elapsed", "interval_qps")
_LONGEST_NUMBER = 18


@dataclass(frozen=True)
class Report:
    """Operations of each interval.

    Attributes
    ----------
    end_s : tuple of int
        Seconds since the benchmark began, at the interval's end.
    interval_ops : tuple of int
        Operations in it, over all threads.
    cut : bool
        The last line had no end and was left out.
    """

    end_s: tuple[int, ...]
    interval_ops: tuple[int, ...]
    cut: bool

    @property
    def operations(self) -> int:
        """Operations of all intervals."""
        return sum(self.interval_ops)

    @property
    def lengths_s(self) -> tuple[int, ...]:
        """Length of each interval."""
        starts = (0, *self.end_s[:-1])
        return tuple(end - start for start, end in zip(starts, self.end_s, strict=True))


def is_report(text: str) -> bool:
    """Whether a text begins as a report file does."""
    return text.lstrip("\ufeff").startswith(",".join(HEADER))


def read_report(text: str, source: str) -> Report:
    """Return the intervals of a report file; further columns, of other forks, are passed over.

    Raises
    ------
    InputError
        Naming the row (header = 1) of a damaged number or of a time that does not ascend.
    """
    if not is_report(text):
        raise InputError(f"{source}: no db_bench report file; it begins with {','.join(HEADER)}")
    lines = text.lstrip("\ufeff").split("\n")
    # What stands behind the last line end may be half a number.
    cut = bool(lines.pop().strip())
    rows = [(number, line) for number, line in enumerate(lines[1:], 2) if line.strip()]
    ends: list[int] = []
    counts: list[int] = []
    for number, line in rows:
        end, operations = _row(line, f"{source}: row {number}")
        if ends and end <= ends[-1]:
            raise InputError(f"{source}: row {number}: {end} s does not follow {ends[-1]} s")
        ends.append(end)
        counts.append(operations)
    if not ends or ends[0] <= 0:
        raise InputError(f"{source}: no complete interval")
    return Report(tuple(ends), tuple(counts), cut)


def _row(line: str, where: str) -> tuple[int, int]:
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) < len(HEADER):
        raise InputError(f"{where}: {len(cells)} columns; {', '.join(HEADER)} are needed")
    for cell in cells[:2]:
        if not (cell.isascii() and cell.isdecimal() and len(cell) <= _LONGEST_NUMBER):
            raise InputError(f"{where}: {cell[:40]!r} is no whole number")
    return int(cells[0]), int(cells[1])
