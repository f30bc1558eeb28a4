"""What a whole LOG adds up to, batch by batch, so that its length costs no memory."""

from __future__ import annotations

from typing import Any

from phase_d_lib.logfile.controller import Stalled
from phase_d_lib.logfile.dumps import DumpText, database_row, dump_rows
from phase_d_lib.logfile.reader import Rows
from phase_d_lib.logfile.stats import STATS_COLUMNS
from phase_d_lib.logfile.tables import CAUSES, COMPACTION_COLUMNS, FLUSH_COLUMNS

_FLUSH = {name: at for at, name in enumerate(FLUSH_COLUMNS)}
_COMPACTION = {name: at for at, name in enumerate(COMPACTION_COLUMNS)}
_DATABASE = {name: at for at, name in enumerate([*STATS_COLUMNS["database"]][2:])}


class Totals:
    """Sums over the rows of a LOG, and the last stats dump.

    Attributes
    ----------
    flush_bytes, compaction_read_bytes, compaction_write_bytes, moved_bytes : int
    ingest_bytes : int
        Written by users, summed over sessions from the stats dumps (rounded there).
    stalls : dict of str to dict
        By cause: warnings of a ``slowdown`` and of a ``stop``, and ``seconds`` in both.
    last : dict of str to list of tuple
        Rows of the last stats dump that filled a table, by table.
    """

    def __init__(self) -> None:
        self.flush_bytes = self.compaction_read_bytes = self.compaction_write_bytes = 0
        self.moved_bytes = self.flushes = self.compactions = 0
        self.stalls: dict[str, dict[str, Any]] = {
            cause: {"slowdown": 0, "stop": 0, "seconds": 0.0} for cause in CAUSES
        }
        self.last: dict[str, list[tuple[Any, ...]]] = {}
        self._ended_ingest_bytes = self._ingest_bytes = 0
        self._uptime_s = 0.0
        self._stalled = Stalled()
        self._dumps: list[DumpText] = []

    @property
    def ingest_bytes(self) -> int:
        """Bytes written by users over all sessions whose stats were dumped."""
        return self._ended_ingest_bytes + self._ingest_bytes

    def add(self, rows: Rows) -> None:
        """Add what was read."""
        self.flushes += len(rows.flushes)
        self.compactions += len(rows.compactions)
        self.flush_bytes += sum(row[_FLUSH["output_bytes"]] for row in rows.flushes)
        for row in rows.compactions:
            self.compaction_read_bytes += _whole(row[_COMPACTION["input_bytes"]])
            self.compaction_write_bytes += row[_COMPACTION["output_bytes"]]
            self.moved_bytes += row[_COMPACTION["moved_bytes"]]
        for _, _, kind, cause, *_ in rows.stalls:
            self.stalls[cause]["stop" if kind == "stop" else "slowdown"] += 1
        for state in rows.states:
            self._spend(self._stalled.decided(*state))
        for dump in rows.dumps:
            if not dump.statistics:
                self._note_ingest(database_row(dump))
        if rows.dumps:
            latest = rows.dumps[-1].number - 1  # the last may be cut off: the one before is whole
            self._dumps = [d for d in (*self._dumps, *rows.dumps) if d.number >= latest]

    def finish(self, last_s: float) -> None:
        """Let the last state of the write controller hold to the end; read the last stats dump."""
        self._spend(self._stalled.until(last_s))
        for name, rows in dump_rows(self._dumps).items():
            if rows:
                self.last[name] = [row for row in rows if row[0] == rows[-1][0]]

    def _spend(self, intervals: Any) -> None:
        for begin_s, end_s, (cause, _) in intervals:
            self.stalls[cause]["seconds"] += max(0.0, end_s - begin_s)

    def _note_ingest(self, row: tuple[Any, ...]) -> None:
        uptime_s, ingest_bytes = row[_DATABASE["uptime_s"]], row[_DATABASE["ingest_bytes"]]
        if uptime_s is None or ingest_bytes is None:
            return
        if uptime_s < self._uptime_s:  # another session: RocksDB counts from 0
            self._ended_ingest_bytes += self._ingest_bytes
        self._uptime_s, self._ingest_bytes = uptime_s, ingest_bytes


def _whole(value: Any) -> int:
    return value if type(value) is int else 0
