"""The bytes of LOG files: unzipped, in blocks of whole lines, a giant line cut out."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Protocol

LINE_LIMIT_BYTES = 16 << 20
"""A longer line is given up: what it holds can't be a line of RocksDB's."""
GIVEN_UP = b"\0\n"
"""What stands for a line given up: a line of garbage, so that it is counted like one."""

_GZIP = 16 + zlib.MAX_WBITS
_PIECE_BYTES = 1 << 12  # small, so that damage costs little of what stands before it
_MESSAGE_BYTES = 1 << 20  # one message, such as a stats dump of many column families
_DATE_AHEAD = re.compile(rb"\d{4}/\d\d/\d\d-")


class Readable(Protocol):
    """A binary stream, plain or unzipped."""

    def read(self, size: int, /) -> bytes:
        """Return some bytes, empty at the end."""
        ...


class _Unzipped:
    """Reads a gzip stream as far as it is whole; what follows damage is lost, nothing raises."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._inflate = zlib.decompressobj(_GZIP)
        self._packed = b""
        self._damaged = False

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, as many where there are, empty at the end or at damage."""
        parts: list[bytes] = []
        wanted = size
        while wanted > 0 and not self._damaged:
            packed = self._packed or self._inflate.unused_data or self._stream.read(_PIECE_BYTES)
            if not packed:
                break
            if self._inflate.eof:  # another member follows, as after `cat a.gz b.gz`
                self._inflate = zlib.decompressobj(_GZIP)
            try:
                parts.append(self._inflate.decompress(packed, wanted))
            except zlib.error:
                self._damaged = True
                break
            self._packed = self._inflate.unconsumed_tail
            wanted -= len(parts[-1])
        return b"".join(parts)


def plain(stream: BinaryIO) -> Readable:
    """Return a stream of plain text; gzip is told by its first bytes, not its name."""
    zipped = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    return _Unzipped(stream) if zipped else stream


def line_blocks(stream: Readable, block_bytes: int) -> Iterator[bytes]:
    """Yield a stream in blocks of whole lines; `GIVEN_UP` stands for a line over the limit."""
    parts: list[bytes] = []
    held = 0
    dropping = False
    while piece := stream.read(block_bytes):
        if dropping:
            end = piece.find(b"\n")
            if end < 0:
                continue
            dropping, piece = False, piece[end + 1 :]
        cut = piece.rfind(b"\n") + 1
        if cut:
            yield from _within_limit(b"".join((*parts, piece[:cut])))
            parts, held = [], 0
        parts.append(piece[cut:])
        held += len(parts[-1])
        if held > LINE_LIMIT_BYTES:
            yield GIVEN_UP
            parts, held, dropping = [], 0, True
    if held:
        yield b"".join(parts)


def _within_limit(lines: bytes) -> Iterator[bytes]:
    """Yield whole lines without those over the limit, which only a long block can hold."""
    while len(lines) > LINE_LIMIT_BYTES:
        end = lines.find(b"\n") + 1
        if end > LINE_LIMIT_BYTES:
            yield GIVEN_UP
            lines = lines[end:]
            continue
        cut = lines.rfind(b"\n", 0, LINE_LIMIT_BYTES) + 1
        yield lines[:cut]
        lines = lines[cut:]
    if lines:
        yield lines


def whole_messages(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same text, cut where a dated line begins: a stats dump is never in two pieces."""
    rest = b""
    for block in blocks:
        text = rest + block
        cut = _last_dated(text)
        if cut <= 0 and len(text) > _MESSAGE_BYTES:
            cut = len(text)
        rest = text[cut:] if cut > 0 else text
        if cut > 0:
            yield text[:cut]
    if rest:
        yield rest


def _last_dated(text: bytes) -> int:
    """Return where the last dated line begins, looking back as far as a message is long; or -1."""
    low = max(0, len(text) - _MESSAGE_BYTES)
    at = text.rfind(b"\n2", low)
    while at >= 0 and not _DATE_AHEAD.match(text, at + 1):
        at = text.rfind(b"\n2", low, at)
    return at + 1 if at >= 0 else -1
