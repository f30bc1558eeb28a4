"""`phase-d log`: one object, a page, tables as Parquet, redaction."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest

from phase_d_lib.logfile import read_log, stall_seconds_by_cause
from phase_d_lib.logfile.parquet import PARQUET_COLUMNS
from phase_d_lib.logfile.summary import stream_to_parquet, summarize
from phase_d_lib.redaction import Redactor

STALLING = Path(__file__).parent / "data" / "logs" / "LOG-rocksdb-6.29.5.gz"
SECRET = "2026/11/24-16:10:12.895264 1 "


def phase_d(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the verb outside any checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PHASE_D_ROOT"}
    return subprocess.run(
        [sys.executable, "-m", "phase_d_lib", "log", *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_object(tmp_path: Path) -> None:
    done = phase_d(STALLING, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    record = orjson.loads(done.stdout)
    log = read_log(STALLING)
    assert record["version"] == "6.29.5"
    assert record["sessions"] == 1
    assert record["events"] == log.events
    assert record["lines"] == record["parsed_lines"] == log.lines
    assert record["skipped_lines"] == 0
    assert record["stats_dumps"] == log.dumps
    assert record["flush_bytes"] == log.flushes["output_bytes"].sum()
    assert record["compaction_read_bytes"] == log.compactions["input_bytes"].sum()
    assert record["compaction_write_bytes"] == log.compactions["output_bytes"].sum()
    assert record["options"] == log.options
    assert record["column_families"] == log.column_families
    first, last = map(datetime.fromisoformat, record["time_range"])
    assert first.timestamp() == pytest.approx(log.first_time_s, abs=1e-5)
    assert last.timestamp() == pytest.approx(log.last_time_s, abs=1e-5)
    assert first.utcoffset() is not None
    assert (record["mean_key_bytes"], record["mean_value_bytes"]) == (16.0, 400.0)
    spent = stall_seconds_by_cause(log, 0.0, 1e18).groupby("cause")["seconds"].sum()
    for cause, stall in record["stalls"].items():
        kinds = log.stalls[log.stalls["cause"] == cause]["kind"].value_counts()
        assert stall["slowdown"] == kinds.get("delay", 0)
        assert stall["stop"] == kinds.get("stop", 0)
        assert stall["seconds"] == pytest.approx(spent[cause])


def test_a_page_for_people(tmp_path: Path) -> None:
    done = phase_d(STALLING, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for expected in ("RocksDB 6.29.5", "l0_file_limit", "amplification", "mean entry", "L0"):
        assert expected in done.stdout


@pytest.mark.parametrize("content", [b"", b"no LOG\n" * 100, b"\0" * 5000])
def test_what_is_no_log_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes").write_bytes(content)
    done = phase_d("notes", folder=tmp_path)
    assert done.returncode == 2
    assert "no line of a RocksDB LOG" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    done = phase_d("absent", "--json", "--parquet", "tables", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert not (tmp_path / "tables").exists()
    assert done.stderr.count("\n") == 1


def test_tables_go_to_a_directory_of_ours_only(tmp_path: Path) -> None:
    foreign = tmp_path / "db"
    foreign.mkdir()
    (foreign / "CURRENT").write_text("MANIFEST-1\n")
    done = phase_d(STALLING, "--parquet", foreign, folder=tmp_path)
    assert done.returncode == 2
    assert [file.name for file in foreign.iterdir()] == ["CURRENT"]
    for _ in range(2):  # a second time it is ours
        done = phase_d(STALLING, "--parquet", tmp_path / "tables", folder=tmp_path)
        assert done.returncode == 0, done.stderr
    log = read_log(STALLING)
    flushes = pd.read_parquet(tmp_path / "tables" / "flushes.parquet")
    assert flushes["output_bytes"].sum() == log.flushes["output_bytes"].sum()
    found = {file.stem for file in (tmp_path / "tables").glob("*.parquet")}
    assert found == set(PARQUET_COLUMNS)


def test_streamed_tables_are_those_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phase_d_lib.logfile.reader.BLOCK_BYTES", 20_000)
    monkeypatch.setattr("phase_d_lib.logfile.blocks._MESSAGE_BYTES", 20_000)
    monkeypatch.setattr("phase_d_lib.logfile.parquet._ROW_GROUP", 10)
    stream_to_parquet([STALLING], tmp_path)
    log = read_log(STALLING)
    for name in ("flushes", "compactions", "stalls", "controller"):
        rows = pq.read_table(tmp_path / f"{name}.parquet").to_pandas()
        whole = getattr(log, name)
        by = "time_s" if "time_s" in rows else "end_time_s"
        streamed = rows.sort_values(by, kind="stable").reset_index(drop=True)
        assert len(streamed) == len(whole)
        for column in whole.columns:
            assert streamed[column].dropna().to_list() == whole[column].dropna().to_list(), column
    levels = pq.read_table(tmp_path / "stats_levels.parquet").to_pandas()
    assert len(levels) == len(log.stats.levels)


def secret_log(path: Path) -> Path:
    content = gzip.decompress(STALLING.read_bytes()).decode()
    content = content.replace("[default]", "[customers]").replace('"default"', '"customers"')
    content = content.replace("/db", "/home/alice/shop-db")
    header = f"{SECRET}Host name (Env):  shop-7\n{SECRET}DB Session ID:  9SESSION8SESSION7SES\n"
    cut = content.index("\n") + 1
    identity = f"{SECRET}[x.cc:1] DB ID: 2f287be5-4bbe-4573-aadf-a4047f6708e2\n"
    failed = f"{SECRET}[ERROR] [x.cc:1] [customers] IO error: /home/alice/shop-db/7.sst on shop-7\n"
    path.write_text(content[:cut] + header + content[cut:] + identity + failed)
    return path


SECRETS = ("customers", "alice", "shop-db", "shop-7", "9SESSION8SESSION7SES", "2f287be5")


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_redaction_leaves_no_name(tmp_path: Path, form: tuple[str, ...]) -> None:
    path = secret_log(tmp_path / "LOG")
    done = phase_d(path, "--redact", "--parquet", tmp_path / "t", *form, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    spoken = done.stdout + done.stderr
    assert [secret for secret in SECRETS if secret in spoken] == []
    assert "cf-1" in spoken
    for file in (tmp_path / "t").glob("*.parquet"):
        content = pq.read_table(file).to_pandas().to_csv()
        assert [secret for secret in SECRETS if secret in content] == []
    again = phase_d(path, "--redact", *form, folder=tmp_path)
    assert again.stdout == done.stdout


def test_tokens_are_consistent() -> None:
    redactor = Redactor()
    redactor.know("cf", ["orders", "default"])
    redactor.know("host", ["web-1"])
    text = redactor.text("[orders] /var/lib/x on web-1, [default] /var/lib/y, orders of /var/lib/x")
    assert text == "[cf-1] path-1 on host-1, [default] path-2, cf-1 of path-1"
    assert redactor.name("cf", "orders") == "cf-1"


def test_a_summary_of_several_files_is_of_all(tmp_path: Path) -> None:
    content = gzip.decompress(STALLING.read_bytes()).splitlines(keepends=True)
    (tmp_path / "a").write_bytes(b"".join(content[:500]))
    (tmp_path / "b").write_bytes(b"".join(content[500:]))
    whole = summarize([STALLING]).record
    parts = summarize([tmp_path / "b", tmp_path / "a"]).record
    for name in ("events", "lines", "flush_bytes", "compaction_write_bytes", "time_range"):
        assert parts[name] == whole[name]
