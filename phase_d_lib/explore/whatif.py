"""Ask v3 about a changed configuration, first what it can say at once, then the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from phase_d_lib.errors import InputError, ModelRefusal
from phase_d_lib.explore.desk import Desk
from phase_d_lib.models.base import Case, Prediction
from phase_d_lib.models.v3 import V3
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.specs import RunSpec

MODEL = V3.name


class RateOnly(V3):
    """v3 without its two long searches, so that a moved control is answered in a fraction of a s.

    Parameters
    ----------
    fitted : V3
        Whose residuals, passport and ratio are used.
    """

    def __init__(self, fitted: V3) -> None:
        super().__init__()
        self.__dict__.update(vars(fitted))

    def sustained_ops_per_s(self, case: Case) -> float | None:
        """Leave S_max out."""
        return None

    def states_ops_per_s(self, case: Case) -> tuple[float, ...]:
        """Leave the steady states out."""
        return ()


@dataclass(frozen=True)
class Answer:
    """What is known so far of one configuration.

    Attributes
    ----------
    changes : dict
        What differs from the scenario.
    prediction : Prediction or None
        None where the configuration is impossible.
    complete : bool
        Whether S_max and the steady states have been looked for.
    problem : str
        Why there is no rate, one line; empty where there is one.
    """

    changes: OptionChanges
    prediction: Prediction | None
    complete: bool
    problem: str = ""


class WhatIf:
    """Answers for changes of one scenario, over the window of the profile's monitoring run."""

    def __init__(self, desk: Desk) -> None:
        model = desk.fleet.models[MODEL]
        if not isinstance(model, V3):
            raise InputError(
                f"model {MODEL} is {type(model).__name__}; the what-if needs v3 itself"
            )
        self.desk, self._model, self._quick = desk, model, RateOnly(model)
        self._known: dict[str, Answer] = {}

    def spec(self, changes: OptionChanges) -> RunSpec:
        """Return the run that would measure the changed scenario.

        Raises
        ------
        InputError
            When a change leaves its range or contradicts another.
        """
        plan = self.desk.profile.monitoring
        window = {"duration_s": plan.duration_s, "warmup_s": plan.warmup_s}
        return self.desk.profile.scenario.spec(changes, **window)

    def ask(self, changes: OptionChanges) -> Iterator[Answer]:
        """Yield a first answer without S_max, then the whole one; a known one comes at once."""
        try:
            spec = self.spec(changes)
        except InputError as error:
            yield Answer(changes, None, True, str(error))
            return
        key = spec.configuration_id()
        if key not in self._known:
            try:
                case = self.desk.fleet.case_of(spec)
                yield Answer(changes, self._stamped(self._quick.predict(case)), False)
                self._known[key] = Answer(changes, self._stamped(self._model.predict(case)), True)
            except ModelRefusal as refusal:
                refused = Prediction(model=MODEL, refused=str(refusal))
                self._known[key] = Answer(changes, refused, True, str(refusal))
        yield self._known[key]

    def final(self, changes: OptionChanges) -> Answer:
        """Return the whole answer."""
        *_, last = self.ask(changes)
        return last

    def _stamped(self, prediction: Prediction) -> Prediction:
        return prediction.model_copy(update={"calibration_hash": self.desk.fleet.calibration.hash})
