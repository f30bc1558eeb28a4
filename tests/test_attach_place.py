"""Finding a database's LOG, its options and the process that holds it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from phase_d_lib.attach.place import checked_database, checked_log, log_of, read_options
from phase_d_lib.attach.process import LockFile, Process, holds, locked_by, opened_by
from phase_d_lib.attach.program import Program
from phase_d_lib.attach.source import differences
from phase_d_lib.errors import InputError
from phase_d_lib.optionsfile import OptionsFile


@pytest.fixture
def database(tmp_path: Path) -> Path:
    folder = tmp_path / "my db"
    folder.mkdir()
    (folder / "CURRENT").write_text("MANIFEST-000004\n")
    (folder / "LOCK").touch()
    return folder


def options_in(folder: Path) -> OptionsFile:
    return OptionsFile(db={"db_log_dir": str(folder)})


def test_a_path_that_is_no_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        checked_database(tmp_path / "none")
    with pytest.raises(InputError, match="holds no CURRENT"):
        checked_database(tmp_path)


def test_a_database_without_log_is_refused(database: Path) -> None:
    assert checked_database(database) == database
    with pytest.raises(InputError, match="no LOG, looked for"):
        checked_log(database, log_of(database, None))


def test_the_log_lies_in_the_database(database: Path) -> None:
    assert log_of(database, None) == database / "LOG"
    assert log_of(database, OptionsFile(db={"db_log_dir": ""})) == database / "LOG"


@pytest.mark.parametrize("spelled", ["{}", "{}/", "{0}/../my db", "{0}/./"])
def test_a_log_elsewhere_is_named_after_the_path(
    database: Path, tmp_path: Path, spelled: str
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    opened_by_path = spelled.format(database)
    if ".." in opened_by_path:
        # RocksDB does not resolve a path: only what the program holds open tells then.
        name = "somewhere_my_db_LOG"
        held = [logs / name, tmp_path / "000012.sst"]
    else:
        name = "".join(c if c.isalnum() or c in "-._" else "_" for c in opened_by_path[1:]) + "_LOG"
        held = []
    (logs / name).touch()
    (logs / "another_db_LOG").touch()
    assert log_of(database, options_in(logs), lambda: held) == logs / name


def test_a_log_elsewhere_that_is_not_there_yet_has_its_name(database: Path, tmp_path: Path) -> None:
    expected = "_".join(database.parts[1:]).replace(" ", "_") + "_LOG"
    assert log_of(database, options_in(tmp_path / "logs")).name == expected


def test_the_program_tells_which_log_it_writes(database: Path) -> None:
    (database / "LOG").touch()
    renamed = database / "LOG.old.1700000000000000"
    renamed.touch()
    assert log_of(database, None, lambda: [renamed]) == renamed
    assert log_of(database, None, lambda: [renamed, database / "LOG"]) == database / "LOG"
    elsewhere = database.parent / "LOG.old.1700000000000000"
    assert log_of(database, None, lambda: [elsewhere]) == database / "LOG"


def test_the_newest_options_file_is_read(database: Path) -> None:
    assert read_options(database) is None
    for number in (9, 100, 1_000_000):
        text = f"[DBOptions]\nmax_background_jobs={number}\n"
        (database / f"OPTIONS-{number:06}").write_text(text)
    (database / "OPTIONS-2000000.dbtmp").write_text("")
    options = read_options(database)
    assert options is not None
    assert options.db == {"max_background_jobs": "1000000"}


def test_options_that_changed_are_told() -> None:
    before = OptionsFile(None, {"max_background_jobs": "2"}, {"default": {"a": "1", "b": "2"}})
    now = OptionsFile(None, {"max_background_jobs": "2"}, {"default": {"a": "3"}, "new": {}})
    assert differences(before, now) == ["a [default]: 1 -> 3", "column family new was created"]
    assert differences(now, before)[1:] == ["column family new was dropped"]


def test_who_locked_a_file_is_found_without_touching_it(database: Path) -> None:
    lock = LockFile.of(database)
    assert lock is not None
    assert locked_by(lock) == []
    assert opened_by(lock) == []
    with (database / "LOCK").open("r+b") as held:
        assert [process.pid for process in opened_by(lock)] == [os.getpid()]
        assert holds(os.getpid(), lock) is True
        fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (owner,) = locked_by(lock)
        assert owner.pid == os.getpid()
        assert owner.alive
        (database / "LOCK").unlink()
        assert [process.pid for process in opened_by(lock)] == [os.getpid()]
    assert holds(os.getpid(), lock) is False


def test_an_ended_process_is_not_alive() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    assert Process.of(child) is None
    own = Process.of(os.getpid())
    assert own is not None
    assert own.alive
    assert not Process(own.pid, own.started_ticks - 1, own.name).alive


def test_a_pid_is_checked(database: Path) -> None:
    with pytest.raises(InputError, match="does not hold"):
        Program(database, os.getpid())
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    with pytest.raises(InputError, match="no such process"):
        Program(database, child)
    with (database / "LOCK").open("r+b"):
        program = Program(database, os.getpid())
    assert program.pid == os.getpid()
    assert Program(database).pid is None
