"""The exceptions a user can meet, each one line long: what, value, allowed, what to do."""

from __future__ import annotations


class PhaseDError(Exception):
    """Base of every error this package raises on purpose.

    Attributes
    ----------
    exit_code : int
        What the command line returns for it.
    """

    exit_code = 1


class InputError(PhaseDError):
    """Something the user gave is wrong: a key, a type, a range, a path."""

    exit_code = 2


class NotOursError(InputError):
    """A path holds a database or directory this project did not create; it was left untouched."""


class EngineError(PhaseDError):
    """The engine process failed or ended before its run did; what it sampled is kept."""


class SlotBusyError(PhaseDError):
    """Another measuring run holds this machine's benchmark slot."""


class StageError(PhaseDError):
    """A stage notebook failed; the message names notebook, cell and error."""


class ModelRefusal(PhaseDError):  # noqa: N818 - a refusal is an answer, not a fault
    """A model lacks an input or does not cover the case.

    Parameters
    ----------
    field : str
        Name of the missing or unsupported input.
    reason : str
        Why the model cannot answer, in one sentence.
    """

    exit_code = 3

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
