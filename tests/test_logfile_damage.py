"""Mutated LOGs: no crash, and no undamaged event is lost.

``python -m tests.test_logfile_damage 10000`` runs that many mutations of every LOG here.
"""

from __future__ import annotations

import gzip
import io
import random
import sys
import time
from pathlib import Path

import pytest

from phase_d_lib.logfile import LogTables, level_flows, stall_seconds_by_cause
from phase_d_lib.logfile.reader import LogReader
from phase_d_lib.logfile.reading import tables_of

LOGS = sorted((Path(__file__).parent / "data" / "logs").glob("LOG-*.gz"))
MARK = b"EVENT_LOG_v1 {"
GARBAGE = (
    b"\n",
    b"\r\n",
    b"\0" * 64,
    MARK,
    b"\xff\xfe\x00",
    "한국어".encode("euc-kr"),
    b'"',
    b"}",
    b"** DB Stats **\nCumulative writes: 9e999K writes, \n",
    b"STATISTICS:\n",
    b"RocksDB version: ",
    b"] Stalling writes because we have 99999999999999999999 level-0 files",
    b"2026/13/45-99:99:99.999999 7 ",
    b"99999999999999999999999999",
    b"x" * 70_000,
)


def read(content: bytes) -> LogTables:
    reader = LogReader()
    for _ in reader.read(io.BytesIO(content)):
        pass
    return tables_of(reader)


def mutated(content: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(content) + 1)
        what = rng.randrange(7)
        piece = rng.choice(GARBAGE) if rng.random() < 0.7 else rng.randbytes(rng.randint(1, 40))
        if what == 0:
            content = content[:at] + piece + content[at:]
        elif what == 1:
            content = content[:at] + piece + content[at + len(piece) :]
        elif what == 2:
            content = content[:at] + content[at + rng.randint(1, 3000) :]
        elif what == 3 and at > len(content) // 5:
            content = content[:at]
        elif what == 4:  # lines in another order, as two writers leave them
            lines = content.splitlines(keepends=True)
            rng.shuffle(lines)
            content = b"".join(lines)
        elif what == 5:  # a part twice, as a copied LOG has it
            content += content[at : at + rng.randint(1, 20_000)]
        else:
            digit = content.find(b"1", at)
            if digit >= 0:
                content = content[:digit] + b"9" + content[digit + 1 :]
    return content


def check(content: bytes, events: set[bytes]) -> None:
    log = read(content)
    lines = content.split(b"\n")
    spared = sum(line in events for line in lines)
    marked = content.count(MARK)
    assert spared <= log.event_lines <= marked
    assert log.lines == len(lines) - (not lines[-1])
    assert log.event_lines == sum(log.events.values())
    stall_seconds_by_cause(log, log.first_time_s, log.last_time_s)
    level_flows(log, 0, 1e18)
    assert len(log.stats.levels) + len(log.stats.tickers) >= 0


def small_logs() -> list[tuple[bytes, set[bytes]]]:
    """Parts of our LOGs that hold header, events and dumps: a mutation of a part is as hard."""
    parts = []
    for path in LOGS:
        content = gzip.decompress(path.read_bytes())
        begin = content.find(b"\n", content.find(b"DB pointer")) + 1
        for part in (content[:60_000], content[begin : begin + 60_000], content[-60_000:]):
            whole = part[: part.rfind(b"\n") + 1]
            events = {line for line in whole.split(b"\n") if MARK in line and line[-1:] == b"}"}
            parts.append((whole, {line for line in events if line[:2] == b"20"}))
    return parts


def run(mutations: int, seed: int) -> None:
    parts = small_logs()
    for number in range(mutations):
        rng = random.Random(f"{seed}/{number}")
        content, events = parts[number % len(parts)]
        try:
            check(mutated(content, rng), events)
        except Exception as error:
            raise AssertionError(f"mutation {number} of seed {seed}") from error


def test_mutated_logs_lose_no_whole_event() -> None:
    run(120, seed=1)


@pytest.mark.slow
def test_many_mutated_logs_lose_no_whole_event() -> None:
    run(2_000, seed=2)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    begin_s = time.process_time()
    run(count, seed=int(sys.argv[2]) if len(sys.argv) > 2 else 3)
    print(f"{count} mutations, 0 crashes, 0 lost; {time.process_time() - begin_s:.0f} CPU s")
