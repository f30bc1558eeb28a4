"""Tuning scenarios: what is tuned, and within which guards; one YAML file each."""

from __future__ import annotations

from pathlib import Path

from phase_d_lib.guards import Guards
from phase_d_lib.profiles import Scenario, read_yaml
from phase_d_lib.specs import Frozen, parse

DEFAULT_SCENARIO = "equal-budget"


class TuningScenario(Frozen):
    """One thing to tune."""

    name: str
    description_ko: str
    scenario: Scenario
    """Its options are the default that every gain is measured against."""
    guards: Guards


def load_scenario(folder: Path, name: str) -> TuningScenario:
    """Load ``NAME.yaml``; ``extends: NAME`` takes every section it does not set from another.

    Raises
    ------
    InputError
        For an unknown scenario, bad YAML, a wrong key, type or range.
    """
    return parse(
        TuningScenario, {"name": name, **read_yaml(folder, name, "scenario")}, f"{name}.yaml"
    )


def scenario_names(folder: Path) -> list[str]:
    """Names of the scenarios there are."""
    return sorted(file.stem for file in folder.glob("*.yaml"))
