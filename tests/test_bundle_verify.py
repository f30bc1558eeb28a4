"""What a check of a bundle finds: each test changes one thing and repairs the manifest after it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from phase_d_lib.bundle.archive import pack
from phase_d_lib.bundle.checks import (
    notebook_differences,
    report_differences,
    result_differences,
    run_differences,
    table_differences,
)
from phase_d_lib.bundle.differences import (
    Difference,
    page_differences,
    text_differences,
    value_differences,
)
from phase_d_lib.bundle.manifest import hash_differences, read_manifest, write_manifest
from phase_d_lib.bundle.reading import read_inputs, runs_of_folder
from phase_d_lib.bundle.verify import verify
from phase_d_lib.cli import app
from phase_d_lib.errors import InputError
from phase_d_lib.report.render import write_report
from phase_d_lib.runs import Run, with_interval_rates
from tests.bundles import shared

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report written again from what is in the bundle."""
    folder, target = shared().bundle.folder, tmp_path_factory.mktemp("again")
    find_run = runs_of_folder(folder / "runs")
    write_report(read_inputs(folder / "report", folder / "notebooks", find_run), target)
    return target


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    target = tmp_path / "bundle"
    shutil.copytree(shared().bundle.folder, target)
    return target


def repair(bundle: Path) -> None:
    """Give every file the hash it has now."""
    write_manifest(bundle, read_manifest(bundle).report_id, redacted=True)


def replace(file: Path, pattern: str, new: str) -> None:
    text, changed = re.subn(pattern, new, file.read_text(), count=1)
    assert changed == 1
    file.write_text(text)


def changed_digit(file: Path, number: str) -> None:
    """Change the last digit of a number in a text."""
    replace(file, re.escape(number), f"{number[:-1]}{(int(number[-1]) + 1) % 10}")


def monitored(bundle: Path) -> Run:
    series = json.loads((bundle / "report" / "real_time_metrics.json").read_text())
    return Run(bundle / "runs" / series["run_id"])


def performance(bundle: Path) -> dict[str, object]:
    return dict(json.loads((bundle / "report" / "performance_report.json").read_text()))


# -- the report's files ----------------------------------------------------------------------------


@pytest.mark.slow
def test_an_untouched_report_is_what_its_results_give(bundle: Path, again: Path) -> None:
    assert not list(report_differences(bundle, again, drawn_alike=True))
    assert not list(notebook_differences(bundle))


@pytest.mark.slow
@pytest.mark.parametrize(
    "field", ["put_rate_ops_per_s/value", "stall_fraction", "ledger/wal_bytes"]
)
def test_a_changed_digit_in_a_json_file_is_found(bundle: Path, again: Path, field: str) -> None:
    value: object = performance(bundle)
    for part in field.split("/"):
        assert isinstance(value, dict)
        value = value[part]
    last = field.rpartition("/")[2]
    changed_digit(bundle / "report" / "performance_report.json", f'"{last}": {value!r}')
    (found,) = report_differences(bundle, again, drawn_alike=True)
    assert (found.file, found.field) == ("report/performance_report.json", field)
    assert found.recomputed == repr(value)
    assert found.shown != found.recomputed


@pytest.mark.slow
def test_a_changed_digit_in_the_page_names_the_source(bundle: Path, again: Path) -> None:
    page = bundle / "report" / "phase_d_report.html"
    source = 'data-source="performance_report.json#stall_fraction">'
    replace(page, rf"({re.escape(source)})80\.0", r"\g<1>80.1")
    (found,) = report_differences(bundle, again, drawn_alike=True)
    assert str(found) == (
        "report/phase_d_report.html, performance_report.json#stall_fraction: "
        "shown 80.1 %, recomputed 80.0 %"
    )


@pytest.mark.slow
def test_a_changed_digit_in_the_markdown_names_line_and_source(bundle: Path, again: Path) -> None:
    replace(bundle / "report" / "phase_d_report.md", r"시간의 80\.0 %", "시간의 80.1 %")
    (found,) = report_differences(bundle, again, drawn_alike=True)
    assert re.fullmatch(r"line \d+ \(performance_report\.json#stall_fraction\)", found.field)
    assert (found.shown, found.recomputed) == ("80.1", "80.0")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "file"),
    [
        (lambda b: replace(b / "report/tables/table_03.tex", r"\d(?=\D*$)", "x"), "table_03.tex"),
        (lambda b: (b / "report/alerts.json").unlink(), "alerts.json"),
        (lambda b: (b / "report/more.json").write_text("{}"), "more.json"),
        (lambda b: replace(b / "report/alerts.json", r"\{", "{ "), "alerts.json"),
        (lambda b: replace(b / "report/phase_d_report.html", "base64,iVBORw", "base64,iVBORx"),
         "phase_d_report.html"),
        (lambda b: (b / "report/stall_timeline.png").write_bytes(b"\x89PNG"),
         "stall_timeline.png"),
        (lambda b: (b / "report/phase_d_report.pdf").write_bytes(b"%PDF"), "phase_d_report.pdf"),
    ],
    ids=["latex", "file gone", "file more", "spacing", "embedded picture", "picture", "print"],
)  # fmt: skip
def test_any_other_change_of_the_report_is_found(
    bundle: Path, again: Path, change: Change, file: str
) -> None:
    change(bundle)
    found = {Path(one.file).name for one in report_differences(bundle, again, drawn_alike=True)}
    assert file in found


@pytest.mark.slow
def test_a_page_that_does_not_show_its_notebook_is_found(bundle: Path) -> None:
    replace(bundle / "notebooks" / "01_integration.html", "읽은 곳", "쓴 곳")
    (found,) = notebook_differences(bundle)
    assert found.file == "notebooks/01_integration.html"


# -- the results and the runs ----------------------------------------------------------------------


def changed_sample(run: Run, column: str, row: int, change: float, *, rates: bool = False) -> None:
    """Change one value of a run's samples; with `rates`, the rates that follow from it, too."""
    file = run.path / "samples.parquet"
    table = pd.read_parquet(file)
    table.loc[row, column] += type(table.loc[row, column])(change)
    (with_interval_rates(table) if rates else table).to_parquet(file, index=False)


@pytest.mark.slow
@pytest.mark.parametrize("column", ["puts_total", "stall_us_total", "put_ops_per_s", "l0_files"])
def test_one_changed_sample_is_found_in_its_run(bundle: Path, column: str) -> None:
    for path in sorted((bundle / "runs").iterdir())[:2]:
        assert not list(run_differences(Run(path)))
        changed_sample(Run(path), column, 30, 40.0)
        found = list(run_differences(Run(path)))
        assert found
        assert all(f"runs/{path.name}/" in one.file for one in found)


@pytest.mark.slow
def test_a_changed_sample_with_its_rates_put_right_is_found(bundle: Path) -> None:
    run = monitored(bundle)
    changed_sample(run, "puts_total", 30, 40.0, rates=True)
    found = list(run_differences(Run(run.path)))
    assert {one.file for one in found} == {f"runs/{run.path.name}/result.json"}
    assert "put_rate_ops_per_s/low" in {one.field for one in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda run: replace(run / "spec.json", '"seed": [0-9]', '"seed": 99'), r"spec\.json, id"),
        (lambda run: changed_digit(run / "result.json", "20000"), r"result\.json"),
        (lambda run: replace(run / "prediction.json", "03:04:00", "03:04:06"),
         r"prediction\.json, written_at"),
    ],
    ids=["spec", "result", "prediction time"],
)  # fmt: skip
def test_a_run_that_does_not_add_up_is_found(bundle: Path, change: Change, match: str) -> None:
    run = monitored(bundle).path
    if match == r"result\.json":
        value = json.loads((run / "result.json").read_text())["put_rate_ops_per_s"]["value"]
        replace(run / "result.json", re.escape(repr(value)), repr(value * 1.001))
    else:
        change(run)
    assert any(re.search(match, str(found)) for found in run_differences(Run(run)))


@pytest.mark.slow
def test_a_histogram_with_a_put_more_is_found(bundle: Path) -> None:
    run = monitored(bundle)
    table = pd.read_parquet(run.path / "latency.parquet")
    table.loc[0, "count"] += 1
    table.to_parquet(run.path / "latency.parquet", index=False)
    assert any(found.file.endswith("latency.parquet") for found in run_differences(Run(run.path)))


@pytest.mark.slow
def test_results_in_the_notebooks_are_computed_again_from_the_runs(bundle: Path) -> None:
    find_run = runs_of_folder(bundle / "runs")
    inputs = read_inputs(bundle / "report", bundle / "notebooks", find_run)
    assert not list(result_differences(inputs, find_run))
    first, second, *rest = inputs.tuning.trials
    faster = second.model_copy(update={"put_ops_per_s": 1.01 * second.put_ops_per_s})
    case = inputs.validation.cases[0]
    said = case.predictions[0].model_copy(update={"saturation_ops_per_s": 21_000.0})
    other = case.model_copy(update={"predictions": (said, *case.predictions[1:])})
    forged = inputs.model_copy(
        update={
            "tuning": inputs.tuning.model_copy(update={"trials": (first, faster, *rest)}),
            "validation": inputs.validation.model_copy(update={"cases": (other,)}),
        }
    )
    found = {(one.file, one.field) for one in result_differences(forged, find_run)}
    tuned, validated = "notebooks/03_tuning.ipynb", "notebooks/04_validation.ipynb"
    assert (tuned, "trials/1/put_ops_per_s") in found
    assert (tuned, "comparisons/0/rate_ratio/value") in found
    assert (validated, "cases/0/predictions/0/saturation_ops_per_s") in found
    assert (validated, "scores/0/median_error_fraction") in found


@pytest.mark.slow
def test_search_effects_and_s_max_are_computed_again(bundle: Path) -> None:
    find_run = runs_of_folder(bundle / "runs")
    inputs = read_inputs(bundle / "report", bundle / "notebooks", find_run)
    calibration, tuning = inputs.integration.calibration, inputs.tuning
    found, search, effects = calibration.sustained, tuning.search, tuning.effects
    assert found is not None
    assert found.s_max_ops_per_s is not None
    assert search is not None
    assert effects is not None
    higher = found.s_max_ops_per_s.model_copy(update={"value": 16_000.0})
    held = found.trials[0].model_copy(update={"held": True, "failures": ()})
    s_max = found.model_copy(
        update={"s_max_ops_per_s": higher, "trials": (held, *found.trials[1:])}
    )
    first = effects.reverted[0].model_copy(update={"rate_ratio": 9.0})
    last = search.evaluations[-1].model_copy(update={"stall_fraction": 0.1})
    forged = inputs.model_copy(
        update={
            "integration": inputs.integration.model_copy(
                update={"calibration": calibration.model_copy(update={"sustained": s_max})}
            ),
            "tuning": tuning.model_copy(
                update={
                    "effects": effects.model_copy(update={"reverted": (first,)}),
                    "search": search.model_copy(
                        update={"evaluations": (*search.evaluations[:-1], last)}
                    ),
                }
            ),
        }
    )
    fields = {one.field for one in result_differences(forged, find_run)}
    assert {
        "calibration/sustained/s_max_ops_per_s/value",
        "calibration/sustained/trials/0/held",
        "effects/reverted/0/rate_ratio",
        f"search/evaluations/{len(search.evaluations) - 1}/stall_fraction",
    } <= fields


@pytest.mark.slow
def test_an_option_set_that_its_run_did_not_have_is_found(bundle: Path) -> None:
    find_run = runs_of_folder(bundle / "runs")
    inputs = read_inputs(bundle / "report", bundle / "notebooks", find_run)
    compared = inputs.tuning.comparisons[0]
    other = compared.model_copy(update={"changes": {"write_buffer_size": 4 << 20}})
    tuning = inputs.tuning.model_copy(update={"comparisons": (other,)})
    forged = inputs.model_copy(update={"tuning": tuning})
    found = {one.field for one in result_differences(forged, find_run)}
    assert "trials/1/changes/options/write_buffer_size" in found


# -- the whole check -------------------------------------------------------------------------------


def everything(bundle: Path) -> Iterator[Difference]:
    yield from verify(bundle).differences


@pytest.mark.slow
def test_an_untouched_bundle_verifies_as_folder_and_zip() -> None:
    result = CliRunner().invoke(app, ["verify", str(shared().bundle.file)])
    assert result.exit_code == 0, result.output
    runs = shared().bundle.runs
    assert re.search(rf"verified: \d+ hashes, {runs} runs from their samples", result.output)
    assert "not recomputed: seeds" in result.output


@pytest.mark.slow
def test_a_forged_bundle_fails_with_one_line_each(bundle: Path, tmp_path: Path) -> None:
    changed_digit(
        bundle / "report" / "performance_report.json", repr(performance(bundle)["stall_fraction"])
    )
    changed_sample(monitored(bundle), "puts_total", 30, 40.0)
    replace(bundle / "CLAIMS.md", r"시간> ?\||포화 처리율 \| 2", "포화 처리율 | 3")
    replace(bundle / "index.html", "이 보고서가 다루지 않는 것", "다루는 것")
    repair(bundle)
    pack(bundle, tmp_path / "forged.zip")
    result = CliRunner().invoke(app, ["verify", str(tmp_path / "forged.zip")])
    assert result.exit_code == 1
    lines = [line for line in result.stdout.splitlines() if ": shown " in line]
    for start in (
        f"runs/{monitored(bundle).path.name}/samples.parquet, row 30/put_ops_per_s",
        "report/performance_report.json, stall_fraction",
        "CLAIMS.md, line ",
        "index.html",
    ):
        assert any(line.startswith(start) for line in lines), (start, lines)
    assert all(re.search(r": shown .+, recomputed .+", line) for line in lines)


@pytest.mark.slow
def test_a_run_that_is_gone_is_a_finding(bundle: Path) -> None:
    run = monitored(bundle).path
    shutil.rmtree(run)
    repair(bundle)
    (found,) = verify(bundle).differences
    assert (found.file, found.shown) == (f"runs/{run.name}", "no run")


@pytest.mark.slow
def test_hashes_tell_what_was_changed_added_and_removed(bundle: Path) -> None:
    (bundle / "index.html").unlink()
    (bundle / "more.txt").write_text("more")
    with (bundle / "CLAIMS.md").open("a") as stream:
        stream.write(" ")
    found = {one.file: one for one in hash_differences(bundle, read_manifest(bundle))}
    assert set(found) == {"index.html", "more.txt", "CLAIMS.md"}
    assert found["index.html"].recomputed == "no such file"
    assert found["more.txt"].shown == "not in the manifest"


@pytest.mark.slow
def test_a_value_no_number_comes_from_is_still_hashed(bundle: Path) -> None:
    """The values of a table have a hash of their own, whatever the file's says."""
    run, tables = monitored(bundle), read_manifest(bundle).tables
    assert not list(table_differences(run, tables))
    changed_sample(run, "rss_bytes", 3, 4096)
    changed = Run(run.path)
    assert not list(run_differences(changed))
    (found,) = table_differences(changed, tables)
    assert (found.file, found.field) == (f"runs/{run.path.name}/samples.parquet", "values")


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda b: (b / "manifest.json").write_text("{"),
        lambda b: (b / "manifest.json").write_text('{"kind": "other"}'),
        lambda b: (b / "manifest.json").unlink(),
    ],
)
def test_what_is_no_bundle_is_exit_code_2_and_one_line(bundle: Path, damage: Change) -> None:
    damage(bundle)
    with pytest.raises(InputError) as raised:
        verify(bundle)
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_an_unreadable_file_is_a_finding_or_no_bundle(bundle: Path) -> None:
    run = monitored(bundle).path
    (run / "samples.parquet").write_bytes(b"PAR1")
    assert any("samples.parquet" in str(found) for found in everything(bundle))
    manifest = json.loads((bundle / "manifest.json").read_text())
    for entry in manifest["files"]:
        if entry["path"].endswith(f"{run.name}/samples.parquet"):
            entry["sha256"] = "cf8f4f4a3b3c"
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert any("samples.parquet" in str(found) for found in everything(bundle))


@pytest.mark.slow
def test_hostile_contents_are_findings_and_no_traceback(bundle: Path) -> None:
    (bundle / "report" / "phase_d_report.md").write_bytes(b"\xff\xfe")
    (bundle / "report" / "alerts.json").write_text("[" * 100_000)
    (bundle / "notebooks" / "05_report.ipynb").write_text('{"cells": 3}')
    (bundle / "index.html").write_bytes(b"\x00")
    repair(bundle)
    result = CliRunner().invoke(app, ["verify", str(bundle)])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "alerts.json" in result.stdout
    assert "index.html" in result.stdout


# -- two values side by side -----------------------------------------------------------------------


def test_values_are_walked_to_the_one_that_differs() -> None:
    one = {"a": [1, {"b": 2.0}], "c": "x", "d": None}
    other = {"a": [1, {"b": 2.5}], "c": "x", "e": 1}
    found = {d.field: (d.shown, d.recomputed) for d in value_differences("f", one, other)}
    assert found == {"a/1/b": ("2.0", "2.5"), "e": ("nothing", "1")}
    assert not list(value_differences("f", {"x": 1.0}, {"x": 1.0 + 1e-9}, tolerance=1e-6))
    assert list(value_differences("f", {"x": 1.0}, {"x": 1.0 + 1e-5}, tolerance=1e-6))
    assert list(value_differences("f", {"x": True}, {"x": 1}, tolerance=1e-6))
    assert list(value_differences("f", {"x": [1]}, {"x": [1, 2]}))


def test_a_moved_line_does_not_make_every_other_one_differ() -> None:
    shown, expected = "a 1\nb 2\nc 3\n", "a 1\nnew\nb 2\nc 4\n"
    found = [str(d) for d in text_differences("t", shown, expected, {"4": "f.json#c"})]
    assert found == [
        "t, line 2: shown nothing, recomputed new",
        "t, line 3 (f.json#c): shown 3, recomputed 4",
    ]


def test_a_page_is_compared_by_what_can_be_read_in_it() -> None:
    page = '<style>p {{}}</style><p>rate <span data-source="f#rate">{}</span></p>'
    found = list(page_differences("p", page.format("1,2"), page.format("1,3")))
    assert [str(d) for d in found] == ["p, f#rate: shown 1,2, recomputed 1,3"]
    hidden = page.format("1").replace("<p>", "<p hidden>")
    (found_hidden,) = page_differences("p", hidden, page.format("1"))
    assert found_hidden.field.startswith("line 1")
