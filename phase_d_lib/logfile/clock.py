"""The LOG's local time of day as epoch seconds."""

from __future__ import annotations

import calendar
import re
from bisect import bisect_right
from collections.abc import Callable
from statistics import median

_STAMP = re.compile(rb"(\d{4}/\d\d/\d\d)-(\d\d):(\d\d):(\d\d\.\d{6})")


class Clock:
    """Turns the LOG's local time of day into epoch seconds."""

    def __init__(self) -> None:
        self._days: dict[bytes, int] = {}
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
        parts = _STAMP.fullmatch(stamp)
        if parts is None:
            raise ValueError("no date and time")
        day, hours, minutes, seconds = parts.groups()
        if day not in self._days:
            year, month, day_of_month = (int(part) for part in day.split(b"/"))
            self._days[day] = calendar.timegm((year, month, day_of_month, 0, 0, 0))
        return self._days[day] + int(hours) * 3600 + int(minutes) * 60 + float(seconds)

    def learn(self, stamp: bytes, epoch_s: float) -> None:
        """Note how far a line's local time is from the epoch time of its event."""
        try:
            quarters = round((self.local_s(stamp) - epoch_s) / 900)  # a line may be seconds late
        except ValueError:
            return
        if abs(quarters) <= 14 * 4:
            seen = self._offsets_s.setdefault(stamp[:13], [])
            seen.append(quarters * 900)
            if len(seen) == 5:  # one damaged date cannot move their median
                self.learned.add(stamp[:13])

    def epoch_of(self) -> Callable[[float], float]:
        """Return the function from local to epoch seconds; without any event, local is UTC."""
        known = sorted(
            (self.local_s(hour + b":00:00.000000"), median(seen))
            for hour, seen in self._offsets_s.items()
        )
        begins = [begin for begin, _ in known]

        def epoch_s(local_s: float) -> float:
            if not known:
                return local_s
            return local_s - known[max(0, bisect_right(begins, local_s) - 1)][1]

        return epoch_s
