from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phase_d_lib.casefile import CaseInputs, to_case
from phase_d_lib.errors import InputError
from phase_d_lib.importers.base import Imported
from phase_d_lib.importers.compaction_table import parse_dump
from phase_d_lib.importers.db_bench import LEDGER, import_db_bench
from phase_d_lib.importers.report_file import import_report_file
from phase_d_lib.specs import parse
from phase_d_lib.statistics import parse_histograms
from tests.test_importers import shared

SAMPLES = Path(__file__).parent / "data" / "imports"
OLD, NEW, REPORT = (
    SAMPLES / name for name in ("db_bench_5.18.txt", "db_bench_9.10.txt", "report.csv")
)
DUMP = Path(__file__).parent / "data" / "recorded" / "d70092f2c056a928" / "LOG.gz"
LINE = "fillrandom : 10.000 micros/op 100000 ops/sec 10.000 seconds 1000000 operations; 11.1 MB/s\n"


def failing(imported: Imported) -> list[str]:
    return [check.name for check in imported.checks if not check.ok]


def changed(tmp_path: Path, path: Path, old: str, new: str) -> Path:
    text = path.read_bytes().decode()
    assert old in text
    copy = tmp_path / path.name
    copy.write_bytes(text.replace(old, new).encode())
    return copy


def test_the_shared_output_has_its_published_figures() -> None:
    imported = import_db_bench([shared("db_bench_2025-09-05_fillrandom.txt")])
    values = imported.values
    assert values["user_mib_per_s"] == 187.1
    assert values["ops_per_s"] == values["write_ops_per_s"] == 188_617
    assert values["a_w_per_batch_byte"] == pytest.approx(5.35, abs=0.005)
    assert values["a_cr_per_batch_byte"] == pytest.approx(4.31, abs=0.005)
    assert values["a_c_per_batch_byte"] == pytest.approx(3.79, abs=0.005)
    assert values["stall_fraction"] == pytest.approx(0.453, abs=0.0005)
    assert values["busy_slots"] == pytest.approx(8.0, abs=0.005)
    assert values["slot_write_bytes_per_s"] == pytest.approx(93.4e6, rel=0.001)
    assert values["threads"] is values["rocksdb_version"] is None
    assert len(imported.checks) >= 9
    assert not failing(imported)
    assert imported.case is not None
    assert imported.case.values["record_bytes"] == 1040


def test_an_old_output_is_read_from_its_stats_dump() -> None:
    imported = import_db_bench([OLD])
    values = imported.values
    assert (values["rocksdb_version"], values["benchmark"], values["threads"]) == (
        "5.18",
        "overwrite",
        4,
    )
    assert values["seconds"] is values["operations"] is None
    assert values["a_w_per_batch_byte"] == pytest.approx((20 + 38) / 20)
    assert values["a_c_per_batch_byte"] == pytest.approx((38 - 10) / 20)
    assert values["a_cr_per_batch_byte"] == pytest.approx(30 / 20)
    assert values["stall_fraction"] == 0.25
    # Comp(sec) counts flushes, and this version has no table by priority.
    assert values["busy_slots"] is None
    assert values["flush_and_compaction_jobs"] == pytest.approx(1.0)
    assert not failing(imported)


def test_several_benchmarks_in_one_output() -> None:
    imported = import_db_bench([NEW])
    values = imported.values
    assert [row["benchmark"] for row in rows(values)] == ["fillrandom", "readrandom"]
    assert values["benchmark"] == "fillrandom"
    assert values["ops_per_s"] == 200_000
    assert values["stall_fraction"] == pytest.approx(0.25)  # of the time that writes
    assert values["busy_slots"] == pytest.approx(7 / 35)  # of all the time
    assert values["a_w_per_batch_byte"] == pytest.approx(3.0)
    assert not failing(imported)
    assert any("all together" in note for note in imported.notes)


def rows(values: object) -> list[dict[str, object]]:
    assert isinstance(values, dict)
    return list(values["benchmarks"])


def test_two_writers_leave_no_rate_of_the_whole(tmp_path: Path) -> None:
    values = import_db_bench([changed(tmp_path, NEW, "readrandom", "overwrite ")]).values
    assert values["benchmark"] is values["ops_per_s"] is values["write_ops_per_s"] is None
    assert values["stall_fraction"] is None
    assert values["a_w_per_batch_byte"] == pytest.approx(3.0)


def test_without_statistics_nothing_is_guessed(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text(LINE)
    imported = import_db_bench([path])
    assert imported.values["write_ops_per_s"] == 100_000
    assert all(imported.values[name] is None for name in LEDGER)
    assert "no statistics" in imported.notes[0]


def test_a_mixed_benchmark_writes_what_the_tickers_say(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    ticker = "rocksdb.number.keys.written COUNT : 50000\n"
    path.write_text(LINE.replace("fillrandom", "readwhilewriting") + ticker)
    values = import_db_bench([path]).values
    assert (values["ops_per_s"], values["write_ops_per_s"]) == (100_000, 5_000)


def test_waiting_for_compactions_hides_the_wall_clock(tmp_path: Path) -> None:
    waited = changed(tmp_path, NEW, "\nSTATISTICS", "\nwaitforcompaction(/db): started\nSTATISTICS")
    assert import_db_bench([waited]).values["busy_slots"] is None


@pytest.mark.parametrize(
    ("path", "old", "new", "name"),
    [
        (NEW, "5.000 micros/op", "7.400 micros/op", "threads_latency_rate"),
        (OLD, "10.000 micros/op", "40.000 micros/op", "threads_latency_rate"),
        (NEW, "2000000 operations;   22", "2500000 operations;   22", "rate_time"),
        (NEW, "22.1 MB/s", "44.2 MB/s", "record_rate"),
        (
            NEW,
            "flush.write.bytes COUNT : 136000000",
            "flush.write.bytes COUNT : 2",
            "ledger_closure",
        ),
        (NEW, "stall.micros COUNT : 2500000", "stall.micros COUNT : 99000000", "stall_fraction"),
        (NEW, "stall.micros COUNT : 2500000", "stall.micros COUNT : 2500001", "stall_time"),
        (NEW, "bytes.written COUNT : 272000000", "bytes.written COUNT : 271000000", "batch_bytes"),
        (NEW, "P50 : 3.1", "P50 : 33.1", "percentiles"),
        (OLD, "25.0 percent", "250.0 percent", "stall_percent"),
    ],
)
def test_an_inconsistency_is_named(
    tmp_path: Path, path: Path, old: str, new: str, name: str
) -> None:
    imported = import_db_bench([changed(tmp_path, path, old, new)])
    assert name in failing(imported)
    check = next(check for check in imported.checks if check.name == name and not check.ok)
    assert f"{check.left:.6g}" in check.message
    assert f"{check.right:.6g}" in check.message


def test_the_table_is_checked_against_the_tickers(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    gib = 1 << 30
    tickers = {
        "bytes.written": 20 * gib,
        "wal.bytes": 20 * gib,
        "flush.write.bytes": 10 * gib,
        "compact.write.bytes": 28 * gib,
        "compact.read.bytes": 30 * gib,
    }
    lines = "".join(f"rocksdb.{name} COUNT : {count}\n" for name, count in tickers.items())
    path.write_text(OLD.read_text() + lines)
    agreeing = import_db_bench([path])
    tables = [check.name for check in agreeing.checks if check.name.startswith("table_")]
    assert tables == ["table_writes", "table_reads", "table_ingest"]
    assert not failing(agreeing)
    wrong = changed(tmp_path, path, f"compact.write.bytes COUNT : {28 * gib}", "x COUNT : 1")
    assert "table_writes" not in failing(import_db_bench([wrong]))  # absent, not 0
    path.write_text(OLD.read_text() + lines.replace(str(28 * gib), str(18 * gib)))
    assert failing(import_db_bench([path])) == ["table_writes"]


def test_the_dump_of_a_real_database() -> None:
    """RocksDB 9.8.4's own: its compactions' seconds are in the histogram too."""
    text = gzip.decompress(DUMP.read_bytes()).decode("utf-8", "replace")
    dump = parse_dump(text)
    assert dump is not None
    assert dump.families == ("default",)
    assert dump.compaction_s is not None
    assert dump.job_s is not None
    assert 0 < dump.compaction_s < dump.job_s  # the sum of the levels counts flushes
    jobs = parse_histograms(text)["rocksdb.compaction.times.micros"]
    assert jobs.sum / 1e6 == pytest.approx(dump.compaction_s, rel=0.15)


def test_a_case_fragment_feeds_predict(tmp_path: Path) -> None:
    fragment = import_db_bench([NEW]).case
    assert fragment is not None
    case = parse(CaseInputs, dict(fragment.values), "case")
    assert case.record_bytes == 116
    assert case.amplification is not None
    assert case.amplification.a_c == pytest.approx(1.5)
    given = to_case(case, tmp_path / "case.json").amplification
    assert given is not None
    assert given.source == "given"


def test_a_case_fragment_takes_the_flags_of_the_command_line(tmp_path: Path) -> None:
    flags = "--subcompactions=4 --compression_type=zstd --compaction_style=0 --enable_blob_files=0"
    path = changed(tmp_path, OLD, "--threads=4", f"--threads=4 {flags} --delayed_write_rate=x")
    fragment = import_db_bench([path]).case
    assert fragment is not None
    assert fragment.values["options"] == {
        "max_subcompactions": 4,
        "compression": "zstd",
        "compaction_style": "level",
        "write_buffer_size": 134_217_728,
    }
    assert any("delayed_write_rate=x" in note for note in fragment.notes)
    assert "amplification" not in fragment.values  # rounded sums of a dump are no ledger


def test_command_lines_that_contradict_each_other_say_nothing(tmp_path: Path) -> None:
    path = changed(tmp_path, OLD, "RocksDB:  ", "./db_bench --threads=9\nRocksDB:  ")
    assert import_db_bench([path]).values["threads"] is None


def test_the_report_file_is_checked_against_its_output(tmp_path: Path) -> None:
    assert not failing(import_db_bench([NEW, REPORT]))
    assert not failing(import_report_file([REPORT, NEW]))
    assert "intervals_sum" in [check.name for check in import_db_bench([REPORT, NEW]).checks]
    twice = changed(tmp_path, REPORT, "10,2400000", "10,9400000")
    found = next(c for c in import_db_bench([NEW, twice]).checks if c.name == "intervals_sum")
    assert (found.ok, found.left, found.right) == (False, 17_000_000, 12_500_000)


@pytest.mark.parametrize("paths", [[REPORT], [NEW, OLD], []])
def test_one_output_at_a_time(paths: list[Path]) -> None:
    with pytest.raises(InputError, match="takes one file"):
        import_db_bench(paths)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 3000), content=st.binary(max_size=12), cut=st.booleans())
@pytest.mark.parametrize("path", [OLD, NEW])
def test_damage_is_refused_or_read(
    tmp_path: Path, path: Path, place: int, content: bytes, cut: bool
) -> None:
    whole = path.read_bytes()
    copy = tmp_path / "damaged.txt"
    copy.write_bytes(whole[:place] + content + (b"" if cut else whole[place + len(content) :]))
    with contextlib.suppress(InputError):
        import_db_bench([copy])
