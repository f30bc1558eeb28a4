"""An imported measurement without the names that tell whose it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from phase_d_lib.importers.base import CaseFragment, Imported
from phase_d_lib.redaction import Redactor


def redacted(imported: Imported, paths: Sequence[Path], redactor: Redactor) -> Imported:
    """Return a measurement without the names in it; every number is as it was.

    Parameters
    ----------
    imported : Imported
    paths : sequence of Path
        The files it was read from.
    redactor : Redactor
    """
    redactor.know("path", map(str, paths))
    redactor.learn(imported.values)
    values = _redacted(imported.values, imported.names, redactor)
    if "source" in values:
        values["source"] = ", ".join(redactor.name("path", str(path)) for path in paths)
    for name, kind in imported.names.items():  # only now: a name may be a word of the values
        redactor.know(kind, _texts_of(imported.values, name))
    case = imported.case
    return replace(
        imported,
        values=values,
        checks=tuple(replace(c, message=redactor.text(c.message)) for c in imported.checks),
        notes=tuple(map(redactor.text, imported.notes)),
        case=case
        and CaseFragment(redactor.record(case.values), tuple(map(redactor.text, case.notes))),
    )


def _redacted(
    values: Mapping[str, Any], names: Mapping[str, str], redactor: Redactor
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in names:
            tokens = [redactor.name(names[name], text) for text in _listed(value)]
            found[name] = tokens[0] if isinstance(value, str) else tokens if tokens else value
        elif name == "kind":  # what the user asked for, whatever a file is called
            found[name] = value
        elif isinstance(value, list):
            found[name] = [
                _redacted(part, names, redactor)
                if isinstance(part, Mapping)
                else redactor.record(part)
                for part in value
            ]
        else:
            found[name] = redactor.record(value)
    return found


def _texts_of(values: Mapping[str, Any], name: str) -> list[str]:
    """Return the names in a field of that name, at any depth."""
    found = _listed(values.get(name))
    for value in values.values():
        for part in value if isinstance(value, list) else ():
            found += _texts_of(part, name) if isinstance(part, Mapping) else []
    return found


def _listed(value: Any) -> list[str]:
    parts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [part for part in parts if isinstance(part, str)]
