"""The process that owns a RocksDB of a shared library: opens it, drives it, samples it.

``python -m phase_d_lib.engines.librocksdb_process {base|run} TASK.json`` - started by
:mod:`phase_d_lib.engines.librocksdb`, never by hand.
"""

from __future__ import annotations

import sys
from ctypes import byref, c_char_p, c_size_t, c_uint64, c_void_p, string_at
from functools import partial
from pathlib import Path
from typing import Any

from phase_d_lib.engines.database import LIMITER_FAIRNESS, LIMITER_REFILL_US
from phase_d_lib.engines.driving import main
from phase_d_lib.engines.pinning import refuse_other_values
from phase_d_lib.engines.rocksdb_c import Library
from phase_d_lib.errors import EngineError
from phase_d_lib.optionsfile import rendered
from phase_d_lib.specs import OptionsSpec


class Writing:
    """Write options of one thread, and the place where its errors arrive."""

    def __init__(self, library: Library, *, wal: bool) -> None:
        self.options = library.writeoptions_create()
        library.writeoptions_disable_WAL(self.options, int(not wal))
        self.error = c_void_p()
        self.error_place = byref(self.error)


class LibraryDatabase:
    """An open RocksDB of a shared library.

    Raises
    ------
    EngineError
        When this RocksDB does not know a pinned option, or opens with another value of it.
    """

    releases_lock = True

    def __init__(
        self,
        library: Library,
        path: Path,
        options: OptionsSpec,
        limiter_bytes_per_s: int | None,
    ) -> None:
        self._library = library
        self._options = pinned_options(library, options)
        library.options_set_create_if_missing(self._options, 1)
        library.options_enable_statistics(self._options)
        if limiter_bytes_per_s is not None:
            limiter = library.ratelimiter_create(
                limiter_bytes_per_s, LIMITER_REFILL_US, LIMITER_FAIRNESS
            )
            library.options_set_ratelimiter(self._options, limiter)
            library.ratelimiter_destroy(limiter)  # the options share it
        self._db = library.checked("open", self._options, str(path).encode())
        self._reading = library.readoptions_create()
        self.put = self._putter()
        try:
            refuse_other_values(path, options)
        except EngineError:
            self.close()
            raise

    def _putter(self) -> Any:
        call, db, library = self._library.put, self._db, self._library

        def put(key: bytes, value: bytes, writing: Writing) -> None:
            call(db, writing.options, key, len(key), value, len(value), writing.error_place)
            if writing.error.value is not None:
                raise EngineError(library.text(writing.error.value))

        return put

    def writing(self, *, wal: bool) -> Writing:
        """Return write options."""
        return Writing(self._library, wal=wal)

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key."""
        length = c_size_t()
        address = self._library.checked(
            "get", self._db, self._reading, key, len(key), byref(length)
        )
        if not address:
            return None
        value = string_at(address, length.value)
        self._library.free(address)
        return value

    def text(self, name: str) -> str | None:
        """Return a text property."""
        return self._library.text(self._library.property_value(self._db, name.encode()))

    def number(self, name: str) -> int | None:
        """Return an integer property, also one RocksDB gives as text (the files of a level)."""
        value = c_uint64()
        if self._library.property_int(self._db, name.encode(), byref(value)) == 0:
            return value.value
        text = self.text(name)
        return int(text) if text is not None and text.isdecimal() else None

    def statistics(self) -> str | None:
        """Return the statistics dump."""
        return self._library.text(self._library.options_statistics_get_string(self._options))

    def flush(self) -> None:
        """Flush the memtable and wait for it."""
        options = self._library.flushoptions_create()
        self._library.flushoptions_set_wait(options, 1)
        self._library.checked("flush", self._db, options)
        self._library.flushoptions_destroy(options)

    def checkpoint(self, folder: Path) -> None:
        """Leave a copy of the tree."""
        library = self._library
        checkpoint = library.checked("checkpoint_object_create", self._db)
        try:
            library.checked("checkpoint_create", checkpoint, str(folder).encode(), 0)
        finally:
            library.checkpoint_object_destroy(checkpoint)

    def set_options(self, changes: dict[str, str]) -> None:
        """Change options while it is open."""
        names, values = (
            (c_char_p * len(changes))(*(text.encode() for text in texts))
            for texts in (changes.keys(), changes.values())
        )
        self._library.checked("set_options", self._db, len(changes), names, values)

    def close(self) -> None:
        """Stop background work and close; what is not flushed stays in the WAL."""
        self._library.cancel_all_background_work(self._db, 1)
        self._library.close(self._db)


def pinned_options(library: Library, spec: OptionsSpec) -> int:
    """Return a ``rocksdb_options_t`` that pins every field of a spec, one by one.

    Loading an OPTIONS file says that something in it is unknown; a string of one option says which,
    and every version of the C API takes it.

    Raises
    ------
    EngineError
        Naming all options that this RocksDB does not take.
    """
    refused: dict[str, str] = {}
    options: int = library.options_create()
    for name, value in spec.model_dump().items():
        pinned = library.options_create()
        text = f"{name}={rendered(value)}"
        try:
            library.checked("get_options_from_string", options, text.encode(), pinned)
        except EngineError as error:
            refused[text] = str(error)
            library.options_destroy(pinned)
            continue
        library.options_destroy(options)
        options = pinned
    if refused:
        said = "; ".join(f"{text} ({message})" for text, message in refused.items())
        raise EngineError(f"this RocksDB cannot pin {said}; use another library or engine")
    return options


def opener(task: dict[str, Any]) -> Any:
    """Return how to open a database with the library of a task."""
    return partial(LibraryDatabase, Library(Path(task["library"])))


if __name__ == "__main__":
    main(sys.argv[1:], opener)
