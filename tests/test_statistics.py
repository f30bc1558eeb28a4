from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase_d_lib.statistics import (
    Histogram,
    parse_histograms,
    parse_stall_counts,
    parse_tickers,
    tickers,
)

relaxed = settings(max_examples=100, deadline=None)  # the machine may be busy with a benchmark
SHARED = Path(os.environ.get("PHASE_D_SHARED") or Path(__file__).parents[2] / "shared")

TEXT = (
    "rocksdb.block.cache.miss COUNT : 3\n"
    "rocksdb.bytes.written COUNT : 123\n"
    "rocksdb.blobdb.bytes.written COUNT : 7\n"
    "rocksdb.stall.micros COUNT : 18446744073709551615\n"
    "rocksdb.db.write.stall P50 : 1.500000 P95 : 2.000000 P99 : 2.250000 P100 : 9.000000"
    " COUNT : 4 SUM : 20\n"
)
OLD_STALLS = (
    "Stalls(count): 1 level0_slowdown, 2 level0_slowdown_with_compaction, 3 level0_numfiles, "
    "4 level0_numfiles_with_compaction, 5 stop for pending_compaction_bytes, "
    "6 slowdown for pending_compaction_bytes, 7 memtable_compaction, 8 memtable_slowdown, "
    "interval 9 total count\n"
)
NEW_STALLS = (
    "Write Stall (count): cf-l0-file-count-limit-delays-with-ongoing-compaction: 2, "
    "cf-l0-file-count-limit-stops-with-ongoing-compaction: 4, l0-file-count-limit-delays: 1, "
    "l0-file-count-limit-stops: 3, memtable-limit-delays: 8, memtable-limit-stops: 7, "
    "pending-compaction-bytes-delays: 6, pending-compaction-bytes-stops: 5, total-delays: 15, "
    "total-stops: 15\ninterval: 9 total count\n"
)


def shared_text(name: str) -> str:
    path = SHARED / "data" / name
    if not path.is_file():
        pytest.skip(f"no shared real data at {path}; set PHASE_D_SHARED")
    return path.read_text()


def test_tickers_and_histograms_are_told_apart() -> None:
    assert parse_tickers(TEXT) == {
        "rocksdb.block.cache.miss": 3,
        "rocksdb.bytes.written": 123,
        "rocksdb.blobdb.bytes.written": 7,
        "rocksdb.stall.micros": 2**64 - 1,
    }
    assert parse_histograms(TEXT) == {
        "rocksdb.db.write.stall": Histogram(1.5, 2.0, 2.25, 9.0, 4, 20)
    }


def test_log_dump_has_a_blank_before_its_first_line_and_windows_line_ends() -> None:
    dump = "2026/11/24-08:22:57.99 1 [x.cc:795] STATISTICS:\r\n " + TEXT.replace("\n", "\r\n")
    assert parse_tickers(dump) == parse_tickers(TEXT)
    assert parse_histograms(dump) == parse_histograms(TEXT)


def test_last_dump_counts() -> None:
    later = TEXT.replace("COUNT : 123", "COUNT : 456")
    assert parse_tickers(TEXT + later)["rocksdb.bytes.written"] == 456


@relaxed
@given(st.permutations([*parse_tickers(TEXT), "rocksdb.not.there"]))
def test_named_tickers_in_any_order_agree_with_all(names: list[str]) -> None:
    every = parse_tickers(TEXT)
    found = tickers(TEXT, names)
    assert found == every
    assert list(found) == [name for name in names if name in every]


def test_a_ticker_name_must_match_whole() -> None:
    assert tickers(TEXT, ["bytes.written", "rocksdb.bytes", "rocksdb.db.write.stall"]) == {}
    assert tickers("", ["rocksdb.bytes.written"]) == {}


@relaxed
@given(st.integers(0, len(TEXT)))
def test_truncated_text_gives_only_whole_names(cut: int) -> None:
    every = parse_tickers(TEXT)
    for found in (parse_tickers(TEXT[:cut]), tickers(TEXT[:cut], every)):
        assert set(found) <= set(every)
        # The number that was cut in the middle is the only one that may differ.
        assert sum(found[name] != every[name] for name in found) <= 1


@relaxed
@given(st.text())
def test_any_text_is_read(text: str) -> None:
    parse_tickers(text)
    parse_histograms(text)
    parse_stall_counts(text)
    tickers(text, ["rocksdb.bytes.written"])


def test_stall_counts_of_both_generations_have_the_same_names() -> None:
    old, new = parse_stall_counts(OLD_STALLS), parse_stall_counts(NEW_STALLS)
    assert old == new
    assert new["memtable-limit-stops"] == 7
    assert (new["total-delays"], new["total-stops"]) == (15, 15)
    assert parse_stall_counts("nothing here") == {}


def test_stall_counts_of_the_database_stand_beside_those_of_the_column_family() -> None:
    both = "Write Stall (count): write-buffer-manager-limit-stops: 11\n" + NEW_STALLS
    assert parse_stall_counts(both) == {
        **parse_stall_counts(NEW_STALLS),
        "write-buffer-manager-limit-stops": 11,
    }


def test_shared_db_bench_statistics() -> None:
    text = shared_text("db_bench_2025-09-05_fillrandom.txt")
    every = parse_tickers(text)
    assert len(every) == 184
    assert every["rocksdb.bytes.written"] == 3_345_674_518_536
    assert every["rocksdb.number.keys.written"] == 3_200_000_000
    assert tickers(text, every) == every
    stall = parse_histograms(text)["rocksdb.db.write.stall"]
    assert stall.count == 4_339_999
    assert stall.sum == every["rocksdb.stall.micros"]
    assert stall.p50 < stall.p95 < stall.p99 < stall.max


@pytest.mark.parametrize("version", ["6.8.1", "7.8.3", "8.8.1"])
def test_shared_logs_hold_stall_counts(version: str) -> None:
    counts = parse_stall_counts(shared_text(f"logs/LOG-rocksdb-{version}"))
    assert set(counts) - {"write-buffer-manager-limit-stops"} == set(parse_stall_counts(NEW_STALLS))
    assert not any(counts.values())
