"""Where a verb speaks: results on standard output, everything else beside it."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Say a line on standard output at once."""
    print(line, flush=True)


def tell(line: str) -> None:
    """Say something that is no result, so that standard output stays data."""
    print(line, file=sys.stderr, flush=True)
