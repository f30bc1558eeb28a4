"""The kind ``db_bench-csv``: the file of db_bench's ``--report_file``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from phase_d_lib.importers.base import Check, Imported, agree, one_file, ratio, read_capped
from phase_d_lib.importers.db_bench_checks import report_checks
from phase_d_lib.importers.db_bench_output import parse_output
from phase_d_lib.importers.report_text import Report, is_report, read_report


def import_report_file(paths: Sequence[Path]) -> Imported:
    """Import a report file, and the db_bench output of its run beside it to check the sum.

    Raises
    ------
    InputError
        If a file cannot be read or is damaged, or there are two of one kind.
    """
    texts = {path: read_capped(path) for path in paths}
    outputs = [path for path, text in texts.items() if "micros/op" in text and not is_report(text)]
    path = one_file("db_bench-csv", [path for path in texts if path not in outputs])
    report = read_report(texts[path], str(path))
    checks: list[Check] = [_steady(report)]
    for output in outputs:
        checks.extend(report_checks(parse_output(texts[output], str(output)), report))
    notes = ["the last line has no end and was left out"] if report.cut else []
    return Imported(
        {"kind": "db_bench-csv", "source": str(path), **_values(report)},
        tuple(checks),
        tuple(notes),
    )


def _values(report: Report) -> dict[str, object]:
    rates = [
        operations / length
        for operations, length in zip(report.interval_ops, report.lengths_s, strict=True)
    ]
    return {
        "intervals": len(rates),
        "interval_s": float(median(report.lengths_s)),
        "seconds": float(report.end_s[-1]),
        "operations": report.operations,
        "ops_per_s": ratio(report.operations, report.end_s[-1]),
        "slowest_interval_ops_per_s": min(rates),
        "fastest_interval_ops_per_s": max(rates),
        "end_s": list(report.end_s),
        "interval_ops_per_s": rates,
    }


def _steady(report: Report) -> Check:
    """Compare intervals x length with the time; a gap means the reporter was held up."""
    expected = median(report.lengths_s) * len(report.end_s)
    rounding = 1 / report.end_s[-1]
    what = "intervals x their median length, and seconds elapsed"
    return agree("interval_length", expected, report.end_s[-1], 0.05 + rounding, what)
