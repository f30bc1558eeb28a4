"""Held-out cases, predicted in writing before they are measured, and how far each model was off."""

from phase_d_lib.validation.held_out import ValidationResult, validate
from phase_d_lib.validation.scores import CaseScore, ModelScore

__all__ = ["CaseScore", "ModelScore", "ValidationResult", "validate"]
