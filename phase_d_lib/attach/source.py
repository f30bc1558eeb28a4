"""The files of a database that are read: its LOG, wherever it is now, and its OPTIONS file."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from phase_d_lib.attach import place
from phase_d_lib.attach.follow import Follower, Identity, identity_of
from phase_d_lib.attach.header import header_in, header_of
from phase_d_lib.attach.result import Change, change, utc
from phase_d_lib.optionsfile import OptionsFile

SEEK_S = 2.0
"""Time between two looks for a LOG that is gone."""
_SET_OPTIONS = re.compile(rb"Set(?:DB)?Options\(\)")


class Source:
    """Follows the LOG of a database and keeps its options.

    Parameters
    ----------
    database : Path
    open_files : callable
        No argument -> what the program holds open now.

    Attributes
    ----------
    options : OptionsFile
        Of the newest OPTIONS file, else of the header of the LOG; empty when neither tells.
    options_from : str
        Which of them.
    header : Header or None
        Front of the present LOG.
    sessions : int
        Openings of the database since the monitor was attached.
    skipped_bytes : int
        Front of the first LOG that was not read.

    Raises
    ------
    InputError
        When `database` is no RocksDB, or its LOG cannot be read.
    """

    def __init__(self, database: Path, open_files: Callable[[], Sequence[Path]]) -> None:
        self.database = place.checked_database(database)
        self._open_files = open_files
        self.options, self.options_from = OptionsFile(), "no options"
        self._on_file = place.read_options(database)
        self._follower = Follower(place.checked_log(database, self._place()))
        self.header = header_of(self.log)
        self.sessions = self.skipped_bytes = 0
        self._present, self._seek_due_s, self._reread = True, 0.0, False
        self._keep_options()
        # A LOG that somebody else began and that the program does not write.
        named = database / "LOG"
        self._foreign: Identity | None = identity_of(named) if ".old." in self.log.name else None

    @property
    def log(self) -> Path:
        """Where the LOG is."""
        return self._follower.log

    def there(self) -> Iterator[bytes]:
        """Yield what the LOG holds already, of a long one the end."""
        for piece in (*self._follower.look(), *self._follower.rest()):
            self.skipped_bytes = max(self.skipped_bytes, piece.skipped_bytes)
            yield piece.text

    def look(self) -> Iterator[bytes | Change]:
        """Yield what was written since the last look, and what became of the files."""
        reread, self._reread = self._reread, False
        yield from self._read()
        yield from self._see_log()
        if reread or self._reread:
            # Once more at the next look: the line may be written before the file is.
            yield from self._read_options()
            yield from self._move()

    def close(self) -> None:
        """Let go of the LOG."""
        self._follower.close()

    def _read(self) -> Iterator[bytes | Change]:
        for piece in self._follower.look():
            if piece.begins and self._place() != self.log:
                self._foreign = identity_of(self.log)
                yield from self._move()
                return
            if piece.begins:
                yield self._begun(piece.text)
            self._reread |= piece.begins or _SET_OPTIONS.search(piece.text) is not None
            yield piece.text

    def _move(self) -> Iterator[bytes | Change]:
        """Follow the LOG to where its program writes it now."""
        log = self._place()
        there = identity_of(log)
        foreign = there == self._foreign and self._follower.present
        if log == self.log or there is None or foreign:
            return
        left, offset = self._follower.left
        rest = [piece.text for piece in self._follower.leave()]
        renamed = left == there  # and what was opened in its place is somebody else's
        yield from [] if renamed else rest
        self._follower = Follower(log, None, offset if renamed else None)
        yield change("log", f"the program writes {log} now")
        yield from self._read()

    def _begun(self, front: bytes) -> Change:
        """Tell whether a new LOG is another session or a rolled file of the same."""
        before, header = self.header, header_in(front)
        self.header = header or before
        if header is None or header.session_id is None:
            # Before 6.15 a session has no id: the two look alike.
            return change("log", "a new LOG begins: RocksDB opened the database or rolled its LOG")
        if before is not None and header.session_id == before.session_id:
            return change("log", "RocksDB rolled its LOG and goes on in a new one")
        self.sessions += 1
        opened = "" if header.opened_s is None else f" at {utc(header.opened_s)}"
        return change("session", f"{header.product} {header.version} opened the database{opened}")

    def _see_log(self) -> Iterator[bytes | Change]:
        """Tell when the LOG is gone or back; while it is gone look where the options say."""
        before, self._present = self._present, self._follower.present
        if self._present != before:
            yield change("log", f"the LOG is {'back' if self._present else 'gone'}: {self.log}")
        lost = not self._present or ".old." in self.log.name
        if lost and time.monotonic() >= self._seek_due_s:
            self._seek_due_s = time.monotonic() + SEEK_S
            yield from self._read_options()
            yield from self._move()

    def _read_options(self) -> Iterator[Change]:
        """Read the options anew and tell what changed."""
        before = self.options
        self._on_file = place.read_options(self.database) or self._on_file
        self._keep_options()
        if before.db or before.cf:
            yield from (change("options", text) for text in differences(before, self.options))

    def _keep_options(self) -> None:
        if self._on_file is not None:
            self.options, self.options_from = self._on_file, "OPTIONS file"
        elif self.header is not None and self.header.options.db:
            self.options, self.options_from = self.header.options, "header of the LOG"

    def _place(self) -> Path:
        return place.log_of(self.database, self._on_file, self._open_files)


def differences(before: OptionsFile, now: OptionsFile) -> list[str]:
    """Return each option that differs, as ``name [column family]: before -> now``."""
    found = _changed("", before.db, now.db)
    for family in sorted(before.cf.keys() | now.cf.keys()):
        if family not in now.cf:
            found.append(f"column family {family} was dropped")
        elif family not in before.cf:
            found.append(f"column family {family} was created")
        else:
            found += _changed(f" [{family}]", before.cf[family], now.cf[family])
    return found


def _changed(where: str, before: dict[str, str], now: dict[str, str]) -> list[str]:
    return [
        f"{name}{where}: {before[name]} -> {now[name]}"
        for name in sorted(before.keys() & now.keys())
        if before[name] != now[name]
    ]
