"""Following a LOG that another program writes, rolls, deletes and brings back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from phase_d_lib.attach.follow import Follower, Piece

DUMP = "** DB Stats **\nUptime(secs): 1.0 total, 1.0 interval\n"


def line(number: int, words: str = "[default] New memtable created") -> str:
    return f"2026/11/24-12:00:{number % 60:02}.{number:06} 7f3a {words} {number}\n"


def dump(number: int) -> str:
    return f"2026/11/24-12:00:{number % 60:02}.{number:06} 7f3a [db/db_impl.cc:1166] \n{DUMP}"


def texts(pieces: Iterable[Piece]) -> str:
    return b"".join(piece.text for piece in pieces).decode()


def grow(log: Path, text: str) -> None:
    with log.open("a") as stream:
        stream.write(text)


class Writer:
    """A program that writes a LOG; keeps what a follower has to pass on."""

    def __init__(self, log: Path) -> None:
        self.log, self.written, self.lines, self.rolls = log, "", 0, 0
        self.seen = False

    def append(self, text: str) -> None:
        self.log.parent.mkdir(exist_ok=True)
        grow(self.log, text)
        self.written += text
        self.seen = False

    def whole(self) -> None:
        self.lines += 1
        self.append(line(self.lines))

    def torn(self) -> None:
        self.lines += 1
        self.append(line(self.lines)[:40])

    def dump(self) -> None:
        self.lines += 1
        self.append(dump(self.lines))

    def roll(self) -> None:
        if self.log.exists():
            self.rolls += 1
            self.log.rename(self.log.with_name(f"LOG.old.{self.rolls}"))

    def delete(self) -> None:
        # Only then: what nobody looked at is lost with its file.
        if self.seen:
            self.log.unlink(missing_ok=True)

    def delete_all(self) -> None:
        if self.seen:
            shutil.rmtree(self.log.parent, ignore_errors=True)


OPERATIONS = ("whole", "torn", "dump", "roll", "delete", "delete_all", "look")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(OPERATIONS), max_size=30))
def test_every_byte_is_passed_on_once_and_in_order(operations: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "db" / "LOG"
        writer, follower = Writer(log), Follower(log)
        writer.whole()
        passed = [*follower.look()]
        try:
            for operation in operations:
                if operation == "look":
                    passed += follower.look()
                    # Between a roll and the next file there is no LOG to see that by.
                    writer.seen = log.exists()
                else:
                    getattr(writer, operation)()
            passed += follower.look()
            writer.append("\n" + line(999_999))  # ends a torn line
            passed += follower.look()
            passed += follower.rest()
        finally:
            follower.close()
    assert texts(passed) == writer.written


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=12))
def test_lines_and_dumps_are_never_cut(cuts: list[int]) -> None:
    whole = "".join(dump(n) if n % 3 == 0 else line(n) for n in range(1, 9))
    with tempfile.TemporaryDirectory() as folder:
        log, at, passed = Path(folder) / "LOG", 0, []
        log.touch()
        follower = Follower(log)
        for cut in [*cuts, len(whole)]:
            grow(log, whole[at : at + cut])
            at += cut
            passed += follower.look()
        passed += follower.rest()
        follower.close()
    assert texts(passed) == whole
    for piece in passed:
        assert piece.text.endswith(b"\n")
        assert piece.text.startswith(b"2026/11/24-")


def test_a_line_of_its_own_never_waits(tmp_path: Path) -> None:
    log = tmp_path / "LOG"
    log.write_text(line(1))
    follower = Follower(log)
    assert texts(follower.look()) == line(1)
    stall = line(2, "[WARN] [default] Stopping writes because we have 2 immutable memtables")
    grow(log, stall + line(3)[:30])
    assert texts(follower.look()) == stall
    grow(log, line(3)[30:])
    assert texts(follower.look()) == line(3)
    follower.close()


def test_a_dump_that_nothing_follows_is_passed_on_after_some_looks(tmp_path: Path) -> None:
    log = tmp_path / "LOG"
    log.write_text(line(1) + DUMP)
    follower = Follower(log)
    seen = [texts(follower.look()) for _ in range(15)]
    assert seen[0] == ""
    assert "".join(seen) == line(1) + DUMP
    follower.close()


def test_files_that_were_the_log_between_two_looks_are_read_in_order(tmp_path: Path) -> None:
    log = tmp_path / "LOG"
    (tmp_path / "LOG.old.5").write_text(line(1))  # from before: not read
    log.write_text(line(2))
    follower = Follower(log)
    passed = [*follower.look()]
    grow(log, line(3))
    for number, name in ((4, "LOG.old.9"), (5, "LOG.old.10")):
        log.rename(tmp_path / name)
        log.write_text(line(number))
    passed += follower.look()
    assert texts(passed) == line(2) + line(3) + line(4) + line(5)
    assert [piece.begins for piece in passed] == [True, False, True, True]
    follower.close()


def test_of_a_long_log_the_end_is_read_from_a_whole_line_on(tmp_path: Path) -> None:
    log = tmp_path / "LOG"
    log.write_text("".join(line(n) for n in range(100)))
    follower = Follower(log, tail_bytes=200)
    (piece,) = follower.look()
    follower.close()
    assert piece.text.decode() == line(97) + line(98) + line(99)
    assert piece.skipped_bytes == log.stat().st_size - len(piece.text)


def test_a_log_cut_short_in_place_is_read_from_its_front(tmp_path: Path) -> None:
    log = tmp_path / "LOG"
    log.write_text(line(1) + line(2))
    follower = Follower(log)
    assert texts(follower.look()) == line(1) + line(2)
    log.write_text(line(3))
    (piece,) = follower.look()
    assert piece.text.decode() == line(3)
    assert piece.begins
    follower.close()


def test_a_deleted_log_is_not_held_open_for_ever(tmp_path: Path) -> None:
    log = tmp_path / "LOG"
    log.write_text(line(1))
    follower = Follower(log)
    assert texts(follower.look()) == line(1)
    before = len([*Path("/proc/self/fd").iterdir()])
    log.unlink()
    for _ in range(25):
        assert texts(follower.look()) == ""
    assert not follower.present
    assert len([*Path("/proc/self/fd").iterdir()]) == before - 1


def test_a_line_without_end_is_passed_on_at_last(tmp_path: Path) -> None:
    log = tmp_path / "LOG"
    log.write_bytes(b"x" * (2 << 20))
    follower = Follower(log)
    assert sum(len(piece.text) for piece in follower.look()) == 2 << 20
    follower.close()
