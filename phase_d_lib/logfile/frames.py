"""Rows as tables with given columns and dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd


def table(rows: list[tuple[Any, ...]], columns: Mapping[str, Any], by: str) -> pd.DataFrame:
    """Return rows as a table with these columns and dtypes, in order of the float column `by`."""
    rows = sorted(rows, key=itemgetter(list(columns).index(by)))
    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    arrays = {
        name: _array(list(cells), dtype)
        for (name, dtype), cells in zip(columns.items(), values, strict=True)
    }
    return pd.DataFrame(arrays, copy=False)


def _array(cells: list[Any], dtype: str) -> Any:
    """Return cells as an array; a cell that a damaged event filled with another type is missing."""
    kinds = set(map(type, cells))
    if not kinds <= _KINDS[dtype]:
        cells = fitting(cells, dtype)
    try:
        return _MAKERS[dtype](cells)
    except OverflowError:
        return _MAKERS[dtype](fitting(cells, dtype))


def _integers(cells: list[Any]) -> Any:
    """Return a nullable array; pandas' own way to it costs ten times as much."""
    missing = np.array([cell is None for cell in cells], dtype=bool)
    known = [0 if cell is None else cell for cell in cells] if missing.any() else cells
    return pd.arrays.IntegerArray(np.array(known, dtype="int64"), missing)


def _reals(cells: list[Any]) -> Any:
    return np.array(cells, dtype="float64")


def _texts(cells: list[Any]) -> Any:
    return pd.array(cells, dtype="str")


def fitting(cells: Iterable[Any], dtype: str) -> list[Any]:
    """Return cells with None for those that are not of a column's type."""
    fits = _FITS[dtype]
    return [cell if fits(cell) else None for cell in cells]


def _is_int64(cell: Any) -> bool:
    return type(cell) is int and -(1 << 63) <= cell < 1 << 63


def _is_real(cell: Any) -> bool:
    return type(cell) is float or _is_int64(cell)


def _is_text(cell: Any) -> bool:
    return isinstance(cell, str)


_KINDS: dict[str, set[type]] = {
    "Int64": {int, type(None)},
    "float64": {float, type(None)},
    "str": {str, type(None)},
}
_MAKERS: dict[str, Callable[[list[Any]], Any]] = {
    "Int64": _integers,
    "float64": _reals,
    "str": _texts,
}
_FITS: dict[str, Callable[[Any], bool]] = {
    "Int64": _is_int64,
    "float64": _is_real,
    "str": _is_text,
}
