"""`--redact`: no name of whose data it is, anywhere, and every number as it was."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from phase_d_lib.advice.advise import Advice
from phase_d_lib.cli import app
from phase_d_lib.errors import InputError
from phase_d_lib.importers import registry
from phase_d_lib.importers.base import CaseFragment, Check, Imported
from phase_d_lib.importers.pseudonyms import redacted
from phase_d_lib.redaction import Redactor
from phase_d_lib.runs import find_runs
from phase_d_lib.workspace import find_workspace

DATA = Path(__file__).parent / "data"
SECRETS = (
    "alice",
    "shop-7",
    "shop-db",
    "corp.example",
    "10.1.2.3",
    "customers",
    "주문",
    "9SESSION8SESSION7SES",
    "2f287be5",
)
LOG_LINES = """\
{0}Host name (Env):  shop-7.corp.example
{0}DB Session ID:  9SESSION8SESSION7SES
{0}                                 Options.wal_dir: shop-db/wal files
{0}[x.cc:1] DB ID: 2f287be5-4bbe-4573-aadf-a4047f6708e2
{0}[ERROR] [x.cc:1] [customers] IO error: /home/alice/shop-db/7.sst of alice on shop-7
"""


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        assert isinstance(done.exception, InputError), done.exception
    return done


def spoken(done: Result) -> str:
    return f"{done.output}{done.stderr}{done.exception or ''}"


def found(text: str, *more: object) -> list[str]:
    """Secrets that a text holds, as it is or escaped as JSON."""
    secrets = [*SECRETS, *map(str, more)]
    return [s for s in secrets if s in text or json.dumps(s)[1:-1] in text]


def numbers(value: Any) -> list[Any]:
    """Everything of a JSON value that is no text, in order."""
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers(part)]
    if isinstance(value, list):
        return [number for part in value for number in numbers(part)]
    return [] if isinstance(value, str) else [value]


def fio_object() -> dict[str, Any]:
    text = (DATA / "imports" / "fio-3.36.json").read_text()
    loaded: dict[str, Any] = json.loads(text[text.index("{") :])
    loaded["global options"] |= {"filename": "/home/alice/shop-db/probe", "hostname": "shop-7"}
    loaded["jobs"][0]["jobname"] = "alice-nvme of shop-7"
    loaded["jobs"][1]["jobname"] = "write"  # a word of fio's own
    loaded["jobs"].append({**loaded["jobs"][0], "groupid": 2, "jobname": "customers", "error": 5})
    return loaded


def series(name: str, values: Sequence[float], **labels: str) -> dict[str, Any]:
    samples = [[1_700_000_000 + 15 * n, str(value)] for n, value in enumerate(values)]
    return {"metric": {"__name__": name, **labels}, "values": samples}


def inputs() -> dict[str, str]:
    """What each kind may be given, with a secret wherever the format has room for one."""
    bench = (DATA / "imports" / "db_bench_5.18.txt").read_text()
    table = bench[bench.index("** Compaction Stats [default] **") :]
    bench = bench.replace("./db_bench ", "./db_bench --db=/home/alice/shop-db --wal_dir=shop-db ")
    bench = bench.replace("CPU: ", "Host:       shop-7.corp.example\nCPU: ")
    options = (DATA / "imports" / "OPTIONS-6.8").read_text()
    options = options.replace(
        "[DBOptions]",
        "[DBOptions]\n  wal_dir=/home/alice/shop-db/wal\n  db_log_dir=shop-db/log\n"
        "  db_host_id=shop-7\n  db_paths={shop-db:100}\n  delayed_write_rate=/home/alice/rate",
    )
    options += '\n[CFOptions "customers"]\n  write_buffer_size=1\n[CFOptions "주문"]\n  a=1\n'
    table_text = (DATA / "imports" / "report.tsv").read_text()
    matrix = [
        series("rocksdb_bytes_written", (0, 150), instance="shop-7:9404", store="customers"),
        series("rocksdb_bytes_written", (0, 90), instance="10.1.2.3:9404", store="주문"),
        series("flink_operator_customers_rocksdb_block_cache_hit", (1, 2), host="shop-7"),
        series("up", (1, 1), host="alice"),
    ]
    return {
        "db_bench": bench + table.replace("[default]", "[customers]"),
        "options": options,
        "fio": json.dumps(fio_object()),
        "report-tsv": f"{table_text}/home/alice/shop-db\t1\n",
        "prometheus": json.dumps(
            {"status": "success", "data": {"resultType": "matrix", "result": matrix}}
        ),
        "db_bench-csv": (DATA / "imports" / "report.csv").read_text(),
    }


@pytest.mark.parametrize("kind", inputs())
def test_no_name_leaves_an_import(tmp_path: Path, kind: str) -> None:
    home = tmp_path / "home" / "alice"
    home.mkdir(parents=True)
    path = home / "shop-7 bench"
    path.write_text(inputs()[kind])
    plain = json.loads(run("import", kind, path, "--json").stdout)
    done = run("import", kind, path, "--json", "--redact")
    assert found(spoken(done), tmp_path) == []
    record = json.loads(done.stdout)
    assert record["kind"] == kind
    assert record["source"] == "path-1"
    assert numbers(record) == numbers(plain)
    assert record.keys() == plain.keys()
    page = run("import", kind, path, "--redact")
    assert page.exit_code == 0
    assert found(spoken(page), tmp_path) == []


def test_what_an_import_writes_is_without_names_too(tmp_path: Path) -> None:
    for kind, option, name in (("options", "--case", "shop-7.json"), ("fio", "--grid", "alice")):
        path = tmp_path / f"shop-7 {kind}"
        path.write_text(inputs()[kind])
        written = tmp_path / name
        done = run("import", kind, path, option, written, "--redact")
        assert done.exit_code == 0
        assert found(spoken(done) + written.read_text(), tmp_path) == []
        again = run("import", kind, path, option, written, "--redact")
        assert "path-2: exists already" in str(again.exception)
        plain = tmp_path / f"plain {kind}"
        run("import", kind, path, option, plain)
        if kind == "fio":
            assert plain.read_bytes() == written.read_bytes()
        else:
            before, after = (json.loads(p.read_text()) for p in (plain, written))
            assert numbers(before) == numbers(after)


def test_pseudonyms_say_what_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "OPTIONS"
    path.write_text(inputs()["options"])
    record = json.loads(run("import", "options", path, "--json", "--redact").stdout)
    assert record["column_families"] == ["cf-1", "default", "cf-2", "cf-3"]
    path.write_text(inputs()["fio"])
    record = json.loads(run("import", "fio", path, "--json", "--redact").stdout)
    assert record["jobs"] == ["job-1", "job-2", "job-3"]
    told = [check["message"] for check in record["checks"]]
    assert sum(message.startswith("group 0 (job-1): read: IOPS") for message in told) == 1
    assert any(message.startswith("group 1 (job-2): write: IOPS x block") for message in told)
    assert record["notes"] == ["group 2 (job-3): left out, it ended with error 5"]
    path.write_text(inputs()["prometheus"])
    record = json.loads(run("import", "prometheus", path, "--json", "--redact").stdout)
    labels = [row["instance"] for row in record["instances"]]
    assert labels == [
        'instance="label-1", store="label-2"',
        'instance="host-1", store="label-3"',
    ]
    assert any(labels[0] in check["message"] for check in record["checks"])


def test_an_error_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "alice").mkdir()
    path = tmp_path / "alice" / "shop-7"
    for kind in registry.known_kinds():
        assert str(run("import", kind, path, "--redact").exception).startswith("path-1: ")
    path.write_text('{"status": "error", "error": "no /home/alice/shop-db on 10.1.2.3:9090"}')
    said = spoken(run("import", "prometheus", path, "--redact"))
    assert "no path-2 on host-1" in said
    assert found(said, tmp_path) == []
    for verb in ("advise", "log"):
        said = spoken(run(verb, tmp_path / "alice" / "absent", "--redact"))
        assert "cannot be read" in said
        assert found(said, tmp_path) == []


def test_an_importer_of_a_third_party_says_what_its_names_are() -> None:
    theirs = Imported(
        {"kind": "theirs", "tenant": "Acme", "rows": [{"tenant": "7", "puts": 7}], "note": "7 s"},
        checks=(Check("x", True, 7, 7, 0.0, "tenant [7] of Acme: 7 and 7"),),
        notes=("Acme wrote from /srv/acme",),
        case=CaseFragment({"record_bytes": 7, "options": {"compression": "Acme"}}),
        names={"tenant": "tenant"},
    )
    told = redacted(theirs, [], Redactor())
    assert told.values == {
        "kind": "theirs",
        "tenant": "tenant-1",
        "rows": [{"tenant": "tenant-2", "puts": 7}],
        "note": "7 s",
    }
    assert told.checks[0].message == "tenant [tenant-2] of tenant-1: 7 and 7"
    assert told.notes == ("tenant-1 wrote from path-1",)
    assert told.case is not None
    assert told.case.values == {"record_bytes": 7, "options": {"compression": "tenant-1"}}


def secret_log(content: str, family: str) -> str:
    """The text of a LOG with names in it, and its only column family renamed."""
    content = content.replace("[default]", f"[{family}]").replace('"default"', f'"{family}"')
    cut = content.index("\n") + 1
    date = content[:26]
    return content[:cut] + LOG_LINES.format(f"{date} 1 ") + content[cut:]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_advice_that_is_refused_names_no_family(tmp_path: Path, form: tuple[str, ...]) -> None:
    log = gzip.decompress((DATA / "logs" / "LOG-rocksdb-6.29.5.gz").read_bytes()).decode()
    half = len(log) // 2
    two = log[:half] + log[half:].replace('"cf_name": "default"', '"cf_name": "주문"')
    path, page = tmp_path / "alice", tmp_path / "shop-7.html"
    path.write_text(secret_log(two, "customers"))
    done = run("advise", path, "--redact", "--html", page, "--lang", "en", *form)
    assert done.exit_code == 0, spoken(done)
    assert found(spoken(done) + page.read_text(), tmp_path) == []
    for text in (done.stdout, page.read_text()):
        assert "several compete for writes: cf-1, cf-2" in text


@pytest.mark.slow
def test_advice_has_the_same_numbers_without_names(tmp_path: Path) -> None:
    runs = find_runs(find_workspace().recorded_runs)
    longest = max(runs, key=lambda run: run.spec.duration_s)
    log = gzip.decompress((longest.path / "LOG.gz").read_bytes()).decode()
    path, pages = tmp_path / "shop-7", [tmp_path / "plain.html", tmp_path / "alice.html"]
    path.write_text(secret_log(log, "customers"))
    plain = run("advise", path, "--json", "--lang", "en", "--html", pages[0])
    done = run("advise", path, "--json", "--lang", "en", "--html", pages[1], "--redact")
    assert done.exit_code == 0
    assert found(spoken(done) + pages[1].read_text(), tmp_path) == []
    before, after = json.loads(plain.stdout), json.loads(done.stdout)
    assert before["facts"]["column_family"] == "customers"
    assert after["facts"].pop("column_family") == "cf-1"
    del before["facts"]["column_family"]
    assert after == before
    assert Advice.model_validate_json(done.stdout).back_test is not None
    assert pages[0].read_text() == pages[1].read_text()


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_log_keeps_its_numbers_and_no_name(tmp_path: Path, form: tuple[str, ...]) -> None:
    log = gzip.decompress((DATA / "logs" / "LOG-rocksdb-6.29.5.gz").read_bytes()).decode()
    path = tmp_path / "alice"
    path.write_text(secret_log(log, "customers"))
    plain = run("log", path, *form)
    done = run("log", path, "--redact", *form, "--parquet", tmp_path / "shop-7")
    assert done.exit_code == 0, spoken(done)
    assert found(spoken(done), tmp_path) == []
    assert "shop-N" not in spoken(done)
    if form:
        assert numbers(json.loads(done.stdout)) == numbers(json.loads(plain.stdout))
        kinds = [w["kind"] for w in json.loads(done.stdout)["warnings"]]
        assert "IO error: PATH of user-1 on host-N" in kinds
        assert json.loads(done.stdout)["options"]["wal_dir"].startswith("path-")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[/db_impl/db_impl_open.cc:538] of /db_impl/x",
            "[/db_impl/db_impl_open.cc:538] of path-1",
        ),
        ("2026/11/24-16:10:12 at 3/4 MB/s, N/A", "2026/11/24-16:10:12 at 3/4 MB/s, N/A"),
        ("./a/b ../c/d ~/e ~bob/f", "path-1 path-2 path-3 path-4"),
        (r"C:\Users\bob\db of bob", "path-1 of user-1"),
        ("hdfs://nn1:9000/rocks, s3://bucket/x", "path-1, path-2"),
        ("bob@web-1.example.com: 10.0.0.1:22, 1.2.3", "user-1: host-1, 1.2.3"),
        ('x{db="a b", n=2}', 'x{db="label-1", n=2}'),
        ("/home/bob/x by bob and bob_2, not bobby", "path-1 by user-1 and user-1_2, not bobby"),
        ("2f287be5-4bbe-4573-aadf-a4047f6708e2 9SESSION8SESSION7SES", "db-1 session-1"),
        ("/var/lib/x, /var/lib/x:", "path-1, path-1:"),
    ],
)
def test_shapes_that_give_themselves_away(text: str, expected: str) -> None:
    assert Redactor().text(text) == expected


def test_names_that_are_numbers_or_words_spare_the_text() -> None:
    redactor = Redactor()
    redactor.know("cf", ["7", "default", "orders", "orders-old"])
    redactor.know("job", ["write"])
    redactor.know("path", ["LOG", "report", "out/run 1.txt"])
    redactor.know("host", ["web-1.example.com"])
    expected = {
        "[7] has 7 files": "[cf-1] has 7 files",
        "orders of orders-old, orders.cc, reorders": "cf-2 of cf-3, cf-2.cc, reorders",
        "group 0 (write): write IOPS": "group 0 (job-1): write IOPS",
        "report: a report; LOG: no LOG": "path-1: a report; LOG: no LOG",
        "out/run 1.txt: damaged": "path-2: damaged",
        "web-1, web-1.example.com, web-1.lan, web-12": "host-1, host-1, host-1, web-12",
        "at web-N and web-N.": "at host-N and host-N.",
    }
    assert {text: redactor.text(text) for text in expected} == expected


def test_a_record_keeps_keys_and_numbers() -> None:
    redactor = Redactor()
    value = {"a": ["/x/y", 1.5, None, True], "/x/y": {"b": "/x/y"}}
    assert redactor.record(value) == {
        "a": ["path-1", 1.5, None, True],
        "/x/y": {"b": "path-1"},
    }
