"""Binary units and the few conversions the library needs; names carry their units everywhere."""

from __future__ import annotations

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
US_PER_S = 1_000_000
NS_PER_S = 1_000_000_000


def mib_per_s(bytes_per_s: float) -> float:
    """Return a rate in MiB/s from a rate in bytes/s."""
    return bytes_per_s / MIB
