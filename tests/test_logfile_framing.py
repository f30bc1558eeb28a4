"""The same LOG behind a prefix, rolled, zipped or cut gives the same tables."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from phase_d_lib.errors import InputError
from phase_d_lib.logfile import LogTables, blocks, read_log

LOGS = Path(__file__).parent / "data" / "logs"
STALLING = LOGS / "LOG-rocksdb-6.29.5.gz"
TABLES = ("flushes", "compactions", "stalls", "controller", "stored")
STATS = ("database", "families", "levels", "stall_counts", "read_latency", "tickers", "histograms")
_DATED = re.compile(r"(\d{4})/(\d\d)/(\d\d)-(\d\d:\d\d:\d\d\.\d{6}) (\w+) ?(.*)", re.DOTALL)


@pytest.fixture(scope="module")
def text() -> str:
    return gzip.decompress(STALLING.read_bytes()).decode()


@pytest.fixture(scope="module")
def whole() -> LogTables:
    return read_log(STALLING)


def journald(line: str) -> str:
    return f"Nov 24 16:10:12 web-1 app[4711]: {line}"


def syslog_padded_day(line: str) -> str:
    return f"Nov  4 16:10:12 web-1 app[4711]: {line}"


def container(line: str) -> str:
    return json.dumps({"log": line + "\n", "stream": "stderr", "time": "2026-11-24T16:10:12.9Z"})


def kubernetes(line: str) -> str:
    return f"2026-11-24T16:10:12.895264123Z stderr F {line}"


def compose(line: str) -> str:
    return f"store_1  | {line}"


def ceph(line: str, digits: int = 6, marks: bool = True) -> str:
    """As an OSD writes it: its own date and thread, RocksDB's left out; other lines as they are."""
    found = _DATED.match(line)
    if found is None:
        return line
    year, month, day, clock, thread, rest = found.groups()
    clock = clock[: 9 + digits]
    level = 3 if "[WARN]" in rest else 4
    rest = rest if marks else rest.replace("[WARN] ", "")
    return f"{year}-{month}-{day}T{clock}+0000 {thread}  {level} rocksdb: {rest}"


def assert_same(found: LogTables, whole: LogTables, within_s: float = 0.0) -> None:
    assert found.events == whole.events
    assert found.version == whole.version
    assert (found.event_lines, found.skipped_lines) == (whole.event_lines, whole.skipped_lines)
    assert found.options == whole.options
    assert found.column_families == whole.column_families
    assert found.sessions == whole.sessions or within_s
    assert [(w.severity, w.kind, w.count) for w in found.warnings] == [
        (w.severity, w.kind, w.count) for w in whole.warnings
    ]
    close = {"rtol": 0.0, "atol": within_s}
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(found, name), getattr(whole, name), **close)
    for name in STATS:
        one, other = getattr(found.stats, name), getattr(whole.stats, name)
        pd.testing.assert_frame_equal(one, other, **close)


@pytest.mark.parametrize("prefix", [journald, syslog_padded_day, container, kubernetes, compose])
def test_a_prefix_changes_nothing(
    text: str, whole: LogTables, tmp_path: Path, prefix: Callable[[str], str]
) -> None:
    path = tmp_path / "carrier.log"
    path.write_text("".join(prefix(line) + "\n" for line in text.splitlines()))
    found = read_log(path)
    assert_same(found, whole)
    assert found.lines == whole.lines
    assert found.foreign_lines == 0


@pytest.mark.parametrize("marks", [True, False])
@pytest.mark.parametrize("digits", [6, 3])
def test_ceph_changes_nothing(
    text: str, whole: LogTables, tmp_path: Path, digits: int, marks: bool
) -> None:
    path = tmp_path / "ceph-osd.3.log"
    path.write_text("".join(ceph(line, digits, marks) + "\n" for line in text.splitlines()))
    assert_same(read_log(path), whole, within_s=0.0 if digits == 6 else 0.001)


def test_lines_of_other_programs_are_left_out(text: str, whole: LogTables, tmp_path: Path) -> None:
    other = "2026-11-24T16:10:13.001+0000 7f0 10 osd.3 12 do_waiters -- start\n"
    lines = [ceph(line) + "\n" for line in text.splitlines()]
    dated = [i for i, line in enumerate(lines) if " rocksdb: " in line][50:300]
    for number in reversed(dated):
        lines.insert(number, other)
    path = tmp_path / "ceph.log"
    path.write_text("".join(lines))
    found = read_log(path)
    assert found.foreign_lines == len(dated)
    assert_same(found, whole)


def test_a_rolled_log_is_stitched_in_order_of_time(
    text: str, whole: LogTables, tmp_path: Path
) -> None:
    lines = text.splitlines(keepends=True)
    dated = [i for i, line in enumerate(lines) if _DATED.match(line)]
    one, two = dated[len(dated) // 3], dated[2 * len(dated) // 3]
    parts = ["".join(lines[a:b]) for a, b in ((0, one), (one, two), (two, None))]
    for name, part in zip(("LOG.old.17", "LOG.old.9", "LOG"), parts, strict=True):
        (tmp_path / name).write_text(part)
    assert_same(read_log(tmp_path), whole)
    names = [tmp_path / name for name in ("LOG", "LOG.old.9", "LOG.old.17", "LOG")]
    assert_same(read_log(*names), whole)


def test_a_directory_without_a_log_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no LOG"):
        read_log(tmp_path)


def test_a_giant_line_is_skipped_alone(
    text: str, whole: LogTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "LINE_LIMIT_BYTES", 1 << 18)
    lines = text.splitlines(keepends=True)
    lines.insert(600, "x" * (1 << 19) + "\n")
    path = tmp_path / "LOG"
    path.write_text("".join(lines))
    found = read_log(path)
    assert found.events == whole.events
    assert found.skipped_lines == 1
    assert found.lines == len(lines)
    assert found.skipped_at == ((1, 601),)


def test_damaged_lines_are_numbered(text: str, tmp_path: Path) -> None:
    lines = text.splitlines(keepends=True)
    event = next(i for i, line in enumerate(lines) if '"flush_started"' in line)
    lines[event] = lines[event][:-20] + "\n"
    lines[event + 5] = "\0" * 100 + "\n"
    path = tmp_path / "LOG"
    path.write_text("".join(lines))
    found = read_log(path)
    assert found.skipped_lines == 2
    assert sorted(found.skipped_at) == [(1, event + 1), (1, event + 6)]
