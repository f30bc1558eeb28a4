"""A measured device grid, as this project's probe writes it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from phase_d_lib.errors import InputError
from phase_d_lib.importers.base import one_line

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
        raise InputError(f"{path}: not a readable CSV file ({one_line(error)})") from None
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
