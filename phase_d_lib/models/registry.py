"""Which models there are: those installed under the entry-point group ``phase_d.models``."""

from __future__ import annotations

from importlib.metadata import entry_points

from phase_d_lib.models.base import PutRateModel

ENTRY_POINTS = "phase_d.models"
OWN_MODELS = ("v1", "v2_1", "v3", "v4", "v5")
"""The project's own, in the report's order."""


def load_models() -> dict[str, PutRateModel]:
    """Return a new instance of every registered model by name, the project's own first."""
    found = {point.name: point.load()() for point in entry_points(group=ENTRY_POINTS)}
    order = [name for name in OWN_MODELS if name in found]
    return {name: found[name] for name in [*order, *sorted(set(found) - set(order))]}
