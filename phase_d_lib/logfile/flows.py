"""Bytes that flushes and compactions moved, by level."""

from __future__ import annotations

import pandas as pd

from phase_d_lib.logfile.tables import LogTables


def level_flows(log: LogTables, start_s: float, end_s: float) -> pd.DataFrame:
    """Return what flushes and compactions wrote into each level and read for it.

    Parameters
    ----------
    log : LogTables
    start_s, end_s : float
        Window in epoch seconds. A job belongs to the window it ends in, with all its bytes and
        time, so bytes and busy time of a row are of the same jobs.

    Returns
    -------
    DataFrame
        One row per output level, ascending: ``level`` (0: flushes and intra-L0 merges),
        ``write_bytes``, ``read_bytes`` (0 for flushes), ``jobs``, ``busy_s`` (start to end).
        Trivial moves are left out: they move no bytes.
    """
    flushes = log.flushes.assign(level=0, read_bytes=0)
    merges = log.compactions[log.compactions["kind"] != "trivial_move"]
    merges = merges.rename(columns={"output_level": "level", "input_bytes": "read_bytes"})
    columns = ["level", "output_bytes", "read_bytes", "start_time_s", "end_time_s"]
    jobs = pd.concat([flushes[columns], merges[columns]], ignore_index=True)
    jobs = jobs[jobs["end_time_s"].between(start_s, end_s, inclusive="left")]
    jobs = jobs.assign(busy_s=jobs["end_time_s"] - jobs["start_time_s"])
    flows = jobs.groupby("level").agg(
        write_bytes=("output_bytes", "sum"),
        read_bytes=("read_bytes", "sum"),
        jobs=("end_time_s", "size"),
        busy_s=("busy_s", "sum"),
    )
    integers = {"level": "int64", "write_bytes": "int64", "read_bytes": "int64", "jobs": "int64"}
    return flows.reset_index().astype({**integers, "busy_s": "float64"})
