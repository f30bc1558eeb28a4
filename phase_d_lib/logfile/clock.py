"""The LOG's local time of day as epoch seconds."""

from __future__ import annotations

import calendar
import re
from bisect import bisect_right
from collections.abc import Callable
from statistics import median

from phase_d_lib.units import US_PER_S

_MINUTE = re.compile(rb"(\d{4}/\d\d/\d\d)-(\d\d):(\d\d)")
_MINUTES = 100_000
_SURE = 5  # events of an hour, so that one damaged date cannot move their median


class Clock:
    """Turns the LOG's local time of day into epoch seconds."""

    def __init__(self) -> None:
        self._minutes: dict[bytes, int] = {}
        self._offsets_s: dict[bytes, list[int]] = {}
        self.learned: set[bytes] = set()
        """Hours, as in ``2023/06/18-14``, with enough events for a sure offset."""

    def local_s(self, stamp: bytes) -> float:
        """Return seconds of ``2023/06/18-14:55:55.079783`` read as if it were UTC.

        Raises
        ------
        ValueError
            If it is no such date.
        """
        minute = self._minutes.get(stamp[:16])
        if minute is None:
            minute = self._minute_s(stamp[:16])
        if len(stamp) != 26 or stamp[16:20:3] != b":.":
            raise ValueError("no date and time")
        return minute + int(stamp[17:19]) + int(stamp[20:]) / US_PER_S

    def _minute_s(self, minute: bytes) -> int:
        parts = _MINUTE.fullmatch(minute)
        if parts is None:
            raise ValueError("no date and time")
        year, month, day = (int(part) for part in parts.group(1).split(b"/"))
        begin_s = calendar.timegm((year, month, day, int(parts.group(2)), int(parts.group(3)), 0))
        if len(self._minutes) >= _MINUTES:
            self._minutes.clear()
        self._minutes[minute] = begin_s
        return begin_s

    def learn(self, stamp: bytes, epoch_s: float) -> None:
        """Note how far a line's local time is from the epoch time of its event."""
        try:
            quarters = round((self.local_s(stamp) - epoch_s) / 900)  # a line may be seconds late
        except ValueError:
            return
        if abs(quarters) <= 14 * 4:
            seen = self._offsets_s.setdefault(stamp[:13], [])
            seen.append(quarters * 900)
            if len(seen) == _SURE:
                self.learned.add(stamp[:13])

    @property
    def knows(self) -> bool:
        """Whether any event told how far local time is from UTC."""
        return bool(self._offsets_s)

    def epoch_of(self) -> Callable[[float], float]:
        """Return the function from local to epoch seconds; without any event, local is UTC."""
        known = sorted(
            (self.local_s(hour + b":00:00.000000"), median(seen))
            for hour, seen in self._offsets_s.items()
        )
        begins = [begin for begin, _ in known]

        if len({offset_s for _, offset_s in known}) <= 1:  # as in most: one zone, no summer time
            only_s = known[0][1] if known else 0.0
            return lambda local_s: local_s - only_s

        def epoch_s(local_s: float) -> float:
            return local_s - known[max(0, bisect_right(begins, local_s) - 1)][1]

        return epoch_s
