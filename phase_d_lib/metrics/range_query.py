"""Read a Prometheus range query of a RocksDB's metrics, as JSON or CSV, into sample columns.

Many services write no LOG that anyone may see but have been scraped for months. Known are the names
of :data:`phase_d_lib.metrics.METRICS` and RocksDB's own ticker and property names with underscores,
behind any prefix. The importer ``prometheus`` takes the same files for figures of the whole time.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from phase_d_lib.engines.sampling import GAUGE_COLUMNS, TICKER_COLUMNS
from phase_d_lib.errors import InputError
from phase_d_lib.importers.prometheus_names import owned_name
from phase_d_lib.importers.prometheus_text import Series, parse_series
from phase_d_lib.metrics.catalog import METRICS

_RAW_NAMES = {
    re.sub(r"[.-]", "_", name.removeprefix("rocksdb.")): column
    for name, column in {**TICKER_COLUMNS, **GAUGE_COLUMNS}.items()
}


def read_range_query(path: Path) -> pd.DataFrame:
    """Read the answer of ``/api/v1/query_range``, or a CSV table of the same series.

    Both forms are those of :func:`phase_d_lib.importers.prometheus_text.parse_series`. A counter
    that fell, because its process began again, goes on from where it was.

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
    series = parse_series(content, str(path))
    columns: dict[str, pd.Series[float]] = {}
    origin: dict[str, Series] = {}
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


def _column(series: Series) -> tuple[str, float] | None:
    """Sample column of a series and what its values are divided by; None for an unknown one."""
    for metric in METRICS:
        own = metric.name == series.name
        if own and metric.labels.items() <= series.labels.items():
            return metric.column, metric.factor
    owned = owned_name(series)
    column = None if owned is None else _RAW_NAMES.get(owned[1].removesuffix("_total"))
    return None if column is None else (column, 1.0)


def _monotonic(values: np.ndarray) -> np.ndarray:
    """Add to a counter what it had before each fall, as PromQL's ``increase`` does."""
    seen = np.flatnonzero(np.isfinite(values))
    kept, result = values[seen], values.copy()
    fallen = np.concatenate([[0.0], np.where(np.diff(kept) < 0, kept[:-1], 0.0)])
    result[seen] = kept + np.cumsum(fallen[: len(kept)])
    return result
