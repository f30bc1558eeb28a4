"""What the drive loop needs of an open RocksDB; each engine that embeds one supplies it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from phase_d_lib.specs import OptionsSpec

LIMITER_REFILL_US = 100_000
LIMITER_FAIRNESS = 10
"""RocksDB's own defaults of a rate limiter, pinned."""


class Database(Protocol):
    """An open RocksDB with every option pinned and statistics on.

    `put` is called some 100,000 times a second, so it is an attribute: an engine may hand out the
    function of its binding itself.
    """

    releases_lock: bool
    """Whether other Python threads run while a put waits, so that a stall can be sampled."""
    put: Callable[[bytes, bytes, Any], Any]
    """Write one key: key, value, what :meth:`writing` returned."""

    def writing(self, *, wal: bool) -> Any:
        """Return the write options of one thread."""
        ...

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key."""
        ...

    def text(self, name: str) -> str | None:
        """Return a text property, None where this version has none of that name."""
        ...

    def number(self, name: str) -> int | None:
        """Return an integer property, None where this version has none of that name."""
        ...

    def statistics(self) -> str | None:
        """Return the statistics dump."""
        ...

    def flush(self) -> None:
        """Flush the memtable and wait for it."""
        ...

    def checkpoint(self, folder: Path) -> None:
        """Leave a copy of the tree at `folder`, which must not exist."""
        ...

    def set_options(self, changes: dict[str, str]) -> None:
        """Change options of the column family while it is open; raises what RocksDB refuses."""
        ...

    def close(self) -> None:
        """Stop background work and close; what is not flushed stays in the WAL."""
        ...


OpenDatabase = Callable[[Path, OptionsSpec, int | None], Database]
"""Path, options, limit of the rate limiter in bytes/s (None: no limiter) -> an open database."""
