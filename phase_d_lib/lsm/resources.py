"""How flushes and compactions share the rate limiter and the speed of their own threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FLUSH_SHARE_STALLED = 0.65
"""Limiter share of flushes beside compactions while writes are stalled (measured, MODELS.md).

Flush requests go first, but a flush waits for its own writes between two refills, so it does not
take all.
"""
FLUSH_SHARE_FREE = 0.9
"""The same while writes are not stalled."""


@dataclass(frozen=True, slots=True)
class Resources:
    """Write bandwidth of background jobs.

    Attributes
    ----------
    limiter_bytes_per_s : float
        Cap on flush and compaction writes together; infinite without a limiter.
    slot_bytes_per_s : float
        Cap of one background thread (CPU, device); infinite if only the limiter binds.
    refill_s : float
        Period of the limiter's refills; 0 shares its bandwidth evenly over time instead.
    """

    limiter_bytes_per_s: float
    slot_bytes_per_s: float
    refill_s: float = 0.0

    def share(
        self, flushes: int, compaction_threads: Sequence[int], stalled: bool
    ) -> tuple[float, list[float]]:
        """Split the bandwidth among running jobs.

        Parameters
        ----------
        flushes : int
            Running flushes, one thread each.
        compaction_threads : sequence of int
            Threads of each running compaction.
        stalled : bool

        Returns
        -------
        flush_bytes_per_s : float
            Speed of each flush.
        compaction_bytes_per_s : list of float
            Speed of each compaction, in the order given; what one cannot use goes to the others.
        """
        limiter, slot = self.limiter_bytes_per_s, self.slot_bytes_per_s
        wanted = slot * sum(compaction_threads) if compaction_threads else 0.0
        flush = 0.0
        if flushes:
            first = limiter * (FLUSH_SHARE_STALLED if stalled else FLUSH_SHARE_FREE)
            first = max(first, limiter - wanted) if compaction_threads else limiter
            flush = min(flushes * slot, first)
        if len(compaction_threads) == 1:
            return flush / max(1, flushes), [min(wanted, limiter - flush)]
        caps = [slot * threads for threads in compaction_threads]
        return flush / max(1, flushes), _fill(caps, limiter - flush)


def _fill(caps: Sequence[float], total: float) -> list[float]:
    """Share `total` equally, no share above its cap."""
    shares = [0.0] * len(caps)
    left = len(caps)
    for i in sorted(range(len(caps)), key=caps.__getitem__):
        shares[i] = min(caps[i], total / left)
        total -= shares[i]
        left -= 1
    return shares
