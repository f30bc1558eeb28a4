"""The exporter over loopback, the Grafana files against it, and range queries read back."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import orjson
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from phase_d_lib.errors import InputError
from phase_d_lib.metrics import METRICS, read_range_query, serve
from phase_d_lib.metrics.catalog import expectation_gauges
from phase_d_lib.monitor import Expectations
from phase_d_lib.runs import Run
from phase_d_lib.specs import OptionsSpec

REPOSITORY = Path(__file__).parents[1]
GRAFANA = REPOSITORY / "data" / "grafana"
RECORDED = Path(__file__).parent / "data" / "recorded"
EXPECTED = Expectations(
    options=OptionsSpec(), put_p999_objective_us=50_000.0, put_rate_low_ops_per_s=9_000.0
)
NAMES = {metric.name for metric in METRICS} | set(expectation_gauges(EXPECTED))


def last_row() -> dict[str, Any]:
    run = next(r for r in map(Run, sorted(RECORDED.glob("*/"))) if r.valid)
    return {str(key): value for key, value in run.samples.iloc[-1].to_dict().items()}


def scrape(url: str, accept: str = "text/plain") -> str:
    with urlopen(Request(url, headers={"Accept": accept}), timeout=10) as answer:
        return str(answer.read().decode())


def test_every_number_of_the_newest_sample_is_served() -> None:
    row = {**last_row(), "disk_free_bytes": 5.0, "disk_total_bytes": 9.0}
    with serve(expected=EXPECTED) as exporter:
        exporter.observe(row)
        samples = [s for family in prometheus(scrape(exporter.url)) for s in family.samples]
    seen = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}
    for metric in METRICS:
        value = row[metric.column]
        if value is None or not np.isfinite(value):
            continue
        key = (metric.name, tuple(sorted(metric.labels.items())))
        assert seen[key] == pytest.approx(value * metric.factor), metric.name
    assert seen["rocksdb_level0_slowdown_writes_trigger", ()] == 8
    assert {name for name, _ in seen} == NAMES


def test_the_page_is_valid_openmetrics_with_help_type_and_unit() -> None:
    with serve(expected=EXPECTED) as exporter:
        exporter.observe(last_row())
        page = scrape(exporter.url, "application/openmetrics-text; version=1.0.0")
    families = list(openmetrics(page))
    assert page.endswith("# EOF\n")
    assert all(family.documentation and family.type in ("counter", "gauge") for family in families)
    units = {family.name: family.unit for family in families}
    assert units["rocksdb_flush_write_bytes"] == "bytes"
    assert units["rocksdb_stall_seconds"] == "seconds"


def test_names_follow_the_conventions() -> None:
    for name in NAMES:
        assert re.fullmatch(r"rocksdb_[a-z0-9_]+", name)
        assert not re.search(r"_(us|ms|micros|mib|kib)(_|$)", name)
    counters = {m.name for m in METRICS if m.column.endswith("_total") and m.kind == "counter"}
    assert {m.name for m in METRICS if m.kind == "counter"} == counters


def test_what_the_sample_lacks_is_absent_not_zero() -> None:
    with serve() as exporter:
        assert scrape(exporter.url) == ""
        exporter.observe({"puts_total": 7, "put_latency_p99_us": None, "io_write_bytes_total": -1})
        page = scrape(exporter.url)
    assert "rocksdb_puts_total 7.0" in page
    assert "latency" not in page
    assert "process" not in page


def test_the_next_scrape_shows_the_next_row() -> None:
    with serve() as exporter:
        for puts in (1, 2):
            exporter.observe({"puts_total": puts})
            assert f"rocksdb_puts_total {puts}.0" in scrape(exporter.url)


def test_it_binds_loopback_alone_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    exporter = serve()
    assert exporter.url.startswith("http://127.0.0.1:")
    scrape(exporter.url)
    port = exporter.port
    exporter.close()
    exporter.close()
    assert set(threading.enumerate()) == before
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


def test_a_client_that_says_nothing_delays_nobody_and_is_waited_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = set(threading.enumerate())
    with serve() as exporter, socket.create_connection(("127.0.0.1", exporter.port)):
        exporter.observe({"puts_total": 3})
        assert "rocksdb_puts_total 3.0" in scrape(exporter.url)
        exporter.close()
        assert set(threading.enumerate()) == before
    assert capsys.readouterr().err == ""


def test_a_taken_port_is_one_line() -> None:
    with serve() as exporter, pytest.raises(InputError, match="port 0 takes a free one"):
        serve(exporter.port)


# -- Grafana and alert rules -----------------------------------------------------------------------


def metric_names(expression: str) -> set[str]:
    return set(re.findall(r"rocksdb_[a-z0-9_]+", re.sub(r'"[^"]*"', "", expression)))


def dashboard_expressions() -> list[str]:
    dashboard = orjson.loads((GRAFANA / "rocksdb-dashboard.json").read_bytes())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def alert_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((GRAFANA / "rocksdb-alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_the_dashboard_and_the_rules_use_only_what_is_served() -> None:
    expressions = [*dashboard_expressions(), *(rule["expr"] for rule in alert_rules())]
    assert len(expressions) > 20
    for expression in expressions:
        assert metric_names(expression), expression
        assert metric_names(expression) <= NAMES, expression
        assert expression.count("(") == expression.count(")")


def test_labels_in_expressions_exist() -> None:
    known: dict[str, set[str]] = {}
    for metric in METRICS:
        known.setdefault(metric.name, set()).update(metric.labels)
    for expression in [*dashboard_expressions(), *(rule["expr"] for rule in alert_rules())]:
        for name, labels in re.findall(r"(rocksdb_[a-z0-9_]+)\{([^}]*)\}", expression):
            used = set(re.findall(r"([a-z_]+)\s*=", labels)) - {"job", "instance"}
            assert used <= known.get(name, set()), expression


def test_every_alert_has_severity_cause_and_action() -> None:
    for rule in alert_rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"]


def test_the_dashboard_has_one_data_source_and_unique_panels() -> None:
    dashboard = orjson.loads((GRAFANA / "rocksdb-dashboard.json").read_bytes())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels)
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels}
    assert len(places) == len(panels)
    assert dashboard["id"] is None


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_the_rules() -> None:
    subprocess.run(
        ["promtool", "check", "rules", GRAFANA / "rocksdb-alerts.yaml"], check=True, timeout=60
    )


# -- range queries ---------------------------------------------------------------------------------


def matrix(*series: tuple[dict[str, str], list[Any]]) -> bytes:
    result = [
        {"metric": labels, "values": [[1_700_000_000 + 15 * n, str(v)] for n, v in enumerate(vs)]}
        for labels, vs in series
    ]
    return orjson.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def written(tmp_path: Path, content: bytes | str) -> Path:
    file = tmp_path / "query"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_own_and_foreign_names_become_sample_columns(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        matrix(
            ({"__name__": "rocksdb_stall_seconds_total", "instance": "a"}, [1.0, 2.5]),
            ({"__name__": "rocksdb_num_files_at_level", "level": "0"}, [4, 5]),
            ({"__name__": "hot_rocksdb_estimate_pending_compaction_bytes"}, [10, 20]),
            ({"__name__": "kafka_stream_state_bytes_written_total"}, [100, 250]),
            ({"__name__": "rocksdb_block_cache_hit", "db": "x"}, [1, "NaN"]),
        ),
    )
    found = read_range_query(file)
    assert found["time_s"].tolist() == [0.0, 15.0]
    assert found["unix_time_s"].iloc[0] == 1_700_000_000
    assert found["stall_us_total"].tolist() == [1e6, 2.5e6]
    assert found["l0_files"].tolist() == [4, 5]
    assert found["pending_compaction_bytes"].tolist() == [10, 20]
    assert found["batch_bytes_total"].tolist() == [100, 250]
    assert np.isnan(found['rocksdb_block_cache_hit{db="x"}'].iloc[1])


def test_a_counter_goes_on_over_a_restart(tmp_path: Path) -> None:
    file = written(
        tmp_path, matrix(({"__name__": "rocksdb_flush_write_bytes_total"}, [5, 9, 2, "NaN", 4]))
    )
    assert read_range_query(file)["flush_write_bytes_total"].dropna().tolist() == [5, 9, 11, 13]


@pytest.mark.parametrize(
    "text",
    [
        "time,metric,value,level\n1700000000,rocksdb_num_files_at_level,4,0\n"
        "1700000015,rocksdb_num_files_at_level,5,0\n",
        'Time,"rocksdb_num_files_at_level{level=""0"", job=""db""}"\n'
        "2023-11-14T22:13:20Z,4\n2023-11-14T22:13:35Z,5\n",
        "timestamp,rocksdb_num_files_at_level0\n1700000000000,4\n1700000015000,5\n",
    ],
)
def test_csv_is_read_long_and_wide(tmp_path: Path, text: str) -> None:
    found = read_range_query(written(tmp_path, text))
    assert found["unix_time_s"].tolist() == [1_700_000_000, 1_700_000_015]
    assert found["l0_files"].tolist() == [4, 5]


def test_what_is_served_is_read_back(tmp_path: Path) -> None:
    row = last_row()
    with serve() as exporter:
        exporter.observe(row)
        samples = [s for f in exporter.registry.collect() for s in f.samples]
    file = written(
        tmp_path, matrix(*(({"__name__": s.name, **s.labels}, [s.value]) for s in samples))
    )
    found = read_range_query(file).iloc[0]
    for metric in METRICS:
        value = row.get(metric.column)
        if value is not None and np.isfinite(value) and metric.column != "unix_time_s":
            assert found[metric.column] == pytest.approx(value), metric.name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"[]", "not a successful Prometheus answer: no object"),
        (b'{"status":"error","error":"query timed out"}', "query timed out"),
        (b'{"status":"success","data":{"resultType":"vector","result":[]}}', "ask query_range"),
        (b'{"status":"success"}', "resultType is None"),
        (matrix(), "found no series"),
        (matrix(({"__name__": "up"}, [1])), "no RocksDB metric among up"),
        (matrix(({"__name__": "node_disk_bytes_written_total"}, [1])), "no RocksDB metric"),
        (matrix(({"instance": "a"}, [1])), "has no name"),
        (matrix(({"__name__": "rocksdb_wal_bytes"}, ["x"])), "could not convert"),
        (
            matrix(
                ({"__name__": "rocksdb_wal_bytes", "db": "a"}, [1]),
                ({"__name__": "rocksdb_wal_bytes", "db": "b"}, [1]),
            ),
            "both give wal_bytes_total",
        ),
        (b"a,b\n1,2\n", "no time column"),
        (b"", "neither JSON nor a CSV"),
        (b"\xff\xfe\x00,b\n", "neither JSON nor a CSV"),
        (b"time,rocksdb_wal_bytes\n5,1\n5,2\n", "do not ascend"),
        (b"time,rocksdb_wal_bytes\nsoon,1\n", "soon"),
    ],
)
def test_what_is_no_range_query_is_refused_in_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_range_query(written(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"can't read .*absent"):
        read_range_query(tmp_path / "absent")
