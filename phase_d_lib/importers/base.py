"""What every importer shares: a capped read, the result it returns, and the checks in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from phase_d_lib.errors import InputError
from phase_d_lib.units import MIB

LARGEST_FILE_BYTES = 64 * MIB
"""More than any finished measurement; a LOG or a trace is no input of an importer."""


@dataclass(frozen=True)
class Check:
    """Two numbers of one input that have to agree, and whether they do.

    Attributes
    ----------
    name : str
        For example 'ledger_closure'.
    ok : bool
    left, right : float
        What is compared, in the unit the message names.
    tolerance : float
        Largest difference that is still agreement, as a share of the larger number; of two
        shares, as a share itself; for a bound, how far beyond it as a share of it.
    message : str
        One sentence with both numbers.
    """

    name: str
    ok: bool
    left: float
    right: float
    tolerance: float
    message: str


@dataclass(frozen=True)
class CaseFragment:
    """Part of a case file for ``phase-d predict``, and sentences on what it lacks."""

    values: Mapping[str, object]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """One imported measurement.

    Attributes
    ----------
    values : mapping of str to object
        What is printed, in this order; units in the names, None where the input does not say.
    checks : tuple of Check
        An inconsistency is told here and never repaired in `values`.
    notes : tuple of str
        One sentence each: what was left out and why.
    grid : DataFrame or None
        Device points with the columns `GRID_COLUMNS`.
    case : CaseFragment or None
    names : mapping of str to str
        Fields of `values`, at any depth, that hold names which tell whose measurement it is, and
        of what kind they are ('cf', 'job', ...): ``--redact`` replaces them whole.
    """

    values: Mapping[str, object]
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    grid: pd.DataFrame | None = None
    case: CaseFragment | None = None
    names: Mapping[str, str] = field(default_factory=dict)


Importer = Callable[[Sequence[Path]], Imported]
"""What an entry point names: it takes the files the user gave and raises InputError."""


def read_capped(path: Path) -> str:
    """Return the text of a file; bytes that are no UTF-8 come back as replacement characters.

    Raises
    ------
    InputError
        If it cannot be read or is larger than `LARGEST_FILE_BYTES`.
    """
    # fio and db_bench end a progress line with a carriage return alone.
    content = read_capped_bytes(path).decode("utf-8", "replace")
    return content.replace("\r\n", "\n").replace("\r", "\n")


def read_capped_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises
    ------
    InputError
        If it cannot be read or is larger than `LARGEST_FILE_BYTES`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path no file can have
        raise InputError(f"{path}: cannot be read ({one_line(error)})") from None
    if len(content) > LARGEST_FILE_BYTES:
        limit = LARGEST_FILE_BYTES // MIB
        raise InputError(f"{path}: larger than {limit} MiB; no importer takes so much")
    return content


def one_file(kind: str, paths: Sequence[Path]) -> Path:
    """Return the only path given, or refuse."""
    if len(paths) != 1:
        raise InputError(f"{kind} takes one file, not {len(paths)}; import them one by one")
    return paths[0]


def one_line(error: Exception) -> str:
    """Return an error's reason without line breaks."""
    return str(getattr(error, "strerror", None) or error).strip().replace("\n", " ")


def ratio(part: float | None, whole: float | None) -> float | None:
    """Return part / whole; None where either is unknown or the whole is not positive."""
    if part is None or whole is None or whole <= 0:
        return None
    result = part / whole
    return result if math.isfinite(result) else None


def agree(name: str, left: float, right: float, tolerance: float, what: str) -> Check:
    """Check that two numbers differ by at most a share of the larger one."""
    ok = abs(left - right) <= tolerance * max(abs(left), abs(right))
    return Check(name, ok, left, right, tolerance, _told(ok, left, right, what))


def at_most(name: str, left: float, right: float, tolerance: float, what: str) -> Check:
    """Check that the left number is no more than the right one, give or take a share of it."""
    ok = left <= right + tolerance * abs(right)
    return Check(name, ok, left, right, tolerance, _told(ok, left, right, what))


def near(name: str, left: float, right: float, tolerance: float, what: str) -> Check:
    """Check that two shares differ by at most `tolerance`, which is absolute here."""
    ok = abs(left - right) <= tolerance
    return Check(name, ok, left, right, tolerance, _told(ok, left, right, what))


def _told(ok: bool, left: float, right: float, what: str) -> str:
    return f"{what}: {left:.6g} and {right:.6g}{'' if ok else ' do not agree'}"
