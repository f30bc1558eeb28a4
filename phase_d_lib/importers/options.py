"""The kind ``options``: an OPTIONS file of any version as the options of a case file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from phase_d_lib.errors import InputError
from phase_d_lib.importers.base import CaseFragment, Imported, one_file, read_capped
from phase_d_lib.optionsfile import DB_OPTIONS, OptionsFile, parse_options
from phase_d_lib.specs import OptionsSpec

_COMPRESSIONS = {
    "kNoCompression": "none",
    "kSnappyCompression": "snappy",
    "kLZ4Compression": "lz4",
    "kZSTD": "zstd",
}
_STYLES = {
    "kCompactionStyleLevel": "level",
    "kCompactionStyleUniversal": "universal",
    "kCompactionStyleFIFO": "fifo",
}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_NAMED = {"compaction_style": _STYLES, "compression": _COMPRESSIONS}
_FURTHER = ("compaction_style", "num_levels", "enable_blob_files")
_FURTHER_TYPES = {"num_levels": int, "enable_blob_files": bool}
_OLD_JOBS = ("max_background_compactions", "max_background_flushes")


def import_options(paths: Sequence[Path]) -> Imported:
    """Import one OPTIONS file.

    Raises
    ------
    InputError
        If it cannot be read or names neither database nor column family options.
    """
    path = one_file("options", paths)
    parsed = parse_options(read_capped(path))
    family = parsed.cf.get("default")
    if family is None or not parsed.db:
        raise InputError(f'{path}: no OPTIONS file; [DBOptions] and [CFOptions "default"] needed')
    pinned, unsupported = _pinned(parsed.db, family)
    unsupported += _beyond_models(parsed)
    named = {**parsed.db, **family}
    absent = [name for name in OptionsSpec.model_fields if name not in named]
    values: dict[str, object] = {
        "kind": "options",
        "source": str(path),
        "rocksdb_version": parsed.version,
        "column_families": sorted(parsed.cf),
        "options": pinned,
        "unsupported": unsupported,
        "not_named": absent,
    }
    notes = ["a rate limiter is no part of an OPTIONS file: give limiter_bytes_per_s yourself"]
    if absent:
        notes.append(f"not named, so a case file takes the default: {', '.join(absent)}")
    notes += [f"not supported: {entry}" for entry in unsupported]
    return Imported(
        values,
        notes=tuple(notes),
        case=CaseFragment({"options": pinned}, tuple(notes)),
        names={"column_families": "cf"},
    )


def _pinned(db: dict[str, str], family: dict[str, str]) -> tuple[dict[str, object], list[str]]:
    """Return the options a case file knows, in its types, and what could not be read."""
    pinned: dict[str, object] = {}
    unread = []
    for name in (*OptionsSpec.model_fields, *_FURTHER):
        raw = (db if name in DB_OPTIONS else family).get(name)
        if raw is None:
            continue
        value = _read(name, raw)
        if value is None:
            unread.append(f"{name}={raw[:60]}")
        else:
            pinned[name] = value
    return pinned, unread


def _read(name: str, raw: str) -> object:
    """Return a value in the type of the case file's option; None if it is none of it."""
    field = OptionsSpec.model_fields.get(name)
    kind = _FURTHER_TYPES.get(name) if field is None else field.annotation
    if name in _NAMED:
        return _NAMED[name].get(raw)
    if kind is bool:
        return _BOOLEANS.get(raw.lower())
    try:
        number = float(raw) if kind is float else int(raw[:30])
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _beyond_models(parsed: OptionsFile) -> list[str]:
    """Return by name what no model covers."""
    found, family = [], parsed.cf["default"]
    style = family.get("compaction_style", "kCompactionStyleLevel")
    if style in _STYLES and _STYLES[style] != "level":  # any other name is told as unreadable
        found.append(f"compaction_style={style[:60]}")
    if len(parsed.cf) > 1:
        found.append(f"{len(parsed.cf)} column families; the options are default's")
    if _BOOLEANS.get(family.get("enable_blob_files", "false").lower()):
        found.append("enable_blob_files=true")
    levels = [level for level in family.get("compression_per_level", "").split(":") if level]
    if len(set(levels)) > 1:
        found.append(f"compression_per_level={':'.join(levels)[:120]}")
    if "max_background_jobs" not in parsed.db:
        old = [f"{name}={parsed.db[name]}" for name in _OLD_JOBS if name in parsed.db]
        found += [f"{entry[:60]} (before max_background_jobs)" for entry in old]
    return found
