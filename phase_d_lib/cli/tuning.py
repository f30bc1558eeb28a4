"""Verbs about tuning."""

from __future__ import annotations

from typing import Annotated

import typer

from phase_d_lib.cli.console import say, tell
from phase_d_lib.workspace import find_workspace


def landscape(
    scenario: Annotated[
        str, typer.Option(help="Name of a file in data/scenarios.")
    ] = "equal-budget",
    sitting_s: Annotated[
        float, typer.Option(min=0, help="Seconds to measure now; run it again to go on.")
    ] = 3600.0,
) -> None:
    """Measure a scenario at many configurations, as a table that tuners are compared on."""
    from phase_d_lib.laboratory import Laboratory
    from phase_d_lib.tuning import landscape as landscapes
    from phase_d_lib.tuning.scenarios import load_scenario

    workspace = find_workspace()
    asked = load_scenario(workspace.scenarios, scenario)
    workspace.landscapes.mkdir(parents=True, exist_ok=True)
    file = workspace.landscapes / f"{asked.name}.jsonl"
    laboratory = Laboratory(workspace, announce=tell)
    plan = landscapes.LandscapePlan()
    found = landscapes.measure_landscape(laboratory, asked, file, plan, sitting_s)
    total = len(found.rows) + len(found.missing)
    say(f"written: {file}, {len(found.rows)} of {total} runs")
