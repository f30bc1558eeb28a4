"""A report's bundle: what is in it, what is not, and what it refuses to write over."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import zipfile
from pathlib import Path
from urllib.parse import unquote

import pytest

from phase_d_lib.bundle.archive import pack
from phase_d_lib.bundle.claims import claims
from phase_d_lib.bundle.claims_page import claims_document
from phase_d_lib.bundle.collect import share
from phase_d_lib.bundle.manifest import hash_differences, read_manifest
from phase_d_lib.bundle.notebooks import inert, outside_addresses
from phase_d_lib.bundle.privacy import Scrubber
from phase_d_lib.bundle.reading import read_inputs, runs_of_folder, stage_runs
from phase_d_lib.errors import InputError, NotOursError
from phase_d_lib.profiles import load_profile
from phase_d_lib.report.blocks import Document, Table, texts
from phase_d_lib.report.sources import unattributed
from phase_d_lib.stages import NOTEBOOKS
from tests.bundles import HOST_NAME, shared, small_profile

PRIVATE = re.compile(r"dbhost|kimdev|acme|phase-d-tests-|(?<![\w.+/])/(?:home|root|tmp|work)/")


@pytest.fixture(scope="module")
def folder() -> Path:
    return shared().bundle.folder


def texts_of(folder: Path) -> dict[str, str]:
    """Every text of a bundle, the LOGs unpacked, pictures left out."""
    found = {}
    for file in folder.rglob("*"):
        name = file.relative_to(folder).as_posix()
        if file.name == "LOG.gz":
            found[name] = gzip.decompress(file.read_bytes()).decode()
        elif file.is_file() and file.suffix not in (".png", ".pdf", ".parquet"):
            found[name] = re.sub(r"base64,[A-Za-z0-9+/=]+", "", file.read_text())
    return found


@pytest.mark.slow
def test_folder_and_zip_hold_the_same_files(folder: Path, tmp_path: Path) -> None:
    bundle = shared().bundle
    assert folder.name == shared().report.name
    with zipfile.ZipFile(bundle.file) as archive:
        names = {name.removeprefix(f"{folder.name}/") for name in archive.namelist()}
    listed = {entry.path for entry in read_manifest(folder).files}
    assert names == listed | {"manifest.json"}
    assert {"index.html", "CLAIMS.md", "CLAIMS.html", "profile/small.yaml"} <= names
    assert {f"report/phase_d_report.{kind}" for kind in ("md", "html", "pdf")} <= names
    for file in NOTEBOOKS.values():
        assert {f"notebooks/{file}", f"notebooks/{Path(file).stem}.html"} <= names
    for run_id in [run for runs in stage_runs(folder / "notebooks").values() for run in runs]:
        for name in ("samples.parquet", "latency.parquet", "spec.json", "result.json", "host.json"):
            assert f"runs/{run_id}/{name}" in names
        assert {f"runs/{run_id}/OPTIONS", f"runs/{run_id}/LOG.gz"} <= names
    assert bundle.bytes < 10e6
    assert not list(hash_differences(folder, read_manifest(folder)))
    pack(folder, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == bundle.file.read_bytes()


@pytest.mark.slow
def test_every_page_opens_offline_without_a_script(folder: Path) -> None:
    pages = sorted(folder.rglob("*.html"))
    assert len(pages) == 3 + len(NOTEBOOKS)
    for page in pages:
        text = page.read_text()
        assert re.search(r'<html[^>]* lang="ko"', text), page.name
        assert "<script" not in text
        assert not outside_addresses(text)
        assert not re.findall(r"https?://", text), page.name
        for address in re.findall(r'(?:href|src)="(?!data:|#)([^"]+)"', text):
            assert (page.parent / unquote(address)).exists(), (page.name, address)


@pytest.mark.slow
def test_results_come_before_the_folded_code(folder: Path) -> None:
    text = (folder / "notebooks" / "01_integration.html").read_text()
    result, code = text.index("읽은 곳"), text.index("<details")
    assert result < code
    assert "report_dir" in text[code:]
    assert "scrap" not in text
    assert "Content-Security-Policy" in text


@pytest.mark.slow
def test_names_and_paths_are_taken_out_and_numbers_stay(folder: Path) -> None:
    for name, text in texts_of(folder).items():
        assert not PRIVATE.search(text), (name, PRIVATE.search(text))
        assert not PRIVATE.search(name)
    logs = [text for name, text in texts_of(folder).items() if name.endswith("LOG.gz")]
    log = next(text for text in logs if "Stopping writes" in text)
    assert re.search(r"Host name \(Env\):\s+host-\d+\n", log)
    assert "[/db_impl/db_impl_open.cc:538]" in log
    assert "DUMPING STATS" not in log
    assert "level-0 files rate 0" in log
    host = json.loads(next((folder / "runs").glob("*/host.json")).read_text())
    assert (host["kernel"], host["cpu_model"]) == ("6.1.0", "Test CPU")
    assert re.fullmatch(r"device-\d+", host["device"])
    notebook = (folder / "notebooks" / "02_monitoring.ipynb").read_text()
    assert f'report_dir = \\"reports/{folder.name}\\"' in notebook


@pytest.mark.slow
def test_nothing_is_taken_out_when_asked(tmp_path: Path) -> None:
    made = share(shared().report, shared().workspace, tmp_path / "open", redact=False)
    assert not read_manifest(made.folder).redacted
    logs = texts_of(made.folder)
    assert all(HOST_NAME in text for name, text in logs.items() if name.endswith("LOG.gz"))
    assert str(shared().report) in (made.folder / "notebooks" / "02_monitoring.ipynb").read_text()
    assert "가리지 않은 묶음" in (made.folder / "index.html").read_text()


@pytest.mark.slow
def test_the_first_page_has_the_answer_and_leads_everywhere(folder: Path) -> None:
    text = (folder / "index.html").read_text()
    for wanted in ("포화 처리율", "바꿀 것", "이 보고서가 다루지 않는 것", "make verify BUNDLE="):
        assert wanted in text
    links = set(re.findall(r'href="([^"#]+)"', text))
    assert {"CLAIMS.html", "manifest.json", "report/phase_d_report.html"} <= links
    assert {f"notebooks/{Path(file).stem}.html" for file in NOTEBOOKS.values()} <= links
    assert sum(link.startswith("runs/") for link in links) == shared().bundle.runs
    assert "data-source" in text


@pytest.mark.slow
def test_every_claim_has_a_command_minutes_and_a_tolerance(folder: Path) -> None:
    find_run = runs_of_folder(folder / "runs")
    inputs = read_inputs(folder / "report", folder / "notebooks", find_run)
    found = claims(inputs, find_run, stage_runs(folder / "notebooks"))
    titles = [claim.title for claim in found]
    for wanted in ("포화 처리율", "p99.9", "정체", "WA", "S_max", "튜닝의 이득", "오차 중앙값"):
        assert any(wanted in title for title in titles), wanted
    assert sum(title.startswith("목표: ") for title in titles) == 4
    for claim in found:
        assert re.match(r"(?:make report|\.venv/bin/papermill notebooks/0\d)", claim.command)
        assert claim.tolerance
        assert claim.minutes is None or claim.minutes > 0
    document: Document = claims_document(inputs, found)
    every = [text for block in (document.summary, *document.blocks) for text in texts(block)]
    assert not [text for text in every if unattributed(text)]
    table = next(block for block in document.blocks if isinstance(block, Table))
    assert len(table.rows) == len(found)
    shown = (folder / "CLAIMS.md").read_text()
    assert len(re.findall(r"(?m)^\| .*(?:papermill|make report)", shown)) == len(found)


@pytest.mark.slow
def test_the_profile_can_be_used_again(folder: Path) -> None:
    assert load_profile(folder / "profile", "small") == small_profile()


@pytest.mark.slow
def test_a_changed_report_is_not_bundled(tmp_path: Path) -> None:
    report = tmp_path / shared().report.name
    shutil.copytree(shared().report, report)
    text = (report / "phase_d_report.md").read_text()
    (report / "phase_d_report.md").write_text(text.replace("20,0", "21,0", 1))
    with pytest.raises(InputError, match=r"cannot be written again from its own results \(phase_d"):
        share(report, shared().workspace, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if path != report]


@pytest.mark.slow
def test_a_report_whose_run_is_gone_is_not_bundled(tmp_path: Path) -> None:
    workspace = type(shared().workspace)(tmp_path)
    with pytest.raises(InputError, match="is gone from data/runs"):
        share(shared().report, workspace, tmp_path / "out")


@pytest.mark.slow
def test_what_is_not_ours_is_left_untouched(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    (tmp_path / "free.zip").write_text("no zip")
    for target in (mine, tmp_path / "free"):
        with pytest.raises(NotOursError):
            share(shared().report, shared().workspace, target)
    assert (mine / "thesis.txt").read_text() == "mine"
    assert (tmp_path / "free.zip").read_text() == "no zip"
    with pytest.raises(NotOursError):  # ours, but a report and no bundle
        share(shared().report, shared().workspace, shared().report)
    assert (shared().report / "phase_d_report.md").is_file()


def test_a_directory_without_a_report_is_one_line(tmp_path: Path) -> None:
    workspace = type("W", (), {})
    with pytest.raises(InputError, match=r"holds no phase_d_report\.json; name a report directory"):
        share(tmp_path, workspace)  # type: ignore[arg-type] # it is never looked at


@pytest.mark.parametrize(
    "text",
    [
        '<p onclick="x()">a</p>', "<script>1</script>", '<img src="http://a/b.png">',
        '<iframe src="//a"></iframe>', '<link rel="stylesheet" href="http://a/b.css">',
        '<div style="background: url(https://a/b.png)">', "<style>@import 'http://a'</style>",
        '<object data="http://a"></object>', "<SCRIPT SRC=//a/b.js></SCRIPT>",
        '<img srcset="https://a/b.png 2x" onerror=alert(1)>', "<script>unclosed",
    ],
)  # fmt: skip
def test_nothing_active_or_from_elsewhere_survives(text: str) -> None:
    shown = inert(f"<html><head></head><body><p>kept</p>{text}</body></html>")
    assert "<p>kept</p>" in shown
    assert not outside_addresses(shown)
    assert not re.search(r"(?i)<script|\son\w+=|//a", shown)


def test_a_link_to_follow_stays() -> None:
    page = '<html><head></head><body><a href="https://rocksdb.org">x</a></body></html>'
    assert inert(page) == page
    assert not outside_addresses(page)


@pytest.mark.parametrize(
    "text",
    [
        "17,000 puts/s, 30 MiB/s, p50/p99", "</div><br/>", "1/2 and 3 / 4", "/proc/self/io",
        "data:image/png;base64,iVBO+/abc/def/ghi==", "see data/profiles/quick.yaml",
        '{"event": "flush_finished", "lsm_state": [2, 3]}', "rocksdict 0.3.29", "N/A",
    ],
)  # fmt: skip
def test_what_tells_nothing_is_kept(text: str) -> None:
    scrub = Scrubber({"/srv/me/phase-d": "."}, {"dbhost17": "host-1"})
    assert scrub.text(text) == text
    assert not scrub.leaks(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/me/phase-d/reports/x", "reports/x"),
        ("in /srv/me/phase-d, too", "in ., too"),
        ('src="/home/kim/a.png"', 'src="path-1"'),
        ("librocksdb=/usr/lib/librocksdb.so.7", "librocksdb=path-1"),
        ("on dbhost17 and dbhost170", "on host-1 and dbhost170"),
        ("/a/b /a/b /c/d", "path-1 path-1 path-2"),
    ],
)
def test_what_tells_something_is_replaced(text: str, expected: str) -> None:
    places = {"/srv/me/phase-d/": "", "/srv/me/phase-d": "."}
    scrub = Scrubber(places, {"dbhost17": "host-1"})
    assert scrub.leaks(text)
    assert scrub.text(text) == expected
    assert not scrub.leaks(scrub.text(text))
