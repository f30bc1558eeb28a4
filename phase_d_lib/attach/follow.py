"""The lines a LOG grows by, while another program writes, rolls, deletes and recreates it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from phase_d_lib.units import MIB

TAIL_BYTES = 16 * MIB
"""How much of a LOG that is there already is read: its end says what holds now."""
_PIECE_BYTES = 4 * MIB
_MESSAGE_BYTES = MIB
"""A longer line or message that is not finished is passed on as it is."""
_HOLD_LOOKS = 12
"""RocksDB writes its buffer out after 5 s at the latest, so a message is whole by then."""
_RELEASE_LOOKS = 20
"""A deleted LOG is kept open for so many looks without growth: its bytes occupy the disk."""
_OPENING = (b"] \n", b"STATISTICS:\n")
"""How the first line of a stats dump ends: with its place in the code, or so."""
_DATE_AHEAD = re.compile(rb"\d{4}/\d\d/\d\d-")
Identity = tuple[int, int]


@dataclass(frozen=True)
class Piece:
    """Whole lines of a LOG, in the order written.

    Attributes
    ----------
    text : bytes
    begins : bool
        Whether it is the first of a file: RocksDB opened the database or rolled its LOG.
    skipped_bytes : int
        Of a first piece: what stands before it in a file that is not read from its front.
    """

    text: bytes
    begins: bool = False
    skipped_bytes: int = 0


class Follower:
    """Follows one LOG by its name; see `look`.

    A LOG that is renamed is read to its end, then those that came and went between two looks
    (``LOG.old.*``), then the new one. A message of several lines, such as a stats dump, is held
    back until another follows or nothing more comes, so that it is passed on whole; a line on
    its own never waits.

    Parameters
    ----------
    log : Path
        Only ever opened for reading.
    tail_bytes : int, optional
        How much of the end of the first file is read, bytes; None reads all of it.
    offset : int, optional
        Where to go on in it, if it was read before.

    Attributes
    ----------
    present : bool
        Whether the name was there at the last look.
    left : tuple of (int, int), int
        The file read before the present one, as device and inode, and how far it was read.
    """

    def __init__(
        self, log: Path, tail_bytes: int | None = TAIL_BYTES, offset: int | None = None
    ) -> None:
        self.log = log
        self.present = False
        self._tail_bytes = tail_bytes
        self._file = -1
        self._offset = self._skipped_bytes = 0
        self._begins = False
        self._held = b""
        self._quiet_looks = 0
        self.left: tuple[Identity | None, int] = (None, 0)
        self._first_offset = offset
        self._rolled_before: set[str] | None = None  # None: no file was opened yet

    def look(self) -> Iterator[Piece]:
        """Yield what was written since the last look; nothing raises."""
        named = identity_of(self.log)
        self.present = named is not None
        if self._file >= 0 and named is not None and named != self._identity:
            yield from self.leave()
        if self._file < 0 and named is not None:
            # Listed before the LOG is opened: one rolled in between is read at the next look.
            rolled = self._rolled()
            yield from self._missed(rolled)
            self._open(self.log, self._tail_bytes if self._rolled_before is None else None)
            self._rolled_before = rolled
            if self._first_offset is not None:
                self._offset, self._first_offset, self._begins = self._first_offset, None, False
        before = self._offset
        yield from self._grown()
        self._quiet_looks = self._quiet_looks + 1 if self._offset == before else 0
        if self._quiet_looks >= _HOLD_LOOKS:
            yield from self.rest()
        if named is None and self._quiet_looks >= _RELEASE_LOOKS:
            yield from self.leave()

    def rest(self) -> Iterator[Piece]:
        """Yield the whole lines that were held back."""
        cut = self._held.rfind(b"\n") + 1
        text, self._held = self._held[:cut], self._held[cut:]
        if text:
            yield self._piece(text)

    def leave(self) -> Iterator[Piece]:
        """Read a file that is no longer the LOG to its end and let go of it."""
        yield from self._grown()
        if self._held:
            yield self._piece(self._held)  # what is torn now stays torn
        self._held = b""
        if self._file >= 0:
            self.left = self._identity, self._offset
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _open(self, path: Path, tail_bytes: int | None) -> None:
        """Open a file; of a long one only its end is read if `tail_bytes` says how much."""
        with suppress(OSError):  # gone again, or not ours to read: the next look tries anew
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            status = os.fstat(self._file)
            self._identity = status.st_dev, status.st_ino
            self._offset, self._held, self._begins, self._quiet_looks = 0, b"", True, 0
            if tail_bytes is not None and status.st_size > tail_bytes:
                middle = status.st_size - tail_bytes
                front = os.pread(self._file, _MESSAGE_BYTES, middle)
                self._offset = middle + front.find(b"\n") + 1
            self._skipped_bytes = self._offset

    def _missed(self, rolled: set[str]) -> Iterator[Piece]:
        """Read the files that were the LOG between two looks, oldest first."""
        (left, _), before = self.left, self._rolled_before
        # The name ends in the microsecond of the roll.
        fresh = (
            sorted(rolled - before, key=lambda name: (len(name), name))
            if before is not None
            else []
        )
        for path in map(self.log.with_name, fresh):
            if identity_of(path) != left:
                self._open(path, None)
                yield from self.leave()

    def _rolled(self) -> set[str]:
        """Return the names of the rolled files beside the LOG."""
        front = f"{self.log.name}.old."
        try:
            with os.scandir(self.log.parent) as entries:
                return {entry.name for entry in entries if entry.name.startswith(front)}
        except OSError:
            return set()

    def _grown(self) -> Iterator[Piece]:
        """Yield what the open file holds behind the offset, as far as it may be passed on."""
        while fresh := self._fresh():
            self._offset += len(fresh)
            text = self._held + fresh
            cut = _passable(text)
            self._held = text[cut:]
            if cut:
                yield self._piece(text[:cut])

    def _fresh(self) -> bytes:
        """Return what stands behind the offset; nothing without a file, or when it fails."""
        if self._file < 0:
            return b""
        with suppress(OSError):
            if os.fstat(self._file).st_size < self._offset:  # cut short in place
                self._offset = self._skipped_bytes = 0
                self._held, self._begins = b"", True
            return os.pread(self._file, _PIECE_BYTES, self._offset)
        return b""

    def _piece(self, text: bytes) -> Piece:
        piece = Piece(text, self._begins, self._skipped_bytes if self._begins else 0)
        self._begins = False
        return piece


def _passable(text: bytes) -> int:
    """Return the length of the lines that are whole and of messages that are, too."""
    end = text.rfind(b"\n") + 1
    if len(text) - end > _MESSAGE_BYTES:
        return len(text)
    begin = _last_dated(text, end)
    further = text.find(b"\n", begin, end) < end - 1 or text.endswith(_OPENING, begin, end)
    return begin if further and end - begin <= _MESSAGE_BYTES else end


def _last_dated(text: bytes, end: int) -> int:
    """Return where the last dated line before `end` begins; 0 when there is none."""
    begin = end
    while begin > 0:
        begin = text.rfind(b"\n", 0, begin - 1) + 1
        if _DATE_AHEAD.match(text, begin):
            break
    return begin


def identity_of(path: Path) -> Identity | None:
    """Return device and inode of a file; None when it is not there or may not be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
