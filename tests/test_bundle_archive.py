"""Bundles from strangers: names that leave the folder, links, bombs and damage are refused."""

from __future__ import annotations

import gzip
import stat
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from phase_d_lib.bundle import archive
from phase_d_lib.bundle.archive import check_log, check_table, opened, pack
from phase_d_lib.errors import InputError


def make_zip(file: Path, entries: dict[str, bytes], mode: int = stat.S_IFREG | 0o644) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, content)
    return file


def refused(bundle: Path, match: str) -> None:
    with pytest.raises(InputError, match=match) as raised, opened(bundle):
        pass
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/etc/evil", "C:/evil", "a\\..\\evil", "..", "a/..", "//host/evil"],
)
def test_a_name_outside_the_bundle_is_refused(tmp_path: Path, name: str) -> None:
    bundle = make_zip(tmp_path / "a.zip", {"manifest.json": b"{}", name: b"evil"})
    refused(bundle, "lies outside the bundle")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip"]


def test_links_are_refused(tmp_path: Path) -> None:
    bundle = make_zip(tmp_path / "a.zip", {"x": b"/etc/passwd"}, stat.S_IFLNK | 0o777)
    refused(bundle, "is a link or special file")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    (folder / "x").symlink_to("/etc/passwd")
    refused(folder, "a symbolic link or special file")


def test_what_comes_out_is_counted_not_what_the_zip_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 100_000)
    bundle = make_zip(tmp_path / "a.zip", {"manifest.json": b"{}", "big": bytes(200_000)})
    assert bundle.stat().st_size < 2_000
    refused(bundle, "unpacks to more than 100000 bytes")


def test_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    refused(make_zip(tmp_path / "a.zip", {str(n): b"" for n in range(4)}), "more than 3 files")


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    refused(make_zip(tmp_path / "a.zip", {"A": b"1", "a": b"2"}), "two entries of the name")


def test_damage_and_anything_else_is_one_line(tmp_path: Path) -> None:
    bundle = make_zip(tmp_path / "a.zip", {"manifest.json": bytes(range(256)) * 40})
    content = bytearray(bundle.read_bytes())
    content[60] ^= 0xFF
    bundle.write_bytes(content)
    refused(bundle, "not a readable zip")
    (tmp_path / "b.zip").write_text("text")
    refused(tmp_path / "b.zip", "not a readable zip")
    refused(tmp_path / "none.zip", "no such folder or zip")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"holds no manifest\.json")


def test_a_packed_folder_is_unpacked_again(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    (folder / "runs").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "runs" / "x.txt").write_text("한글")
    (folder / ".phase-d").write_text("marker")
    pack(folder, tmp_path / "bundle.zip")
    with opened(tmp_path / "bundle.zip") as inside:
        assert (inside / "runs" / "x.txt").read_text() == "한글"
        assert not (inside / ".phase-d").exists()
        kept = inside
    assert not kept.exists()


def test_a_log_that_unpacks_too_far_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_LOG_BYTES", 1000)
    file = tmp_path / "LOG.gz"
    file.write_bytes(gzip.compress(bytes(1000)))
    check_log(file)
    file.write_bytes(gzip.compress(bytes(1001)))
    with pytest.raises(InputError, match="unpacks to more than 1000 bytes"):
        check_log(file)
    file.write_bytes(gzip.compress(bytes(1000))[:-9])
    with pytest.raises(InputError, match="not a readable gzip file"):
        check_log(file)


def test_a_table_that_is_too_long_or_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_TABLE_ROWS", 10)
    file = tmp_path / "samples.parquet"
    pd.DataFrame({"x": range(10)}).to_parquet(file)
    check_table(file)
    pd.DataFrame({"x": [0] * 11}).to_parquet(file)
    with pytest.raises(InputError, match="11 rows"):
        check_table(file)
    file.write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        check_table(file)
