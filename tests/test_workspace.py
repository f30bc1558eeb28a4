"""Nothing that is not ours is written into, opened for writing, or deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phase_d_lib.errors import InputError, NotOursError
from phase_d_lib.workspace import MARKER, claim, find_workspace, is_ours, remove, write_atomically


def test_claim_creates_and_takes_again(tmp_path: Path) -> None:
    folder = claim(tmp_path / "a" / "b")
    (folder / "file").write_text("x")
    assert claim(folder) == folder
    assert (folder / "file").read_text() == "x"
    remove(folder)
    assert not folder.exists()
    remove(folder)


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "CURRENT").write_text("MANIFEST-000001\n")
    for act in (claim, remove):
        with pytest.raises(NotOursError):
            act(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["CURRENT"]


def test_symlinks_and_files_are_refused(tmp_path: Path) -> None:
    ours = claim(tmp_path / "ours")
    link = tmp_path / "link"
    link.symlink_to(ours)
    file = tmp_path / "file"
    file.write_text("x")
    for path in (link, file):
        for act in (claim, remove):
            with pytest.raises(NotOursError):
                act(path)
    assert is_ours(ours)
    assert not is_ours(link)


def test_removing_ours_never_follows_a_link_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    folder = claim(tmp_path / "ours")
    (folder / "link").symlink_to(outside)
    remove(folder)
    assert (outside / "precious").read_text() == "x"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(names=st.lists(st.text("abc.", min_size=1, max_size=6), min_size=1, max_size=4, unique=True))
def test_any_non_empty_directory_without_marker_is_refused(
    tmp_path: Path, names: list[str]
) -> None:
    folder = Path(tmp_path, f"d{abs(hash(tuple(names)))}")
    folder.mkdir(exist_ok=True)
    for name in names:
        if name not in {".", "..", MARKER} and not (folder / name).exists():
            (folder / name).write_text("x")
    before = sorted(folder.iterdir())
    if before:
        for act in (claim, remove):
            with pytest.raises(NotOursError):
                act(folder)
        assert sorted(folder.iterdir()) == before


def test_atomic_write_replaces_whole_files(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_atomically(file, "one")
    write_atomically(file, b"two")
    assert file.read_text() == "two"
    assert list(tmp_path.iterdir()) == [file]


def test_workspace_is_found_from_below_and_missing_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = find_workspace().root
    assert find_workspace(root / "notebooks").root == root
    monkeypatch.setenv("PHASE_D_ROOT", str(tmp_path))
    assert find_workspace().root == tmp_path
    assert issubclass(NotOursError, InputError)
