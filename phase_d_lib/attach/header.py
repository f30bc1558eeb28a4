"""The front of a LOG: build, session, options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from phase_d_lib.logfile.reader import LogReader
from phase_d_lib.optionsfile import OptionsFile
from phase_d_lib.units import MIB

HEADER_BYTES = MIB
"""More than the options of a hundred column families."""
_GIT_SHA = re.compile(rb"[Gg]it sha:? *([0-9a-f]{7,40})")
_COMPILED = re.compile(rb"[Cc]ompile date:? *([^\r\n]+)")


@dataclass(frozen=True)
class Header:
    """The front of a LOG.

    Attributes
    ----------
    product, version : str
        As in ``RocksDB`` and ``9.8.4``.
    base_version : str or None
        RocksDB a Speedb is made from.
    git_sha, compiled : str or None
        Of the build, where the LOG tells.
    session_id : str or None
        None before 6.15.
    opened_s : float or None
        Epoch seconds at which the database was opened.
    options : OptionsFile
        As the LOG prints them.
    """

    product: str
    version: str
    base_version: str | None
    git_sha: str | None
    compiled: str | None
    session_id: str | None
    opened_s: float | None
    options: OptionsFile


def header_of(log: Path) -> Header | None:
    """Read the front of a LOG; None when it cannot be read or holds no opening."""
    try:
        with log.open("rb") as stream:
            return header_in(stream.read(HEADER_BYTES))
    except OSError:
        return None


def header_in(front: bytes) -> Header | None:
    """Return what the front of a LOG says; None when it holds no opening."""
    reader = LogReader()
    for _ in reader.read(BytesIO(front[:HEADER_BYTES])):
        pass
    for start in reader.session_starts()[:1]:
        git, compiled = _GIT_SHA.search(front), _COMPILED.search(front)
        return Header(
            product=start.product,
            version=start.version,
            base_version=start.base_version,
            git_sha=git.group(1).decode() if git else None,
            compiled=compiled.group(1).decode("utf-8", "replace").strip() if compiled else None,
            session_id=start.session_id,
            opened_s=start.time_s,
            options=OptionsFile(start.version, reader.sessions.options, reader.column_families()),
        )
    return None
