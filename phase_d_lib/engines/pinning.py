"""Whether an open database holds the options it was asked for."""

from __future__ import annotations

from pathlib import Path

from phase_d_lib.errors import EngineError
from phase_d_lib.optionsfile import differences, parse_options
from phase_d_lib.specs import OptionsSpec


def refuse_other_values(database: Path, spec: OptionsSpec) -> None:
    """Hold the OPTIONS file that an open database wrote against the spec.

    Raises
    ------
    EngineError
        Naming every pinned option that did not take effect.
    """
    newest = max(database.glob("OPTIONS-*"), key=lambda file: int(file.name.partition("-")[2]))
    found = differences(spec, parse_options(newest.read_text()))
    if found:
        said = "; ".join(f"{name} = {asked}, not {got}" for name, (asked, got) in found.items())
        raise EngineError(f"this RocksDB opened with another value than pinned: {said}")
