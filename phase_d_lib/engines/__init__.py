"""Engines by name: the built-in ones and those other packages register."""

from __future__ import annotations

from importlib.metadata import entry_points

from phase_d_lib.engines.protocol import Engine
from phase_d_lib.errors import InputError

ENTRY_POINTS = "phase_d.engines"


def find_engine(name: str) -> Engine:
    """Return the engine registered under `name`.

    Raises
    ------
    InputError
        With the names that exist.
    """
    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in found:
        raise InputError(f"engine = {name!r} is unknown; installed: {', '.join(sorted(found))}")
    engine: Engine = found[name].load()()
    return engine
