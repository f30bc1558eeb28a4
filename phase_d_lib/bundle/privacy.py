"""Take out of a bundle what tells whose machine it was: hosts, users, absolute paths, own names."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from phase_d_lib.host import Host
from phase_d_lib.redaction import KEPT, Redactor, each_text

_PATH = re.compile(
    # What stands before it must not make it a fraction, a closing tag, a URL or base64 text.
    r"(?<![\w/.<+:*\\])/(?!(?:proc|sys|dev)\b)[\w.@-]+(?:/[\w.@+-]+)+/?"
    r"|(?<![\w/.<+:*\\])/(?:home|root|Users|tmp|work)\b(?!\w)"
)
_CODE_PLACE = re.compile(r"/(?:\w+/)*\w+\.(?:cc|h)")
"""A file of RocksDB's own code, as its LOG names it."""
_LOG_HOST = re.compile(rb"Host name \(Env\):\s*(\S+)")
_KERNEL = re.compile(r"\d+(?:\.\d+)*")
_USUAL_DEVICE = re.compile(
    r"(?:[hsv]d|xvd)[a-z]+\d*|(?:nvme\d+n|mmcblk)\d+(?:p\d+)?|(?:md|dm-|loop|zram)\d+"
    r"|overlay|tmpfs|none|unknown|"
)
_MIN_WORD = 3


class Scrubber:
    """Replaces private words and absolute paths: the same one by the same token in every file.

    Parameters
    ----------
    places : mapping
        Absolute path -> what stands for it; the longest is replaced first.
    words : mapping
        Word of this machine -> what stands for it.
    """

    def __init__(self, places: Mapping[str, str], words: Mapping[str, str]) -> None:
        self._tokens = Redactor()
        self._stands_for = {**places, **words}
        parts = [_place(place) for place in _longest_first(places)]
        parts += [rf"(?<![^\W_]){re.escape(w)}(?![^\W_])" for w in _longest_first(words)]
        self._known = re.compile("|".join(parts)) if parts else None
        self._private = tuple(words)

    def text(self, text: str) -> str:
        """Return prose, code, markup or JSON without private words and absolute paths."""
        if self._known is not None:
            text = self._known.sub(self._known_token, text)
        return _PATH.sub(self._path_token, text)

    def record(self, value: Any) -> Any:
        """Return a value of JSON with every text in it replaced; keys and numbers are kept."""
        return each_text(value, self.text)

    def leaks(self, text: str) -> list[str]:
        """Private words and absolute paths that still stand in a text."""
        found = [
            w for w in self._private if re.search(rf"(?<![^\W_]){re.escape(w)}(?![^\W_])", text)
        ]
        paths = (match.group() for match in _PATH.finditer(text))
        return [*found, *(path for path in paths if not _CODE_PLACE.fullmatch(path))]

    def _known_token(self, found: re.Match[str]) -> str:
        return self._stands_for[found.group()]

    def _path_token(self, found: re.Match[str]) -> str:
        path = found.group()
        return path if _CODE_PLACE.fullmatch(path) else self._tokens.name("path", path)


def scrubber(
    report: Path, report_id: str, root: Path, hosts: Iterable[Host], logs: Iterable[bytes]
) -> Scrubber:
    """Gather what this bundle must not tell.

    Parameters
    ----------
    report : Path
        Directory of the report.
    root : Path
        Of the checkout; paths below it become relative to it.
    hosts : iterable of Host
        Of the runs: of a kernel its number is kept, of a device a usual name.
    logs : iterable of bytes
        Heads of RocksDB LOGs, which name the host they were written on.
    """
    tokens = Redactor()
    machines = [
        socket.gethostname(),
        socket.getfqdn(),
        *(name for log in logs for name in _hosts(log)),
    ]
    short = [name.partition(".")[0] for name in machines]
    words = {
        **{name: tokens.name("host", name) for name in _telling([*machines, *short])},
        **{name: tokens.name("user", name) for name in _telling(_users())},
    }
    for host in hosts:
        number = _KERNEL.match(host.kernel)
        if number and number.group() != host.kernel:
            words[host.kernel] = number.group()
        if not _USUAL_DEVICE.fullmatch(host.device):
            words[host.device] = tokens.name("device", host.device)
    places = {
        str(report.resolve()): f"reports/{report_id}",
        str(report.absolute()): f"reports/{report_id}",
    }
    for path in (root.resolve(), root.absolute()):
        if len(path.parts) > 1:
            places |= {str(path): ".", f"{path}/": ""}
    return Scrubber(places, words)


def _hosts(log: bytes) -> Iterator[str]:
    yield from (name.decode(errors="replace") for name in _LOG_HOST.findall(log))


def _users() -> Iterator[str]:
    yield Path.home().name
    for variable in ("USER", "LOGNAME", "SUDO_USER"):
        yield os.environ.get(variable, "")
    try:
        yield getpass.getuser()
    except (OSError, KeyError):
        return


def _telling(names: Iterable[str]) -> dict[str, None]:
    """Names that could tell something, each once; a short one would be found in any text."""
    return dict.fromkeys(n for n in names if n not in KEPT and len(n) >= _MIN_WORD)


def _place(path: str) -> str:
    return re.escape(path) if path.endswith("/") else rf"{re.escape(path)}(?![\w-]|\.\w)"


def _longest_first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=len, reverse=True)
