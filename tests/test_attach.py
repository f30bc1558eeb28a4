"""Watching a real RocksDB that another process runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from phase_d_lib.attach.attachment import Attachment
from phase_d_lib.attach.result import Change, Closed, Happening, Raised
from phase_d_lib.attach.rules import Watch, expectations_of
from phase_d_lib.attach.status import Account, target_of
from phase_d_lib.attach.wording import line_of
from phase_d_lib.cli import app
from phase_d_lib.errors import InputError
from phase_d_lib.logfile import read_log, stall_seconds_by_cause
from phase_d_lib.metrics import serve

PROGRAM = """
import sys
import rocksdict

options = rocksdict.Options(raw_mode=True)
options.create_if_missing(True)
options.set_write_buffer_size(64 << 10)
options.set_max_write_buffer_number(2)
options.set_target_file_size_base(64 << 10)
options.set_max_bytes_for_level_base(256 << 10)
options.set_level_zero_file_num_compaction_trigger(2)
options.set_level_zero_slowdown_writes_trigger(3)
options.set_level_zero_stop_writes_trigger(5)
options.set_stats_dump_period_sec(1)
options.set_compression_type(rocksdict.DBCompressionType.none())
options.set_ratelimiter(2 << 20, 100_000, 10)
if len(sys.argv) > 2:
    options.set_db_log_dir(sys.argv[2])
database = rocksdict.Rdict(sys.argv[1], options)
print("open", flush=True)
number = 0
for line in sys.stdin:
    command, *words = line.split()
    if command == "put":
        for _ in range(int(words[0])):
            number += 1
            database.put(b"%016d" % (number * 7919 % 20_000), number.to_bytes(4, "big") * 100)
        database.flush()
    elif command == "set":
        database.set_options({words[0]: words[1]})
    elif command == "close":
        database.close()
    print("done", flush=True)
"""
PATIENCE_S = 60.0


class Program:
    """Another process with an open database."""

    def __init__(self, database: Path, *more: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(database), *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        assert self._read() == "open\n"

    def tell(self, command: str) -> None:
        """Have it do something and wait for it."""
        self.begin(command)
        assert self._read() == "done\n"

    def begin(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def one(*more: str, folder: Path = tmp_path / "db") -> Program:
        started.append(Program(folder, *more))
        return started[-1]

    yield one
    for program in started:
        program.kill()


def until(
    attachment: Attachment, holds: Callable[[list[Happening]], bool], told: list[Happening]
) -> None:
    """Look again and again until something holds of what was told."""
    end = time.monotonic() + PATIENCE_S
    while not holds(told):
        assert time.monotonic() < end, [line_of(happening) for happening in told]
        time.sleep(0.1)
        told += attachment.look()


def changes(told: list[Happening], subject: str) -> list[str]:
    return [one.text for one in told if isinstance(one, Change) and one.subject == subject]


def stalls(told: list[Happening], which: type[Raised] | type[Closed] = Raised) -> set[str]:
    alerts = [one.alert for one in told if isinstance(one, which)]
    return {alert.kind for alert in alerts} & {"slowdown", "write_stop"}


@pytest.mark.slow
@pytest.mark.rocksdb
def test_a_stall_of_another_program_is_told(start: Callable[..., Program], tmp_path: Path) -> None:
    program = start()
    attachment = Attachment(tmp_path / "db")
    account, told = Account(attachment, 10.0), attachment.look()
    target = target_of(attachment)
    assert target.pid == program.pid
    assert target.family_options["default"]["level0_stop_writes_trigger"] == "5"
    assert target.version == read_log(tmp_path / "db").version
    assert not stalls(told)
    program.begin("put 8000")
    until(attachment, lambda told: bool(stalls(told)), told)
    status = account.status()
    assert status.pid == program.pid
    assert sum(stall.warnings for stall in status.stalls) > 0
    assert (status.l0_slowdown_trigger, status.l0_stop_trigger) == (3, 5)
    assert status.host.rss_bytes is not None
    assert status.host.disk_free_bytes is not None
    program.kill()
    until(attachment, lambda told: bool(changes(told, "process")), told)
    assert changes(told, "process") == [f"process {program.pid} (python) ended"]
    until(attachment, lambda told: stalls(told, Closed) == stalls(told), told)
    assert not {name.partition(":")[0] for name in attachment.watch.open_names} & stalls(told)
    assert set(attachment.watch.unwatched()) == {
        ("latency_objective", "put_p999"),
        ("throughput_below_interval", "prediction"),
        ("ledger_open", "ledger"),
    }
    until(attachment, lambda told: len(changes(told, "rules")) == 2, told)
    assert "now watched: l0_near_slowdown (l0)" in changes(told, "rules")
    summary, log = account.summary(), read_log(tmp_path / "db")
    assert summary.flush_bytes == log.flushes["output_bytes"].sum() > 0
    assert summary.compaction_write_bytes == log.compactions["output_bytes"].sum()
    spent = stall_seconds_by_cause(log, log.first_time_s, log.last_time_s)["seconds"].sum()
    found = sum(stall.seconds for stall in summary.stalls)
    # The last state lasted to the end that the monitor saw, in the LOG to its last line.
    assert found == pytest.approx(spent, rel=0.2, abs=0.5)
    attachment.close()


@pytest.mark.slow
@pytest.mark.rocksdb
def test_a_change_of_options_is_told_and_judged_by(
    start: Callable[..., Program], tmp_path: Path
) -> None:
    program = start()
    attachment, told = Attachment(tmp_path / "db", program.pid), []
    program.tell("set level0_slowdown_writes_trigger 4")
    program.tell("put 10")  # its flush has RocksDB write its LOG out
    until(attachment, lambda told: bool(changes(told, "options")), told)
    assert changes(told, "options") == ["level0_slowdown_writes_trigger [default]: 3 -> 4"]
    assert Account(attachment, 1.0).status().l0_slowdown_trigger == 4
    attachment.close()


@pytest.mark.slow
@pytest.mark.rocksdb
def test_a_restart_and_a_new_directory_are_survived(
    start: Callable[..., Program], tmp_path: Path
) -> None:
    database = tmp_path / "db"
    first = start()
    first.tell("put 500")
    attachment, told = Attachment(database), []
    first.kill()
    second = start()
    second.tell("put 500")
    until(attachment, lambda _: attachment.program.pid == second.pid, told)
    until(attachment, lambda told: len(changes(told, "session")) == 1, told)
    flushed = attachment.log.moved.flush
    second.kill()
    shutil.rmtree(database)
    until(attachment, lambda told: any("gone" in one for one in changes(told, "log")), told)
    third = start()
    third.tell("put 500")
    until(attachment, lambda _: attachment.program.pid == third.pid, told)
    until(attachment, lambda _: attachment.log.moved.flush > flushed, told)
    assert len(changes(told, "session")) == 2
    assert any("back" in one for one in changes(told, "log"))
    attachment.close()


@pytest.mark.slow
@pytest.mark.rocksdb
def test_a_vain_try_to_open_the_database_does_not_lead_astray(
    start: Callable[..., Program], tmp_path: Path
) -> None:
    program = start()
    attachment, told = Attachment(tmp_path / "db"), []
    vain = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "db")], capture_output=True, check=False
    )
    assert b"lock" in vain.stderr.lower()
    (renamed,) = (tmp_path / "db").glob("LOG.old.*")
    program.tell("put 1000")
    until(attachment, lambda _: attachment.log.moved.flush > 0, told)
    assert attachment.source.log == renamed
    assert changes(told, "session") == []
    late = Attachment(tmp_path / "db")  # it finds the right LOG from the start
    assert late.source.log == renamed
    assert late.log.moved.flush > 0
    late.close()
    attachment.close()


@pytest.mark.slow
@pytest.mark.rocksdb
def test_a_log_in_another_directory_is_found(start: Callable[..., Program], tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    program = start(str(logs))
    assert not (tmp_path / "db" / "LOG").exists()
    attachment, told = Attachment(tmp_path / "db"), []
    assert attachment.source.log.parent == logs
    program.tell("put 500")
    until(attachment, lambda _: attachment.log.moved.flush > 0, told)
    attachment.close()


@pytest.mark.slow
@pytest.mark.rocksdb
def test_metrics_are_those_of_the_log(start: Callable[..., Program], tmp_path: Path) -> None:
    program = start()
    program.tell("put 2000")
    attachment = Attachment(tmp_path / "db")
    attachment.look()
    with serve(0) as exporter:
        exporter.observe(attachment.row(0.0))
        with urllib.request.urlopen(exporter.url) as answer:
            page = answer.read().decode()
    values = dict(line.rsplit(" ", 1) for line in page.splitlines() if line[0] != "#")
    log = read_log(tmp_path / "db")
    assert float(values["rocksdb_flush_write_bytes_total"]) == log.flushes["output_bytes"].sum()
    assert float(values["rocksdb_disk_size_bytes"]) > 0
    assert float(values["rocksdb_process_cpu_seconds_total"]) > 0
    assert "rocksdb_puts_total" not in page
    attachment.close()


AUDITED = """
import os, sys

FORBIDDEN = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "fcntl.")


def watch(event, arguments):
    if event == "open" and str(arguments[0]).startswith(sys.argv[3]) and arguments[2] & FORBIDDEN:
        os.write(2, b"FORBIDDEN open " + os.fsencode(arguments[0]))
    if event.startswith(CHANGES):
        os.write(2, b"FORBIDDEN " + event.encode())


from phase_d_lib.cli import main

sys.addaudithook(watch)
main()
"""


@pytest.mark.slow
@pytest.mark.rocksdb
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_verb_only_reads_and_a_signal_ends_it_cleanly(
    start: Callable[..., Program], tmp_path: Path, number: signal.Signals
) -> None:
    database = tmp_path / "db"
    program = start()
    program.tell("put 100")
    before = {file.name: file.stat().st_ino for file in database.iterdir()}
    with subprocess.Popen(
        [sys.executable, "-c", AUDITED, "attach", "--db", str(database), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Python renames what it compiles, which is no deed of the verb.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    ) as verb:
        assert verb.stdout is not None
        lines = [orjson.loads(verb.stdout.readline())]
        while lines[-1]["event"] != "status":
            lines.append(orjson.loads(verb.stdout.readline()))
        verb.send_signal(number)
        rest, errors = verb.communicate(timeout=PATIENCE_S)
    lines += [orjson.loads(line) for line in rest.splitlines()]
    assert verb.returncode == 0
    assert errors == ""
    assert (lines[0]["event"], lines[0]["pid"]) == ("attached", program.pid)
    assert lines[-1]["event"] == "summary"
    assert lines[-1]["own_cpu_s"] > 0
    assert {file.name: file.stat().st_ino for file in database.iterdir()} == before


@pytest.mark.slow
@pytest.mark.rocksdb
def test_once_tells_the_present_state(start: Callable[..., Program], tmp_path: Path) -> None:
    program = start()
    program.tell("put 1000")
    program.tell("close")
    told = CliRunner().invoke(app, ["attach", "--db", str(tmp_path / "db"), "--once"])
    assert told.exit_code == 0, told.output
    assert "no process found that holds LOCK" in told.stdout
    assert "level0_stop_writes_trigger=5" in told.stdout
    assert "not watched: latency_objective (put_p999): no column" in told.stdout
    assert "| no process seen |" in told.stdout
    assert "attached for" not in told.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--db", "{}/none"), "none: no such directory"),
        (("--db", "{}"), "not a RocksDB, it holds no CURRENT"),
        (("--db", "{}/db"), "no LOG, looked for"),
        (("--db", "{}/db", "--pid", "{pid}"), "does not hold"),
        (("--db", "{}/db", "--pid", "4194304999"), "no such process"),
    ],
)
def test_what_cannot_be_watched_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "CURRENT").touch()
    given = [word.format(tmp_path, pid=os.getpid()) for word in arguments]
    told = CliRunner().invoke(app, ["attach", *given])
    assert isinstance(told.exception, InputError)
    assert told.exception.exit_code == 2
    assert expected in str(told.exception)
    assert "\n" not in str(told.exception)


OPTIONS = {
    "level0_file_num_compaction_trigger": "4",
    "level0_slowdown_writes_trigger": "20",
    "level0_stop_writes_trigger": "36",
    "soft_pending_compaction_bytes_limit": "1000",
    "hard_pending_compaction_bytes_limit": "2000",
}


def test_a_column_family_is_held_against_its_own_limits() -> None:
    watch = Watch()
    assert watch.expect("small", {**OPTIONS, "level0_slowdown_writes_trigger": "5"}) == []
    assert watch.expect("large", OPTIONS) == []
    assert [one.alert.kind for one in watch.observe("small", {"l0_files": 4}, 1.0)] == [
        "l0_near_slowdown"
    ]
    assert watch.observe("large", {"l0_files": 4}, 1.0) == []
    assert watch.open_names == ("l0_near_slowdown:l0 [small]",)
    (closed,) = watch.expect("small", OPTIONS)
    assert closed.alert.kind == "l0_near_slowdown"
    assert watch.state == "healthy"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "no options tell the level-0 triggers"),
        ({**OPTIONS, "disable_auto_compactions": "true"}, "disable_auto_compactions"),
        ({**OPTIONS, "level0_slowdown_writes_trigger": "-1"}, "level0_slowdown_writes_trigger"),
    ],
)
def test_without_limits_the_reason_is_told(options: dict[str, str], reason: str) -> None:
    _, off = expectations_of(options)
    assert reason in off["l0_files"]
    watch = Watch()
    watch.expect("default", options)
    assert watch.observe("default", {"l0_files": 99}, 1.0) == []
    assert reason in watch.unwatched()["l0_near_slowdown", "l0"].reason
