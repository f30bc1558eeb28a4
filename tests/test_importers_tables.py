"""Report files, report.tsv, OPTIONS files."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phase_d_lib.casefile import CaseOptions
from phase_d_lib.errors import InputError
from phase_d_lib.importers.base import Imported
from phase_d_lib.importers.options import import_options
from phase_d_lib.importers.report_file import import_report_file
from phase_d_lib.importers.report_tsv import import_report_tsv
from phase_d_lib.specs import parse

DATA = Path(__file__).parent / "data"
REPORT, TSV, OPTIONS = (DATA / "imports" / n for n in ("report.csv", "report.tsv", "OPTIONS-6.8"))
OWN_OPTIONS = DATA / "recorded" / "d70092f2c056a928" / "OPTIONS"


def failing(imported: Imported) -> list[str]:
    return [check.name for check in imported.checks if not check.ok]


def at(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "input"
    path.write_text(text)
    return path


def test_interval_qps_is_operations_of_the_interval() -> None:
    imported = import_report_file([REPORT])
    values = imported.values
    assert (values["interval_s"], values["operations"]) == (5.0, 10_000_000)
    assert values["ops_per_s"] == 500_000
    assert values["interval_ops_per_s"] == [500_000, 480_000, 520_000, 500_000]
    assert not failing(imported)


def test_a_cut_last_line_is_left_out(tmp_path: Path) -> None:
    imported = import_report_file([at(tmp_path, REPORT.read_text() + "25,25")])
    assert imported.values["operations"] == 10_000_000
    assert "no end" in imported.notes[0]


def test_a_gap_in_the_reports_is_named(tmp_path: Path) -> None:
    path = at(tmp_path, REPORT.read_text() + "60,1\n")
    assert failing(import_report_file([path])) == ["interval_length"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no db_bench report file"),
        ("secs_elapsed,interval_qps\n", "no complete interval"),
        ("secs_elapsed,interval_qps\n0,5\n", "no complete interval"),
        ("secs_elapsed,interval_qps\n1,5\n1,5\n", "row 3: 1 s does not follow 1 s"),
        ("secs_elapsed,interval_qps\n1\n", "row 2: 1 columns"),
        ("secs_elapsed,interval_qps\n1,-5\n", "row 2: '-5' is no whole number"),
        ("secs_elapsed,interval_qps\n1,\u0664\n", "is no whole number"),
        ("secs_elapsed,interval_qps\n1," + "9" * 30 + "\n", "is no whole number"),
    ],
)
def test_refused_report_files(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        import_report_file([at(tmp_path, text)])
    assert "\n" not in str(caught.value)


def test_report_tsv() -> None:
    imported = import_report_tsv([TSV])
    tests = imported.values["tests"]
    assert isinstance(tests, list)
    assert [row["test"] for row in tests] == ["overwrite.t16.s0", "readrandom.t16"]
    written, read = tests
    assert (written["threads"], written["stall_fraction"]) == (16, 0.325)
    assert written["write_ops_per_s"] == 150_000
    assert written["user_mib_per_s"] == 59.5
    assert written["a_w_per_batch_byte"] is written["busy_slots"] is None
    assert written["flush_and_compaction_jobs"] == pytest.approx(500 / 600)
    assert read["write_ops_per_s"] is read["w_amp_of_script"] is None
    assert imported.values["ops_per_s"] is None
    assert "line 5: left out, ops_sec is 'failed'" in imported.notes
    assert not failing(imported)


def test_one_test_is_the_whole_report(tmp_path: Path) -> None:
    lines = TSV.read_text().splitlines(keepends=True)
    assert import_report_tsv([at(tmp_path, "".join(lines[:4]))]).values["ops_per_s"] == 150_000


def test_the_report_of_rocksdb_6(tmp_path: Path) -> None:
    header = "ops/sec\tmb/sec\tSize-GB\tL0_GB\tSum_GB\tW-Amp\tW-MB/s\tusec/op\tp50\tp75\tp99\tp99.9"
    header += "\tp99.99\tUptime\tStall-time\tStall%\tTest\n"
    row = "100000\t39.0\t20.0\t9.0\t60.0\t6.6\t102.4\t160.0\t90\t150\t400\t900\t9000\t600\t"
    row += "00:01:0.000\t10.0\toverwrite.t16.s0\n"
    imported = import_report_tsv([at(tmp_path, header + row)])
    assert imported.values["ops_per_s"] == 100_000
    assert imported.values["stall_fraction"] == 0.1
    assert not failing(imported)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("106.7", "53.0", "threads_latency_rate"),
        ("341.3", "34.1", "compaction_rate_time"),
        ("32.5", "132.5", "stall_fraction"),
        ("60.1\t300", "60.1\t30000", "percentiles"),
        ("59.5", "599.981", "mb_sec"),
    ],
)
def test_inconsistencies_of_a_report_are_named(
    tmp_path: Path, old: str, new: str, name: str
) -> None:
    imported = import_report_tsv([at(tmp_path, TSV.read_text().replace(old, new, 1))])
    assert failing(imported) == [name]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no finished test; empty"),
        ("1\t2\t3\n", "line 1: no header"),
        ("ops_sec\ttest\n", "no finished test"),
        ("ops_sec\tmb_sec\ttest\n12\n", "1 columns of 3"),
    ],
)
def test_refused_reports(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        import_report_tsv([at(tmp_path, text)])


def test_options_no_model_covers_are_named() -> None:
    imported = import_options([OPTIONS])
    values = imported.values
    assert values["rocksdb_version"] == "6.8.1"
    assert values["column_families"] == ["default", "index"]
    assert values["unsupported"] == [
        "compression=kZlibCompression",
        "compaction_style=kCompactionStyleUniversal",
        "2 column families; the options are default's",
    ]
    options = values["options"]
    assert isinstance(options, dict)
    assert options["write_buffer_size"] == 134_217_728
    assert options["compaction_style"] == "universal"
    assert "compression" not in options


def test_options_of_an_own_run_make_a_case() -> None:
    imported = import_options([OWN_OPTIONS])
    assert imported.values["unsupported"] == imported.values["not_named"] == []
    assert imported.case is not None
    options = imported.case.values["options"]
    assert isinstance(options, dict)
    assert parse(CaseOptions, options, "options").level0_stop_writes_trigger == 12


def test_blobs_old_jobs_and_levels_of_compression_are_named(tmp_path: Path) -> None:
    text = OPTIONS.read_text().replace("max_background_jobs=8", "max_background_flushes=2")
    text = text.replace("num_levels=7", "enable_blob_files=true\n  write_buffer_size=1e9")
    text = text.replace("compression=k", "compression_per_level=kZSTD:kLZ4Compression\n  c=k")
    unsupported = import_options([at(tmp_path, text)]).values["unsupported"]
    assert isinstance(unsupported, list)
    found = " ".join(unsupported)
    for name in ("enable_blob_files", "max_background_flushes=2", "compression_per_level"):
        assert name in found
    assert "write_buffer_size=1e9" in unsupported


@pytest.mark.parametrize("text", ["", "[DBOptions]\n", "\x00\x00[", 'a\n[CFOptions "x"]\n'])
def test_no_options_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="no OPTIONS file"):
        import_options([at(tmp_path, text)])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 1000), content=st.binary(max_size=12), cut=st.booleans())
@pytest.mark.parametrize(
    ("read", "path"),
    [(import_report_file, REPORT), (import_report_tsv, TSV), (import_options, OPTIONS)],
)
def test_damage_is_refused_or_read(
    tmp_path: Path, read: object, path: Path, place: int, content: bytes, cut: bool
) -> None:
    whole = path.read_bytes()
    copy = tmp_path / "damaged"
    copy.write_bytes(whole[:place] + content + (b"" if cut else whole[place + len(content) :]))
    assert callable(read)
    with contextlib.suppress(InputError):
        read([copy])
