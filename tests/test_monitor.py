"""Alerts, trends and loops on rows whose answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from phase_d_lib.models.base import Prediction
from phase_d_lib.monitor import (
    CLOSE_AFTER_SAMPLES,
    RULES,
    AlertBook,
    Expectations,
    describe,
    replay,
    trend,
)
from phase_d_lib.runs import Run
from phase_d_lib.specs import ArrivalSpec, OptionsSpec, RunSpec, WorkloadSpec

RECORDED = Path(__file__).parent / "data" / "recorded"
TEN = OptionsSpec(level0_slowdown_writes_trigger=10, level0_stop_writes_trigger=12)
GIB = 1 << 30
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
    book = AlertBook(Expectations(options=OptionsSpec()), file)
    feed(book, [{}, {"l0_stops_total": 1}, *[{"l0_stops_total": 1}] * (CLOSE_AFTER_SAMPLES + 2)])
    (alert,) = book.all()
    assert (alert.kind, alert.cause, alert.severity) == ("write_stop", "l0", "critical")
    assert alert.start_s == 0.5
    assert alert.end_s == 0.5 + 0.5 * CLOSE_AFTER_SAMPLES
    written = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert [row["end_s"] for row in written] == [None, alert.end_s]


def test_flapping_stays_one_alert() -> None:
    book = AlertBook(Expectations(options=TEN))
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
    book = AlertBook(Expectations(options=OptionsSpec()))
    feed(book, [{}, row])
    assert [(alert.kind, alert.cause) for alert in book.all()] == [(kind, cause)]


def test_nothing_happens_nothing_is_raised() -> None:
    book = AlertBook(Expectations(options=OptionsSpec()))
    feed(book, [{}] * 10)
    assert book.all() == ()


def test_an_alert_closes_only_behind_its_closing_limit() -> None:
    book = AlertBook(Expectations(options=TEN))
    feed(book, [{"l0_files": 8}, *[{"l0_files": 7}] * 10, *[{"l0_files": 6}] * CLOSE_AFTER_SAMPLES])
    (alert,) = book.all()
    assert alert.end_s == 0.5 * (10 + CLOSE_AFTER_SAMPLES)


def test_a_stop_that_lasts_stays_open_though_its_counter_rests() -> None:
    book = AlertBook(Expectations(options=OptionsSpec()))
    stopped = {"l0_stops_total": 1, "write_stopped": 1}
    feed(book, [{}, *[stopped] * 10])
    assert [alert.end_s for alert in book.all()] == [None]
    assert book.state == "critical"
    feed(book, [{}, *[{"l0_stops_total": 0, "write_stopped": 0}] * 5])
    assert book.state == "healthy"


def test_a_stop_behind_a_long_gap_is_seen() -> None:
    book = AlertBook(Expectations(options=OptionsSpec()))
    book.observe({**QUIET, "time_s": 0.0})
    book.observe({**QUIET, "time_s": 500.0, "memtable_stops_total": 1})
    assert [alert.kind for alert in book.all()] == ["write_stop"]


def test_every_alert_names_its_cause_and_what_to_do() -> None:
    assert len({(rule.kind, rule.cause) for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.cause
        assert rule.action.endswith(".")


def test_a_rule_without_its_column_or_limit_is_inactive_and_says_why() -> None:
    book = AlertBook(Expectations(options=OptionsSpec(soft_pending_compaction_bytes_limit=0)))
    feed(book, [{}] * 3)
    reasons = {(rule.kind, rule.cause): rule.reason for rule in book.inactive}
    assert reasons["disk_filling", "projection"] == "no column disk_free_bytes"
    assert "switches it off" in reasons["pending_near_soft_limit", "pending"]
    assert reasons["latency_objective", "put_p999"] == "no column put_latency_p999_us"
    assert ("write_stop", "l0") not in reasons


def test_the_latency_objective_is_held_against_the_median_of_five_seconds() -> None:
    expected = Expectations(options=OptionsSpec(), put_p999_objective_us=1000.0)
    slow, fast = {"put_latency_p999_us": 5000.0}, {"put_latency_p999_us": 10.0}
    book = AlertBook(expected)
    feed(book, [fast, fast, slow, fast, {"put_latency_p999_us": None}] * 4)
    assert book.all() == ()
    late = AlertBook(expected)
    feed(late, [slow] * 20)
    assert [(a.kind, a.value) for a in late.all()] == [("latency_objective", 5000.0)]


def test_throughput_is_judged_after_the_warm_up_over_ten_seconds() -> None:
    expected = Expectations(options=OptionsSpec(), warmup_s=5.0, put_rate_low_ops_per_s=100.0)
    book = AlertBook(expected)
    # 20 puts a sample are 40 puts/s; the warm-up alone would pass.
    feed(book, [{"puts_total": 1000 * min(n, 10) + 20 * n} for n in range(40)])
    (alert,) = book.all()
    assert (alert.kind, alert.start_s, alert.value) == ("throughput_below_interval", 15.0, 40.0)


def test_only_a_closed_load_is_held_against_the_interval() -> None:
    said = Prediction(model="v3", binding="cpu", interval_90_ops_per_s=(90.0, 110.0))
    arrival = ArrivalSpec(kind="constant", rate_ops_per_s=10.0)
    assert Expectations.of(RunSpec(), said).put_rate_low_ops_per_s == 90.0
    loose = RunSpec(workload=WorkloadSpec(arrival=arrival))
    assert Expectations.of(loose, said).put_rate_low_ops_per_s is None
    assert Expectations.of(RunSpec()).put_rate_low_ops_per_s is None


@pytest.mark.parametrize(("lost_fraction", "expected"), [(0.0, []), (0.10, ["ledger_open"])])
def test_a_ledger_that_does_not_close_is_told(lost_fraction: float, expected: list[str]) -> None:
    book = AlertBook(Expectations(options=OptionsSpec()))
    step = 20 << 20
    feed(
        book,
        [
            {
                "batch_bytes_total": n * step,
                "flush_write_bytes_total": n * step * (1 - lost_fraction),
                "compact_write_bytes_total": 0,
                "compressed_to_bytes_total": n * step,
                "compression_bypassed_bytes_total": 0,
                "compression_rejected_bytes_total": 0,
            }
            for n in range(10)
        ],
    )
    assert [alert.kind for alert in book.all()] == expected


def test_a_disk_that_fills_is_told_before_it_is_full() -> None:
    disk = {"disk_total_bytes": 100 * GIB}
    book = AlertBook(Expectations(options=OptionsSpec()))
    # 10 MiB a sample leave 50 GiB for 43 minutes; a compaction that frees a GiB does not hide it.
    freed = [GIB if n > 50 else 0 for n in range(90)]
    feed(
        book, [{**disk, "disk_free_bytes": 50 * GIB - n * (10 << 20) + freed[n]} for n in range(90)]
    )
    (alert,) = book.all()
    assert (alert.kind, alert.cause, alert.start_s) == ("disk_filling", "projection", 30.0)
    assert alert.value == pytest.approx((51 * GIB - 60 * (10 << 20)) / (20 << 20), rel=0.01)
    full = AlertBook(Expectations(options=OptionsSpec()))
    feed(full, [{**disk, "disk_free_bytes": 4 * GIB}] * 3)
    assert [(a.cause, a.severity) for a in full.all()] == [("free_space", "critical")]


def test_a_recorded_run_gives_the_same_alerts_live_and_replayed() -> None:
    run = Run(next(folder for folder in sorted(RECORDED.iterdir()) if folder.is_dir()))
    expected = Expectations.of(run.spec)
    live = AlertBook(expected)
    for row in run.samples.to_dict("records"):
        live.observe({str(key): value for key, value in row.items()})
    assert replay(run.samples, expected).all() == live.all() != ()


def test_a_description_says_state_and_what_was_not_watched() -> None:
    run = next(r for r in map(Run, sorted(RECORDED.glob("*/"))) if r.valid)
    found = describe(run, None, 5.0, put_p999_objective_us=1.0)
    assert found.state in ("healthy", "warning", "critical")
    assert "disk_filling" in {rule.kind for rule in found.rules_inactive}
    assert "latency_objective" in {alert.kind for alert in found.alerts}
    assert all(alert.action for alert in found.alerts)


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
