"""90 % intervals of a predicted rate, from how far a model was off before.

Split-conformal on the log scale: Vovk, Gammerman and Shafer (2005), Algorithmic Learning in a
Random World. Where a calibration is too small, a pool of residuals recorded with this library is
used instead, and the prediction says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

import numpy as np

from phase_d_lib.models.regimes import regime_of
from phase_d_lib.specs import Frozen

IntervalSource = Literal["conformal", "residual_pool", "none"]
MIN_CONFORMAL_RESIDUALS = 9
"""With fewer, a 90 % interval would need a residual beyond the largest seen."""
POOL_FILE = "residual_pool.json"


class Residual(Frozen):
    """How far one prediction was off."""

    log_ratio: float
    """log(measured / predicted)."""
    binding: str | None = None
    """Resource that was predicted to bind."""
    source: str | None = None
    """Where the amplification came from."""


class PooledResidual(Residual):
    """A recorded residual with its model and case."""

    model: str
    version: str
    """Of the model; residuals of another version say nothing of this one."""
    case: str


class ResidualPool(Frozen):
    """Residuals recorded on one machine, kept with the library."""

    recorded_at: str
    rocksdb_version: str | None
    cpu_model: str
    seed: int
    residuals: tuple[PooledResidual, ...]


def conformal_interval(
    rate: float | None, residuals: Sequence[Residual], binding: str | None
) -> tuple[float, float] | None:
    """90 % split-conformal interval around a predicted rate; None below nine residuals.

    The k-th smallest |residual| with k = ceil(0.9 (n + 1)) is the half width on the log scale.
    Only residuals of cases of the same regime count (Mondrian conformal prediction): a
    rate held back by a limiter is predicted far better than one held back by a CPU.
    """
    chosen = [r for r in residuals if regime_of(r.binding) == regime_of(binding)]
    if rate is None or len(chosen) < MIN_CONFORMAL_RESIDUALS:
        return None
    rank = int(np.ceil(0.9 * (len(chosen) + 1)))
    width = sorted(abs(r.log_ratio) for r in chosen)[rank - 1]
    return rate * float(np.exp(-width)), rate * float(np.exp(width))


@cache
def residual_pool() -> ResidualPool | None:
    """Return the recorded pool, or None where the library carries none."""
    file = files("phase_d_lib.models").joinpath(POOL_FILE)
    return ResidualPool.model_validate_json(file.read_bytes()) if file.is_file() else None


def pooled_residuals(model: str, version: str, source: str | None) -> tuple[Residual, ...]:
    """Return the recorded residuals of one version of a model and one source of amplification."""
    pool = residual_pool()
    wanted = (model, version, source)
    rows = pool.residuals if pool else ()
    return tuple(row for row in rows if (row.model, row.version, row.source) == wanted)
