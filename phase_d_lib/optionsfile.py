"""RocksDB's OPTIONS file: written so that a database opens with what a spec pins, and read back.

A database opened from such a file writes its own ``OPTIONS-*`` file with every effective option;
`differences` compares that one with the spec. The format is RocksDB's ini dialect
(options/options_parser.cc): sections with an optional quoted column family, ``name=value`` lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from phase_d_lib.errors import InputError
from phase_d_lib.specs import OptionsSpec, parse

DB_OPTIONS = frozenset(
    {
        "max_background_jobs",
        "max_subcompactions",
        "delayed_write_rate",
        "use_direct_io_for_flush_and_compaction",
        "use_direct_reads",
        "stats_dump_period_sec",
    }
)
"""Fields of `OptionsSpec` that belong to the database; the others belong to a column family."""

LIVE_OPTIONS = frozenset(
    {
        "write_buffer_size",
        "max_write_buffer_number",
        "target_file_size_base",
        "max_bytes_for_level_base",
        "max_bytes_for_level_multiplier",
        "level0_file_num_compaction_trigger",
        "level0_slowdown_writes_trigger",
        "level0_stop_writes_trigger",
        "soft_pending_compaction_bytes_limit",
        "hard_pending_compaction_bytes_limit",
        "compression",
    }
)
"""Fields of `OptionsSpec` that ``SetOptions`` changes while a database is open.

Source: options/cf_options.cc of v9.8.4.
"""

_COMPRESSIONS = {
    "none": "kNoCompression",
    "snappy": "kSnappyCompression",
    "lz4": "kLZ4Compression",
    "zstd": "kZSTD",
}
_VERSION = re.compile(r"\d+(\.\d+){1,2}")
_SECTION = re.compile(r'\[([\w/]+)(?:\s+"(.*)")?\]')


@dataclass(frozen=True)
class OptionsFile:
    """The sections of one OPTIONS file, all values as RocksDB wrote them.

    Attributes
    ----------
    version : str or None
        RocksDB version that wrote it.
    db : dict of str to str
        ``[DBOptions]``.
    cf, table : dict of str to dict
        ``[CFOptions "name"]`` and ``[TableOptions/... "name"]`` by column family.
    """

    version: str | None = None
    db: dict[str, str] = field(default_factory=dict)
    cf: dict[str, dict[str, str]] = field(default_factory=dict)
    table: dict[str, dict[str, str]] = field(default_factory=dict)


def render_options(spec: OptionsSpec, rocksdb_version: str = "9.8.4") -> str:
    """Return the text of an OPTIONS file that pins every field of a spec.

    It names only what the spec pins, so everything else keeps the default of the RocksDB that
    loads it. A rate limiter is no part of an OPTIONS file and has to be set by the engine.

    Parameters
    ----------
    spec : OptionsSpec
    rocksdb_version : str
        Version the file claims to come from. RocksDB refuses unknown names in a file of its own
        or an older version; it may skip them in a file of a newer one.

    Raises
    ------
    InputError
        If the version is not of the form 9.8.4.
    """
    if not _VERSION.fullmatch(rocksdb_version):
        raise InputError(f"rocksdb_version {rocksdb_version!r}: give it as in 9.8.4")
    pinned = {name: rendered(value) for name, value in spec.model_dump().items()}
    db = {name: value for name, value in pinned.items() if name in DB_OPTIONS}
    cf = {name: value for name, value in pinned.items() if name not in DB_OPTIONS}
    cf |= {"compaction_style": "kCompactionStyleLevel", "table_factory": "BlockBasedTable"}
    sections = {
        "Version": {"rocksdb_version": rocksdb_version, "options_file_version": "1.1"},
        "DBOptions": db,
        'CFOptions "default"': cf,
        'TableOptions/BlockBasedTable "default"': {},
    }
    return "\n".join(_section(title, values) for title, values in sections.items())


def parse_options(text: str) -> OptionsFile:
    """Return the sections of an OPTIONS file of any RocksDB version.

    Comments, blank lines, unknown sections and lines that are no ``name=value`` are passed over.
    """
    version: dict[str, str] = {}
    parsed = OptionsFile()
    section: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.strip()
        if found := _SECTION.fullmatch(line):
            kind, family = found.group(1), found.group(2) or "default"
            section = _target(parsed, version, kind, family)
        elif "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            section[name.strip()] = value.strip()
    return OptionsFile(version.get("rocksdb_version"), parsed.db, parsed.cf, parsed.table)


def differences(
    spec: OptionsSpec, effective: OptionsFile
) -> dict[str, tuple[object, object | None]]:
    """Return every pinned option that did not take effect.

    Parameters
    ----------
    spec : OptionsSpec
    effective : OptionsFile
        What the database wrote after it was opened; its column family ``default`` is compared.

    Returns
    -------
    dict of str to (asked, effective)
        Empty when all hold. Effective is in the type of the spec's field, the raw text if it
        cannot be read as that, or None if the file does not name the option.
    """
    family = effective.cf.get("default", {})
    found: dict[str, tuple[object, object | None]] = {}
    for name, asked in spec.model_dump().items():
        raw = (effective.db if name in DB_OPTIONS else family).get(name)
        got = None if raw is None else _read_as(asked, raw)
        if got != asked:
            found[name] = (asked, got)
    return found


def spec_of(values: Mapping[str, str]) -> tuple[OptionsSpec, tuple[str, ...]]:
    """Return the spec that option texts describe, and which of its fields they do not name.

    Parameters
    ----------
    values : mapping
        Name -> value as an OPTIONS file or the header of a LOG writes it. What is not named has
        the spec's default, which is the workbench's and not RocksDB's.

    Raises
    ------
    InputError
        For a value that cannot be read or that the spec does not allow.
    """
    own = OptionsSpec().model_dump()
    named = {
        name: _read_as(default, values[name]) for name, default in own.items() if name in values
    }
    missing = tuple(name for name in own if name not in values)
    return parse(OptionsSpec, {**own, **named}, "options"), missing


def rendered(value: object) -> str:
    """Return an option's value as RocksDB writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _COMPRESSIONS[value]
    return repr(value)


def _read_as(asked: object, raw: str) -> object:
    """Return a value RocksDB wrote in the type of the one asked for; the text if that fails."""
    if isinstance(asked, bool):
        return {"true": True, "false": False, "1": True, "0": False}.get(raw.lower(), raw)
    if isinstance(asked, str):
        # An OPTIONS file says kSnappyCompression, a LOG Snappy, both kNoCompression or so.
        plain = raw.removeprefix("k").removesuffix("Compression").lower()
        return {"no": "none"}.get(plain, plain if plain in _COMPRESSIONS else raw)
    try:
        if isinstance(asked, float):
            # RocksDB writes doubles with six decimals, so nothing finer can be verified.
            return asked if abs(float(raw) - asked) <= 5e-7 else float(raw)
        return int(raw)
    except ValueError:
        return raw


def _section(title: str, values: Mapping[str, str]) -> str:
    lines = [f"[{title}]", *(f"  {name}={value}" for name, value in values.items()), ""]
    return "\n".join(lines)


def _target(parsed: OptionsFile, version: dict[str, str], kind: str, family: str) -> dict[str, str]:
    """Return the dict a section's values go into; one nobody keeps for an unknown section."""
    if kind == "Version":
        return version
    if kind == "DBOptions":
        return parsed.db
    if kind == "CFOptions":
        return parsed.cf.setdefault(family, {})
    if kind.startswith("TableOptions/"):
        return parsed.table.setdefault(family, {})
    return {}
