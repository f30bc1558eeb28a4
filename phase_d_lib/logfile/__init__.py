"""RocksDB's LOG as tables: flushes, compactions, stalls and the state of the write controller.

Reading never raises on what a file holds: a damaged line is counted and the rest is read.

Three passes, so that a new kind of line or event is one function and one entry in a table:

1. `reader` cuts the file at ``EVENT_LOG_v1`` with ``find`` and gives each event to `events`, the
   text between to `notices`, which looks only for the few needles it knows.
2. `events` joins jobs as their events pass: start, files made, finish.
3. `controller` puts all re-evaluations of the write controller in order of their true time.

True time: an event carries ``time_micros``; any other line its local time of day, or the
``(Original Log Time ...)`` of a line RocksDB wrote late. The distance of local time from UTC is
taken from the events of the same hour (`clock`).

Wording and order of lines: db/column_family.cc, db/db_impl, db/flush_job.cc and db/compaction of
RocksDB; the wording was compared by eye for 6.8, 7.8, 9.8, 10.7 and 11.8, the order of lines for
6.8, 9.8 and 10.7, and real stalls were run on 9.8 only.
"""

from phase_d_lib.logfile.controller import stall_seconds_by_cause
from phase_d_lib.logfile.flows import level_flows
from phase_d_lib.logfile.reading import read_log
from phase_d_lib.logfile.tables import LogTables

__all__ = ["LogTables", "level_flows", "read_log", "stall_seconds_by_cause"]
