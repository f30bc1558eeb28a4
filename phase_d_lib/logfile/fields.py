"""The JSON object of an event and its fields, by type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from phase_d_lib.logfile.lines import decoded
from phase_d_lib.units import US_PER_S

_INT64 = 1 << 63


def event_of(payload: bytes) -> dict[str, Any]:
    """Return the JSON object that begins with the brace of an event; no UTF-8 is replaced.

    Raises
    ------
    ValueError
        If it is not whole.
    """
    event: dict[str, Any]
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        event = orjson.loads(decoded(payload))
    return event


def integer(event: Mapping[str, Any], key: str) -> int:
    """Return a required 64-bit integer of an event."""
    value = event[key]
    if type(value) is int and -_INT64 <= value < _INT64:
        return value
    raise ValueError(f"{key} is no integer")


def optional(event: Mapping[str, Any], key: str) -> int | None:
    """Return a 64-bit integer of an event, or None."""
    value = event.get(key)
    return value if type(value) is int and -_INT64 <= value < _INT64 else None


def seconds(event: Mapping[str, Any], key: str) -> float | None:
    """Return a field in microseconds as seconds, or None."""
    micros = optional(event, key)
    return None if micros is None else micros / US_PER_S


def real(event: Mapping[str, Any], key: str) -> float | None:
    """Return a number of an event, or None."""
    value = event.get(key)
    return float(value) if isinstance(value, float) or type(value) is int else None


def text(event: Mapping[str, Any], key: str) -> str | None:
    """Return a string of an event, or None."""
    value = event.get(key)
    return value if isinstance(value, str) else None


def files_per_level(event: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the number of files per level after a job; empty when absent or damaged."""
    state = event.get("lsm_state")
    return tuple(state) if isinstance(state, list) and {*map(type, state)} == {int} else ()
