"""Finished measurements of other tools as typed results: db_bench output, device grids."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from phase_d_lib.errors import InputError
from phase_d_lib.statistics import Histogram, parse_histograms, parse_tickers

GRID_COLUMNS = (
    "read_fraction",
    "iodepth",
    "numjobs",
    "block_kib",
    "read_mib_s",
    "write_mib_s",
)
"""Columns of a device grid: share of reads in bytes asked for, fio's iodepth and numjobs, block
size in KiB, measured rates in MiB/s."""

_REAL = r"\d+(?:\.\d+)?"
_RESULT = re.compile(
    rf"^(?P<benchmark>\w+)[ \t]*:[ \t]*(?P<micros_per_op>{_REAL}) micros/op[ \t]+"
    rf"(?P<ops_per_s>{_REAL}) ops/sec;?"
    # Since 7.0; an older line goes on with the rate.
    rf"(?:[ \t]+(?P<seconds>{_REAL}) seconds[ \t]+(?P<operations>\d+) operations;?)?"
    rf"(?:[ \t]+(?P<mb_per_s>{_REAL}) MB/s)?",
    re.MULTILINE,
)


@dataclass(frozen=True)
class DbBenchResult:
    """One result line of db_bench with the statistics of its process.

    Attributes
    ----------
    benchmark : str
        For example 'fillrandom'.
    micros_per_op : float
        Mean latency of one thread's operation.
    ops_per_s : float
        Over all threads. A saturation rate: db_bench's writers are always ready.
    seconds, operations : float, int or None
        None in output from before RocksDB 7.
    mb_per_s : float or None
        User bytes; db_bench divides by 1048576, so MiB/s. None if it did not count bytes.
    tickers : dict of str to int
        Of the whole process, so of all its benchmarks; empty without ``--statistics``.
    histograms : dict of str to Histogram
    """

    benchmark: str
    micros_per_op: float
    ops_per_s: float
    seconds: float | None
    operations: int | None
    mb_per_s: float | None
    tickers: dict[str, int]
    histograms: dict[str, Histogram]


def read_db_bench(path_or_text: str | Path, benchmark: str | None = None) -> DbBenchResult:
    """Read what db_bench printed.

    Parameters
    ----------
    path_or_text : str or Path
        A file; a string with a line break is taken as the output itself.
    benchmark : str, optional
        Which result, where the output holds several.

    Raises
    ------
    InputError
        If the file cannot be read, or holds no result line, or several and none was named.
    """
    text, source = _text_of(path_or_text)
    found = {match["benchmark"]: match for match in _RESULT.finditer(text)}
    if not found:
        raise InputError(f"{source}: no db_bench result line ('fillrandom : ... micros/op ...')")
    if benchmark is None and len(found) > 1:
        raise InputError(f"{source}: holds {', '.join(found)}; name one as benchmark")
    name = benchmark or next(iter(found))
    if name not in found:
        raise InputError(f"{source}: no benchmark '{name}'; it holds {', '.join(found)}")
    line = found[name]
    return DbBenchResult(
        benchmark=name,
        micros_per_op=float(line["micros_per_op"]),
        ops_per_s=float(line["ops_per_s"]),
        seconds=None if line["seconds"] is None else float(line["seconds"]),
        operations=None if line["operations"] is None else int(line["operations"]),
        mb_per_s=None if line["mb_per_s"] is None else float(line["mb_per_s"]),
        tickers=parse_tickers(text),
        histograms=parse_histograms(text),
    )


def read_device_grid(path: str | Path) -> pd.DataFrame:
    """Read a measured device grid, one row per point.

    Parameters
    ----------
    path : str or Path
        CSV file with at least the columns `GRID_COLUMNS`.

    Returns
    -------
    DataFrame
        The columns `GRID_COLUMNS` in that order, depth and jobs as integers, the rest as floats.

    Raises
    ------
    InputError
        One line naming the file, the column and the row (counted in the file, header = 1).
    """
    try:
        table = pd.read_csv(path, skipinitialspace=True, compression=None)
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: empty; a device grid has {', '.join(GRID_COLUMNS)}") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: not a readable CSV file ({_one_line(error)})") from None
    missing = [column for column in GRID_COLUMNS if column not in table.columns]
    if missing:
        raise InputError(f"{path}: column {', '.join(missing)} missing")
    if table.empty:
        raise InputError(f"{path}: no rows; a device grid has at least one measured point")
    grid = pd.DataFrame({column: _numbers(table[column], path) for column in GRID_COLUMNS})
    _check_ranges(grid, path)
    return grid.astype({"iodepth": "int64", "numjobs": "int64"})


def _numbers(column: pd.Series, path: str | Path) -> pd.Series:
    """Return a column as finite floats, or name the first row that is none."""
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    bad = ~numbers.abs().lt(float("inf"))
    if bad.any():
        row = int(bad.to_numpy().argmax())
        given = column.iloc[row]
        raise InputError(f"{path}: {column.name} in row {row + 2} is {given}, not a number")
    return numbers


def _check_ranges(grid: pd.DataFrame, path: str | Path) -> None:
    """Refuse a grid with a value no measurement can give."""
    rules = {
        "read_fraction": (grid["read_fraction"].between(0.0, 1.0), "0 to 1"),
        "iodepth": (_is_count(grid["iodepth"]), "a whole number >= 1"),
        "numjobs": (_is_count(grid["numjobs"]), "a whole number >= 1"),
        "block_kib": (grid["block_kib"] > 0, "> 0"),
        "read_mib_s": (grid["read_mib_s"] >= 0, ">= 0"),
        "write_mib_s": (grid["write_mib_s"] >= 0, ">= 0"),
    }
    for column, (holds, allowed) in rules.items():
        if not holds.all():
            row = int((~holds).to_numpy().argmax())
            given = grid[column].iloc[row]
            raise InputError(f"{path}: {column} in row {row + 2} is {given:g}; allowed: {allowed}")


def _is_count(column: pd.Series) -> pd.Series:
    return (column >= 1) & (column % 1 == 0)


def _text_of(path_or_text: str | Path) -> tuple[str, str]:
    """Return the text and what to call it in an error."""
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        return path_or_text, "db_bench output"
    try:
        return Path(path_or_text).read_text("utf-8", "replace"), str(path_or_text)
    except (OSError, ValueError) as error:
        raise InputError(f"{path_or_text}: cannot be read ({_one_line(error)})") from None


def _one_line(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).strip().replace("\n", " ")
