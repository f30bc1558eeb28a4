"""RocksDB's LOG as tables: events, jobs, stalls, stats dumps, the state of the write controller.

Reading never raises on what a file holds: a damaged line is counted, with its number, and the
rest is read. A new kind of line or event is one function and one entry in a table:

1. `blocks` yields whole lines, `framing` takes RocksDB's text out of other programs' lines.
2. `scan` finds the events of a text and gives them to `events`, which joins jobs as they pass:
   start, files made, finish. The text between the events goes to `sessions`, `notices` (stalls,
   warnings, marks of the write controller) and `dumps`.
3. `controller` puts all re-evaluations of the write controller in order of their true time.
4. `reading` makes one `LogTables` of it all; `summary` takes it in parts as they are read, so
   that a LOG of any length, summed or written as Parquet, takes the same memory.

True time: an event carries ``time_micros``; any other line its local time of day, or the
``(Original Log Time ...)`` of a line RocksDB wrote late. The distance of local time from UTC is
taken from the events of the same hour (`clock`).

Wording and order of lines: db/column_family.cc, db/db_impl, db/flush_job.cc, db/compaction and
db/internal_stats.cc of RocksDB; the wording was compared by eye for 6.8, 7.8, 9.8, 10.7 and 11.8,
the order of lines for 6.8, 9.8 and 10.7. Stalls were run on 6.29, 9.8, 9.9 and 10.7; LOGs of 6.0
to 11.1 and of Speedb 2.0 to 2.6 were read.
"""

from phase_d_lib.logfile.controller import stall_seconds_by_cause
from phase_d_lib.logfile.flows import level_flows
from phase_d_lib.logfile.reading import read_log
from phase_d_lib.logfile.tables import LogTables

__all__ = ["LogTables", "level_flows", "read_log", "stall_seconds_by_cause"]
