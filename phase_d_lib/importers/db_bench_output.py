"""One db_bench output, parsed, and which of its results and times belong together."""

from __future__ import annotations

from dataclasses import dataclass

from phase_d_lib.errors import InputError
from phase_d_lib.importers.base import ratio
from phase_d_lib.importers.compaction_table import StatsDump, parse_dump
from phase_d_lib.importers.db_bench_text import (
    DbBenchHeader,
    DbBenchResult,
    parse_header,
    parse_results,
)

WRITES = frozenset(
    {
        "appendrandom",
        "deleterandom",
        "deleteseq",
        "fill100K",
        "fillbatch",
        "fillrandom",
        "fillseq",
        "fillseqdeterministic",
        "fillsync",
        "filluniquerandom",
        "filluniquerandomdeterministic",
        "mergerandom",
        "overwrite",
        "updaterandom",
        "xorupdaterandom",
    }
)
"""Benchmarks whose every operation writes one key."""


@dataclass(frozen=True)
class Output:
    """One db_bench output, parsed.

    Attributes
    ----------
    results : tuple of DbBenchResult
        As printed.
    chosen : DbBenchResult or None
        The only result, or the only one that writes; None if that leaves a choice.
    header : DbBenchHeader
    dump : StatsDump or None
    waited : bool
        It waited for compactions between benchmarks, in time no result line counts.
    """

    results: tuple[DbBenchResult, ...]
    chosen: DbBenchResult | None
    header: DbBenchHeader
    dump: StatsDump | None
    waited: bool

    @property
    def counters(self) -> dict[str, int]:
        """Tickers of the process."""
        return self.results[0].tickers

    @property
    def alone(self) -> bool:
        """Whether the counters are those of the chosen result."""
        return len(self.results) == 1

    @property
    def writes_only(self) -> bool:
        """Whether each operation of the chosen result writes one key."""
        return self.chosen is not None and self.chosen.benchmark in WRITES

    @property
    def wall_s(self) -> float | None:
        """Seconds of all benchmarks; before 7.3 only of one that writes, by its keys and rate."""
        seconds = [result.seconds for result in self.results if result.seconds is not None]
        if len(seconds) == len(self.results):
            return sum(seconds)
        if self.alone and self.writes_only and self.chosen is not None:
            return ratio(self.counters.get("rocksdb.number.keys.written"), self.chosen.ops_per_s)
        return None

    @property
    def writing_s(self) -> float | None:
        """Seconds in which writers could stall; None unless one result alone writes."""
        if self.alone:
            return self.wall_s
        others = [result for result in self.results if result is not self.chosen]
        reading = all(_reads_only(result.benchmark) for result in others)
        return self.chosen.seconds if self.chosen and self.writes_only and reading else None


def parse_output(text: str, source: str) -> Output:
    """Parse the text of an output.

    Raises
    ------
    InputError
        If it holds no result line.
    """
    results = tuple(parse_results(text))
    if not results:
        raise InputError(f"{source}: no db_bench result line ('fillrandom : ... micros/op ...')")
    writing = [result for result in results if result.benchmark in WRITES]
    candidates = results if len(results) == 1 else writing
    return Output(
        results=results,
        chosen=candidates[0] if len(candidates) == 1 else None,
        header=parse_header(text),
        dump=parse_dump(text),
        waited="waitforcompaction" in text,
    )


def _reads_only(benchmark: str) -> bool:
    reads = benchmark.startswith(("read", "seek", "multiread"))
    return reads and not any(part in benchmark for part in ("write", "writing", "merg"))
