"""A bundle as a folder or a zip: opened without trusting a name or a size in it."""

from __future__ import annotations

import gzip
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import pyarrow.parquet as pq
from pyarrow import ArrowException

from phase_d_lib.errors import InputError
from phase_d_lib.units import GIB, MIB

MANIFEST = "manifest.json"
MAX_FILES = 20_000
MAX_BYTES = 1 * GIB
"""All files of a bundle together, unpacked; a larger one is refused, whatever its zip says."""
MAX_LOG_BYTES = 256 * MIB
"""One LOG, unpacked."""
MAX_TABLE_ROWS = 5_000_000
MAX_TABLE_BYTES = 256 * MIB
"""One Parquet file, unpacked."""
_CHUNK = 1 << 20
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
_MARKER_PREFIX = "."


@contextmanager
def opened(bundle: Path) -> Iterator[Path]:
    """Give the folder of a bundle; a zip is unpacked into a folder that is deleted afterwards.

    Raises
    ------
    InputError
        When it is neither, holds no manifest, names files outside itself, holds symbolic links
        or special files, or is larger than :data:`MAX_BYTES` or :data:`MAX_FILES`.
    """
    if bundle.is_dir():
        checked_folder(bundle)
        yield _root(bundle, bundle)
        return
    if not bundle.is_file():
        raise InputError(f"{bundle}: no such folder or zip")
    with tempfile.TemporaryDirectory(prefix="phase-d-bundle-") as scratch:
        unpack(bundle, Path(scratch))
        yield _root(Path(scratch), bundle)


def checked_folder(folder: Path) -> list[Path]:
    """List the files of a folder, hidden ones left out.

    Raises
    ------
    InputError
        For a symbolic link, a special file, or more than the limits allow.
    """
    found, total = [], 0
    for place, names, files in os.walk(folder):
        for name in sorted([*names, *files]):
            path = Path(place) / name
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise InputError(
                    f"{path}: a symbolic link or special file; a bundle holds plain files only"
                )
            if stat.S_ISREG(mode) and not name.startswith(_MARKER_PREFIX):
                found.append(path)
                total += path.stat().st_size
        _check_limits(folder, len(found), total)
    return sorted(found)


def unpack(bundle: Path, target: Path) -> None:
    """Unpack a zip into an empty folder, as far as names and sizes can be trusted.

    Raises
    ------
    InputError
        For a name that leaves the folder, a link, an encrypted or damaged entry, two entries of
        one name, or more than the limits allow.
    """
    try:
        with zipfile.ZipFile(bundle) as archive:
            entries = archive.infolist()
            _check_limits(bundle, len(entries), 0)
            total, taken = 0, set[str]()
            for entry in entries:
                name = _safe_name(bundle, entry)
                if entry.is_dir():
                    continue
                if name.casefold() in taken:
                    raise InputError(f"{bundle}: two entries of the name {name!r}")
                taken.add(name.casefold())
                file = target / name
                file.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, file.open("xb") as sink:
                    # The size a zip declares may be a lie, so what really comes out is counted.
                    total = _copy(bundle, source, sink, total)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{bundle}: not a readable zip ({error})") from None
    except OSError as error:
        raise InputError(f"{bundle}: cannot be unpacked ({error.strerror or error})") from None


def pack(folder: Path, file: Path) -> None:
    """Write a zip of a folder's files below one top folder; the same files give the same bytes."""
    partial = file.with_name(f".{file.name}.part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in checked_folder(folder):
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            entry = zipfile.ZipInfo(name, _FIRST_DATE)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    partial.replace(file)


def check_log(file: Path) -> None:
    """Refuse a compressed LOG that unpacks to more than :data:`MAX_LOG_BYTES`, or not at all.

    Raises
    ------
    InputError
        One line.
    """
    size = 0
    try:
        with gzip.open(file) as stream:
            while block := stream.read(_CHUNK):
                size += len(block)
                if size > MAX_LOG_BYTES:
                    raise InputError(f"{file.name}: unpacks to more than {MAX_LOG_BYTES} bytes")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file.name}: not a readable gzip file ({error})") from None


def check_table(file: Path) -> None:
    """Refuse a Parquet file that is damaged or unpacks to more than the limits allow.

    Raises
    ------
    InputError
        One line.
    """
    try:
        described = pq.ParquetFile(file).metadata
    except (ArrowException, OSError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise InputError(f"{file.name}: not a readable Parquet file ({first})") from None
    groups = range(described.num_row_groups)
    size = sum(described.row_group(number).total_byte_size for number in groups)
    if described.num_rows > MAX_TABLE_ROWS or size > MAX_TABLE_BYTES:
        raise InputError(
            f"{file.name}: {described.num_rows} rows, {size} bytes unpacked; allowed are "
            f"{MAX_TABLE_ROWS} and {MAX_TABLE_BYTES}"
        )


def _safe_name(bundle: Path, entry: zipfile.ZipInfo) -> str:
    name = entry.filename
    kind = stat.S_IFMT(entry.external_attr >> 16)
    path = PurePosixPath(name)
    # ':' and '\' would be a drive or a separator elsewhere.
    outside = path.is_absolute() or ".." in path.parts or set(name) & set("\\:\0")
    if not path.parts or outside:
        raise InputError(f"{bundle}: the entry {name!r} lies outside the bundle; nothing was read")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError(f"{bundle}: the entry {name!r} is a link or special file")
    return str(path)


def _copy(bundle: Path, source: IO[bytes], sink: IO[bytes], total: int) -> int:
    while block := source.read(_CHUNK):
        total += len(block)
        _check_limits(bundle, 0, total)
        sink.write(block)
    return total


def _check_limits(bundle: Path, files: int, total: int) -> None:
    if files > MAX_FILES:
        raise InputError(f"{bundle}: holds more than {MAX_FILES} files; no bundle is that large")
    if total > MAX_BYTES:
        raise InputError(f"{bundle}: unpacks to more than {MAX_BYTES} bytes; no bundle is so large")


def _root(folder: Path, bundle: Path) -> Path:
    """Return the folder that holds the manifest: this one or the only one in it."""
    if (folder / MANIFEST).is_file():
        return folder
    inside = [path for path in folder.iterdir() if not path.name.startswith(_MARKER_PREFIX)]
    if len(inside) == 1 and (inside[0] / MANIFEST).is_file():
        return inside[0]
    raise InputError(f"{bundle}: holds no {MANIFEST}; name what make share wrote")
