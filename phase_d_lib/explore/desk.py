"""What a visitor starts from: a profile's scenario, fitted models, and one recorded run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from phase_d_lib.deployment import Fleet
from phase_d_lib.laboratory import Laboratory
from phase_d_lib.monitor import monitoring_spec
from phase_d_lib.profiles import Profile, load_profile
from phase_d_lib.runs import Run
from phase_d_lib.stages import RECORDED_PROFILE, begin
from phase_d_lib.workspace import Workspace


@dataclass(frozen=True)
class Desk:
    """Everything the explore notebooks share.

    Attributes
    ----------
    workspace : Workspace
    profile : Profile
        Names the scenario that is looked at and the length of a live run.
    fleet : Fleet
        Models fitted on `source`.
    source : str
        Where the calibration was read from, in Korean.
    """

    workspace: Workspace
    profile: Profile
    fleet: Fleet
    source: str

    @cached_property
    def example(self) -> Run:
        """The recorded monitoring run."""
        recorded = load_profile(self.workspace.profiles, RECORDED_PROFILE)
        laboratory = Laboratory(self.workspace, recorded=True, announce=lambda line: None)
        spec = monitoring_spec(recorded.scenario, recorded.monitoring, recorded.seed or 0)
        return laboratory.run(spec)


def open_desk(profile: str = "quick") -> Desk:
    """Fit the models on the latest report's calibration, else on the recorded one; no run starts.

    Parameters
    ----------
    profile : str
        Name of a file in ``data/profiles``.

    Raises
    ------
    InputError
        For an unknown profile, or one whose scenario no calibration at hand belongs to.
    """
    stage = begin("monitoring", profile=profile)
    fleet = stage.fleet()
    return Desk(stage.workspace, stage.profile, fleet, stage.sources["integration"])
