"""The process that watches a db_bench: starts it, turns its LOG into samples, ends it.

``python -m phase_d_lib.engines.db_bench_process run TASK.json`` - started by
:mod:`phase_d_lib.engines.db_bench`, never by hand.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from phase_d_lib.engines.child import last_line
from phase_d_lib.engines.commands import Commands, die_with_parent
from phase_d_lib.engines.db_bench import OUTPUT_FILE, start_program
from phase_d_lib.engines.pinning import refuse_other_values
from phase_d_lib.engines.sampling import Sampler, machine_columns
from phase_d_lib.errors import EngineError, PhaseDError
from phase_d_lib.logfile import read_log
from phase_d_lib.specs import RunSpec
from phase_d_lib.statistics import tickers

_POLL_S = 0.1
_DUMP = re.compile(r"^\d{4}/\S+ .*------- DUMPING STATS -------$", re.MULTILINE)
_STATISTICS = re.compile(r"^\d{4}/\S+ .*STATISTICS:$", re.MULTILINE)
_NEXT_LINE = re.compile(r"^\d{4}/\d\d/\d\d-\d\d:", re.MULTILINE)
_PUTS = "rocksdb.number.keys.written"
_REMEMBERED = 200


class Dump:
    """One statistics dump of a LOG, read like the properties of an open database.

    Parameters
    ----------
    text : str
        From the line that begins it to the line after its statistics.
    part : Path
        Where to put the text for the reader of LOGs.
    """

    def __init__(self, text: str, part: Path) -> None:
        part.write_text(text)
        stats = read_log(part).stats
        levels = stats.levels.set_index("level")
        pending = stats.families["pending_compaction_bytes"].dropna()
        self.text = text
        self.unix_time_s = float(stats.database["time_s"].iloc[0])
        self.puts = tickers(text, [_PUTS]).get(_PUTS)
        self.numbers = {
            # A level without files and work has no line.
            "rocksdb.num-files-at-level0": int(levels["files"].get("L0", 0)),
            "rocksdb.live-sst-files-size": int(levels["size_bytes"]["Sum"]),
        }
        if len(pending):
            self.numbers["rocksdb.estimate-pending-compaction-bytes"] = int(pending.iloc[0])


class DumpTail:
    """Reads the statistics dumps of a LOG as they are written."""

    def __init__(self, log: Path, part: Path) -> None:
        self._log, self._part = log, part
        self._offset, self._pending = 0, ""

    def read(self, *, final: bool) -> Iterator[Dump]:
        """Yield each whole dump that is new; at the end of the program the last one too."""
        if self._log.exists():
            with self._log.open("rb") as stream:
                stream.seek(self._offset)
                new = stream.read()
            self._offset += len(new)
            self._pending += new.decode(errors="replace")
        while (begin := _DUMP.search(self._pending)) is not None:
            statistics = _STATISTICS.search(self._pending, begin.end())
            if statistics is None:
                return
            after = _NEXT_LINE.search(self._pending, statistics.end())
            if after is None and not final:
                return
            end = len(self._pending) if after is None else after.start()
            yield Dump(self._pending[begin.start() : end], self._part)
            self._pending = self._pending[end:]


class DumpSampler:
    """Writes a sample for each dump: what it says, and what /proc said of db_bench at its time."""

    def __init__(self, samples: TextIO, pid: int, database: Path) -> None:
        self._samples, self._pid = samples, pid
        self._dump: Dump | None = None
        self._sampler = Sampler(self._text, self._number, self._statistics, database)
        self._seen: deque[tuple[float, dict[str, float]]] = deque(maxlen=_REMEMBERED)
        self._sampler.start()

    def look(self) -> None:
        """Remember the counters of now; a dump shows up some time after it was taken."""
        self._seen.append((time.time(), machine_columns(self._pid)))

    def record(self, dump: Dump) -> None:
        """Write the sample of a dump; the cost counted is that of this whole process."""
        self._dump = dump
        machine = min(self._seen, key=lambda each: abs(each[0] - dump.unix_time_s))[1]
        row = self._sampler.sample(dump.puts, 0, None, np.array([]), (dump.unix_time_s, machine))
        row["sampler_cpu_s_total"] = time.process_time()
        self._samples.write(json.dumps(row) + "\n")

    def _text(self, _: str) -> str | None:
        return self._dump.text if self._dump else None

    def _number(self, name: str) -> int | None:
        return self._dump.numbers.get(name) if self._dump else None

    def _statistics(self) -> str | None:
        return self._dump.text if self._dump else None


def watch(task: dict[str, Any]) -> None:
    """Run db_bench with the flags of a task and write a sample for each of its dumps.

    Raises
    ------
    EngineError
        When db_bench fails, or opened with another option than pinned.
    """
    folder, database = Path(task["run"]), Path(task["database"])
    spec = RunSpec.model_validate_json((folder / "spec.json").read_text())
    (database / "LOG").unlink(missing_ok=True)  # of the load; this is our clone of the tree
    commands = Commands(_refuse_options, folder / "commands.jsonl")
    tail = DumpTail(database / "LOG", database.with_name("LOG-part"))
    output = folder / OUTPUT_FILE
    with (
        output.open("wb") as stream,
        (folder / "samples.jsonl").open("a", buffering=1) as samples,
        start_program(Path(task["program"]), task["flags"], database.parent, stream) as child,
    ):
        try:
            sampler = DumpSampler(samples, child.pid, database)
            _follow(child.pid, spec, database, tail, sampler, commands)
        finally:
            child.kill()
            code = child.wait()
    if code != 0 and not commands.stopped:
        raise EngineError(f"db_bench ended with exit code {code}: {last_line(output)}")


def _follow(
    pid: int,
    spec: RunSpec,
    database: Path,
    tail: DumpTail,
    sampler: DumpSampler,
    commands: Commands,
) -> None:
    """Record its dumps until db_bench ends or is to stop."""
    start = time.perf_counter()
    ended = verified = False
    while not ended and not commands.stopped:
        time.sleep(_POLL_S)
        ended = _has_ended(pid)
        sampler.look()
        for dump in tail.read(final=ended):
            if not verified:
                refuse_other_values(database, spec.options)
                verified = True
            sampler.record(dump)
        commands.poll(time.perf_counter() - start)


def _has_ended(pid: int) -> bool:
    """Whether a child has ended; it is left unreaped, so that /proc still holds its counters."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _refuse_options(changes: dict[str, str]) -> None:
    raise EngineError(f"db_bench takes no option change while it runs: {', '.join(changes)}")


def main(arguments: list[str]) -> None:
    """Watch one run; a known error is the last line on standard error."""
    die_with_parent()
    _, task_file = arguments
    try:
        watch(json.loads(Path(task_file).read_text()))
    except PhaseDError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
