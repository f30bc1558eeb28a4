"""Regimes: what may hold a writer back, as models, cases and scores are grouped."""

from __future__ import annotations

from typing import Literal

Regime = Literal["limiter", "controller", "slots", "cpu", "device"]
REGIMES: tuple[Regime, ...] = ("limiter", "controller", "slots", "cpu", "device")

_OF_BINDING: dict[str, Regime] = {
    "limiter": "limiter",
    "controller": "controller",
    "compaction_slots": "slots",
    "foreground": "cpu",
    "cpu": "cpu",
    "device": "device",
    "device_write": "device",
    "device_read": "device",
    "mixed_device": "device",
}


def regime_of(binding: str | None) -> Regime | None:
    """Regime of the name a model gives its binding resource; None for none or an unknown one."""
    return None if binding is None else _OF_BINDING.get(binding)
