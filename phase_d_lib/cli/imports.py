"""Finished measurements of other tools, by ``phase-d import``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phase_d_lib.cli.console import tell
from phase_d_lib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from phase_d_lib.importers.base import CaseFragment, Imported
    from phase_d_lib.redaction import Redactor

_LONGEST_LIST = 12


def import_files(
    kind: Annotated[
        str,
        typer.Argument(
            help="db_bench, db_bench-csv, fio, report-tsv, options, prometheus, or yours."
        ),
    ],
    files: Annotated[list[Path], typer.Argument(help="What the tool wrote.")],
    json: Annotated[bool, typer.Option(help="One JSON object.")] = False,
    case: Annotated[
        Path | None, typer.Option(help="New file for a case fragment (db_bench, options).")
    ] = None,
    grid: Annotated[
        Path | None, typer.Option(help="New CSV file for the device grid (fio).")
    ] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="Replace names, paths and ids by tokens.")
    ] = False,
) -> None:
    """Import another tool's finished measurement and check it; needs no checkout."""
    import orjson

    from phase_d_lib.redaction import Redactor

    redactor = Redactor()
    redactor.know("path", [str(path) for path in (*files, case, grid) if path is not None])
    with redactor.errors() if redact else nullcontext():
        imported = _imported(kind, files, redactor if redact else None)
        if case is not None:
            _write_case(case, imported.case, kind)
        if grid is not None:
            _write_grid(grid, imported.grid, kind)
    if json:
        typer.echo(orjson.dumps(_record(imported), default=str).decode())
    else:
        typer.echo(_table(imported))


def _imported(kind: str, files: list[Path], redactor: Redactor | None) -> Imported:
    from phase_d_lib.importers.pseudonyms import redacted
    from phase_d_lib.importers.registry import find_importer

    imported = find_importer(kind)(files)
    return imported if redactor is None else redacted(imported, files, redactor)


def _record(imported: Imported) -> dict[str, object]:
    checks = [
        {
            "name": check.name,
            "ok": check.ok,
            "left": check.left,
            "right": check.right,
            "tolerance": check.tolerance,
            "message": check.message,
        }
        for check in imported.checks
    ]
    return {**imported.values, "checks": checks, "notes": list(imported.notes)}


def _table(imported: Imported) -> str:
    """Return what a reader sees: values, then checks, then what was left out."""
    plain = {name: value for name, value in imported.values.items() if not _is_rows(value)}
    width = max(map(len, plain), default=0)
    lines = [f"{name:{width}}  {_shown(value)}" for name, value in plain.items()]
    for name, value in imported.values.items():
        if _is_rows(value):
            lines += ["", f"{name}:", *_rows(value)]
    if imported.checks:
        lines += ["", "checks:"]
    lines += [
        f"  {'ok    ' if check.ok else 'NOT OK'}  {check.message}" for check in imported.checks
    ]
    if imported.notes:
        lines += ["", *(f"note: {note}" for note in imported.notes)]
    return "\n".join(map(_printable, lines))


def _rows(rows: Any) -> list[str]:
    """Return records as an aligned table, columns without any value left out."""
    columns = [name for name in rows[0] if any(row.get(name) is not None for row in rows)]
    cells = [columns, *([_shown(row.get(name)) for name in columns] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    return [
        "  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _shown(value: object) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list):
        more = f", ... ({len(value)} in all)" if len(value) > _LONGEST_LIST else ""
        return ", ".join(map(_shown, value[:_LONGEST_LIST])) + more
    if isinstance(value, dict):
        return ", ".join(f"{name}={part}" for name, part in value.items()) or "-"
    return str(value)


def _printable(line: str) -> str:
    """Return a line without control characters, which a file could send to the terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in line)


def _write_case(path: Path, fragment: CaseFragment | None, kind: str) -> None:
    import orjson

    if fragment is None:
        raise InputError(f"--case {path}: this {kind} input says too little for a case file")
    _write_new(path, orjson.dumps(dict(fragment.values), option=orjson.OPT_INDENT_2) + b"\n")
    for note in fragment.notes:
        tell(f"case: {_printable(note)}")
    missing = _still_missing(fragment.values)
    if missing:
        tell(f"case: not complete yet: {missing}")


def _still_missing(values: Mapping[str, object]) -> str:
    """Return why the fragment alone is no case file; empty if it is one."""
    from phase_d_lib.casefile import CaseInputs
    from phase_d_lib.specs import parse

    try:
        parse(CaseInputs, dict(values), "case")
    except InputError as error:
        return " ".join(str(error).split())
    return ""


def _write_grid(path: Path, rows: pd.DataFrame | None, kind: str) -> None:
    if rows is None:
        raise InputError(f"--grid {path}: only fio gives a device grid, not {kind}")
    text = rows.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    _write_new(path, text.encode())


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that does not exist yet.

    Raises
    ------
    InputError
        If it exists, or cannot be written.
    """
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise InputError(f"{path}: exists already; give a new name") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be written ({reason})") from None
