"""Engines by name: the built-in ones and those other packages register."""

from __future__ import annotations

from importlib.metadata import entry_points
from inspect import signature

from phase_d_lib.engines.protocol import Engine
from phase_d_lib.errors import InputError

ENTRY_POINTS = "phase_d.engines"
DEFAULT_ENGINE = "embedded"


def find_engine(name: str) -> Engine:
    """Return the engine registered under `name`.

    Parameters
    ----------
    name : str
        A registered name; with ``=PATH`` behind it for an engine that takes a library or a program,
        as in ``librocksdb=/usr/lib/librocksdb.so``.

    Raises
    ------
    InputError
        With the names that exist; when the engine takes no path, or finds nothing to run.
    """
    registered, _, path = name.partition("=")
    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if registered not in found:
        known = sorted(found, key=lambda each: (each != DEFAULT_ENGINE, each))
        raise InputError(f"engine = {name!r} is unknown; installed: {', '.join(known)}")
    kind = found[registered].load()
    if path and not signature(kind).parameters:
        raise InputError(f"engine = {name!r}: {registered} takes no path")
    engine: Engine = kind(path) if path else kind()
    return engine
