"""Which importers there are: those installed under the entry-point group `ENTRY_POINTS`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import cast

from phase_d_lib.errors import InputError
from phase_d_lib.importers.base import Importer

ENTRY_POINTS = "phase_d.importers"


def known_kinds() -> list[str]:
    """Return the name of every registered importer, sorted."""
    return sorted(_points())


def find_importer(kind: str) -> Importer:
    """Return the importer of a kind of measurement.

    Raises
    ------
    InputError
        If there is none of that name, or its package cannot be loaded.
    """
    points = _points()
    if kind not in points:
        raise InputError(f"unknown kind {kind!r}; known: {', '.join(sorted(points)) or 'none'}")
    try:
        return cast(Importer, points[kind].load())
    except (ImportError, AttributeError) as error:
        raise InputError(f"importer '{kind}' cannot be loaded ({error})") from None


def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
