"""RocksDB's C API (include/rocksdb/c.h) through ctypes: the functions the workbench calls.

ctypes gives Python's lock back during every call, so other threads run while a put is stalled.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import (
    CDLL,
    POINTER,
    byref,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_ubyte,
    c_uint64,
    c_void_p,
    string_at,
)
from pathlib import Path
from typing import Any

from phase_d_lib.errors import EngineError, InputError

_ERROR = POINTER(c_void_p)
_BYTES = (c_char_p, c_size_t)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "open": (c_void_p, (c_void_p, c_char_p, _ERROR)),
    "close": (None, (c_void_p,)),
    "cancel_all_background_work": (None, (c_void_p, c_ubyte)),
    "put": (None, (c_void_p, c_void_p, *_BYTES, *_BYTES, _ERROR)),
    "get": (c_void_p, (c_void_p, c_void_p, *_BYTES, POINTER(c_size_t), _ERROR)),
    "flush": (None, (c_void_p, c_void_p, _ERROR)),
    "set_options": (None, (c_void_p, c_int, POINTER(c_char_p), POINTER(c_char_p), _ERROR)),
    "property_value": (c_void_p, (c_void_p, c_char_p)),
    "property_int": (c_int, (c_void_p, c_char_p, POINTER(c_uint64))),
    "options_create": (c_void_p, ()),
    "options_destroy": (None, (c_void_p,)),
    "get_options_from_string": (None, (c_void_p, c_char_p, c_void_p, _ERROR)),
    "options_set_create_if_missing": (None, (c_void_p, c_ubyte)),
    "options_enable_statistics": (None, (c_void_p,)),
    "options_statistics_get_string": (c_void_p, (c_void_p,)),
    "options_set_ratelimiter": (None, (c_void_p, c_void_p)),
    "ratelimiter_create": (c_void_p, (c_int64, c_int64, c_int32)),
    "ratelimiter_destroy": (None, (c_void_p,)),
    "writeoptions_create": (c_void_p, ()),
    "writeoptions_disable_WAL": (None, (c_void_p, c_int)),
    "readoptions_create": (c_void_p, ()),
    "flushoptions_create": (c_void_p, ()),
    "flushoptions_destroy": (None, (c_void_p,)),
    "flushoptions_set_wait": (None, (c_void_p, c_ubyte)),
    "checkpoint_object_create": (c_void_p, (c_void_p, _ERROR)),
    "checkpoint_create": (None, (c_void_p, c_char_p, c_uint64, _ERROR)),
    "checkpoint_object_destroy": (None, (c_void_p,)),
    "free": (None, (c_void_p,)),
}


class Library:
    """A RocksDB shared library; its functions are attributes, named without ``rocksdb_``.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        When it cannot be loaded, or lacks one of the functions.
    """

    def __init__(self, path: Path) -> None:
        try:
            loaded = CDLL(str(path))
        except OSError as error:
            raise InputError(f"librocksdb = {path}: cannot be loaded ({error})") from None
        missing = [
            f"rocksdb_{name}" for name in _FUNCTIONS if not hasattr(loaded, f"rocksdb_{name}")
        ]
        if missing:
            raise InputError(
                f"librocksdb = {path}: has no {', '.join(missing)}; "
                "name a RocksDB library built with its C API"
            )
        self._functions: dict[str, Any] = {}
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(loaded, f"rocksdb_{name}")
            function.restype, function.argtypes = result, list(arguments)
            self._functions[name] = function

    def __getattr__(self, name: str) -> Callable[..., Any]:
        try:
            function: Callable[..., Any] = self._functions[name]
        except KeyError:
            raise AttributeError(name) from None
        return function

    def checked(self, name: str, *arguments: Any) -> Any:
        """Call a function whose last argument is an error pointer.

        Raises
        ------
        EngineError
            With RocksDB's own message.
        """
        error = c_void_p()
        result = self._functions[name](*arguments, byref(error))
        if error.value is not None:
            raise EngineError(self.text(error.value))
        return result

    def text(self, address: int | None) -> str | None:
        """Return a C string that RocksDB allocated, and free it; None for a null pointer."""
        if not address:
            return None
        text = string_at(address).decode(errors="replace")
        self.free(address)
        return text
