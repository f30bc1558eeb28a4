"""Read a Prometheus range query of a RocksDB's metrics, as JSON or CSV, into sample columns.

Many services write no LOG that anyone may see but have been scraped for months. Known are the names
of :data:`phase_d_lib.metrics.METRICS` and RocksDB's own ticker and property names with underscores,
behind any prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from phase_d_lib.engines.sampling import GAUGE_COLUMNS, TICKER_COLUMNS
from phase_d_lib.errors import InputError
from phase_d_lib.metrics.catalog import METRICS

_RAW_NAMES = {
    re.sub(r"[.-]", "_", name.removeprefix("rocksdb.")): column
    for name, column in {**TICKER_COLUMNS, **GAUGE_COLUMNS}.items()
}
_SERIES = re.compile(r"^\s*(?P<name>[A-Za-z_:][\w:]*)\s*(?:\{(?P<labels>.*)\})?\s*$")
_LABEL = re.compile(r'([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"')
_TIMES = ("unix_time_s", "time", "timestamp", "ts", "date")
_NAMES = ("__name__", "metric", "name")
_OWNERS = ("rocksdb", "stream_state")
"""Part of a name that says the metric is RocksDB's; Kafka Streams has the second."""
_MILLISECONDS_FROM = 1e11
"""A larger time is in milliseconds: in seconds it would lie beyond the year 5000."""


@dataclass(frozen=True)
class _Series:
    name: str
    labels: dict[str, str]
    times_s: np.ndarray
    values: np.ndarray

    def __str__(self) -> str:
        labels = ", ".join(f'{key}="{value}"' for key, value in sorted(self.labels.items()))
        return f"{self.name}{{{labels}}}" if labels else self.name


def read_range_query(path: Path) -> pd.DataFrame:
    """Read the answer of ``/api/v1/query_range``, or a CSV table of the same series.

    CSV is either long (a time column, one of ``metric``, ``name`` or ``__name__``, ``value``, and
    labels) or wide (a time column, a series a column). Times are Unix seconds, milliseconds, or
    ISO 8601. A counter that fell, because its process began again, goes on from where it was.

    Returns
    -------
    DataFrame
        A row a time, ascending: ``unix_time_s``, ``time_s`` from the first, and each known metric
        under the sample column it stands for, in that column's unit. Any other series keeps its own
        name and unit. NaN where a series has no value.

    Raises
    ------
    InputError
        One line, when the file can't be read, is no range query, holds no RocksDB metric, or holds
        two series for one column.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from None
    if content.lstrip()[:1] in (b"{", b"["):
        series = list(_from_json(content, path))
    else:
        series = list(_from_csv(path))
    columns: dict[str, pd.Series[float]] = {}
    origin: dict[str, _Series] = {}
    for one in series:
        column, factor = _column(one) or (str(one), 1.0)
        if column in columns:
            raise InputError(
                f"{path}: {origin[column]} and {one} both give {column}; "
                "narrow the query to one database and column family"
            )
        values = _monotonic(one.values) if column.endswith("_total") else one.values
        columns[column], origin[column] = pd.Series(values / factor, index=one.times_s), one
    if not any(_column(one) for one in series):
        raise InputError(f"{path}: no RocksDB metric among {', '.join(map(str, series[:3]))}")
    table = pd.DataFrame(columns).sort_index()
    times = table.index.to_numpy(dtype=float)
    table = table.drop(columns=["unix_time_s", "time_s"], errors="ignore").reset_index(drop=True)
    table.insert(0, "unix_time_s", times)
    table.insert(0, "time_s", times - times[0])
    return table


def _column(series: _Series) -> tuple[str, float] | None:
    """Sample column of a series and what its values are divided by; None for an unknown one."""
    for metric in METRICS:
        own = metric.name == series.name
        if own and metric.labels.items() <= series.labels.items():
            return metric.column, metric.factor
    bare = series.name.lower().removesuffix("_total")
    if not any(owner in bare for owner in _OWNERS):
        return None
    # The longest name wins: "wal_bytes" must not answer for a name that ends in it by chance.
    for known in sorted(_RAW_NAMES, key=len, reverse=True):
        if bare == known or bare.endswith(f"_{known}"):
            return _RAW_NAMES[known], 1.0
    return None


def _monotonic(values: np.ndarray) -> np.ndarray:
    """Add to a counter what it had before each fall, as PromQL's ``increase`` does."""
    seen = np.flatnonzero(np.isfinite(values))
    kept, result = values[seen], values.copy()
    fallen = np.concatenate([[0.0], np.where(np.diff(kept) < 0, kept[:-1], 0.0)])
    result[seen] = kept + np.cumsum(fallen[: len(kept)])
    return result


def _series(name: str, labels: dict[str, str], pairs: list[tuple[Any, Any]], path: Path) -> _Series:
    try:
        times = np.array([_time_s(time) for time, _ in pairs], dtype=float)
        values = np.array([float(value) for _, value in pairs], dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: series {name}: {error}") from None
    if len(times) == 0 or (np.diff(times) <= 0).any():
        raise InputError(f"{path}: the times of series {name} do not ascend")
    return _Series(name, labels, times, np.where(np.isfinite(values), values, np.nan))


def _time_s(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return float(pd.Timestamp(value).timestamp())
    return number / 1e3 if abs(number) >= _MILLISECONDS_FROM else number


def _from_json(content: bytes, path: Path) -> Iterator[_Series]:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(answer, dict) or answer.get("status") != "success":
        said = answer.get("error", "no status") if isinstance(answer, dict) else "no object"
        raise InputError(f"{path} is not a successful Prometheus answer: {said}")
    result = answer.get("data")
    result = result if isinstance(result, dict) else {}
    kind, found = result.get("resultType"), result.get("result")
    if kind != "matrix":
        raise InputError(f"{path}: resultType is {kind}, needed is matrix; ask query_range")
    if not isinstance(found, list) or not found:
        raise InputError(f"{path}: the query found no series")
    for one in found:
        yield _json_series(one, path)


def _json_series(one: Any, path: Path) -> _Series:
    try:
        labels, pairs = dict(one["metric"]), [(time, value) for time, value in one["values"]]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: a result lacks 'metric' or [time, value] pairs") from None
    name = labels.pop("__name__", None)
    if name is None:
        raise InputError(f"{path}: a series has no name; query the metric itself, not rate() of it")
    return _series(str(name), labels, pairs, path)


def _from_csv(path: Path) -> Iterator[_Series]:
    try:
        table = pd.read_csv(path, dtype=str, comment=None)
    except (ValueError, pd.errors.ParserError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is neither JSON nor a CSV table: {reason}") from None
    lower = {str(column).strip().lower(): str(column) for column in table.columns}
    time = next((lower[name] for name in _TIMES if name in lower), None)
    if time is None:
        raise InputError(f"{path}: no time column; named must be one of {', '.join(_TIMES)}")
    name = next((lower[key] for key in _NAMES if key in lower), None)
    if name is not None and "value" in lower:
        yield from _long(table, time, name, lower["value"], path)
        return
    for column in table.columns.drop(time):
        series, labels = _parsed(str(column))
        yield _series(series, labels, _pairs(table[time], table[column]), path)


def _long(table: pd.DataFrame, time: str, name: str, value: str, path: Path) -> Iterator[_Series]:
    others = [str(column) for column in table.columns if column not in (time, name, value)]
    for _, rows in table.fillna("").groupby([name, *others], sort=False):
        first = rows.iloc[0]
        series, labels = _parsed(str(first[name]))
        more = {key: str(first[key]) for key in others if first[key]}
        yield _series(series, {**labels, **more}, _pairs(rows[time], rows[value]), path)


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
