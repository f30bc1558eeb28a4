"""What db_bench prints: result lines, its header, the command line benchmark.sh echoes.

The formats are those of ``tools/db_bench_tool.cc`` (``Stats::Report``, ``PrintHeader``): 7.3 added
seconds and operations to the result line, and before 6.0 the micros per operation were those of
the wall clock, whatever the number of threads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from phase_d_lib.errors import InputError
from phase_d_lib.importers.base import read_capped
from phase_d_lib.statistics import Histogram, parse_histograms, parse_tickers

# Bounded, so that a damaged number can neither overflow nor cost time.
_REAL = r"\d{1,18}(?:\.\d{1,9})?"
_RESULT = re.compile(
    rf"^(?P<benchmark>\w{{1,80}})[ \t]*:[ \t]*(?P<micros_per_op>{_REAL}) micros/op[ \t]+"
    rf"(?P<ops_per_s>{_REAL}) ops/sec;?"
    # Since 7.3; an older line goes on with the rate.
    rf"(?:[ \t]+(?P<seconds>{_REAL}) seconds[ \t]+(?P<operations>\d{{1,19}}) operations;?)?"
    rf"(?:[ \t]+(?P<mb_per_s>{_REAL}) MB/s)?",
    re.MULTILINE,
)
_VERSION = re.compile(r"^RocksDB: +version (\d{1,4}(?:\.\d{1,4}){1,3})", re.MULTILINE)
_HEADER = re.compile(r"^(Keys|Values|Entries): +(\d{1,18})(?: bytes each| *$)", re.MULTILINE)
_FLAG = re.compile(r"(?<!\S)--?([a-z]\w{0,79})=([\w.,-]{1,200})(?!\S)")


@dataclass(frozen=True)
class DbBenchResult:
    """One result line of db_bench with the statistics of its process.

    Attributes
    ----------
    benchmark : str
        For example 'fillrandom'.
    micros_per_op : float
        Mean latency of one thread's operation.
    ops_per_s : float
        Over all threads. A saturation rate: db_bench's writers are always ready.
    seconds, operations : float, int or None
        None in output from before RocksDB 7.3.
    mb_per_s : float or None
        User bytes; db_bench divides by 1048576, so MiB/s. None if it did not count bytes.
    tickers : dict of str to int
        Of the whole process, so of all its benchmarks; empty without ``--statistics``.
    histograms : dict of str to Histogram
    """

    benchmark: str
    micros_per_op: float
    ops_per_s: float
    seconds: float | None
    operations: int | None
    mb_per_s: float | None
    tickers: dict[str, int]
    histograms: dict[str, Histogram]


@dataclass(frozen=True)
class DbBenchHeader:
    """What an output says of its run beside the results; None or absent where it does not.

    Attributes
    ----------
    version : str or None
        Of RocksDB, for example '9.8.4'.
    key_bytes, value_bytes, entries : int or None
        A value size drawn from a distribution is None.
    flags : dict of str to str
        Of command lines in the output, as benchmark.sh echoes them; one given with two values
        is left out.
    """

    version: str | None
    key_bytes: int | None
    value_bytes: int | None
    entries: int | None
    flags: dict[str, str]

    @property
    def record_bytes(self) -> int | None:
        """Key and value of one fixed-size record."""
        if not self.key_bytes or not self.value_bytes:
            return None
        return self.key_bytes + self.value_bytes

    @property
    def threads(self) -> int | None:
        """Number of threads the command line asks for."""
        given = self.flags.get("threads", "")
        return int(given) if given.isdecimal() and 0 < len(given) < 7 else None


def parse_results(text: str) -> list[DbBenchResult]:
    """Return every result line in the order printed, each with the statistics of the process."""
    counters, histograms = parse_tickers(text), parse_histograms(text)
    return [
        DbBenchResult(
            benchmark=line["benchmark"],
            micros_per_op=float(line["micros_per_op"]),
            ops_per_s=float(line["ops_per_s"]),
            seconds=None if line["seconds"] is None else float(line["seconds"]),
            operations=None if line["operations"] is None else int(line["operations"]),
            mb_per_s=None if line["mb_per_s"] is None else float(line["mb_per_s"]),
            tickers=counters,
            histograms=histograms,
        )
        for line in _RESULT.finditer(text)
    ]


def parse_header(text: str) -> DbBenchHeader:
    """Return what the output says before its first result."""
    version = _VERSION.search(text)
    sizes = {name: int(number) for name, number in _HEADER.findall(text)}
    return DbBenchHeader(
        version=version and version[1],
        key_bytes=sizes.get("Keys"),
        value_bytes=sizes.get("Values"),
        entries=sizes.get("Entries"),
        flags=_flags(text),
    )


def _flags(text: str) -> dict[str, str]:
    """Return the flags given; several command lines may contradict each other."""
    given: dict[str, set[str]] = {}
    for name, value in _FLAG.findall(text):
        given.setdefault(name, set()).add(value)
    return {name: values.pop() for name, values in given.items() if len(values) == 1}


def read_db_bench(path_or_text: str | Path, benchmark: str | None = None) -> DbBenchResult:
    """Read what db_bench printed.

    Parameters
    ----------
    path_or_text : str or Path
        A file; a string with a line break is taken as the output itself.
    benchmark : str, optional
        Which result, where the output holds several.

    Raises
    ------
    InputError
        If the file cannot be read, or holds no result line, or several and none was named.
    """
    text, source = _text_of(path_or_text)
    found = {result.benchmark: result for result in parse_results(text)}
    if not found:
        raise InputError(f"{source}: no db_bench result line ('fillrandom : ... micros/op ...')")
    if benchmark is None and len(found) > 1:
        raise InputError(f"{source}: holds {', '.join(found)}; name one as benchmark")
    name = benchmark or next(iter(found))
    if name not in found:
        raise InputError(f"{source}: no benchmark '{name}'; it holds {', '.join(found)}")
    return found[name]


def _text_of(path_or_text: str | Path) -> tuple[str, str]:
    """Return the text and what to call it in an error."""
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        return path_or_text, "db_bench output"
    return read_capped(Path(path_or_text)), str(path_or_text)
