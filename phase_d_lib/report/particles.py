"""Korean particles, chosen by the final sound of the word before them as it is read aloud.

Numbers are read in Sino-Korean (17,140 ends in 십), a single digit after Latin letters in English
(v3 is 브이쓰리), acronyms letter by letter (RocksDB ends in 디비), units by their names.
"""

from __future__ import annotations

import re
from enum import Enum

from phase_d_lib.report.sources import plain


class Final(Enum):
    """Final sound of a word."""

    VOWEL = "vowel"
    RIEUL = "rieul"
    CONSONANT = "consonant"


_V, _L, _C = Final.VOWEL, Final.RIEUL, Final.CONSONANT

_PAIRS = {
    "은/는": ("은", "는"),
    "이/가": ("이", "가"),
    "을/를": ("을", "를"),
    "과/와": ("과", "와"),
    "으로/로": ("으로", "로"),
    "이라/라": ("이라", "라"),
    "이나/나": ("이나", "나"),
    "이며/며": ("이며", "며"),
    "이고/고": ("이고", "고"),
    "이어서/여서": ("이어서", "여서"),
    "이지만/지만": ("이지만", "지만"),
}
"""Pair -> (after a consonant, after a vowel)."""

# 영 일 이 삼 사 오 육 칠 팔 구
_SINO_DIGITS = dict(zip("0123456789", (_C, _L, _V, _C, _V, _V, _C, _L, _L, _V), strict=True))
# 제로 원 투 쓰리 포 파이브 식스 세븐 에이트 나인
_ENGLISH_DIGITS = dict(zip("0123456789", (_V, _C, _V, _V, _V, _V, _V, _C, _V, _C), strict=True))
# 십 백 천, 만, 억, 조
_ZEROS = {1: _C, 2: _C, 3: _C, 4: _C, 8: _C, 12: _V}
_LETTERS = {**dict.fromkeys("ABCDEFGHIJKOPQSTUVWXYZ", _V), "L": _L, "M": _C, "N": _C, "R": _L}

_UNITS = {
    "%": _V, "%p": _V, "s": _V, "ms": _V, "us": _V, "µs": _V, "μs": _V, "ns": _V,
    "min": _C, "h": _C, "d": _L, "B": _V, "KiB": _V, "MiB": _V, "GiB": _V, "TiB": _V,
    "KB": _V, "MB": _V, "GB": _V, "Hz": _V, "GHz": _V, "core": _V, "cores": _V,
}  # fmt: skip
"""Units after a number: 퍼센트, 초, 분, 시간, 일, 바이트, 헤르츠."""

_WORDS = {
    "epyc": _C, "nvme": _V, "xeon": _C, "json": _C, "yaml": _L, "html": _L, "md": _V,
    "png": _V, "csv": _V, "pdf": _V, "ram": _C, "log": _V, "wal": _L, "put": _C, "get": _C,
    "puts": _V, "gets": _V, "closed": _V, "mixed": _V, "python": _C, "db": _V, "rocksdict": _V,
    "fio": _V, "cpu": _V, "loop": _V, "time": _C, "type": _C, "ext": _V, "vda": _V, "sst": _V,
    "pipeline": _C, "size": _V, "base": _V, "file": _L, "files": _V, "job": _C, "web": _C,
    "seed": _V, "wheel": _L, "kernel": _L, "quick": _C, "full": _L,
}  # fmt: skip
"""Readings that the endings below would get wrong, or that are worth pinning."""

_BRACKETED = re.compile(r"\s*[(\[（][^()\[\]（）]*[)\]）]$")
_DECORATION = "`*\"'”’」』>.,:;!?)]} \t\n_~"
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])[-+−±]?\d[\d,]*(?:\.\d+)*$")


def with_particle(word: object, pair: str) -> str:
    """Return `word` with the fitting particle of `pair`.

    Parameters
    ----------
    word : object
        Shown with ``str``; a trailing parenthesis, quote or code mark is not read.
    pair : str
        For example ``"을/를"``; either order.

    Raises
    ------
    ValueError
        For a pair that is not known.
    """
    text = str(word)
    return text + particle(text, pair)


def particle(word: str, pair: str) -> str:
    """Return only the particle of `pair` that fits after `word`."""
    forms = _PAIRS.get(pair) or _PAIRS.get("/".join(reversed(pair.split("/"))))
    if forms is None:
        raise ValueError(f"particle pair {pair!r} is unknown; there are: {', '.join(_PAIRS)}")
    sound = final_sound(word)
    after_vowel = sound is Final.VOWEL or (sound is Final.RIEUL and forms[1] == "로")
    return forms[1] if after_vowel else forms[0]


def final_sound(word: str) -> Final:
    """Return the final sound of the last word of `word` as read in Korean."""
    text = _spoken_end(word)
    if not text:
        return Final.VOWEL
    last = text[-1]
    if "가" <= last <= "힣":
        return _hangul(last)
    token = text.split()[-1]
    if token in _UNITS and _follows_number(text, token):
        return _UNITS[token]
    if re.search(r"\d%p?$", token) or token == "%":
        return Final.VOWEL
    if "/" in token and not token.endswith("/"):
        return _after_slash(token)
    if last.isdigit():
        return _digits(text)
    return _latin(token)


def _spoken_end(word: str) -> str:
    """Cut what is not read aloud: a parenthesis after its word, quotes, code marks, stops."""
    text = plain(word).strip()
    while text:
        shorter = _BRACKETED.sub("", text).rstrip(_DECORATION)
        if shorter in (text, ""):
            break
        text = shorter
    return text.strip(_DECORATION)


def _hangul(letter: str) -> Final:
    jongseong = (ord(letter) - ord("가")) % 28
    if jongseong == 0:
        return Final.VOWEL
    return Final.RIEUL if jongseong == 8 else Final.CONSONANT


def _follows_number(text: str, unit: str) -> bool:
    return bool(re.search(r"\d\s*$", text[: len(text) - len(unit)]))


def _after_slash(token: str) -> Final:
    """MiB/s is read '초당' or '퍼 세컨드'; any other denominator is read itself."""
    below = token.rsplit("/", 1)[1]
    return Final.VOWEL if below in ("s", "sec") else final_sound(below)


def _digits(text: str) -> Final:
    found = _NUMBER.search(text)
    if found is None:
        return _digits_after_letters(text)
    whole, point, _ = found.group().partition(".")
    if point:
        return _SINO_DIGITS[text[-1]]
    return _whole_number(re.sub(r"\D", "", whole))


def _digits_after_letters(text: str) -> Final:
    digits = re.findall(r"\d+", text)[-1]
    attached = re.search(r"[A-Za-z]\w*$", text)
    if len(digits) == 1 and attached:
        return _ENGLISH_DIGITS[digits]
    return _whole_number(digits)


def _whole_number(digits: str) -> Final:
    significant = digits.rstrip("0")
    if not significant:
        return _SINO_DIGITS["0"]
    zeros = len(digits) - len(significant)
    if zeros == 0:
        return _SINO_DIGITS[digits[-1]]
    return _ZEROS[max(power for power in _ZEROS if power <= zeros)]


def _latin(token: str) -> Final:
    part = re.split(r"[^A-Za-z]+", token)[-1]
    if not part:
        return Final.VOWEL
    if part.lower() in _WORDS:
        return _WORDS[part.lower()]
    capitals = re.search(r"[A-Z]{2,}$", part)
    if capitals or len(part) == 1:
        return _LETTERS[part[-1].upper()]
    return _english(part.lower())


def _english(word: str) -> Final:
    """Final sound of an English word by its ending, as it is usually transcribed."""
    if re.search(r"(l|le|ll)$", word):
        return Final.RIEUL
    if re.search(r"(m|n|ng|me|ne)$", word):
        return Final.CONSONANT
    # A stop after a short vowel closes the syllable (블록); otherwise 으 follows it (디스크).
    if re.search(r"(?<![aeiou])[aeiou](ck|[kptc])$", word):
        return Final.CONSONANT
    return Final.VOWEL
