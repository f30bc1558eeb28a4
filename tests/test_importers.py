from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase_d_lib.errors import InputError
from phase_d_lib.importers import GRID_COLUMNS, read_db_bench, read_device_grid

SHARED = Path(os.environ.get("PHASE_D_SHARED") or Path(__file__).parents[2] / "shared")

HEADER = ",".join(GRID_COLUMNS) + "\n"
OUTPUT = (
    "RocksDB:    version 9.8.4\n"
    "fillseq      :       2.000 micros/op 500000 ops/sec 4.000 seconds 2000000 operations;"
    "   55.3 MB/s\n"
    "readrandom   :       4.500 micros/op 222222 ops/sec 9.000 seconds 2000000 operations;"
    "   12.0 MB/s (2 of 2000000 found)\n"
    "rocksdb.bytes.written COUNT : 5\n"
)


def shared(name: str) -> Path:
    path = SHARED / "data" / name
    if not path.is_file():
        pytest.skip(f"no shared real data at {path}; set PHASE_D_SHARED")
    return path


def test_shared_db_bench_output() -> None:
    result = read_db_bench(shared("db_bench_2025-09-05_fillrandom.txt"))
    assert result.benchmark == "fillrandom"
    assert result.ops_per_s == 188_617
    assert result.micros_per_op == 84.824
    assert (result.seconds, result.operations) == (16_965.531, 3_200_000_000)
    assert result.mb_per_s == 187.1
    count = result.tickers
    written = count["rocksdb.bytes.written"]
    device = ("rocksdb.wal.bytes", "rocksdb.flush.write.bytes", "rocksdb.compact.write.bytes")
    assert sum(count[name] for name in device) / written == pytest.approx(5.35, abs=0.005)
    assert count["rocksdb.compact.read.bytes"] / written == pytest.approx(4.31, abs=0.005)
    assert result.histograms["rocksdb.db.write.micros"].count == result.operations


def test_text_and_file_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text(OUTPUT)
    assert read_db_bench(path, "fillseq") == read_db_bench(OUTPUT, "fillseq")
    assert read_db_bench(str(path), "readrandom").ops_per_s == 222_222
    assert read_db_bench(OUTPUT, "fillseq").tickers == {"rocksdb.bytes.written": 5}


def test_output_from_before_rocksdb_7_has_no_seconds() -> None:
    result = read_db_bench("fillrandom   :       5.418 micros/op 184558 ops/sec;   20.4 MB/s\n")
    assert (result.ops_per_s, result.mb_per_s) == (184_558, 20.4)
    assert result.seconds is None
    assert result.operations is None


@pytest.mark.parametrize(
    ("text", "benchmark", "says"),
    [
        ("no result\n", None, "no db_bench result line"),
        (OUTPUT, None, "holds fillseq, readrandom"),
        (OUTPUT, "overwrite", "no benchmark 'overwrite'"),
    ],
)
def test_refused_db_bench_output(text: str, benchmark: str | None, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read_db_bench(text, benchmark)
    assert "\n" not in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    for read in (read_db_bench, read_device_grid):
        with pytest.raises(InputError, match=r"absent.*No such file") as caught:
            read(tmp_path / "absent")
        assert "\n" not in str(caught.value)


def test_shared_device_grid() -> None:
    grid = read_device_grid(shared("device_grid_nvme_2025-09-09.csv"))
    assert tuple(grid.columns) == GRID_COLUMNS
    assert len(grid) == 180
    assert grid["iodepth"].dtype == grid["numjobs"].dtype == "int64"
    assert grid["write_mib_s"].iloc[0] == 162.9


def test_more_columns_and_another_order_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "grid.csv"
    path.write_text("note," + ",".join(reversed(GRID_COLUMNS)) + "\nx,1,2,4,1,8,0.5\n")
    grid = read_device_grid(path)
    assert grid.iloc[0].to_list() == [0.5, 8, 1, 4, 2, 1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (HEADER, "no rows"),
        (HEADER.replace(",iodepth", ""), "column iodepth missing"),
        (HEADER + "0,1,1,4,0,9\n0,1,1,8,-1,9\n", r"read_mib_s in row 3 is -1; allowed: >= 0"),
        (HEADER + "1.2,1,1,4,0,9\n", r"read_fraction in row 2 is 1.2; allowed: 0 to 1"),
        (HEADER + "0,1.5,1,4,0,9\n", r"iodepth in row 2 is 1.5; allowed: a whole number"),
        (HEADER + "0,1,1,0,0,9\n", r"block_kib in row 2 is 0; allowed: > 0"),
        (HEADER + "0,1,1,4,0,fast\n", r"write_mib_s in row 2 is fast, not a number"),
        (HEADER + "0,1,1,4,0,inf\n", r"write_mib_s in row 2 is inf, not a number"),
        (HEADER + "0,1,1,4,,9\n", r"read_mib_s in row 2 is nan, not a number"),
        (HEADER + "0,1,1,4,0,9\n0,1,1,4,0,9,8,7\n", "not a readable CSV file"),
    ],
)
def test_refused_grids(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "grid.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        read_device_grid(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@given(content=st.binary(max_size=200))
def test_any_file_is_a_grid_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(HEADER.encode() + content)
    with contextlib.suppress(InputError):
        assert len(read_device_grid(path))
