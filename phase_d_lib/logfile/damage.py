"""Which lines could not be read."""

from __future__ import annotations

from phase_d_lib.logfile.lines import decoded

LISTED = 100
"""Line numbers kept; further damaged lines are only counted."""


class Damage:
    """Counts damaged lines; of the first it knows where they stand.

    Attributes
    ----------
    lines : int
        How many there are.
    numbers : list of (int, int)
        (file, line) of the first `LISTED`, both counted from 1 in the order read.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.numbers: list[tuple[int, int]] = []
        self._file = 0
        self._before = self._here = 0
        self._block = b""

    def next_file(self) -> None:
        """Note that another file begins."""
        self._file += 1
        self._before = self._here = 0
        self._block = b""

    def enter(self, block: bytes, lines: int) -> None:
        """Note which text the positions to come mean, and its number of lines."""
        self._before += self._here
        self._block, self._here = block, lines

    def at(self, position: int) -> None:
        """Count the line at a position of the current text."""
        self.lines += 1
        if len(self.numbers) < LISTED:
            ahead = self._block.count(b"\n", 0, position)
            self.numbers.append((self._file, self._before + ahead + 1))

    def of(self, line: bytes) -> None:
        """Count a line of the current text that is known by its words alone."""
        self.at(max(0, self._block.find(line)))

    def find_garbage(self) -> None:
        """Count lines of the current text that are no text in any encoding RocksDB writes.

        A block of zeros is what a crash leaves of what was not yet on disk. A name in another
        encoding is no garbage: such lines are dated or hold an event.
        """
        block = self._block
        if b"\0" not in block and block.isascii():
            return
        position = 0
        for line in block.split(b"\n"):
            if _is_garbage(line):
                self.at(position)
            position += len(line) + 1


def _is_garbage(line: bytes) -> bool:
    if b"EVENT_LOG_v1 {" in line:  # counted as an event, read or damaged
        return False
    if b"\0" in line:
        return True
    if line.isascii() or line[:2] == b"20":
        return False
    return "�" in decoded(line)
