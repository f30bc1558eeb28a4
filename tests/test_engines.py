"""Engines by name, what each refuses, and the parts they share."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from phase_d_lib.engines import find_engine
from phase_d_lib.engines.db_bench import DbBenchEngine, run_flags, shared_flags
from phase_d_lib.engines.embedded_process import RocksdictDatabase
from phase_d_lib.engines.librocksdb import LIBRARY_VARIABLE, LibrocksdbEngine, find_library
from phase_d_lib.engines.librocksdb_process import pinned_options
from phase_d_lib.engines.pinning import refuse_other_values
from phase_d_lib.engines.rocksdb_c import Library
from phase_d_lib.engines.writer import Writer
from phase_d_lib.errors import EngineError, InputError
from phase_d_lib.optionsfile import render_options
from phase_d_lib.specs import ArrivalSpec, OptionsSpec, RunSpec, WorkloadSpec
from phase_d_lib.statistics import parse_tickers
from phase_d_lib.units import MIB
from tests.support import SMALL_OPTIONS, small_spec


@pytest.fixture
def library() -> Path:
    try:
        return find_library()
    except InputError as missing:
        pytest.skip(f"librocksdb is not installed: {missing}")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A file that can be run; what is tested with it never runs it."""
    file = tmp_path / "db_bench"
    file.write_text("#!/bin/sh\nexit 1\n")
    file.chmod(0o755)
    return file


def test_a_name_may_carry_a_path(program: Path) -> None:
    engine = find_engine(f"db_bench={program}")
    assert isinstance(engine, DbBenchEngine)
    assert engine.program == program.resolve()
    assert find_engine("embedded").name == "embedded"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rocks", "engine = 'rocks' is unknown; installed: embedded, db_bench, librocksdb"),
        ("embedded=/usr/lib/x.so", "embedded takes no path"),
        ("librocksdb=/no/such.so", "librocksdb = /no/such.so: no such file"),
        ("db_bench=/no/such", "db_bench = /no/such: no such program; install it"),
    ],
)
def test_a_wrong_name_is_refused_in_one_line(name: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        find_engine(name)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_library_is_named_by_argument_then_by_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / name for name in ("one.so", "two.so")]
    for file in files:
        file.write_bytes(b"\0")
    monkeypatch.setenv(LIBRARY_VARIABLE, str(files[0]))
    assert find_library() == files[0].resolve()
    assert find_library(str(files[1])) == files[1].resolve()
    (tmp_path / "link.so").symlink_to(files[0])
    assert find_library(str(tmp_path / "link.so")) == files[0].resolve()


def test_a_library_is_found_in_an_environment_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(LIBRARY_VARIABLE, raising=False)
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path))
    monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
    (tmp_path / "lib").mkdir()
    for name in ("librocksdb.so.9", "librocksdb.so", "librocks.so"):
        (tmp_path / "lib" / name).write_bytes(b"\0")
    assert find_library().name == "librocksdb.so.9"


def test_a_build_is_told_by_content_without_a_path(tmp_path: Path) -> None:
    file = tmp_path / "librocksdb.so.1"
    file.write_bytes(b"code\0__assert_fail\0more")
    asserting = LibrocksdbEngine(str(file)).build()
    file.write_bytes(b"code\0more")
    release = LibrocksdbEngine(str(file)).build()
    assert asserting.endswith(", assertion build")
    assert release.endswith(", release build")
    assert asserting.split()[2] != release.split()[2]
    assert "/" not in asserting + release


def test_what_is_no_rocksdb_library_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "librocksdb.so"
    broken.write_bytes(b"no library")
    with pytest.raises(InputError, match="cannot be loaded"):
        Library(broken)
    import _ctypes

    with pytest.raises(InputError, match=r"has no rocksdb_open, rocksdb_close, .* C API"):
        Library(Path(_ctypes.__file__))


class NewerOptions(OptionsSpec):
    """Options of a RocksDB that is not written yet."""

    option_of_the_future: int = 7
    another_of_them: bool = True


@pytest.mark.rocksdb
def test_options_it_does_not_know_are_named_all_at_once(library: Path) -> None:
    loaded = Library(library)
    assert pinned_options(loaded, OptionsSpec())
    with pytest.raises(EngineError) as caught:
        pinned_options(loaded, NewerOptions())
    for text in ("option_of_the_future=7", "another_of_them=true", "Could not find option"):
        assert text in str(caught.value)
    assert "write_buffer_size" not in str(caught.value)


def test_another_value_than_pinned_is_named(tmp_path: Path) -> None:
    spec = OptionsSpec()
    (tmp_path / "OPTIONS-000009").write_text(render_options(OptionsSpec(write_buffer_size=MIB)))
    (tmp_path / "OPTIONS-000010").write_text(render_options(spec))
    refuse_other_values(tmp_path, spec)
    (tmp_path / "OPTIONS-000011").write_text(
        render_options(spec).replace("max_background_jobs=2", "max_background_jobs=4")
    )
    with pytest.raises(EngineError, match=r"max_background_jobs = 2, not 4$"):
        refuse_other_values(tmp_path, spec)


SLOW = {"sample_period_s": 1.0, "duration_s": 4.0}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"workload": WorkloadSpec(distribution="zipfian")}, "distribution = 'zipfian'"),
        ({"workload": WorkloadSpec(read_fraction=0.5)}, "read_fraction = 0.5"),
        (
            {"workload": WorkloadSpec(arrival=ArrivalSpec(kind="poisson", rate_ops_per_s=10.0))},
            "arrival = 'poisson'",
        ),
        ({"options": OptionsSpec(compression="lz4")}, "compression = 'lz4'"),
        ({"sample_period_s": 0.5}, "sample_period_s = 0.5"),
        ({"options": OptionsSpec(stats_dump_period_sec=5)}, "stats_dump_period_sec = 5 s"),
        (
            {
                "options": OptionsSpec(use_direct_io_for_flush_and_compaction=True),
                "device_limit_bytes_per_s": 40 * MIB,
            },
            "device_limit_bytes_per_s",
        ),
    ],
)
def test_db_bench_refuses_by_name_what_it_cannot_do(
    program: Path, changes: dict[str, object], expected: str
) -> None:
    engine = DbBenchEngine(str(program))
    engine.check(small_spec(**SLOW))
    with pytest.raises(InputError) as caught:
        engine.check(small_spec(**{**SLOW, **changes}))
    assert str(caught.value).startswith("engine db_bench cannot do this: ")
    assert expected in str(caught.value)


def test_db_bench_gets_every_flag_of_a_spec() -> None:
    arrival = ArrivalSpec(kind="constant", rate_ops_per_s=500.0)
    workload = WorkloadSpec(
        keys=1234, key_bytes=24, value_bytes=100, threads=3, wal=False, arrival=arrival
    )
    spec = RunSpec(
        workload=workload, limiter_bytes_per_s=5 * MIB, duration_s=9.5, warmup_s=1.0, seed=0
    )
    flags = [*shared_flags(workload, spec.seed), *run_flags(spec)]
    for expected in (
        "--num=1234", "--key_size=24", "--value_size=100", "--threads=3", "--disable_wal=true",
        "--benchmark_write_rate_limit=62000", "--rate_limiter_bytes_per_sec=5242880", "--seed=1",
        "--duration=11", "--use_existing_db=true",
    ):  # fmt: skip
        assert expected in flags
    names = [flag.partition("=")[0] for flag in flags]
    assert len(set(names)) == len(names)
    assert not [flag for flag in flags if "/" in flag]


@pytest.mark.rocksdb
def test_no_latency_is_lost_or_counted_twice_while_another_thread_takes_them(
    tmp_path: Path,
) -> None:
    database = RocksdictDatabase(tmp_path / "db", SMALL_OPTIONS, None)
    writer = Writer(small_spec(), database, 0)
    over = threading.Event()

    def put() -> None:
        while not over.is_set():
            writer.advance(0.0, 0.0)

    thread = threading.Thread(target=put)
    thread.start()
    taken = sum(len(writer.take_latencies()[0]) for _ in range(2_000))
    over.set()
    thread.join()
    taken += len(writer.take_latencies()[0])
    written = parse_tickers(database.statistics() or "")["rocksdb.number.keys.written"]
    database.close()
    assert taken == written > 0
