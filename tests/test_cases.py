"""Case files: numbers by hand, every refusal, and one line with the right exit code."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phase_d_lib import casefile, cases, cli
from phase_d_lib.errors import InputError
from phase_d_lib.importers import GRID_COLUMNS
from phase_d_lib.models.base import Case
from phase_d_lib.models.registry import OWN_MODELS
from phase_d_lib.optionsfile import parse_options, render_options
from phase_d_lib.specs import OptionsSpec
from phase_d_lib.units import GIB, MIB
from phase_d_lib.workspace import ROOT_VARIABLE, find_workspace
from tests.test_importers import shared

DATA = find_workspace().root / "data"
EXAMPLES = DATA / "examples"
KEYS = [
    "model",
    "saturation_ops_per_s",
    "s_max_ops_per_s",
    "interval_90",
    "binding",
    "stall_fraction",
    "amplification_source",
    "inside_calibration",
    "interval_source",
]

# 1,000 B records, three compaction slots, everything the bounds need.
BY_HAND: dict[str, Any] = {
    "record_bytes": 1000,
    "options": {"max_background_jobs": 4},
    "device": {"write_bytes_per_s": 500e6, "read_bytes_per_s": 300e6},
    "limiter_bytes_per_s": 100_000_000,
    "wal_on": False,
    "host": {"slot_write_bytes_per_s": 60e6, "foreground_ops_per_s": 50_000, "cores": 2},
    "amplification": {"a_w": 4, "a_r": 2, "a_c": 3},
    "amplification_base": "user",
}
# A tree so small that it is simulated in hundredths of a second.
SMALL: dict[str, Any] = {
    "record_bytes": 416,
    "options": {
        "write_buffer_size": 2 * MIB,
        "target_file_size_base": 2 * MIB,
        "max_bytes_for_level_base": 8 * MIB,
        "compression": "none",
        "level_compaction_dynamic_level_bytes": False,
    },
    "limiter_bytes_per_s": 30 * MIB,
    "host": {"slot_write_bytes_per_s": 171e6, "foreground_ops_per_s": 154_000, "cores": 2},
    "amplification": None,
    "data": {"keys": 20_000, "distribution": "uniform", "compression_ratio": 1, "preloaded": True},
    "window_s": [1, 3],
}


def changed(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Copy a case, a dotted key written with `__`; the value ... leaves the key out."""
    case = json.loads(json.dumps(base))
    for name, value in changes.items():
        *sections, key = name.split("__")
        section = case
        for part in sections:
            section = section[part]
        if value is ...:
            section.pop(key, None)
        else:
            section[key] = value
    return case


def written(folder: Path, case: object) -> Path:
    path = folder / "case.json"
    path.write_text(case if isinstance(case, str) else json.dumps(case))
    return path


def case_of(folder: Path, values: dict[str, Any]) -> Case:
    path = written(folder, values)
    return casefile.to_case(casefile.read_case(path), path)


def asked(folder: Path, values: dict[str, Any]) -> dict[str, cases.CaseAnswer]:
    path = written(folder, values)
    inputs = casefile.read_case(path)
    return {row.model: row for row in cases.answers(inputs, casefile.to_case(inputs, path))}


def predict(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the verb, run in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["phase-d", "predict", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


def refused_line(*arguments: str) -> str:
    """The one line of a command that ends with exit code 2 and prints nothing else."""
    code, out, err = predict(*arguments)
    assert (code, out) == (2, ""), err
    assert err.startswith("phase-d: ")
    assert err.count("\n") == 1
    return err


def test_given_amplification_by_hand(tmp_path: Path) -> None:
    rows = asked(tmp_path, BY_HAND)
    # The limiter: 100e6 / 4 = 25 MB/s of user bytes; slots 60, device 125 and 150, U 50 MB/s.
    assert rows["v1"].saturation_ops_per_s == pytest.approx(25_000)
    assert (rows["v1"].binding, rows["v1"].amplification_source) == ("limiter", "given")
    assert rows["v2_1"].stall_fraction == pytest.approx(0.5)
    # Without limiter the slots bind v1 below U: 3 x 60e6 / 4.5 / 1000 = 40,000.
    free = changed(BY_HAND, limiter_bytes_per_s=..., amplification__a_c=4.5, amplification__a_w=5)
    assert asked(tmp_path, free)["v1"].saturation_ops_per_s == pytest.approx(40_000)
    # v2_1's mix: rho = 4/8, B = 1/(0.5/300e6 + 0.5/500e6) = 375e6, over 8 x 1000.
    mixed = changed(BY_HAND, limiter_bytes_per_s=..., amplification__a_r=4)
    assert asked(tmp_path, mixed)["v2_1"].saturation_ops_per_s == pytest.approx(46_875)


def test_a_w_is_split_into_wal_flush_and_compaction(tmp_path: Path) -> None:
    # A batch of 16 + 984 B: 12 header, 1 type, 1 and 2 length bytes: 1,016 B.
    batch = 1.016
    by_user = case_of(tmp_path, changed(BY_HAND, wal_on=True, amplification__a_w=5))
    assert by_user.amplification is not None
    assert by_user.amplification.wal_bytes_per_user_byte == pytest.approx(batch)
    assert by_user.amplification.flush_bytes_per_user_byte == pytest.approx(5 - batch - 3)
    values = changed(BY_HAND, wal_on=True, amplification__a_w=5, amplification_base="batch")
    by_batch = case_of(tmp_path, values).amplification
    assert by_batch is not None
    assert by_batch.wal_bytes_per_user_byte == pytest.approx(batch)
    assert by_batch.flush_bytes_per_user_byte == pytest.approx(1 * batch)
    assert by_batch.compaction_write_bytes_per_user_byte == pytest.approx(3 * batch)
    assert by_batch.device_read_bytes_per_user_byte == pytest.approx(2 * batch)
    # On a device of its own the WAL is no part of a_w, but it is still written.
    apart = case_of(tmp_path, {**values, "wal_on_same_device": False}).amplification
    assert apart is not None
    assert apart.wal_bytes_per_user_byte == pytest.approx(batch)
    assert apart.flush_bytes_per_user_byte == pytest.approx(2 * batch)
    # A ledger without flushes closes exactly.
    exact = changed(BY_HAND, amplification__a_w=3)
    none = case_of(tmp_path, exact).amplification
    assert none is not None
    assert none.flush_bytes_per_user_byte == 0.0


def test_the_device_bound_counts_the_wal_that_shares_the_device(tmp_path: Path) -> None:
    values = changed(
        BY_HAND,
        limiter_bytes_per_s=...,
        wal_on=True,
        host__slot_write_bytes_per_s=...,
        host__foreground_ops_per_s=...,
        device__write_bytes_per_s=100e6,
        amplification__a_w=5,
    )
    rows = asked(tmp_path, values)
    assert rows["v1"].saturation_ops_per_s == pytest.approx(100e6 / 5 / 1000)
    assert rows["v1"].binding == "device_write"
    apart = asked(tmp_path, {**values, "wal_on_same_device": False})
    assert apart["v1"].saturation_ops_per_s == pytest.approx(100e6 / 5 / 1000)


def test_options_left_out_have_rocksdbs_defaults(tmp_path: Path) -> None:
    values = changed(BY_HAND, options={}, limiter_bytes_per_s=...)
    # include/rocksdb/options.h and advanced_options.h of v9.8.4.
    assert case_of(tmp_path, values).options == OptionsSpec(
        write_buffer_size=64 * MIB,
        max_write_buffer_number=2,
        min_write_buffer_number_to_merge=1,
        target_file_size_base=64 * MIB,
        max_bytes_for_level_base=256 * MIB,
        max_bytes_for_level_multiplier=10.0,
        level0_file_num_compaction_trigger=4,
        level0_slowdown_writes_trigger=20,
        level0_stop_writes_trigger=36,
        soft_pending_compaction_bytes_limit=64 * GIB,
        hard_pending_compaction_bytes_limit=256 * GIB,
        max_background_jobs=2,
        max_subcompactions=1,
        delayed_write_rate=16 * MIB,
        level_compaction_dynamic_level_bytes=True,
        compression="snappy",
        use_direct_io_for_flush_and_compaction=False,
        use_direct_reads=False,
        stats_dump_period_sec=600,
    )


@pytest.mark.parametrize("rate", [..., 0])
def test_an_inferred_delayed_rate_is_the_limiters(tmp_path: Path, rate: object) -> None:
    case = case_of(tmp_path, changed(BY_HAND, options__delayed_write_rate=rate))
    assert case.options.delayed_write_rate == 100_000_000


def test_triggers_left_out_are_raised_as_rocksdb_raises_them(tmp_path: Path) -> None:
    trigger = {"level0_file_num_compaction_trigger": 30}
    options = case_of(tmp_path, changed(BY_HAND, options=trigger)).options
    assert options.level0_slowdown_writes_trigger == 30
    assert options.level0_stop_writes_trigger == 36
    slowdown = {"level0_slowdown_writes_trigger": 50}
    options = case_of(tmp_path, changed(BY_HAND, options=slowdown)).options
    assert options.level0_stop_writes_trigger == 50


@pytest.mark.parametrize("ours", ["none", "snappy", "lz4", "zstd"])
def test_compression_goes_by_rocksdbs_name_or_ours(tmp_path: Path, ours: Any) -> None:
    # RocksDB's own name of it, as its OPTIONS file has it.
    file = parse_options(render_options(OptionsSpec(compression=ours)))
    for name in (ours, file.cf["default"]["compression"]):
        case = case_of(tmp_path, changed(BY_HAND, options__compression=name))
        assert case.options.compression == ours


def test_direct_io_is_the_option_of_that_name(tmp_path: Path) -> None:
    name = "use_direct_io_for_flush_and_compaction"
    assert case_of(tmp_path, {**BY_HAND, "direct_io": True}).options.model_dump()[name]
    assert case_of(tmp_path, changed(BY_HAND, options={name: True})).options.model_dump()[name]
    assert not case_of(tmp_path, {**BY_HAND, "direct_io": False}).options.model_dump()[name]


def test_a_steady_state_has_every_key_written(tmp_path: Path) -> None:
    empty = changed(SMALL, data__preloaded=False)
    assert not case_of(tmp_path, empty).workload.preload
    assert case_of(tmp_path, {**empty, "window_s": None}).workload.preload


def grid_file(folder: Path, rows: list[tuple[float, ...]], name: str = "grid.csv") -> Path:
    lines = [",".join(GRID_COLUMNS), *(",".join(map(str, row)) for row in rows)]
    path = folder / name
    path.write_text("\n".join(lines))
    return path


DEEP = [
    (0.0, 16, 1, 64, 0.0, 100.0),
    (0.0, 32, 1, 1024, 0.0, 400.0),
    (0.0, 64, 4, 64, 0.0, 200.0),
    (1.0, 16, 1, 64, 700.0, 0.0),
]
SHALLOW_SMALL_AND_MIXED = [
    (0.0, 8, 1, 64, 0.0, 9000.0),
    (0.0, 64, 1, 4, 0.0, 9000.0),
    (0.5, 64, 1, 64, 9000.0, 9000.0),
    (1.0, 1, 1, 64, 9000.0, 0.0),
]


def test_a_grid_gives_medians_of_its_deep_large_pure_points(tmp_path: Path) -> None:
    grid_file(tmp_path, DEEP + SHALLOW_SMALL_AND_MIXED)
    case = case_of(tmp_path, changed(BY_HAND, device={"grid_csv": "grid.csv"}))
    assert case.device.write_bytes_per_s == 200 * MIB
    assert case.device.read_bytes_per_s == 700 * MIB


def test_a_grid_path_is_taken_from_the_case_file_or_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    grid_file(elsewhere, DEEP)
    monkeypatch.chdir(elsewhere)
    for path in ("grid.csv", str(elsewhere / "grid.csv")):
        case = case_of(tmp_path, changed(BY_HAND, device={"grid_csv": path}))
        assert case.device.write_bytes_per_s == 200 * MIB


def test_the_shared_grid(tmp_path: Path) -> None:
    path = shared("device_grid_nvme_2025-09-09.csv")
    device = case_of(tmp_path, changed(BY_HAND, device={"grid_csv": str(path)})).device
    # The middle two of twelve points each: depth 16 and 64, 64 and 1024 KiB, 1, 2 and 4 jobs.
    assert device.write_bytes_per_s == pytest.approx((1885.4 + 1887.7) / 2 * MIB)
    assert device.read_bytes_per_s == pytest.approx((4815.8 + 5407.9) / 2 * MIB)


def test_a_null_amplification_is_predicted_from_the_tree(tmp_path: Path) -> None:
    rows = asked(tmp_path, SMALL)
    assert {rows[name].amplification_source for name in ("v1", "v2_1", "v3")} == {"geometry"}
    one, three = rows["v1"].saturation_ops_per_s, rows["v3"].saturation_ops_per_s
    assert one == pytest.approx(three, rel=0.1)
    assert rows["v3"].stall_fraction is not None


def test_under_direct_io_the_device_reads_what_compactions_read(tmp_path: Path) -> None:
    # A device this slow binds, and only reads use it up: it would write without end.
    slow = {"write_bytes_per_s": 1e15, "read_bytes_per_s": 1e6}
    buffered = asked(tmp_path, {**SMALL, "device": slow})
    assert buffered["v1"].binding == "limiter"
    direct = asked(tmp_path, {**SMALL, "device": slow, "direct_io": True})
    assert direct["v1"].binding == "device_read"
    assert direct["v2_1"].binding == "mixed_device"


def test_records_have_the_published_keys(tmp_path: Path) -> None:
    code, out, err = predict("--inputs", str(written(tmp_path, BY_HAND)), "--json")
    assert (code, err) == (0, "")
    records = json.loads(out)
    assert [record["model"] for record in records][:5] == list(OWN_MODELS)
    for record in records:
        if "refused" in record:
            assert list(record) == [*KEYS, "refused"]
            assert {record[key] for key in KEYS[1:]} == {None}
        else:
            assert list(record) == KEYS
            assert record["inside_calibration"] is False
            assert record["saturation_ops_per_s"] > 0


def test_without_json_a_table_names_the_rate_and_the_closure(tmp_path: Path) -> None:
    code, out, _ = predict("--inputs", str(written(tmp_path, BY_HAND)))
    assert code == 0
    assert out.splitlines()[0].split()[:3] == ["model", "saturation", "puts/s"]
    assert "25,000" in out
    assert "v3     refused: data: the simulated tree needs the number of keys" in out
    assert "closure figure, not a prediction" in out
    assert "closure" not in predict("--inputs", str(written(tmp_path, SMALL)))[1]


@pytest.mark.parametrize(
    ("values", "refusals"),
    [
        # What the bounds lack; v3 lacks data all along.
        (changed(BY_HAND, amplification__a_r=...), {"v2_1": "a_r:"}),
        (changed(BY_HAND, device__read_bytes_per_s=...), {"v2_1": "read_bytes_per_s:"}),
        (changed(BY_HAND, device__write_bytes_per_s=...), {"v2_1": "write_bytes_per_s:"}),
        # What the tree lacks.
        (BY_HAND, {"v3": "data:"}),
        (
            {**BY_HAND, "data": {"keys": 1000}, "options": {"num_levels": 4}},
            {"v3": "num_levels: 4 levels"},
        ),
        (
            {**BY_HAND, "data": {"keys": 1000}, "options": {"bottommost_compression": "kZSTD"}},
            {"v3": "bottommost_compression:"},
        ),
        ({**BY_HAND, "data": {"keys": 1000}}, {"v3": "compression_ratio:"}),
    ],
)
def test_a_model_refuses_by_the_missing_field_and_the_others_answer(
    tmp_path: Path, values: dict[str, Any], refusals: dict[str, str]
) -> None:
    rows = asked(tmp_path, values)
    assert rows["v1"].refused is None
    for model, start in refusals.items():
        assert (rows[model].refused or "").startswith(start)
        assert rows[model].saturation_ops_per_s is None


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ({"record_bytes": 416, "options": {}}, "data:"),
        (changed(SMALL, host=...), "foreground_ops_per_s:"),
        (changed(SMALL, host__foreground_ops_per_s=...), "foreground_ops_per_s:"),
        (
            changed(SMALL, host__slot_write_bytes_per_s=..., limiter_bytes_per_s=...),
            "slot_write_bytes_per_s:",
        ),
        (changed(SMALL, options__compression="lz4", data__compression_ratio=...), "compression_"),
        (changed(SMALL, data__keys=2_000_000_000), "write_buffer_size: as many"),
        (changed(SMALL, options__compaction_style="kCompactionStyleUniversal"), "compaction_style"),
        ({**BY_HAND, "options": {"compaction_style": "fifo"}}, "compaction_style: fifo"),
        ({**BY_HAND, "options": {"enable_blob_files": True}}, "enable_blob_files:"),
    ],
)
def test_when_all_refuse_the_exit_code_is_3(
    tmp_path: Path, values: dict[str, Any], start: str
) -> None:
    code, out, err = predict("--inputs", str(written(tmp_path, values)), "--json")
    assert (code, err) == (3, "")
    records = json.loads(out)
    assert all("refused" in record for record in records)
    assert [record["model"] for record in records[:3]] == ["v1", "v2_1", "v3"]
    for record in records[:3]:
        assert record["refused"].startswith(start), record


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (changed(BY_HAND, record_bites=1), "unknown key 'record_bites'; allowed here: record_"),
        (changed(BY_HAND, options__write_bufer=1), "options: unknown key 'write_bufer'; allowed"),
        (changed(BY_HAND, amplification__a_x=1), "amplification: unknown key 'a_x'; allowed here"),
        ({**BY_HAND, "a\nb": 1}, "unknown key 'a b'"),
        (changed(BY_HAND, record_bytes=...), "record_bytes: Field required"),
        (changed(BY_HAND, options=...), "options: Field required"),
        (changed(BY_HAND, record_bytes="1000"), "record_bytes = '1000': Input should be a valid"),
        (changed(BY_HAND, record_bytes=1000.5), "record_bytes = 1000.5:"),
        (changed(BY_HAND, record_bytes=True), "record_bytes = True:"),
        (changed(BY_HAND, record_bytes=-5), "record_bytes = -5: Input should be greater than 16"),
        (changed(BY_HAND, record_bytes=10**30), "record_bytes = "),
        (changed(BY_HAND, options=[]), "options = []:"),
        (changed(BY_HAND, options__max_background_jobs="4"), "options: max_background_jobs = '4'"),
        (changed(BY_HAND, options__max_background_jobs=-1), "options: max_background_jobs = -1"),
        (changed(BY_HAND, options__compression="zip"), "options: compression = 'zip': Input"),
        (changed(BY_HAND, options__compression=3), "options: compression = 3"),
        (changed(BY_HAND, options__delayed_write_rate=5), "lowest rate RocksDB delays to"),
        (
            changed(BY_HAND, options__level0_stop_writes_trigger=3),
            "level-0 triggers must ascend",
        ),
        (changed(BY_HAND, host__foreground_ops_per_s=-1), "host: foreground_ops_per_s = -1"),
        (changed(BY_HAND, host__cores=0), "host: cores = 0"),
        (changed(BY_HAND, limiter_bytes_per_s=-1), "limiter_bytes_per_s = -1"),
        (changed(BY_HAND, wal_on="yes"), "wal_on = 'yes'"),
        (changed(BY_HAND, device={}), "device: give grid_csv, or write_bytes_per_s"),
        (changed(BY_HAND, device__grid_csv="g.csv"), "not both"),
        (changed(BY_HAND, device={"grid_csv": "none.csv"}), "device.grid_csv: none.csv: not a"),
        (changed(BY_HAND, device={"grid_csv": "\0"}), "device.grid_csv: "),
        (changed(BY_HAND, device__write_bytes_per_s=0), "device: write_bytes_per_s = 0"),
        (changed(BY_HAND, amplification__a_w=-1), "amplification: a_w = -1"),
        (changed(BY_HAND, amplification__a_w=2), "amplification.a_w = 2: less than its parts, a_c"),
        (changed(BY_HAND, wal_on=True), "1.016 of WAL"),
        (changed(BY_HAND, amplification_base="byte"), "amplification_base = 'byte'"),
        (changed(SMALL, data__keys=0), "data: keys = 0"),
        (changed(SMALL, data__distribution="zipfian"), "data: distribution 'zipfian' needs zipf_s"),
        (changed(SMALL, data__compression_ratio=2), "data: compression_ratio = 2"),
        (changed(SMALL, window_s=[20, 6]), "window_s = [20, 6]: the start must be below the end"),
        (changed(SMALL, window_s=[6]), "window_s"),
        (changed(SMALL, window_s=["6", 20]), "window_s.0 = '6'"),
        (
            {
                **BY_HAND,
                "direct_io": False,
                "options": {"use_direct_io_for_flush_and_compaction": True},
            },
            "direct_io = False contradicts options.use_direct_io_for_flush_and_compaction",
        ),
        ('{"record_bytes": NaN}', "not JSON ("),
        ('{"record_bytes": Infinity}', "not JSON ("),
        ('{"record_bytes": 1e999}', "not JSON ("),
        ("record_bytes: 1000", "not JSON ("),
        ("", "not JSON ("),
        ("[" * 5000, "not JSON ("),
        ("[]", "holds a JSON array; one JSON object is needed"),
        ("null", "holds a JSON null"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, values: object, expected: str
) -> None:
    path = written(tmp_path, values)
    line = refused_line("--inputs", str(path), "--json")
    assert line.startswith(f"phase-d: {path}: ")
    assert expected in line


def test_the_file_must_be_readable(tmp_path: Path) -> None:
    absent = refused_line("--inputs", str(tmp_path / "absent.json"))
    assert "absent.json: cannot be read (No such file or directory)" in absent
    assert "cannot be read (Is a directory)" in refused_line("--inputs", str(tmp_path))


def test_a_long_value_does_not_make_a_long_line(tmp_path: Path) -> None:
    path = written(tmp_path, changed(BY_HAND, record_bytes="x" * 100_000))
    assert len(refused_line("--inputs", str(path))) < 600


@pytest.mark.parametrize("column", ["write_mib_s", "read_mib_s"])
def test_a_grid_without_deep_points_of_a_direction_is_refused(tmp_path: Path, column: str) -> None:
    wanted = 0.0 if column == "read_mib_s" else 1.0
    rows = [row for row in DEEP if row[0] == wanted]
    path = written(tmp_path, changed(BY_HAND, device={"grid_csv": "grid.csv"}))
    grid_file(tmp_path, rows + SHALLOW_SMALL_AND_MIXED)
    line = refused_line("--inputs", str(path))
    assert f"device.grid_csv: no {column} at read_fraction" in line


def subprocess_predict(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != ROOT_VARIABLE}
    return subprocess.run(
        [sys.executable, "-m", "phase_d_lib", "predict", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=kept,
        check=False,
    )


def test_it_runs_in_any_directory(tmp_path: Path) -> None:
    written(tmp_path, BY_HAND)
    done = subprocess_predict(tmp_path, "--inputs", "case.json", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[0]["saturation_ops_per_s"] == pytest.approx(25_000)
    written(tmp_path, {"record_bytes": 416, "options": {}})
    done = subprocess_predict(tmp_path, "--inputs", "case.json", "--json")
    assert (done.returncode, done.stderr) == (3, "")
    assert len(json.loads(done.stdout)) >= len(OWN_MODELS)
    written(tmp_path, {"record_bytes": -1, "options": {}})
    done = subprocess_predict(tmp_path, "--inputs", "case.json", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("phase-d: case.json: record_bytes = -1: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["case.json"]


def test_the_published_schema_is_the_models() -> None:
    published = (DATA / "schemas" / "case.schema.json").read_text()
    assert published == casefile.schema_text(), "write casefile.schema_text() to data/schemas again"
    jsonschema.Draft202012Validator.check_schema(json.loads(published))


@pytest.mark.parametrize("name", ["case.json", "case-server.json", "case-server-device.json"])
def test_examples_fit_the_published_schema(name: str) -> None:
    schema = json.loads((DATA / "schemas" / "case.schema.json").read_text())
    jsonschema.validate(json.loads((EXAMPLES / name).read_text()), schema)


def test_the_example_of_the_stall_workload() -> None:
    code, out, _ = predict("--inputs", str(EXAMPLES / "case.json"), "--json")
    assert code == 0
    three = json.loads(out)[2]
    # Measured on RocksDB 9.8.4: 17.8 and 18.7 k puts/s in two seeds, the limiter saturated.
    assert three["saturation_ops_per_s"] == pytest.approx(18_250, rel=0.08)
    assert three["binding"] == "limiter"
    assert three["amplification_source"] == "geometry"


def test_the_example_of_the_server_run_closes() -> None:
    code, out, _ = predict("--inputs", str(EXAMPLES / "case-server.json"), "--json")
    assert code == 0
    one, two, three = json.loads(out)[:3]
    # 9 slots x 93.4 MB/s over a_c = 3.79 per batch byte of 1,056 B.
    assert one["saturation_ops_per_s"] == pytest.approx(9 * 93.4e6 / 3.79 / 1056)
    assert (one["binding"], one["amplification_source"]) == ("compaction_slots", "given")
    # It put 188,617/s with 8.00 of its 9 slots busy, so closure of the slots is 9/8.
    assert one["saturation_ops_per_s"] * 8 / 9 == pytest.approx(188_617, rel=0.02)
    assert (two["binding"], two["amplification_source"]) == ("mixed_device", "given")
    assert three["refused"].startswith("data:")


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["uniform", "zipfian", "batch", "kZSTD", "grid.csv"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
known = st.sampled_from(
    [
        *casefile.CaseInputs.model_fields,
        *(f"options__{name}" for name in casefile.CaseOptions.model_fields),
        *(f"host__{name}" for name in casefile.HostInputs.model_fields),
        *(f"data__{name}" for name in casefile.DataInputs.model_fields),
    ]
)
often = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def check_any(path: Path) -> None:
    code, out, err = predict("--inputs", str(path), "--json")
    if code == 2:
        assert (out, err.count("\n")) == ("", 1)
    else:
        assert code in (0, 3)
        assert err == ""
        records = json.loads(out)
        assert (code == 3) is all("refused" in record for record in records)


@often
@given(junk)
def test_junk_never_gives_a_traceback(tmp_path: Path, values: object) -> None:
    check_any(written(tmp_path, values))


@often
@given(st.text(max_size=40))
def test_any_text_never_gives_a_traceback(tmp_path: Path, text: str) -> None:
    path = tmp_path / "case.json"
    path.write_bytes(text.encode())
    check_any(path)


@often
@given(st.dictionaries(known, junk, max_size=3), st.sampled_from([BY_HAND, SMALL]))
def test_a_case_with_junk_in_it_never_gives_a_traceback(
    tmp_path: Path, changes: dict[str, Any], base: dict[str, Any]
) -> None:
    # Whole sections last, so that a replaced section is not reached into.
    ordered = dict(sorted(changes.items(), key=lambda item: "__" not in item[0]))
    usable = {k: v for k, v in ordered.items() if k.partition("__")[0] in base or "__" not in k}
    check_any(written(tmp_path, changed(base, **usable)))


sizes = st.integers(16, 24).map(lambda power: 1 << power)


@settings(often, max_examples=40)
@given(
    options=st.fixed_dictionaries(
        {},
        optional={
            "write_buffer_size": sizes,
            "target_file_size_base": sizes,
            "max_bytes_for_level_base": st.integers(20, 26).map(lambda power: 1 << power),
            "max_bytes_for_level_multiplier": st.floats(1.5, 20),
            "max_write_buffer_number": st.integers(2, 8),
            "level0_file_num_compaction_trigger": st.integers(1, 60),
            "max_background_jobs": st.integers(1, 16),
            "max_subcompactions": st.integers(1, 4),
            "soft_pending_compaction_bytes_limit": st.integers(0, 1 << 36),
            "hard_pending_compaction_bytes_limit": st.integers(0, 1 << 36),
            "level_compaction_dynamic_level_bytes": st.booleans(),
            "compression": st.sampled_from(["none", "kZSTD", "lz4"]),
        },
    ),
    record=st.integers(17, 20_000),
    keys=st.integers(1, 20_000),
    skew=st.none() | st.floats(0.1, 3),
    rates=st.tuples(st.floats(1, 5e4), st.integers(1 << 20, 1 << 26), st.floats(1e6, 1e9)),
)
def test_any_plausible_case_is_answered_or_refused(
    tmp_path: Path,
    options: dict[str, Any],
    record: int,
    keys: int,
    skew: float | None,
    rates: tuple[float, int, float],
) -> None:
    foreground, limiter, slot = rates
    data = {"keys": keys, "compression_ratio": 0.5}
    if skew is not None:
        data |= {"distribution": "zipfian", "zipf_s": skew}
    values = {
        "record_bytes": record,
        "options": options,
        "limiter_bytes_per_s": limiter,
        "host": {"foreground_ops_per_s": foreground, "slot_write_bytes_per_s": slot},
        "data": data,
        "window_s": [0.5, 2],
    }
    check_any(written(tmp_path, values))


def test_to_case_errors_name_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, changed(BY_HAND, amplification__a_w=1))
    with pytest.raises(InputError, match=r"case\.json: amplification\.a_w = 1"):
        casefile.to_case(casefile.read_case(path), path)


def test_an_amplification_without_any_speed_is_refused_by_the_bounds(tmp_path: Path) -> None:
    values = changed(BY_HAND, device=..., limiter_bytes_per_s=..., host=...)
    rows = asked(tmp_path, values)
    assert {(rows[name].refused or "").partition(":")[0] for name in ("v1", "v2_1")} == {"bounds"}
