"""What a LOG tells while it grows, against the same LOG read whole."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase_d_lib.attach.follow import Follower
from phase_d_lib.attach.header import Header, header_in
from phase_d_lib.attach.logstate import LogState, Moved
from phase_d_lib.attach.writestalls import WriteStalls
from phase_d_lib.logfile import read_log, stall_seconds_by_cause
from tests.test_attach_follow import grow, line

DATA = Path(__file__).parent / "data"
LOGS = sorted((DATA / "logs").glob("LOG-*.gz"))


def unzipped(path: Path, folder: Path) -> Path:
    target = folder / path.stem
    target.write_bytes(gzip.decompress(path.read_bytes()))
    return target


def followed(text: bytes, pieces: int, folder: Path) -> LogState:
    """What a monitor knows that looked `pieces` times while a LOG grew."""
    log, state = folder / "LOG", LogState()
    log.write_bytes(b"")
    follower = Follower(log)
    step = len(text) // pieces + 1
    for at in range(0, len(text), step):
        with log.open("ab") as stream:
            stream.write(text[at : at + step])
        for piece in follower.look():
            state.take(piece.text)
    for piece in follower.rest():
        state.take(piece.text)
    follower.close()
    return state


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("pieces", [1, 7, 50])
def test_a_log_in_pieces_tells_what_the_whole_tells(
    path: Path, pieces: int, tmp_path: Path
) -> None:
    text = gzip.decompress(path.read_bytes())
    whole, state = read_log(path), followed(text, pieces, tmp_path)
    assert state.moved == Moved(
        int(whole.flushes["output_bytes"].sum()),
        int(whole.compactions["input_bytes"].sum()),
        int(whole.compactions["output_bytes"].sum()),
    )
    warned = whole.stalls.groupby(["cause", "kind"]).size().to_dict()
    assert dict(state.warnings) == warned
    spent = stall_seconds_by_cause(whole, whole.first_time_s, whole.last_time_s)
    expected = {(r["cause"], r["kind"]): r["seconds"] for r in spent.to_dict("records")}
    found = state.stalls.seconds_until(whole.last_time_s)
    length_s = whole.last_time_s - whole.first_time_s
    for key, seconds in expected.items():
        # Decisions that were written late are passed over: some moments at every cut.
        assert found.get(key, 0.0) == pytest.approx(seconds, abs=0.03 * length_s)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_the_front_of_a_log_names_build_and_options(path: Path) -> None:
    header = header_in(gzip.decompress(path.read_bytes()))
    assert isinstance(header, Header)
    assert f"rocksdb-{header.version}" in path.name
    assert header.session_id
    assert header.compiled
    assert "level0_stop_writes_trigger" in header.options.cf["default"]
    assert "max_background_jobs" in header.options.db


def test_what_is_no_log_has_no_header() -> None:
    assert header_in(b"") is None
    assert header_in(line(1).encode()) is None


def test_level_0_and_debt_are_those_of_the_last_summary() -> None:
    state = LogState()
    where = "[db/db_impl/db_impl_compaction_flush.cc:319]"
    summary = (
        "Level summary: files[{} 4 43 0] max score 1.25, estimated pending compaction bytes {}"
    )
    state.take(line(1, f"{where} [default] {summary.format(3, 77)}").encode())
    state.take(line(2, f"{where} [other cf] {summary.format(9, 5)}").encode())
    moved = "Moved #1 files to level-2 264383 bytes OK: files[2 7 1 0] max score 1.71"
    state.take(line(3, f"{where} [default] {moved}").encode())
    assert (state.families["default"].l0_files, state.families["default"].pending_bytes) == (2, 77)
    assert (state.families["other cf"].l0_files, state.families["other cf"].pending_bytes) == (9, 5)


def test_errors_are_told_by_kind_when_new_and_whenever_they_doubled() -> None:
    state = LogState()
    words = "[ERROR] [db/db_impl.cc:1] Waiting after background flush error: IO error: No space"
    (error,) = state.take(line(1, words).encode())
    assert (error.severity, error.count) == ("error", 1)
    assert state.take(line(2).encode()) == []
    (error,) = state.take((line(3, words) + line(4, words)).encode())
    assert error.count == 3
    assert state.take((line(5, words) + line(6, words)).encode()) == []


def test_a_stall_holds_until_the_next_decision() -> None:
    stalls = WriteStalls()
    stalls.decided(10.0, "a", "stop", "l0_file_limit")
    stalls.decided(12.0, "a", "stop", "l0_file_limit")
    now = stalls.now
    assert now is not None
    assert (now.kind, now.cause, now.since_s) == ("stop", "l0_file_limit", 10.0)
    assert stalls.seconds_until(15.0) == {("l0_file_limit", "stop"): 5.0}
    stalls.decided(16.0, "a", "delay", "memtable_limit")
    stalls.decided(18.0, "a", "normal", "")
    assert stalls.now is None
    assert stalls.seconds_until(99.0) == {
        ("l0_file_limit", "stop"): 6.0,
        ("memtable_limit", "delay"): 2.0,
    }


def test_the_worst_column_family_counts() -> None:
    stalls = WriteStalls()
    stalls.decided(0.0, "a", "delay", "memtable_limit")
    stalls.decided(1.0, "b", "stop", "pending_bytes")
    stalls.decided(3.0, "b", "normal", "")
    stalls.decided(4.0, None, "normal", "")
    assert stalls.seconds == {("memtable_limit", "delay"): 2.0, ("pending_bytes", "stop"): 2.0}


def test_a_decision_told_late_does_not_undo_a_newer_one() -> None:
    stalls = WriteStalls()
    stalls.decided(5.0, "a", "stop", "l0_file_limit")
    stalls.decided(4.9, "a", "normal", "")
    stalls.decided(4.8, None, "normal", "")
    assert stalls.now is not None
    stalls.end(7.0)
    assert stalls.now is None
    assert stalls.seconds_until(50.0) == {("l0_file_limit", "stop"): 2.0}


decisions = st.tuples(
    st.floats(0, 100),
    st.sampled_from(["a", "b", None]),
    st.sampled_from(["normal", "delay", "stop"]),
    st.sampled_from(["memtable_limit", "l0_file_limit", "pending_bytes"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(decisions, max_size=30))
def test_stalled_time_is_within_the_time_decided(
    found: list[tuple[float, str | None, str, str]],
) -> None:
    stalls = WriteStalls()
    for time_s, family, kind, cause in sorted(found, key=lambda row: row[0]):
        stalls.decided(time_s, family, kind if family else "normal", cause)
    first_s = min((row[0] for row in found), default=0.0)
    seconds = stalls.seconds_until(100.0)
    assert all(value >= 0 for value in seconds.values())
    assert sum(seconds.values()) <= 100.0 - first_s + 1e-6


def test_a_long_log_is_grown_in_a_file_too(tmp_path: Path) -> None:
    log = unzipped(LOGS[0], tmp_path)
    state, follower = LogState(), Follower(log)
    for piece in follower.look():
        state.take(piece.text)
    before = state.moved
    grow(log, line(1))
    for piece in follower.look():
        state.take(piece.text)
    assert state.moved == before
    follower.close()
