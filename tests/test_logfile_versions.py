"""LOGs of other versions: every event counted, the dumps read by the names of their columns."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from phase_d_lib.logfile import read_log

LOGS = Path(__file__).parent / "data" / "logs"
SHARED = Path(os.environ.get("PHASE_D_SHARED") or Path(__file__).parents[2] / "shared")
OWN = sorted(LOGS.glob("LOG-*.gz"))


@pytest.mark.parametrize("path", OWN, ids=[path.name for path in OWN])
def test_every_event_of_our_logs_is_counted(path: Path) -> None:
    content = gzip.decompress(path.read_bytes())
    log = read_log(path)
    assert log.version == path.stem.rpartition("-")[2]
    assert log.event_lines == sum(log.events.values()) == content.count(b"EVENT_LOG_v1 {") > 0
    assert log.skipped_lines == log.foreign_lines == 0
    assert log.lines == content.count(b"\n")
    assert len(log.sessions) == 1
    assert len(log.options) > 160
    assert len(log.column_families["default"]) > 60
    assert log.dumps == content.count(b"** DB Stats **")
    assert len(log.stalls) == content.count(b" writes because ")
    if content.count(b"flush_finished") > 5:
        assert log.stored["value_bytes"].sum() / log.stored["entries"].sum() == 400.0
        assert log.stored["key_bytes"].sum() / log.stored["entries"].sum() == 24.0


def test_every_event_of_the_shared_logs_is_counted() -> None:
    paths = sorted((SHARED / "data" / "logs").glob("LOG*"))
    if not paths:
        pytest.skip(f"no shared real data below {SHARED}; set PHASE_D_SHARED")
    for path in paths:
        log = read_log(path)
        assert log.event_lines == path.read_bytes().count(b"EVENT_LOG_v1 {")
        assert (log.skipped_lines, log.foreign_lines, log.dumps) == (0, 0, 1)
        assert len(log.column_families["default"]) > 60


def test_the_dumps_of_6_29() -> None:
    log = read_log(LOGS / "LOG-rocksdb-6.29.5.gz")
    stats = log.stats
    last = stats.database.iloc[-1]
    assert last["uptime_s"] == pytest.approx(log.last_time_s - log.first_time_s, abs=2.0)
    assert last["writes"] == last["keys"] > 1000
    assert 0 < last["stall_s"] <= last["uptime_s"]
    levels = stats.levels[stats.levels["dump"] == log.dumps].set_index("level")
    assert levels.index.is_unique
    assert levels.loc["L0", "write_amplification"] == 1.0
    per_level = levels.filter(regex=r"^L\d", axis=0)
    assert per_level["files"].sum() == levels.loc["Sum", "files"]
    counts = stats.stall_counts[stats.stall_counts["dump"] == log.dumps]
    values = dict(zip(counts["name"], counts["count"], strict=True))
    before = log.stalls[log.stalls["time_s"] <= last["time_s"]]
    stops = before[(before["kind"] == "stop") & (before["cause"] == "memtable_limit")]
    assert values["memtable-limit-stops"] == len(stops)


SPEEDB_WARNINGS = (
    "Stalling writes because we have 20 level-0 files. delayed write rate: 16777216",
    "Stalling writes because of estimated pending compaction bytes 9. delayed write rate: 16777216",
)


@pytest.mark.parametrize("warning", SPEEDB_WARNINGS)
def test_speedb_is_read(tmp_path: Path, warning: str) -> None:
    path = tmp_path / "LOG"
    front = "2026/11/24-16:10:12.895264 1 "
    path.write_text(
        f"{front}SpeeDB version: 2.6.0-? (8.1.1)\n{front}DB Session ID:  ABC\n"
        f"{front}[WARN] [db/column_family.cc:1] [my cf] {warning}\n"
    )
    log = read_log(path)
    session = log.sessions[0]
    assert (session.product, session.version, session.base_version) == ("Speedb", "2.6.0", "8.1.1")
    assert log.stalls["delayed_write_rate_bytes_per_s"].to_list() == [16777216]
    assert log.stalls["column_family"].to_list() == ["my cf"]
    assert log.warnings[0].severity == "warning"


def test_options_of_each_column_family(tmp_path: Path) -> None:
    front = "2026/11/24-16:10:12.895264 1 "
    lines = ["RocksDB version: 9.8.4", "DB Session ID:  ABC", "    Options.max_open_files: -1"]
    for name, size in (("default", 1), ("한글 cf", 2)):
        lines.append(f"[db/column_family.cc:1] --------------- Options for column family [{name}]:")
        lines.append(f"    Options.write_buffer_size: {size}")
    lines.append("DB pointer 0x1")
    path = tmp_path / "LOG"
    path.write_text("".join(f"{front}{line}\n" for line in lines))
    log = read_log(path)
    assert log.options == {"max_open_files": "-1", "write_buffer_size": "1"}
    assert log.column_families == {
        "default": {"write_buffer_size": "1"},
        "한글 cf": {"write_buffer_size": "2"},
    }
