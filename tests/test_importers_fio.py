from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phase_d_lib.device import DeviceGrid
from phase_d_lib.errors import InputError
from phase_d_lib.importers import GRID_COLUMNS
from phase_d_lib.importers.base import Imported
from phase_d_lib.importers.fio import import_fio

SAMPLES = Path(__file__).parent / "data" / "imports"
FIO_3, FIO_2, FIO_2_1 = (SAMPLES / f"fio-{version}.json" for version in ("3.36", "2.10", "2.1.10"))


def object_of(path: Path) -> dict[str, Any]:
    text = path.read_text()
    loaded: dict[str, Any] = json.loads(text[text.index("{") :])
    return loaded


def written(tmp_path: Path, values: object) -> Path:
    path = tmp_path / "fio.json"
    path.write_text(json.dumps(values))
    return path


def failing(imported: Imported) -> list[str]:
    return [check.name for check in imported.checks if not check.ok]


def rows(imported: Imported) -> list[list[float]]:
    assert imported.grid is not None
    assert tuple(imported.grid.columns) == GRID_COLUMNS
    listed: list[list[float]] = imported.grid.to_numpy().tolist()
    return listed


def test_groups_of_fio_3_behind_a_warning_line() -> None:
    imported = import_fio([FIO_3])
    assert rows(imported) == [[1.0, 8, 4, 4, 400, 0], [0.75, 4, 1, 64, 300, 100]]
    assert not failing(imported)
    assert {check.name for check in imported.checks} >= {
        "bytes_rate_time",
        "iops_block",
        "threads_latency_rate",
        "read_share",
        "direct",
    }


def test_clones_of_fio_2_without_group_reporting_add_up() -> None:
    imported = import_fio([FIO_2])
    assert rows(imported) == [[0.0, 2, 2, 1024, 0, 300]]
    assert not failing(imported)


def test_a_fio_without_job_options_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="prints no job options"):
        import_fio([FIO_2_1])
    both = import_fio([FIO_2, FIO_2_1])
    assert len(rows(both)) == 1
    assert "fio-2.1.10.json" in both.notes[0]


def test_the_grid_is_what_the_device_code_reads() -> None:
    grid = import_fio([FIO_3, FIO_2]).grid
    assert grid is not None
    assert len(DeviceGrid.from_table(grid).points) == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bs": "4k,8k"}, "no single block size"),
        ({"bssplit": "4k/50:8k/50"}, "bssplit mixes block sizes"),
        ({"rw": "trim"}, "neither reading nor writing"),
        ({"iodepth": "0"}, "iodepth=0 is outside"),
        ({"iodepth": "many"}, "iodepth=many is no count"),
        ({"rw": "randrw", "rwmixread": "130"}, "no percentage"),
        ({"new_group": "1"}, "ran at the same time"),
    ],
)
def test_a_group_that_is_no_point_is_named(
    tmp_path: Path, options: dict[str, str], says: str
) -> None:
    values = object_of(FIO_3)
    values["jobs"] = values["jobs"][:1]
    values["jobs"][0]["job options"].update(options)
    with pytest.raises(InputError, match=says):
        import_fio([written(tmp_path, values)])


@pytest.mark.parametrize(
    ("change", "says"), [({"error": 5}, "ended with error 5"), ({"mixed": {}}, "unified_rw")]
)
def test_a_job_that_failed_or_was_merged_is_named(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    values = object_of(FIO_3)
    values["jobs"][0].update(change)
    imported = import_fio([written(tmp_path, values)])
    assert len(rows(imported)) == 1
    assert says in imported.notes[0]


def test_jobs_that_ran_beside_each_other_are_no_point(tmp_path: Path) -> None:
    values = object_of(FIO_3)
    values["jobs"][1]["groupid"] = 0
    with pytest.raises(InputError, match="differ in direction"):
        import_fio([written(tmp_path, values)])


@pytest.mark.parametrize(
    ("given", "kib"), [("4096", 4), ("64K", 64), ("1MiB", 1024), ("1m", 1024), ("4096B", 4)]
)
def test_block_sizes(tmp_path: Path, given: str, kib: float) -> None:
    values = object_of(FIO_3)
    values["jobs"][0]["job options"]["bs"] = given
    assert rows(import_fio([written(tmp_path, values)]))[0][3] == kib


def test_rwmixwrite_and_aliases(tmp_path: Path) -> None:
    values = object_of(FIO_3)
    options = values["jobs"][1]["job options"]
    options.pop("rw")
    options.pop("rwmixread")
    options.update({"readwrite": "randrw", "rwmixwrite": "25", "blocksize": options.pop("bs")})
    assert rows(import_fio([written(tmp_path, values)]))[1][:4] == [0.75, 4, 1, 64]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"io_bytes": 1}, "bytes_rate_time"),
        ({"iops": 1}, "iops_block"),
        ({"lat_ns": {"mean": 1000.0}}, "threads_latency_rate"),
    ],
)
def test_an_inconsistency_is_named(tmp_path: Path, change: dict[str, object], name: str) -> None:
    values = object_of(FIO_3)
    values["jobs"][0]["read"].update(change)
    assert name in failing(import_fio([written(tmp_path, values)]))


def test_the_page_cache_and_a_share_not_kept_are_named(tmp_path: Path) -> None:
    values = object_of(FIO_3)
    values["global options"]["direct"] = "0"
    values["jobs"][1]["job options"]["rwmixread"] = "50"
    assert failing(import_fio([written(tmp_path, values)])) == ["direct", "direct", "read_share"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ("{}", "no 'jobs'"),
        ('{"jobs": []}', "no 'jobs'"),
        ('{"jobs": [7]}', "job 1: no object"),
        ('{"client_stats": []}', "client/server"),
        ('{"jobs": [', "truncated or damaged JSON"),
        ('{"jobs": [{"read": {"bw": NaN}}]}', "damaged JSON"),
        ('{"jobs": [{"read": {"bw": -1}}]}', "bw is -1; allowed"),
        ('{"jobs": [{"read": {"bw": 1e999}}]}', "bw is inf; allowed"),
        ('{"jobs": [{"read": {"bw": "9"}}]}', "bw is '9', not a number"),
        ('{"jobs": [{"groupid": ' + "9" * 5000 + "}]}", "damaged JSON"),
        ('{"jobs": [{"groupid": ' + "9" * 400 + "}]}", "groupid is 999"),
        ('{"jobs": ' + "[" * 200_000, "nested too deep"),
        ('{"jobs": [1]}\n{"jobs": [2]}', "more than one JSON object"),
    ],
)
def test_refused_outputs(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "fio.json"
    path.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        import_fio([path])
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2500), content=st.binary(max_size=8), cut=st.booleans())
def test_damage_is_refused_or_read(tmp_path: Path, place: int, content: bytes, cut: bool) -> None:
    whole = FIO_3.read_bytes()
    path = tmp_path / "damaged.json"
    path.write_bytes(whole[:place] + content + (b"" if cut else whole[place + len(content) :]))
    with contextlib.suppress(InputError):
        import_fio([path])
