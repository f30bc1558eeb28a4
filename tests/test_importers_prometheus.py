"""Range queries of Prometheus: against the run they were taken from, and in every spelling."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phase_d_lib.errors import InputError
from phase_d_lib.importers.base import Imported
from phase_d_lib.importers.db_bench import LEDGER, import_db_bench
from phase_d_lib.importers.prometheus import import_prometheus
from phase_d_lib.metrics import METRICS

DATA = Path(__file__).parent / "data"
QUERY = DATA / "imports" / "prometheus.json"
RUN = DATA / "recorded" / "10795a33c5719032"
START_S = 1_700_000_000
STEP_S = 15

Row = tuple[dict[str, str], list[Any]]


def written(tmp_path: Path, *rows: Row, name: str = "query.json") -> Path:
    """Write a range query whose samples are 15 s apart; None leaves a sample out."""
    result = [
        {
            "metric": labels,
            "values": [
                [START_S + STEP_S * n, str(value)]
                for n, value in enumerate(values)
                if value is not None
            ],
        }
        for labels, values in rows
    ]
    path = tmp_path / name
    answer = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    path.write_text(json.dumps(answer))
    return path


def row(name: str, *values: Any, **labels: str) -> Row:
    return {"__name__": name, **labels}, list(values)


def imported(tmp_path: Path, *rows: Row) -> Imported:
    return import_prometheus([written(tmp_path, *rows)])


def failing(found: Imported) -> list[str]:
    return [check.name for check in found.checks if not check.ok]


def test_a_recorded_run_as_prometheus_kept_it() -> None:
    """The query was made from every sample of a recorded run, by the names of our exporter."""
    samples = pd.read_parquet(RUN / "samples.parquet")
    grown = samples.iloc[-1] - samples.iloc[0]
    values = import_prometheus([QUERY]).values
    seconds = grown["unix_time_s"]
    batch = grown["batch_bytes_total"]
    writes = ("wal_bytes_total", "flush_write_bytes_total", "compact_write_bytes_total")
    assert values["samples"] == len(samples)
    assert values["seconds"] == pytest.approx(seconds, abs=0.002)
    assert values["restarts"] == 0
    assert values["write_ops_per_s"] == pytest.approx(grown["puts_total"] / seconds, rel=1e-3)
    assert values["batch_mib_per_s"] == pytest.approx(batch / seconds / 2**20, rel=1e-3)
    assert values["a_w_per_batch_byte"] == pytest.approx(sum(grown[w] for w in writes) / batch)
    assert values["a_c_per_batch_byte"] == pytest.approx(grown[writes[2]] / batch)
    assert values["a_cr_per_batch_byte"] == pytest.approx(grown["compact_read_bytes_total"] / batch)
    assert values["stall_fraction"] == pytest.approx(grown["stall_us_total"] / 1e6 / seconds, 1e-3)
    assert values["busy_slots"] == pytest.approx(samples["running_compactions"].mean())
    assert values["l0_files_max"] == samples["l0_files"].max()
    assert values["delayed_sample_fraction"] == pytest.approx(
        (samples["delayed_write_rate_bytes_per_s"] > 0).mean()
    )
    assert values["user_mib_per_s"] is None


def test_the_recorded_run_agrees_with_itself() -> None:
    found = import_prometheus([QUERY])
    assert not failing(found)
    assert {check.name for check in found.checks} == {
        "interval_length",
        "ledger_closure",
        "stall_fraction",
    }


def test_the_keys_are_those_of_db_bench() -> None:
    values = import_prometheus([QUERY]).values
    bench = import_db_bench([DATA / "imports" / "db_bench_9.10.txt"]).values
    shared = {"kind", "source", "rocksdb_version", "threads", "seconds", "micros_per_op"}
    assert shared | {"ops_per_s", "write_ops_per_s", "user_mib_per_s", *LEDGER} <= values.keys()
    assert shared | set(LEDGER) <= bench.keys()


def test_every_counter_of_our_exporter_that_counts_here_is_known() -> None:
    names = {metric.name for metric in METRICS}
    unused = import_prometheus([QUERY]).values["unused_metrics"]
    assert isinstance(unused, list)
    assert set(unused) <= names
    assert not [name for name in unused if "bytes_total" in name or "puts" in name]


SPELLINGS: dict[str, Callable[[str], dict[str, str]]] = {
    "tickers": lambda name: {"__name__": f"rocksdb_{name}"},
    "openmetrics": lambda name: {"__name__": f"rocksdb_{name}_total"},
    "myrocks": lambda name: {"__name__": f"mysql_global_status_rocksdb_{name}"},
    "flink": lambda name: {"__name__": f"flink_taskmanager_job_task_operator_rocksdb_{name}"},
    "redis-like": lambda name: {"__name__": f"tendis_info_rocksdb_{name}_COUNT"},
    "upper": lambda name: {"__name__": f"rocksdb_{name.upper()}"},
    "label": lambda name: {
        "__name__": "store_rocksdb_ticker",
        "ticker": f"rocksdb.{name.replace('_', '.')}",
    },
}
TICKERS = {
    "bytes_written": (0, 1500, 3000),
    "number_keys_written": (5, 155, 305),
    "number_keys_read": (0, 0, 30),
    "wal_bytes": (0, 1500, 3000),
    "flush_write_bytes": (0, 1200, 2400),
    "compact_write_bytes": (10, 6010, 12010),
    "compact_read_bytes": (0, 6600, 13200),
    "stall_micros": (0, 3_000_000, 6_000_000),
}
FIGURES = {
    "ops_per_s": 11.0,
    "write_ops_per_s": 10.0,
    "batch_mib_per_s": 100 / 2**20,
    "a_w_per_batch_byte": 5.8,
    "a_wal_per_batch_byte": 1.0,
    "a_flush_per_batch_byte": 0.8,
    "a_c_per_batch_byte": 4.0,
    "a_cr_per_batch_byte": 4.4,
    "stall_fraction": 0.2,
}


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_gives_the_same_figures(
    tmp_path: Path, spelled: Callable[[str], dict[str, str]]
) -> None:
    rows = [({**spelled(name), "instance": "a"}, list(v)) for name, v in TICKERS.items()]
    found = imported(tmp_path, *rows)
    assert {name: found.values[name] for name in FIGURES} == pytest.approx(FIGURES)
    assert found.values["busy_slots"] is None
    assert found.values["instance"] == 'instance="a"'
    assert not failing(found)


def test_tikv_names_by_label(tmp_path: Path) -> None:
    flows = ("bytes_written", "keys_written", "wal_file_bytes", "flush_write_bytes")
    names = dict(
        zip(flows, ("bytes_written", "number_keys_written", "wal_bytes", None), strict=True)
    )
    rows = [
        row("tikv_engine_flow_bytes", *TICKERS[names[kind] or kind], type=kind, db="kv")
        for kind in flows
    ]
    rows += [
        row(
            "tikv_engine_compaction_flow_bytes",
            *TICKERS["compact_write_bytes"],
            type="bytes_written",
            db="kv",
        ),
        row(
            "tikv_engine_compaction_flow_bytes",
            *TICKERS["compact_read_bytes"],
            type="bytes_read",
            db="kv",
        ),
        row("tikv_engine_stall_micro_seconds", *TICKERS["stall_micros"], db="kv"),
        row("tikv_engine_num_files_at_level", 3, 9, 4, db="kv", cf="write", level="0"),
        row("tikv_engine_num_files_at_level", 80, 90, 99, db="kv", cf="write", level="6"),
        row("tikv_engine_num_files_at_level", 2, 1, 7, db="kv", cf="lock", level="0"),
        row("tikv_engine_pending_compaction_bytes", 10, 20, 30, db="kv", cf="write"),
        row("tikv_engine_pending_compaction_bytes", 1, 2, 3, db="kv", cf="lock"),
    ]
    values = imported(tmp_path, *rows).values
    known = {name: value for name, value in FIGURES.items() if name != "ops_per_s"}
    assert {name: values[name] for name in known} == pytest.approx(known)
    assert values["ops_per_s"] is None  # nothing counts the reads
    assert (values["l0_files_max"], values["pending_compaction_bytes_max"]) == (9, 33)


def test_kafka_streams_tells_rates_and_its_stall_time_is_left_out(tmp_path: Path) -> None:
    labels = {"task_id": "0_1", "rocksdb_state_id": "store", "type": "stream-state-metrics"}
    name = "kafka_streams_stream_state_metrics"
    found = imported(
        tmp_path,
        row(f"{name}_bytes_written_total", 0, 1500, 3000, **labels),
        row(f"{name}_bytes_written_rate", 7, 7, 7, **labels),  # the exact form counts
        row(f"{name}_memtable_bytes_flushed_total", 0, 1200, 2400, **labels),
        row(f"{name}_bytes_written_compaction_rate", 300, 400, 500, **labels),
        row(f"{name}_write_stall_duration_total", 0, 10, 20, **labels),
        row(f"{name}_compaction_time_avg", 1, 1, 1, **labels),
    )
    values = found.values
    assert values["batch_mib_per_s"] == pytest.approx(100 / 2**20)
    assert values["a_flush_per_batch_byte"] == pytest.approx(0.8)
    assert values["a_c_per_batch_byte"] == pytest.approx(4.0)
    assert values["a_w_per_batch_byte"] is None  # nothing counts the WAL
    assert values["stall_fraction"] is None
    assert any(note.startswith("write_stall_duration was left out") for note in found.notes)
    assert values["unused_metrics"] == [
        f"{name}_compaction_time_avg",
        f"{name}_write_stall_duration_total",
    ]


def test_names_that_only_end_alike_are_not_taken(tmp_path: Path) -> None:
    found = imported(
        tmp_path,
        row("rocksdb_bytes_written", 0, 150),
        row("rocksdb_blobdb_bytes_written", 0, 999),
        row("rocksdb_remote_compact_write_bytes", 0, 999),
        row("node_disk_bytes_written_total", 0, 999),
    )
    assert found.values["batch_mib_per_s"] == pytest.approx(10 / 2**20)
    assert found.values["a_c_per_batch_byte"] is None
    assert any("1 series are no metrics of a RocksDB" in note for note in found.notes)


def test_a_restart_counts_on_and_is_told(tmp_path: Path) -> None:
    found = imported(
        tmp_path,
        row("rocksdb_bytes_written", 100, 400, 60, None, 360),
        row("rocksdb_wal_bytes", 100, 400, 60, None, 360),
    )
    assert found.values["restarts"] == 1
    assert found.values["batch_mib_per_s"] == pytest.approx((300 + 60 + 300) / 60 / 2**20)
    assert any("counters fell 1 time(s)" in note for note in found.notes)
    assert (found.values["gaps"], found.values["longest_gap_s"]) == (1, 30)


def test_a_gap_is_told_and_rates_hold_over_it(tmp_path: Path) -> None:
    found = imported(tmp_path, row("rocksdb_bytes_written", *range(0, 300, 30), *[None] * 90, 3000))
    assert found.values["batch_mib_per_s"] == pytest.approx(2 / 2**20)
    assert found.values["gaps"] == 1
    assert failing(found) == ["interval_length"]


def test_counters_that_begin_late_cut_the_time(tmp_path: Path) -> None:
    values = imported(
        tmp_path,
        row("rocksdb_bytes_written", 0, 9000, 9150, 9300),
        row("rocksdb_wal_bytes", None, 0, 150, 300),
    ).values
    assert values["seconds"] == 30
    assert values["a_wal_per_batch_byte"] == pytest.approx(1.0)


def test_a_counter_told_for_each_family_counts_once_and_parts_add_up(tmp_path: Path) -> None:
    values = imported(
        tmp_path,
        row("rocksdb_bytes_written", 0, 150, 300, cf="default"),
        row("rocksdb_bytes_written", 0, 150, 300, cf="orders"),
        row("rocksdb_flush_write_bytes", 0, 100, 200, cf="default"),
        row("rocksdb_flush_write_bytes", 0, 20, 40, cf="orders"),
        row("rocksdb_is_write_stopped", 0, 1, 0, cf="default"),
        row("rocksdb_is_write_stopped", 0, 1, 0, cf="orders"),
    ).values
    assert values["batch_mib_per_s"] == pytest.approx(10 / 2**20)
    assert values["a_flush_per_batch_byte"] == pytest.approx(0.8)
    assert values["stopped_sample_fraction"] == pytest.approx(1 / 3)


def test_each_database_gets_a_row_and_the_whole_none(tmp_path: Path) -> None:
    found = imported(
        tmp_path,
        row("rocksdb_bytes_written", 0, 150, instance="a:1", job="db"),
        row("rocksdb_bytes_written", 0, 300, instance="b:1", job="db"),
        row("rocksdb_stall_micros", 0, 90e6, instance="b:1", job="db"),
    )
    rows = found.values["instances"]
    assert isinstance(rows, list)
    assert [row["instance"] for row in rows] == ['instance="a:1"', 'instance="b:1"']
    assert [row["batch_mib_per_s"] for row in rows] == pytest.approx([10 / 2**20, 20 / 2**20])
    assert found.values["batch_mib_per_s"] is None
    assert failing(found) == ["stall_fraction"]
    assert any(note.startswith("several databases") for note in found.notes)
    told = next(check.message for check in found.checks if not check.ok)
    assert told.startswith('instance="b:1": stalled share')
    assert told.endswith("6 and 1 do not agree")


def test_one_of_several_may_have_too_little(tmp_path: Path) -> None:
    found = imported(
        tmp_path,
        row("rocksdb_bytes_written", 0, 150, pod="a"),
        row("rocksdb_bytes_written", 300, pod="b"),
    )
    rows = found.values["instances"]
    assert isinstance(rows, list)
    assert [row["instance"] for row in rows] == ['pod="a"']
    assert found.values["batch_mib_per_s"] is None
    assert found.notes[0] == (
        'pod="b": left out, one sample a series; a rate needs two: widen the range'
    )


def test_two_databases_of_a_process_are_told_apart_by_prefix(tmp_path: Path) -> None:
    rows = imported(
        tmp_path,
        row("rocksdb_bytes_written", 0, 150, instance="a"),
        row("intentsdb_rocksdb_bytes_written", 0, 300, instance="a"),
        row("intentsdb_rocksdb_is_write_stopped", 1, 1, instance="a"),
    ).values["instances"]
    assert isinstance(rows, list)
    assert [(r["instance"], r["stopped_sample_fraction"]) for r in rows] == [
        ('prefix=""', None),
        ('prefix="intentsdb_"', 1.0),
    ]


def test_properties_labelled_more_finely_belong_to_their_database(tmp_path: Path) -> None:
    values = imported(
        tmp_path,
        row("rocksdb_bytes_written", 0, 150, instance="a"),
        row("rocksdb_is_write_stopped", 0, 1, instance="a", store="orders"),
    ).values
    assert values["instances"] == []
    assert values["instance"] == 'instance="a", store="orders"'
    assert values["batch_mib_per_s"] == pytest.approx(10 / 2**20)
    assert values["stopped_sample_fraction"] == 0.5


def test_busy_slots_by_histogram_are_held_against_the_gauge(tmp_path: Path) -> None:
    found = imported(
        tmp_path,
        row("rocksdb_compaction_times_micros_sum", 0, 30e6, 60e6),
        row("rocksdb_compaction_times_micros_count", 0, 5, 9),
        row("rocksdb_db_flush_micros_sum", 0, 6e6, 12e6),
        row("rocksdb_compact_write_bytes", 0, 6e8, 12e8),
        row("rocksdb_num_running_compactions", 1, 1, 1),
    )
    assert found.values["busy_slots"] == pytest.approx(2.0)
    assert found.values["slot_write_bytes_per_s"] == pytest.approx(2e7)
    assert found.values["flush_and_compaction_jobs"] == pytest.approx(2.4)
    assert failing(found) == ["busy_slots"]


def test_one_query_a_metric_and_csv_are_read(tmp_path: Path) -> None:
    first = written(tmp_path, row("rocksdb_bytes_written", 0, 150), name="a.json")
    second = tmp_path / "b.csv"
    second.write_text(f"time,rocksdb.wal.bytes\n{START_S},0\n{START_S + STEP_S},150\n")
    found = import_prometheus([first, second])
    assert found.values["a_wal_per_batch_byte"] == pytest.approx(1.0)
    assert found.values["source"] == f"{first}, {second}"


def test_what_promtool_prints_is_read(tmp_path: Path) -> None:
    answer = json.loads(written(tmp_path, row("rocksdb_bytes_written", 0, 150)).read_text())
    path = tmp_path / "promtool.json"
    path.write_text(json.dumps(answer["data"]["result"]))
    assert import_prometheus([path]).values["batch_mib_per_s"] == pytest.approx(10 / 2**20)


def test_a_long_table_may_lack_values(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    lines = [f"{START_S + 15 * n},rocksdb_bytes_written,{v}" for n, v in enumerate((0, "", 300))]
    path.write_text("\n".join(["time,metric,value", *lines]) + "\n")
    assert import_prometheus([path]).values["batch_mib_per_s"] == pytest.approx(10 / 2**20)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row("up", 1, 1)], "no RocksDB metric among up"),
        ([row("rocksdb_block_cache_hit", 1, 2)], "no metric of writes among rocksdb_block_cache"),
        ([row("rocksdb_bytes_written", 1)], "a rate needs two"),
        ([row("rocksdb_bytes_written", "NaN", "NaN")], "no metric of writes"),
        (
            [row("rocksdb_bytes_written", 1, 2), row("rocksdb_bytes_written_total", 1, 2)],
            "rocksdb_bytes_written and rocksdb_bytes_written_total tell the same",
        ),
        (
            [row("rocksdb_bytes_written", 1, 2), row("rocksdb_bytes_written", 1, 2, cf="a")],
            "tell the same",
        ),
        (
            [row("rocksdb_bytes_written", 1, 2), row("rocksdb_wal_bytes", None, None, 1, 2)],
            "rocksdb_bytes_written and rocksdb_wal_bytes have no time in common",
        ),
        ([({"instance": "a"}, [1, 2])], "not rate() of it"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path, rows: list[Row], says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)) as caught:
        imported(tmp_path, *rows)
    assert "\n" not in str(caught.value)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    at=st.integers(0, QUERY.stat().st_size),
    length=st.integers(0, 400),
    other=st.binary(max_size=40),
)
def test_a_damaged_query_is_refused_or_read(
    tmp_path: Path, at: int, length: int, other: bytes
) -> None:
    content = QUERY.read_bytes()
    path = tmp_path / "damaged"
    path.write_bytes(content[:at] + other + content[at + length :])
    with contextlib.suppress(InputError):
        values = import_prometheus([path]).values
        assert all(math.isfinite(v) for v in values.values() if isinstance(v, float))
