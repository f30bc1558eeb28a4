"""Tables of a LOG as Parquet files, row group by row group."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from phase_d_lib.logfile.dumps import dump_rows
from phase_d_lib.logfile.frames import fitting
from phase_d_lib.logfile.reader import Rows
from phase_d_lib.logfile.stats import STATS_COLUMNS
from phase_d_lib.logfile.tables import (
    COMPACTION_COLUMNS,
    FLUSH_COLUMNS,
    STALL_COLUMNS,
    STATE_COLUMNS,
)

PARQUET_COLUMNS = {
    "flushes": FLUSH_COLUMNS,
    "compactions": COMPACTION_COLUMNS,
    "stalls": STALL_COLUMNS,
    "controller": STATE_COLUMNS,
    **{f"stats_{name}": columns for name, columns in STATS_COLUMNS.items()},
}
"""Columns by file, without its suffix."""
_ROW_GROUP = 20_000
_TYPES = {"Int64": pa.int64(), "float64": pa.float64(), "str": pa.string()}


class ParquetFolder:
    """Writes the rows of a LOG into one file a table; use it as a context.

    Parameters
    ----------
    folder : Path
        A directory of ours. Rows are in order of the LOG, not sorted over the whole of it.
    family_name : callable
        What to write for the name of a column family.
    """

    def __init__(self, folder: Path, family_name: Callable[[str], str] = str) -> None:
        self._family_name = family_name
        self._schemas = {
            name: pa.schema([(column, _TYPES[dtype]) for column, dtype in columns.items()])
            for name, columns in PARQUET_COLUMNS.items()
        }
        self._writers = {
            name: pq.ParquetWriter(folder / f"{name}.parquet", schema)
            for name, schema in self._schemas.items()
        }
        self._held: dict[str, list[tuple[Any, ...]]] = {name: [] for name in PARQUET_COLUMNS}

    def __enter__(self) -> ParquetFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name, writer in self._writers.items():
            if error is None:
                self._write(name)
            writer.close()

    def add(self, rows: Rows) -> None:
        """Add what was read."""
        held = self._held
        held["flushes"] += rows.flushes
        held["compactions"] += rows.compactions
        held["stalls"] += rows.stalls
        held["controller"] += rows.states
        for name, of_dumps in dump_rows(rows.dumps).items():
            held[f"stats_{name}"] += of_dumps
        for name, of_table in held.items():
            if len(of_table) >= _ROW_GROUP:
                self._write(name)

    def _write(self, name: str) -> None:
        rows, self._held[name] = self._held[name], []
        if not rows:
            return
        columns = PARQUET_COLUMNS[name]
        arrays = []
        for (column, dtype), cells in zip(columns.items(), zip(*rows, strict=True), strict=True):
            kept = fitting(cells, dtype)
            if column == "column_family":
                kept = [None if cell is None else self._family_name(cell) for cell in kept]
            arrays.append(pa.array(kept, type=_TYPES[dtype]))
        self._writers[name].write_table(pa.Table.from_arrays(arrays, schema=self._schemas[name]))
