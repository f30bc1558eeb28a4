"""Watch a RocksDB that another program runs, by its LOG, its OPTIONS file and /proc alone.

Nothing here opens a database, takes a lock, or opens a file for writing.

1. `place` finds LOG and OPTIONS of a database directory, `process` the program that holds it.
   `program` keeps that process over a restart, `source` the files.
2. `follow` yields the lines a LOG grows by, over rolls and deletion; `header` and `logstate` read
   them with `phase_d_lib.logfile` and keep what they tell now, `writestalls` the stalls of it.
3. `hostside` samples process, disk and machine; `samples` makes sample columns of it all, which
   `rules` holds against the alert rules of `phase_d_lib.monitor`.
4. `attachment` puts these together, look by look; `status` sums up; `result` holds what is told,
   `wording` says it in lines; `session` is the loop, which a signal ends (`ending`).
"""
