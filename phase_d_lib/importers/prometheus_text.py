"""Series of a Prometheus range query, as JSON or as CSV."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pandas as pd

from phase_d_lib.errors import InputError

_SERIES = re.compile(r"^\s*(?P<name>[A-Za-z_:][\w:.-]*)\s*(?:\{(?P<labels>.*)\})?\s*$")
_LABEL = re.compile(r'([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"')
_TIMES = ("unix_time_s", "time", "timestamp", "ts", "date")
_NAMES = ("__name__", "metric", "name")
_MILLISECONDS_FROM = 1e11
"""A larger time is in milliseconds: in seconds it would lie beyond the year 5000."""


@dataclass(frozen=True, eq=False)
class Series:
    """One series.

    Attributes
    ----------
    name : str
    labels : mapping of str to str
    times_s : ndarray
        Unix seconds, ascending.
    values : ndarray
        NaN where there is none.
    """

    name: str
    labels: Mapping[str, str]
    times_s: np.ndarray
    values: np.ndarray

    def __str__(self) -> str:
        labels = ", ".join(f'{key}="{value}"' for key, value in sorted(self.labels.items()))
        return f"{self.name}{{{labels}}}" if labels else self.name


def parse_series(content: bytes, source: str) -> list[Series]:
    """Parse the answer of ``/api/v1/query_range``, or a CSV table of the same series.

    JSON is the whole answer, or its result alone, as promtool prints it. CSV is either long (a time
    column, one of ``metric``, ``name`` or ``__name__``, ``value``, and labels) or wide (a time
    column, a series a column). Times are Unix seconds, milliseconds, or ISO 8601.

    Raises
    ------
    InputError
        One line, when it is neither.
    """
    is_json = content.lstrip()[:1] in (b"{", b"[")
    return list(_from_json(content, source) if is_json else _from_csv(content, source))


def _series(name: str, labels: dict[str, str], pairs: list[tuple[Any, Any]], source: str) -> Series:
    try:
        times = np.array([_time_s(time) for time, _ in pairs], dtype=float)
        values = np.array([float(value) for _, value in pairs], dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{source}: series {name}: {error}") from None
    if len(times) == 0 or not (np.diff(times) > 0).all():
        raise InputError(f"{source}: the times of series {name} do not ascend")
    return Series(name, labels, times, np.where(np.isfinite(values), values, np.nan))


def _time_s(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return float(pd.Timestamp(value).timestamp())
    return number / 1e3 if abs(number) >= _MILLISECONDS_FROM else number


def _from_json(content: bytes, source: str) -> Iterator[Series]:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{source} is not JSON: {error}") from None
    found = answer if _is_result(answer) else _result(answer, source)
    for one in found:
        yield _json_series(one, source)


def _is_result(answer: Any) -> bool:
    rows = answer if isinstance(answer, list) else []
    return bool(rows) and all(isinstance(row, dict) and "metric" in row for row in rows)


def _result(answer: Any, source: str) -> list[Any]:
    if not isinstance(answer, dict) or answer.get("status") != "success":
        said = answer.get("error", "no status") if isinstance(answer, dict) else "no object"
        raise InputError(f"{source} is not a successful Prometheus answer: {said}")
    result = answer.get("data")
    result = result if isinstance(result, dict) else {}
    kind, found = result.get("resultType"), result.get("result")
    if kind != "matrix":
        raise InputError(f"{source}: resultType is {kind}, needed is matrix; ask query_range")
    if not isinstance(found, list) or not found:
        raise InputError(f"{source}: the query found no series")
    return found


def _json_series(one: Any, source: str) -> Series:
    try:
        labels = {str(key): str(value) for key, value in dict(one["metric"]).items()}
        pairs = [(time, value) for time, value in one["values"]]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{source}: a result lacks 'metric' or [time, value] pairs") from None
    name = labels.pop("__name__", None)
    if name is None:
        raise InputError(
            f"{source}: a series has no name; query the metric itself, not rate() of it"
        )
    return _series(name, labels, pairs, source)


def _from_csv(content: bytes, source: str) -> Iterator[Series]:
    try:
        table = pd.read_csv(io.BytesIO(content), dtype=str, comment=None)
    except (ValueError, pd.errors.ParserError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{source} is neither JSON nor a CSV table: {reason}") from None
    lower = {str(column).strip().lower(): str(column) for column in table.columns}
    time = next((lower[name] for name in _TIMES if name in lower), None)
    if time is None:
        raise InputError(f"{source}: no time column; named must be one of {', '.join(_TIMES)}")
    name = next((lower[key] for key in _NAMES if key in lower), None)
    if name is not None and "value" in lower:
        yield from _long(table, time, name, lower["value"], source)
        return
    for column in table.columns.drop(time):
        series, labels = _parsed(str(column))
        yield _series(series, labels, _pairs(table[time], table[column]), source)


def _long(table: pd.DataFrame, time: str, name: str, value: str, source: str) -> Iterator[Series]:
    others = [str(column) for column in table.columns if column not in (time, name, value)]
    named = table.assign(**{key: table[key].fillna("") for key in (name, *others)})
    for _, rows in named.groupby([name, *others], sort=False):
        first = rows.iloc[0]
        series, labels = _parsed(str(first[name]))
        more = {key: str(first[key]) for key in others if first[key]}
        yield _series(series, {**labels, **more}, _pairs(rows[time], rows[value]), source)


def _pairs(times: pd.Series[str], values: pd.Series[str]) -> list[tuple[Any, Any]]:
    return list(zip(times, values, strict=True))


def _parsed(text: str) -> tuple[str, dict[str, str]]:
    """Name and labels of ``name{label="value"}``; any other text is a name."""
    found = _SERIES.match(text)
    return (
        (found["name"], dict(_LABEL.findall(found["labels"] or "")))
        if found
        else (text.strip(), {})
    )
