"""Units; names carry theirs everywhere."""

from __future__ import annotations

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
US_PER_S = 1_000_000
