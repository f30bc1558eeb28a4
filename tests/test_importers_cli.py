"""``phase-d import``, and the registry behind it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from phase_d_lib import cli
from phase_d_lib.errors import InputError
from phase_d_lib.importers import base, registry
from phase_d_lib.importers.base import Imported
from tests.test_importers import shared

ROOT = Path(__file__).parents[1]
SAMPLES = Path(__file__).parent / "data" / "imports"
KINDS = {"db_bench", "db_bench-csv", "fio", "options", "prometheus", "report-tsv"}


def theirs(paths: Sequence[Path]) -> Imported:
    """An importer of a third party."""
    return Imported({"kind": "theirs", "name\x1b[31m": paths[0].name, "rate_ops_per_s": None})


@pytest.fixture(autouse=True)
def _declared_importers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pyproject.toml declares, whether or not this environment was installed since."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    points = {
        **declared[registry.ENTRY_POINTS],
        "theirs": f"{__name__}:theirs",
        "broken": "no.no:x",
    }
    monkeypatch.setattr(
        registry,
        "entry_points",
        lambda group: [EntryPoint(name, value, group) for name, value in points.items()],
    )


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["phase-d", "import", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_shared_output_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = shared("db_bench_2025-09-05_fillrandom.txt")
    monkeypatch.chdir(tmp_path)  # no checkout around it
    assert run(monkeypatch, "db_bench", path, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["user_mib_per_s"] == 187.1
    assert values["busy_slots"] == pytest.approx(8.0, abs=0.005)
    assert set(values["checks"][0]) == {"name", "ok", "left", "right", "tolerance", "message"}
    assert all(check["ok"] for check in values["checks"])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("db_bench", "db_bench_5.18.txt"),
        ("db_bench", "db_bench_9.10.txt"),
        ("db_bench-csv", "report.csv"),
        ("fio", "fio-3.36.json"),
        ("report-tsv", "report.tsv"),
        ("options", "OPTIONS-6.8"),
        ("prometheus", "prometheus.json"),
        ("theirs", "report.csv"),
    ],
)
def test_every_kind_prints_a_table_and_one_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, name: str
) -> None:
    assert run(monkeypatch, kind, SAMPLES / name) == 0
    table = capsys.readouterr().out
    assert table.splitlines()[0].split() == ["kind", kind]
    assert "\x1b" not in table
    assert run(monkeypatch, kind, SAMPLES / name, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["kind"] == kind
    assert isinstance(values["checks"], list)


def test_an_inconsistency_stands_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "report.tsv"
    path.write_text((SAMPLES / "report.tsv").read_text().replace("106.7", "53.0"))
    assert run(monkeypatch, "report-tsv", path) == 0
    assert "NOT OK  overwrite.t16.s0: usec_op x ops_sec" in capsys.readouterr().out


def test_a_case_fragment_is_written_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    case = tmp_path / "case.json"
    arguments = ("db_bench", SAMPLES / "db_bench_9.10.txt", "--case", case)
    assert run(monkeypatch, *arguments) == 0
    first = case.read_bytes()
    assert json.loads(first)["amplification_base"] == "batch"
    assert run(monkeypatch, *arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert case.read_bytes() == first


def test_a_fragment_says_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    case = tmp_path / "case.json"
    assert run(monkeypatch, "options", SAMPLES / "OPTIONS-6.8", "--case", case) == 0
    told = capsys.readouterr().err
    assert "not complete yet" in told
    assert "record_bytes" in told


def test_a_grid_is_written_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    grid = tmp_path / "grid.csv"
    arguments = ("fio", SAMPLES / "fio-3.36.json", "--grid", grid)
    assert run(monkeypatch, *arguments) == 0
    from phase_d_lib.importers import read_device_grid

    assert read_device_grid(grid)["write_mib_s"].to_list() == [0, 100]
    assert run(monkeypatch, *arguments) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ycsb", "x"), "unknown kind 'ycsb'; known: broken, db_bench, db_bench-csv, fio"),
        (("broken", "x"), "importer 'broken' cannot be loaded"),
        (("db_bench", "absent"), "absent: cannot be read (No such file"),
        (("fio", "."), ".: cannot be read (Is a directory)"),
        (("fio", SAMPLES / "fio-3.36.json", "--case", "new.json"), "says too little"),
        (("options", SAMPLES / "OPTIONS-6.8", "--grid", "new.csv"), "only fio gives"),
        (("options", SAMPLES / "OPTIONS-6.8", "--case", "no/such/new"), "cannot be written"),
    ],
)
def test_refusals_are_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[object, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert told.err.count("\n") == 1
    assert not told.out
    assert not list(tmp_path.iterdir())


def test_a_giant_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(base, "LARGEST_FILE_BYTES", 1 << 20)
    path = tmp_path / "giant"
    path.write_bytes(b"x" * (1 << 20))
    assert len(base.read_capped(path)) == 1 << 20
    path.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(InputError, match="larger than 1 MiB"):
        base.read_capped(path)


def test_the_declared_kinds_are_those_of_the_page() -> None:
    assert set(registry.known_kinds()) - {"theirs", "broken"} == KINDS
    page = (ROOT / "docs" / "import.md").read_text()
    assert all(f"`{kind}`" in page for kind in KINDS)
