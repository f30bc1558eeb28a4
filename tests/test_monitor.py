"""Alerts, trends and loops on rows whose answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from phase_d_lib.monitor import CLOSE_AFTER_SAMPLES, AlertBook, trend
from phase_d_lib.specs import OptionsSpec

QUIET: dict[str, Any] = {
    "l0_files": 2,
    "pending_compaction_bytes": 0,
    "machine_cpu_s_total": 0.0,
    "machine_steal_s_total": 0.0,
    **{f"{c}_{k}_total": 0 for c in ("memtable", "l0", "pending") for k in ("stops", "delays")},
}


def feed(book: AlertBook, rows: list[dict[str, Any]]) -> None:
    for number, row in enumerate(rows):
        book.observe({**QUIET, "machine_cpu_s_total": number * 1.0, "time_s": number * 0.5, **row})


def test_an_alert_opens_at_once_and_closes_after_quiet_samples(tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    book = AlertBook(OptionsSpec(), file)
    feed(book, [{}, {"l0_stops_total": 1}, *[{"l0_stops_total": 1}] * (CLOSE_AFTER_SAMPLES + 2)])
    (alert,) = book.all()
    assert (alert.kind, alert.cause, alert.severity) == ("write_stop", "l0", "critical")
    assert alert.start_s == 0.5
    assert alert.end_s == 0.5 + 0.5 * CLOSE_AFTER_SAMPLES
    written = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert [row["end_s"] for row in written] == [None, alert.end_s]


def test_flapping_stays_one_alert() -> None:
    book = AlertBook(OptionsSpec(level0_slowdown_writes_trigger=10, level0_stop_writes_trigger=12))
    feed(book, [{"l0_files": 8 if n % 2 else 7} for n in range(20)])
    assert [alert.kind for alert in book.all()] == ["l0_near_slowdown"]
    assert book.all()[0].end_s is None


@pytest.mark.parametrize(
    ("row", "kind", "cause"),
    [
        ({"memtable_stops_total": 2}, "write_stop", "memtable"),
        ({"pending_delays_total": 2}, "slowdown", "pending"),
        ({"machine_steal_s_total": 0.2}, "cpu_steal", "host"),
        ({"pending_compaction_bytes": 60 << 30}, "pending_near_soft_limit", "pending"),
    ],
)
def test_each_condition_is_named(row: dict[str, Any], kind: str, cause: str) -> None:
    book = AlertBook(OptionsSpec())
    feed(book, [{}, row])
    assert [(alert.kind, alert.cause) for alert in book.all()] == [(kind, cause)]


def test_nothing_happens_nothing_is_raised() -> None:
    book = AlertBook(OptionsSpec())
    feed(book, [{}] * 10)
    assert book.all() == ()


def test_a_real_slope_is_significant_and_noise_mostly_is_not() -> None:
    rng = np.random.default_rng(5)
    times = np.arange(60) * 0.5
    rising = pd.DataFrame({"time_s": times, "x": 100 + 2 * times + rng.normal(0, 1, 60)})
    found = trend(rising, "x", 5.0)
    assert found.significant
    assert found.slope_per_min == pytest.approx(120, rel=0.05)
    false_alarms = sum(
        trend(
            pd.DataFrame({"time_s": times, "x": 100 + rng.normal(0, 1, 60)}), "x", 5.0
        ).significant
        for _ in range(100)
    )
    assert false_alarms <= 20


def test_a_cycle_shorter_than_a_loop_is_stable() -> None:
    times = np.arange(200) * 0.25
    cycle = pd.DataFrame({"time_s": times, "x": 100 + 90 * np.sin(2 * np.pi * times / 2.5)})
    found = trend(cycle, "x", 5.0)
    assert found.cv_fraction < 0.02
    assert found.stable


def test_a_constant_or_absent_metric_has_no_trend() -> None:
    times = np.arange(40) * 0.5
    flat = trend(pd.DataFrame({"time_s": times, "x": 3.0}), "x", 5.0)
    assert (flat.significant, flat.stable, flat.cv_fraction) == (False, True, 0.0)
    absent = trend(pd.DataFrame({"time_s": times, "x": [np.nan] * 40}), "x", 5.0)
    assert (absent.significant, absent.stable, absent.cv_fraction) == (False, None, None)
    single = trend(pd.DataFrame({"time_s": times[:12], "x": times[:12]}), "x", 5.0)
    assert single.stable is None
