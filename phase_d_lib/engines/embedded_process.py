"""The process that owns an embedded RocksDB: opens it through rocksdict, drives it, samples it.

``python -m phase_d_lib.engines.embedded_process {base|run} TASK.json`` - started by
:mod:`phase_d_lib.engines.embedded`, never by hand.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rocksdict

from phase_d_lib.engines.database import LIMITER_FAIRNESS, LIMITER_REFILL_US
from phase_d_lib.engines.driving import main
from phase_d_lib.optionsfile import render_options
from phase_d_lib.specs import OptionsSpec


class RocksdictDatabase:
    """An open RocksDB of the rocksdict wheel."""

    releases_lock = False

    def __init__(self, path: Path, options: OptionsSpec, limiter_bytes_per_s: int | None) -> None:
        folder = path.with_name(path.name + "-options")
        folder.mkdir(exist_ok=True)
        # rocksdict has no setter for several options; it does load them all from an OPTIONS file.
        (folder / "OPTIONS-000005").write_text(render_options(options))
        self._options, families = rocksdict.Options.load_latest(str(folder))
        self._options.create_if_missing(True)
        self._options.enable_statistics()
        if limiter_bytes_per_s is not None:
            self._options.set_ratelimiter(limiter_bytes_per_s, LIMITER_REFILL_US, LIMITER_FAIRNESS)
        self._rdict = rocksdict.Rdict(str(path), self._options, column_families=families)
        self.put: Callable[[bytes, bytes, Any], Any] = self._rdict.put
        for leftover in folder.iterdir():
            leftover.unlink()
        folder.rmdir()

    def writing(self, *, wal: bool) -> rocksdict.WriteOptions:
        """Return write options."""
        options = rocksdict.WriteOptions()
        if not wal:
            options.disable_wal = True  # type: ignore[method-assign,assignment] # a property
        return options

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key."""
        value: bytes | None = self._rdict.get(key)
        return value

    def text(self, name: str) -> str | None:
        """Return a text property."""
        value: str | None = self._rdict.property_value(name)
        return value

    def number(self, name: str) -> int | None:
        """Return an integer property."""
        value: int | None = self._rdict.property_int_value(name)
        return value

    def statistics(self) -> str | None:
        """Return the statistics dump."""
        value: str | None = self._options.get_statistics()
        return value

    def flush(self) -> None:
        """Flush the memtable and wait for it."""
        self._rdict.flush(True)

    def checkpoint(self, folder: Path) -> None:
        """Leave a copy of the tree."""
        rocksdict.Checkpoint(self._rdict).create_checkpoint(str(folder))

    def set_options(self, changes: dict[str, str]) -> None:
        """Change options while it is open."""
        self._rdict.set_options(changes)

    def close(self) -> None:
        """Stop background work and close; what is not flushed stays in the WAL."""
        self._rdict.cancel_all_background(True)
        # rocksdict flushes on close, which RocksDB refuses once background work is cancelled.
        with contextlib.suppress(Exception):
            self._rdict.close()


if __name__ == "__main__":
    main(sys.argv[1:], lambda _: RocksdictDatabase)
