"""Two reports against each other: the tests, what they cannot tell, and how it is said."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from phase_d_lib.bundle.comparison import Comparison, Contrast, adjusted, compare
from phase_d_lib.bundle.comparison_page import comparison_document, write_comparison
from phase_d_lib.bundle.notebooks import outside_addresses
from phase_d_lib.bundle.sides import of_interval, read_side
from phase_d_lib.bundle.spread import Spread, Welch, over_blocks, over_runs, welch
from phase_d_lib.cli import app
from phase_d_lib.errors import InputError
from phase_d_lib.rates import steady_rate
from phase_d_lib.runs import Run
from tests.bundles import shared

RUN_ID = re.compile(r'"run_id": "([0-9a-f]{16})"')


def other_report(target: Path, speed: float) -> Path:
    """The same report as if it had been measured elsewhere: other runs, another RocksDB, rates."""
    shutil.copytree(shared().report, target)
    for file in target.glob("*.json"):
        text = RUN_ID.sub(lambda found: f'"run_id": "{found.group(1)[::-1]}"', file.read_text())
        file.write_text(text)
    header = json.loads((target / "phase_d_report.json").read_text())
    header["host"]["rocksdb_version"], header["report_id"] = "7.8.3", "other"
    (target / "phase_d_report.json").write_text(json.dumps(header))
    records = json.loads((target / "auto_tuning_records.json").read_text())
    for trial in (*records["trials"], *records["confirmation_trials"]):
        trial["put_ops_per_s"] *= speed
    (target / "auto_tuning_records.json").write_text(json.dumps(records))
    return target


def by_name(found: Comparison) -> dict[tuple[str, str], Contrast]:
    return {(one.name, one.basis): one for one in found.tested}


def test_welch_is_that_of_scipy() -> None:
    one, other = [10.0, 11.0, 12.5, 9.0], [13.0, 15.0, 14.0]
    first, second = (over_runs(values, relative=False) for values in (one, other))
    assert first is not None
    assert second is not None
    found, known = (
        welch(first, second, relative=False),
        stats.ttest_ind(other, one, equal_var=False),
    )
    assert found is not None
    assert found.difference == pytest.approx(np.mean(other) - np.mean(one))
    assert found.p_value == pytest.approx(known.pvalue)
    interval = known.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_a_relative_change_is_one_of_logarithms() -> None:
    one, other = over_runs([100.0, 110.0], relative=True), over_runs([200.0, 220.0], relative=True)
    assert one is not None
    assert other is not None
    assert one.value == pytest.approx(math.sqrt(100 * 110))
    found = welch(one, other, relative=True)
    assert found is not None
    assert found.difference == pytest.approx(math.log(2.0))
    known = stats.ttest_ind(np.log([200.0, 220.0]), np.log([100.0, 110.0]), equal_var=False)
    assert found.p_value == pytest.approx(known.pvalue)


def test_what_does_not_vary_or_stands_alone_is_not_tested() -> None:
    single, steady = over_runs([5.0], relative=True), over_runs([5.0, 5.0], relative=True)
    assert single is not None
    assert (single.error, single.parts) == (0.0, 1)
    assert single.value == pytest.approx(5.0)
    assert steady is not None
    assert welch(steady, steady, relative=True) is None
    assert over_runs([], relative=True) is None
    assert over_runs([None, 3.0], relative=False) == Spread(value=3.0, error=0.0, parts=1)


def test_p_values_are_adjusted_after_holm() -> None:
    def tested(name: str, p: float | None) -> Contrast:
        test = None if p is None else Welch(difference=0.1, low=0.0, high=0.2, p_value=p)
        return Contrast(name=name, basis="runs", relative=True, first=1.0, second=1.1, parts=(3, 3),
                      test=test, absent=None if test else "too_few")  # fmt: skip

    found = adjusted([tested("a", 0.04), tested("b", 0.01), tested("c", None), tested("d", 0.03)])
    assert [one.p_adjusted for one in found] == [pytest.approx(0.06), pytest.approx(0.03), None,
                                                 pytest.approx(0.06)]  # fmt: skip
    assert [one.differs for one in found] == [False, True, None, False]


@pytest.mark.slow
def test_blocks_of_a_run_give_a_spread_of_every_quantity() -> None:
    side = read_side(shared().bundle.file, shared().workspace)
    assert set(side.blocks) == {"rate", "p999", "stall", "wa"}
    run = Run(shared().bundle.folder / "runs" / side.monitored_run_id)
    estimate, blocks = steady_rate(run.window), over_blocks(run)["rate"]
    assert blocks.value == pytest.approx(estimate.value, rel=0.02)
    behind = of_interval(estimate)
    assert behind is not None
    assert behind.parts == estimate.blocks
    assert estimate.high == pytest.approx(
        estimate.value * (1 + behind.half_width(estimate.confidence))
    )
    assert blocks.error < 0.1


@pytest.mark.slow
def test_a_bundle_and_its_report_cannot_be_told_apart() -> None:
    report, bundle = shared().report, shared().bundle
    found = compare(report, bundle.file, shared().workspace)
    assert found.same_load
    assert {one.absent for one in found.tested} <= {"shared_runs", "too_few"}
    assert all(one.differs is None for one in found.tested)
    text = write_comparison(found, None)
    assert "판단할 수 없음(두 보고서가 같은 실행을 씀)" in text
    assert "| 확인한 차이 | 없음 |" in text


@pytest.mark.slow
def test_a_faster_rocksdb_is_found_by_its_repeated_runs(tmp_path: Path) -> None:
    other = other_report(tmp_path / "other", 2.0)
    found = compare(shared().bundle.folder, other, shared().workspace)
    tested = by_name(found)
    rate = tested["rate", "runs"]
    assert rate.parts == (4, 4)
    assert rate.test is not None
    assert rate.test.difference == pytest.approx(math.log(2.0))
    assert rate.differs
    gain = tested["gain", "pairs"]
    assert gain.first == pytest.approx(gain.second or 0.0)
    assert not gain.differs
    assert {name for name, basis in tested if basis == "cases"} >= {"error/v1", "error/v5"}
    assert tested["stall", "runs"].absent == "no_spread"
    tail = tested["p999", "blocks"]
    assert (tail.first, tail.absent) == (tail.second, "no_samples")
    text = write_comparison(found, tmp_path / "compared.md")
    assert (tmp_path / "compared.md").read_text() == text
    assert "| RocksDB | 9.8.4 | 7.8.3 |" in text
    assert re.search(r"포화 처리율\(기본값 실행 4개와 4개\) \|.*\| 2\.00배\(.*\| B가 큼 \|", text)
    assert "Welch" in text


@pytest.mark.slow
def test_another_load_is_said_before_anything_else(tmp_path: Path) -> None:
    other = other_report(tmp_path / "other", 1.0)
    header: dict[str, Any] = json.loads((other / "phase_d_report.json").read_text())
    header["profile"]["scenario"]["limiter_bytes_per_s"] *= 2
    (other / "phase_d_report.json").write_text(json.dumps(header))
    found = compare(shared().report, other, shared().workspace)
    assert not found.same_load
    assert comparison_document(found).notice[0].startswith("두 보고서의 부하")


@pytest.mark.slow
def test_the_verb_writes_a_page_that_loads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASE_D_ROOT", str(shared().workspace.root))
    sides = [str(shared().report), str(other_report(tmp_path / "other", 1.1))]
    page = tmp_path / "compared.html"
    result = CliRunner().invoke(app, ["compare", *sides, "--out", str(page)])
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert '<html lang="ko">' in text
    assert "<script" not in text
    assert not outside_addresses(text)
    with pytest.raises(InputError, match="exists and was left untouched"):
        write_comparison(compare(*map(Path, sides), shared().workspace), page)
    with pytest.raises(InputError, match=r"ends in \.md or \.html"):
        write_comparison(compare(*map(Path, sides), shared().workspace), tmp_path / "a.txt")


@pytest.mark.slow
def test_what_is_no_report_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name a report directory or a bundle"):
        compare(tmp_path, shared().report, shared().workspace)
    (tmp_path / "phase_d_report.json").write_text('{"report_id": 3}')
    with pytest.raises(InputError, match=r"phase_d_report\.json: "):
        compare(tmp_path, shared().report, shared().workspace)
