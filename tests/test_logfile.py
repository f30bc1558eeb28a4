from __future__ import annotations

import bisect
import calendar
import gzip
import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rocksdict import DBCompressionType, Options, Rdict

from phase_d_lib.errors import InputError
from phase_d_lib.logfile import (
    LogTables,
    events,
    level_flows,
    read_log,
    reader,
    stall_seconds_by_cause,
)
from phase_d_lib.statistics import parse_stall_counts, parse_tickers
from phase_d_lib.units import MIB

SHARED = Path(os.environ.get("PHASE_D_SHARED") or Path(__file__).parents[2] / "shared")
TABLES = ("flushes", "compactions", "stalls", "controller", "stored")
FINISHED = {"flush_finished": "flushes", "compaction_finished": "compactions"}


# --- a stalling RocksDB of our own ------------------------------------------------------------


@dataclass(frozen=True)
class LiveRun:
    """A short stalling run and what RocksDB said about itself beside its LOG."""

    log: Path
    start_s: float
    end_s: float
    tickers: dict[str, int]
    stall_counts: dict[str, int]
    delayed: list[tuple[float, bool]] = field(repr=False)
    """(time, was the delayed rate in force), between two puts."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> LiveRun:
    path = tmp_path_factory.mktemp("live") / "db"
    options = stalling_options()
    database = Rdict(str(path), options)
    rng = random.Random(1)
    delayed: list[tuple[float, bool]] = []
    start_s = now = time.time()
    seen_delay = False  # a busy machine writes too little in two seconds
    while now < start_s + 2.0 or (not seen_delay and now < start_s + 30.0):
        for _ in range(4):
            key = rng.randrange(100_000).to_bytes(8, "big") + b"0" * 8
            database[key] = rng.randbytes(400)
        now = time.time()
        rate = database.property_int_value("rocksdb.actual-delayed-write-rate")
        delayed.append((now, bool(rate)))
        seen_delay = seen_delay or bool(rate)
    wait_until_idle(database)
    counts = database.property_value("rocksdb.cf-write-stall-stats")
    database.close()
    statistics = options.get_statistics()
    assert counts is not None
    assert statistics is not None
    tickers = parse_tickers(statistics)
    return LiveRun(path / "LOG", start_s, now, tickers, parse_stall_counts(counts), delayed)


def stalling_options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(2 * MIB)
    options.set_max_write_buffer_number(2)
    options.set_target_file_size_base(2 * MIB)
    options.set_max_bytes_for_level_base(8 * MIB)
    options.set_level_zero_file_num_compaction_trigger(4)
    options.set_level_zero_slowdown_writes_trigger(8)
    options.set_level_zero_stop_writes_trigger(12)
    options.set_level_compaction_dynamic_level_bytes(False)
    options.set_compression_type(DBCompressionType.none())
    options.set_ratelimiter(20 * MIB, 100_000, 10)
    options.enable_statistics()
    options.set_stats_dump_period_sec(1)
    return options


def wait_until_idle(database: Rdict) -> None:
    busy = [
        f"rocksdb.{name}"
        for name in (
            "num-running-flushes",
            "num-running-compactions",
            "mem-table-flush-pending",
            "compaction-pending",
        )
    ]
    for _ in range(1000):
        if not any(database.property_int_value(name) for name in busy):
            return
        time.sleep(0.02)


@pytest.mark.rocksdb
def test_live_log_is_read_whole(live: LiveRun) -> None:
    log = read_log(live.log)
    text = live.log.read_bytes()
    assert log.skipped_lines == 0
    assert log.lines == text.count(b"\n")
    assert log.event_lines == text.count(b"EVENT_LOG_v1 {")
    assert log.version is not None
    assert log.options["write_buffer_size"] == str(2 * MIB)
    assert log.options["max_bytes_for_level_multiplier_addtl[0]"] == "1"
    assert log.options["compression"] == "NoCompression"
    assert log.first_time_s <= live.start_s < live.end_s <= log.last_time_s
    assert log.last_time_s - log.first_time_s < 120


@pytest.mark.rocksdb
def test_live_jobs_add_up_to_the_tickers(live: LiveRun) -> None:
    log = read_log(live.log)
    merges = log.compactions[log.compactions["kind"] != "trivial_move"]
    assert len(log.flushes) > 5
    assert len(merges) > 1
    # Tickers also count a few bytes of blocks written and given up.
    flushed, merged = log.flushes["output_bytes"].sum(), merges["output_bytes"].sum()
    assert flushed == pytest.approx(live.tickers["rocksdb.flush.write.bytes"], rel=0.01)
    assert merged == pytest.approx(live.tickers["rocksdb.compact.write.bytes"], rel=0.01)
    read = live.tickers["rocksdb.compact.read.bytes"]
    assert merges["input_bytes"].sum() == pytest.approx(read, rel=0.02)
    parts = merges["input_bytes_start"] + merges["input_bytes_output"]
    assert (parts == merges["input_bytes"]).all()
    assert (log.flushes["start_time_s"] < log.flushes["end_time_s"]).all()
    assert set(log.flushes["reason"]) <= {"Write Buffer Full", "Manual Flush"}
    assert log.flushes["l0_files_after"].max() >= 8
    assert (log.flushes["column_family"] == "default").all()
    assert (merges["files_in_start"] >= 1).all()
    assert (merges["num_output_records"] <= merges["num_input_records"]).all()
    assert merges["cpu_time_s"].between(0.0, merges["compaction_time_s"] * 1.5).all()

    flows = level_flows(log, log.first_time_s, log.last_time_s + 1).set_index("level")
    assert flows["write_bytes"].sum() == flushed + merged
    assert flows["read_bytes"].sum() == merges["input_bytes"].sum()
    assert flows["jobs"].sum() == len(log.flushes) + len(merges)
    intra = merges[merges["kind"] == "intra_l0"]["output_bytes"].sum()
    assert flows.loc[0, "write_bytes"] == flushed + intra


@pytest.mark.rocksdb
def test_live_stall_lines_are_all_there(live: LiveRun) -> None:
    log = read_log(live.log)
    seen = Counter(zip(log.stalls["cause"], log.stalls["kind"], strict=True))
    counts = live.stall_counts
    assert seen["l0_file_limit", "delay"] == counts["l0-file-count-limit-delays"] > 0
    assert seen["l0_file_limit", "stop"] == counts["l0-file-count-limit-stops"]
    assert seen["memtable_limit", "delay"] == counts["memtable-limit-delays"]
    assert seen["memtable_limit", "stop"] == counts["memtable-limit-stops"]
    delays = log.stalls[log.stalls["kind"] == "delay"]
    assert (delays["delayed_write_rate_bytes_per_s"] > 0).all()
    assert log.stalls.loc[log.stalls["kind"] == "stop", delays.columns[-1]].isna().all()


@pytest.mark.rocksdb
def test_live_delay_regime_is_what_the_database_said(live: LiveRun) -> None:
    """The delayed rate read between puts is in force exactly when the LOG says so."""
    log = read_log(live.log)
    times = log.controller["time_s"].to_list()
    kinds = log.controller["kind"].to_list()
    wrong = 0
    for now, delayed in live.delayed:
        at = bisect.bisect_right(times, now) - 1
        wrong += (at >= 0 and kinds[at] == "delay") != delayed
    assert any(delayed for _, delayed in live.delayed)
    assert wrong <= 0.005 * len(live.delayed)

    seconds = stall_seconds_by_cause(log, live.start_s, live.end_s)
    waited_s = live.tickers["rocksdb.stall.micros"] / 1e6
    assert 0.9 * waited_s <= seconds["seconds"].sum() <= live.end_s - live.start_s
    assert seconds["count"].sum() <= len(log.stalls)
    half = (live.start_s + live.end_s) / 2
    halves = [
        stall_seconds_by_cause(log, *window)["seconds"].sum()
        for window in ((live.start_s, half), (half, live.end_s))
    ]
    assert sum(halves) == pytest.approx(seconds["seconds"].sum())


@pytest.mark.rocksdb
def test_blocks_may_cut_the_file_anywhere(live: LiveRun, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_log(live.log)
    for size in (16_411, 65_536):
        monkeypatch.setattr(reader, "BLOCK_BYTES", size)
        assert_same(read_log(live.log), whole)


def assert_same(found: LogTables, expected: LogTables) -> None:
    for part in fields(LogTables):
        if part.name in TABLES:
            pd.testing.assert_frame_equal(getattr(found, part.name), getattr(expected, part.name))
        elif part.name != "stats":
            assert getattr(found, part.name) == getattr(expected, part.name)


# --- damage -----------------------------------------------------------------------------------

position = st.floats(0, 1, exclude_max=True)
garbage = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"\n",
            b"\r\n",
            b"\0" * 64,
            b"EVENT_LOG_v1 {",
            b"\xff\xfe",
            "한국어".encode("euc-kr"),
            b'"',
        ]
    ),
)
damage = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), position, garbage),
        st.tuples(st.just("overwrite"), position, garbage),
        st.tuples(st.just("delete"), position, st.integers(1, 3000)),
        st.tuples(st.just("truncate"), st.floats(0.2, 1), st.none()),
    ),
    min_size=1,
    max_size=6,
)


def damaged(content: bytes, wounds: list[tuple[str, float, bytes | int | None]]) -> bytes:
    for what, where, how in wounds:
        at = int(where * len(content))
        if isinstance(how, bytes):
            end = at + len(how) if what == "overwrite" else at
            content = content[:at] + how + content[end:]
        else:
            content = content[:at] + (content[at + how :] if isinstance(how, int) else b"")
    return content


def finished_jobs(lines: list[bytes], event: str) -> Counter[tuple[int, float]]:
    found: Counter[tuple[int, float]] = Counter()
    for line in lines:
        payload = json.loads(line[line.index(b"EVENT_LOG_v1 {") + 13 :])
        if payload["event"] == event:
            found[payload["job"], payload["time_micros"] / 1e6] += 1
    return found


@pytest.fixture(scope="module")
def event_lines(live: LiveRun) -> set[bytes]:
    return {line for line in live.log.read_bytes().split(b"\n") if b"EVENT_LOG_v1 {" in line}


@pytest.mark.rocksdb
@settings(max_examples=40, deadline=None)
@given(wounds=damage)
def test_damage_never_raises_and_spares_whole_events(
    live: LiveRun,
    event_lines: set[bytes],
    tmp_path_factory: pytest.TempPathFactory,
    wounds: list[tuple[str, float, bytes | int | None]],
) -> None:
    content = damaged(live.log.read_bytes(), wounds)
    path = tmp_path_factory.getbasetemp() / "damaged-LOG"
    path.write_bytes(content)
    log = read_log(path)
    spared = [line for line in content.split(b"\n")[:-1] if line in event_lines]
    assert log.event_lines >= len(spared)
    for event, table in FINISHED.items():
        rows = getattr(log, table)
        kept = Counter(zip(rows["job"], rows["end_time_s"], strict=True))
        assert finished_jobs(spared, event) <= kept
    stall_seconds_by_cause(log, live.start_s, live.end_s)
    level_flows(log, live.start_s, live.end_s)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=2000))
@example(content=b"\x1f\x8b")
@example(content=b"\x1f\x8b\x08\x00junk")
def test_any_bytes_are_read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-LOG"
    path.write_bytes(content)
    log = read_log(path)
    if not content.startswith(b"\x1f\x8b"):  # a damaged gzip file has no line to count
        assert log.lines == len(content.removesuffix(b"\n").split(b"\n")) - (not content)
    assert stall_seconds_by_cause(log, 0, 1)["seconds"].sum() == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    # No lambda: to see that it recurses, hypothesis looks its source up in this file as it is at
    # that moment, and takes another function for it when the file was edited since its import.
    partial(st.lists, max_size=3),
    max_leaves=4,
)
KEYS = (
    *("job", "cf_name", "file_number", "file_size", "lsm_state", "immutable_memtables"),
    *("output_level", "score", "total_output_size", "destination_level", "total_files_size"),
    *("files", "files_L0", "files_L1", "files_Lx", "input_data_size", "num_entries"),
    *("flush_reason", "compaction_time_micros"),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"event": st.sampled_from(sorted(events.HANDLERS))},
            optional={"time_micros": json_values, **dict.fromkeys(KEYS, json_values)},
        ),
        max_size=8,
    )
)
def test_any_json_is_an_event_or_skipped(
    tmp_path_factory: pytest.TempPathFactory, written: list[dict[str, object]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "json-LOG"
    path.write_text("".join(f"EVENT_LOG_v1 {json.dumps(event)}\n" for event in written))
    log = read_log(path)
    assert log.event_lines + log.skipped_lines == len(written)
    level_flows(log, 0, 1e18)


# --- lines written by hand --------------------------------------------------------------------

DAY_S = calendar.timegm((2026, 11, 24, 0, 0, 0))
FLUSHER, COMPACTOR, WRITER = 11, 22, 33


class Pen:
    """Writes LOG lines at seconds of one day, in a time zone."""

    def __init__(self, utc_offset_s: int = 0) -> None:
        self.utc_offset_s = utc_offset_s
        self.lines: list[str] = []

    def stamp(self, at_s: float) -> str:
        micros = round(at_s * 1e6) + self.utc_offset_s * 1_000_000
        whole = time.gmtime(DAY_S + micros // 1_000_000)
        return time.strftime("%Y/%m/%d-%H:%M:%S", whole) + f".{micros % 1_000_000:06d}"

    def line(self, at_s: float, thread: int, text: str, true_s: float | None = None) -> None:
        late = "" if true_s is None else f"(Original Log Time {self.stamp(true_s)}) "
        self.lines.append(f"{self.stamp(at_s)} {thread} {late}{text}\n")

    def event(self, at_s: float, thread: int, event: str, **values: object) -> None:
        """Write an event, 10 ms late as RocksDB does with what it buffers."""
        payload = {"time_micros": round((DAY_S + at_s) * 1e6), "event": event, **values}
        self.line(at_s + 0.01, thread, f"EVENT_LOG_v1 {json.dumps(payload)}", true_s=at_s)

    def flush(self, at_s: float, *levels: int, job: int = 1, thread: int = FLUSHER) -> None:
        self.event(at_s, thread, "flush_finished", job=job, lsm_state=levels)

    def compaction(self, at_s: float, *levels: int, job: int = 2) -> None:
        values = {"job": job, "output_level": 1, "total_output_size": 5, "lsm_state": levels}
        self.event(at_s, COMPACTOR, "compaction_finished", **values)

    def stop(self, at_s: float, thread: int, family: str = "default") -> None:
        text = f"[WARN] [db/column_family.cc:998] [{family}] Stopping writes because we have 12"
        self.line(at_s, thread, text + " level-0 files")

    def delay(self, at_s: float, thread: int, family: str = "default") -> None:
        text = f"[WARN] [db/column_family.cc:1041] [{family}] Stalling writes because we have 8"
        self.line(at_s, thread, text + " level-0 files rate 16777216")

    def switch(self, at_s: float, thread: int = WRITER, family: str = "default") -> None:
        self.line(at_s, thread, f"[x.cc:1] [{family}] New memtable created with log file: #9.")

    def read(self, folder: Path) -> LogTables:
        path = folder / "LOG"
        path.write_text("".join(self.lines))
        return read_log(path)


def seconds(log: LogTables, start_s: float = 0.0, end_s: float = 100.0) -> dict[str, float]:
    found = stall_seconds_by_cause(log, DAY_S + start_s, DAY_S + end_s)
    assert len(found) == 6
    totals = found.groupby("kind")["seconds"].sum()
    return {str(kind): round(spent, 4) for kind, spent in totals.items()}


@pytest.fixture
def pen() -> Pen:
    return Pen(utc_offset_s=9 * 3600)


def test_a_silent_event_ends_a_stall(pen: Pen, tmp_path: Path) -> None:
    pen.delay(1.001, FLUSHER)
    pen.flush(1.0, 8, 0)
    pen.compaction(3.001, 4, 2)
    log = pen.read(tmp_path)
    assert seconds(log) == {"delay": 2.0, "stop": 0.0}
    assert seconds(log, 2.0, 2.5) == {"delay": 0.5, "stop": 0.0}
    assert log.stalls["time_s"].to_list() == pytest.approx([DAY_S + 1.001])
    assert log.first_time_s == pytest.approx(DAY_S + 1.001)


def test_a_decision_belongs_to_the_event_of_its_thread(pen: Pen, tmp_path: Path) -> None:
    pen.stop(1.001, FLUSHER)
    pen.flush(1.0, 12, 0)
    pen.delay(2.001, COMPACTOR)
    pen.compaction(2.0, 8, 1)
    pen.switch(2.5)
    pen.delay(2.5005, WRITER)
    pen.line(4.0, FLUSHER, "[x.cc:1] [default] Increasing compaction threads because we have 5")
    pen.flush(3.999, 5, 3, job=3)
    assert seconds(pen.read(tmp_path)) == {"stop": 1.0, "delay": 1.999}


def test_a_memtable_switch_without_a_decision_ends_a_stall(pen: Pen, tmp_path: Path) -> None:
    pen.delay(1.001, FLUSHER)
    pen.flush(1.0, 8, 0)
    pen.switch(1.501)
    assert seconds(pen.read(tmp_path)) == {"delay": 0.5, "stop": 0.0}


def test_a_flush_another_thread_installed_decides_nothing(pen: Pen, tmp_path: Path) -> None:
    pen.stop(1.001, FLUSHER)
    pen.flush(1.0, 12, 0)
    pen.flush(1.1, 12, 0, job=3, thread=FLUSHER + 1)
    pen.compaction(3.001, 4, 2)
    assert seconds(pen.read(tmp_path)) == {"delay": 0.0, "stop": 2.0}


@pytest.mark.parametrize("moving", ["Moving #7 to level-2 9 bytes", "Moving 1 files to level-2"])
@pytest.mark.parametrize(("still", "expected"), [(True, 4.0), (False, 1.0)])
def test_a_trivial_move_is_logged_after_its_decision(
    pen: Pen, tmp_path: Path, moving: str, still: bool, expected: float
) -> None:
    pen.stop(1.001, FLUSHER)
    pen.flush(1.0, 12, 4)
    if still:
        pen.stop(2.0005, COMPACTOR)
    pen.line(2.01, COMPACTOR, f"[x.cc:1] [default] {moving}", true_s=2.0)
    values = {"destination_level": 2, "files": 1, "total_files_size": 9}
    pen.event(2.001, COMPACTOR, "trivial_move", job=5, **values)
    pen.compaction(5.001, 4, 2)
    log = pen.read(tmp_path)
    assert seconds(log) == {"delay": 0.0, "stop": expected}
    move = log.compactions.iloc[0]
    assert (move["kind"], move["moved_bytes"], move["output_bytes"]) == ("trivial_move", 9, 0)
    assert move["output_level"] == 2
    assert level_flows(log, DAY_S, DAY_S + 100)["jobs"].sum() == 2


def test_an_option_change_ends_a_stall(pen: Pen, tmp_path: Path) -> None:
    pen.delay(1.001, FLUSHER)
    pen.flush(1.0, 8, 0)
    pen.line(2.001, WRITER, "[db/db_impl/db_impl.cc:1315] [default] SetOptions() succeeded")
    pen.flush(9.0, 9, 0, job=3)
    assert seconds(pen.read(tmp_path)) == {"delay": 1.0, "stop": 0.0}


def test_column_families_stall_each_for_itself(pen: Pen, tmp_path: Path) -> None:
    def flush(at_s: float, family: str, job: int) -> None:
        made = {"cf_name": family, "job": job, "file_number": job, "file_size": 1}
        pen.event(at_s - 0.1, FLUSHER, "table_file_creation", **made)
        pen.flush(at_s, 1 + job, 0, job=job)

    pen.stop(1.001, FLUSHER, "a")
    flush(1.0, "a", 1)
    flush(2.0, "b", 2)
    pen.delay(3.001, FLUSHER, "b")
    flush(3.0, "b", 3)
    flush(4.001, "a", 4)
    flush(6.001, "b", 5)
    pen.switch(7.0, family="a")
    assert seconds(pen.read(tmp_path)) == {"stop": 3.0, "delay": 2.0}


def test_a_new_session_starts_at_ease_and_with_new_jobs(pen: Pen, tmp_path: Path) -> None:
    start = {"num_entries": 3, "total_data_size": 30, "flush_reason": "Write Buffer Full"}
    pen.line(0.5, WRITER, "RocksDB version: 9.8.4")
    pen.line(0.5, WRITER, "DB Session ID:  AAA")
    pen.line(0.5, WRITER, "            Options.max_background_jobs: 2")
    pen.line(0.5, WRITER, "DB pointer 0x1")
    pen.event(0.9, FLUSHER, "flush_started", job=1, **start)
    pen.line(0.95, WRITER, "RocksDB version: 9.8.4")  # the header again, in a rolled LOG
    pen.line(0.95, WRITER, "DB Session ID:  AAA")
    pen.stop(1.001, FLUSHER)
    pen.flush(1.0, 12, 0)
    pen.event(1.5, FLUSHER, "flush_started", job=2, **start)
    pen.line(3.001, WRITER, "RocksDB version: 10.7.5")
    pen.line(3.001, WRITER, "DB Session ID:  BBB")
    pen.line(3.001, WRITER, "            Options.max_background_jobs: 4")
    pen.flush(9.0, 1, 0, job=2)
    log = pen.read(tmp_path)
    assert seconds(log) == {"delay": 0.0, "stop": 2.0}
    assert log.version == "9.8.4"
    assert log.options == {"max_background_jobs": "2"}
    assert log.flushes["entries"].isna().to_list() == [False, True]
    assert log.flushes["start_time_s"].isna().to_list() == [False, True]


def test_rolled_files_may_come_in_any_order(pen: Pen, tmp_path: Path) -> None:
    pen.flush(1.0, 1, 0)
    pen.flush(2.0, 2, 0, job=3)
    old, new = tmp_path / "LOG.old.1", tmp_path / "LOG"
    old.write_text(pen.lines[0])
    new.write_text(pen.lines[1])
    assert_same(read_log(new, old), read_log(old, new))
    assert read_log(new, str(old)).flushes["job"].to_list() == [1, 3]


WORDINGS = [
    (
        "Stopping writes because we have 2 immutable memtables (waiting for flush), "
        "max_write_buffer_number is set to 2",
        ("stop", "memtable_limit", 2, None),
    ),
    ("Stopping writes because we have 36 level-0 files", ("stop", "l0_file_limit", 36, None)),
    (
        "Stopping writes because of estimated pending compaction bytes 274877906944",
        ("stop", "pending_bytes", 274877906944, None),
    ),
    (
        "Stalling writes because we have 4 immutable memtables (waiting for flush), "
        "max_write_buffer_number is set to 5 rate 16777216",
        ("delay", "memtable_limit", 4, 16777216),
    ),
    (
        "Stalling writes because we have 20 level-0 files rate 13421772",
        ("delay", "l0_file_limit", 20, 13421772),
    ),
    (
        "Stalling writes because of estimated pending compaction bytes 68719476737 rate 65536",
        ("delay", "pending_bytes", 68719476737, 65536),
    ),
]


@pytest.mark.parametrize("prefix", ["[WARN] [lumn_family.cc:845] ", "[WARN] [db/column.cc:1] ", ""])
@pytest.mark.parametrize(("text", "expected"), WORDINGS)
def test_every_wording_of_a_stall(
    tmp_path: Path, prefix: str, text: str, expected: tuple[str, str, int, int | None]
) -> None:
    pen = Pen()
    pen.line(1.0, FLUSHER, f"{prefix}[my family] {text}")
    row = pen.read(tmp_path).stalls.iloc[0].to_list()
    assert row[:5] == [DAY_S + 1.0, "my family", *expected[:3]]
    assert row[5] == expected[3] or (expected[3] is None and row[5] is pd.NA)


def test_damaged_lines_are_counted(tmp_path: Path) -> None:
    pen = Pen()
    pen.flush(1.0, 3, 0)
    pen.delay(1.5, FLUSHER)
    pen.lines += [
        pen.lines[1].replace("2026/11/24", "2026/11/xx"),
        pen.lines[1].replace("2026/11/24", "2026/13/24"),
        pen.lines[1].replace("level-0 files", "levl-0 files"),
        pen.lines[0][:-9] + "\n",
        pen.lines[0].rstrip("\n") + pen.lines[0],  # a lost line end: the second one is whole
        pen.lines[1][:-5],  # the process was killed in the middle of a number
    ]
    log = pen.read(tmp_path)
    assert (log.lines, log.event_lines, log.skipped_lines) == (8, 2, 6)
    assert len(log.stalls) == 1
    assert len(log.flushes) == 2


def test_intra_l0_and_levels_of_older_files(tmp_path: Path) -> None:
    pen = Pen()
    for number in (1, 2):
        made = {"job": number, "file_number": number, "file_size": 10 * number}
        pen.event(0.1, FLUSHER, "table_file_creation", **made)
    pen.event(1.0, 22, "compaction_started", job=5, files_L0=[2, 1], input_data_size=30, score=1.5)
    values = {"total_output_size": 25, "compaction_time_micros": 500_000, "lsm_state": [1, 0]}
    pen.event(2.0, 22, "compaction_finished", job=5, output_level=0, **values)
    # File 99 was made before this LOG began: it is what is left of the total.
    pen.event(2.5, FLUSHER, "table_file_creation", job=6, file_number=3, file_size=7)
    pen.event(3.0, 22, "compaction_started", job=7, files_L0=[3], files_L1=[99], input_data_size=57)
    pen.event(4.0, 22, "compaction_finished", job=7, output_level=1, **values)
    rows = pen.read(tmp_path).compactions
    assert rows["kind"].to_list() == ["intra_l0", "merge"]
    assert rows["files_in_start"].to_list() == [2, 1]
    assert rows["files_in_output"].to_list() == [0, 1]
    assert rows["input_bytes_start"].to_list() == [30, 7]
    assert rows["input_bytes_output"].to_list() == [0, 50]
    assert rows["compaction_time_s"].to_list() == [0.5, 0.5]
    assert rows["score"].iloc[0] == 1.5


def test_names_in_another_encoding_survive(tmp_path: Path) -> None:
    path = tmp_path / "LOG"
    made = '{"time_micros": 1, "event": "table_file_creation", "cf_name": "가", "job": 1'
    done = '{"time_micros": 2, "event": "flush_finished", "job": 1}'
    text = f'EVENT_LOG_v1 {made}, "file_number": 1, "file_size": 7}}\r\nEVENT_LOG_v1 {done}\r\n'
    path.write_bytes(text.encode("euc-kr"))
    log = read_log(path)
    assert log.skipped_lines == 0
    assert log.flushes["output_bytes"].to_list() == [7]
    assert log.flushes["l0_files_after"].isna().all()


# --- absent things ----------------------------------------------------------------------------


def test_an_empty_log_has_all_columns(tmp_path: Path, pen: Pen) -> None:
    empty = pen.read(tmp_path)
    assert (empty.version, empty.options, empty.lines) == (None, {}, 0)
    pen.delay(1.0, FLUSHER)
    pen.flush(2.0, 1, 0)
    pen.compaction(3.0, 1, 0)
    filled = pen.read(tmp_path)
    for table in TABLES[:4]:
        none, some = getattr(empty, table), getattr(filled, table)
        assert len(none) == 0 < len(some)
        assert none.dtypes.to_dict() == some.dtypes.to_dict()
    flows = level_flows(empty, 0, 1)
    assert flows.dtypes.to_dict() == level_flows(filled, 0, 1e12).dtypes.to_dict()
    assert seconds(empty) == {"delay": 0.0, "stop": 0.0}


def test_a_missing_file_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"LOG .*absent: cannot be read \(No such file") as caught:
        read_log(tmp_path / "absent")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "events", "jobs"), [("6.8.1", 2, "2"), ("7.8.3", 2, "2"), ("8.8.1", 0, "2")]
)
def test_shared_logs_of_other_versions(version: str, events: int, jobs: str) -> None:
    path = SHARED / "data" / "logs" / f"LOG-rocksdb-{version}"
    if not path.is_file():
        pytest.skip(f"no shared real data at {path}; set PHASE_D_SHARED")
    log = read_log(path)
    assert log.version == version
    assert log.lines == len(path.read_bytes().splitlines())
    assert (log.event_lines, log.skipped_lines) == (events, 0)
    assert log.options["max_background_jobs"] == jobs
    assert log.options["delayed_write_rate"] == "16777216"
    assert log.options["level0_stop_writes_trigger"] == "36"
    assert len(log.options) > 140
    assert log.flushes.empty
    assert log.last_time_s > log.first_time_s > calendar.timegm((2023, 6, 1, 0, 0, 0))


def test_a_gzipped_log_reads_like_the_plain_one(tmp_path: Path) -> None:
    lines = (
        b"2026/11/24-08:16:30.458966 1 RocksDB version: 9.8.4\n"
        b'2026/11/24-08:16:31.578944 2 EVENT_LOG_v1 {"time_micros": 1795508191578936, "job": 2, '
        b'"event": "flush_started", "num_memtables": 1, "num_entries": 4523, '
        b'"total_data_size": 1931321, "flush_reason": "Write Buffer Full"}\n'
    )
    plain, zipped = tmp_path / "LOG", tmp_path / "LOG.gz"
    plain.write_bytes(lines)
    zipped.write_bytes(gzip.compress(lines))
    one, two = read_log(plain), read_log(zipped)
    assert (one.version, one.lines, one.event_lines) == (two.version, two.lines, two.event_lines)
    zipped.write_bytes(gzip.compress(lines) + gzip.compress(lines))
    assert read_log(zipped).event_lines == 2 * one.event_lines
    for damaged in (gzip.compress(lines)[:-9], gzip.compress(lines) + b"\x1f\x8bjunk"):
        zipped.write_bytes(damaged)
        assert read_log(zipped).event_lines == one.event_lines
