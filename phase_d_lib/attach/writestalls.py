"""Write stalls as they come: what holds now, since when, and how long by cause so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

from phase_d_lib.logfile.tables import CAUSES


@dataclass(frozen=True)
class Stall:
    """A state of the write controller other than at ease.

    Attributes
    ----------
    kind : str
        'delay' or 'stop'.
    cause : str
        One of `phase_d_lib.logfile.tables.CAUSES`.
    column_family : str
        Empty where the LOG does not name it.
    since_s : float
        Epoch seconds of the first decision in a row that was this kind and cause.
    """

    kind: str
    cause: str
    column_family: str
    since_s: float


class WriteStalls:
    """Takes decisions of the write controller one by one, as they are read.

    A line RocksDB writes late may tell of a decision older than one already taken: it is passed
    over, so that what holds now is right and the seconds are off by such moments only.
    `phase_d_lib.logfile.stall_seconds_by_cause` orders them all, but needs the whole LOG.

    Attributes
    ----------
    seconds : dict of (cause, kind) to float
        Of several column families that stall at once the worst counts: a stop before a delay,
        then the order in which RocksDB asks.
    """

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, str], float] = {}
        self._stalls: dict[str, Stall] = {}
        self._decided_s: dict[str, float] = {}
        self._decided_last_s = -math.inf

    def decided(self, time_s: float, family: str | None, kind: str, cause: str) -> None:
        """Take a decision: of a column family, or of all of them when `family` is None.

        Parameters
        ----------
        time_s : float
            Epoch seconds.
        kind : str
            'normal', 'delay' or 'stop'.
        cause : str
            Ignored when 'normal'.
        """
        if not isinstance(family, str):
            for name in [name for name in self._stalls if not self._is_late(name, time_s)]:
                self._set(time_s, name, None)
            return
        if self._is_late(family, time_s):
            return
        known = self._stalls.get(family)
        same = known is not None and (known.kind, known.cause) == (kind, cause)
        stall = known if same else Stall(kind, cause, family, time_s)
        self._set(time_s, family, None if kind == "normal" else stall)

    def seconds_until(self, time_s: float) -> dict[tuple[str, str], float]:
        """Return `seconds` if what holds goes on to a time, epoch seconds."""
        seconds, worst = dict(self.seconds), self.now
        if worst is not None and time_s > self._decided_last_s:
            key = worst.cause, worst.kind
            seconds[key] = seconds.get(key, 0.0) + time_s - self._decided_last_s
        return seconds

    @property
    def now(self) -> Stall | None:
        """What holds: the worst of the column families; None when all are at ease."""
        return min(self._stalls.values(), key=_rank, default=None)

    def of(self, family: str) -> Stall | None:
        """What holds for one column family."""
        return self._stalls.get(family)

    def end(self, time_s: float) -> None:
        """Note that the program ended: nothing holds any more since a time, epoch seconds."""
        self._let_pass(time_s)
        self._stalls.clear()

    def _is_late(self, family: str, time_s: float) -> bool:
        return time_s < self._decided_s.get(family, -math.inf)

    def _set(self, time_s: float, family: str, stall: Stall | None) -> None:
        self._let_pass(time_s)
        self._decided_s[family] = time_s
        if stall is None:
            self._stalls.pop(family, None)
        else:
            self._stalls[family] = stall

    def _let_pass(self, time_s: float) -> None:
        self.seconds = self.seconds_until(time_s)
        self._decided_last_s = max(self._decided_last_s, time_s)


def _rank(stall: Stall) -> tuple[bool, int]:
    return stall.kind != "stop", CAUSES.index(stall.cause)
