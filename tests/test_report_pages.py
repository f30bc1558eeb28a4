"""The report as people meet it: every number has a source, pages fit, colours can be told apart."""

from __future__ import annotations

import importlib
import itertools
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.ft2font import FT2Font

from phase_d_lib.report import look
from phase_d_lib.report.blocks import Box, Document, Item, Table, texts
from phase_d_lib.report.booktabs import latex_table, latex_tables
from phase_d_lib.report.chapters import report_document
from phase_d_lib.report.columns import LANDSCAPE_PT, PORTRAIT_PT, fit
from phase_d_lib.report.html_page import html_report
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.markup import markdown
from phase_d_lib.report.objectives import objectives
from phase_d_lib.report.pictures import Gallery, draw
from phase_d_lib.report.render import write_report
from phase_d_lib.report.sources import RULE, Source, pieces, plain, unattributed
from phase_d_lib.report.typesetting import literal, pdf_report, typst_source
from tests.test_report import PICTURES, SHORT, make_inputs

MADE_AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def folder(inputs: ReportInputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    write_report(inputs, folder)
    return folder


@pytest.fixture(scope="module")
def document(inputs: ReportInputs, folder: Path) -> Document:
    gallery = draw(inputs, inputs.run(), folder)
    return report_document(inputs, objectives(inputs, inputs.run().samples), gallery)


def every_text(document: Document) -> Iterator[str]:
    """Every sentence and cell of a report."""
    for block in (document.summary, *document.blocks):
        yield from texts(block)
    yield from (fact.text for fact in document.facts)
    yield from document.notice


def every_source(document: Document) -> set[Source]:
    found = (p.source for text in every_text(document) for p in pieces(text))
    return {source for source in found if source is not None}


def check_numbers(document: Document) -> None:
    bare = {plain(t): unattributed(t) for t in every_text(document) if unattributed(t)}
    assert not bare, f"numbers without a source: {bare}"


def test_every_number_has_a_source(document: Document) -> None:
    check_numbers(document)
    assert {source.stage for source in every_source(document)} == {
        "integration", "monitoring", "tuning", "validation", "report", RULE
    }  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [{"case_verdict": SHORT, "confirmed_low": 0.9}, {"duration_s": 6.0}],
    ids=["goals missed", "run not valid"],
)
def test_every_number_has_a_source_when_things_go_wrong(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    inputs = make_inputs(tmp_path, **changes)
    gallery = draw(inputs, inputs.run(), tmp_path)
    judged = objectives(inputs, inputs.run().samples)
    check_numbers(report_document(inputs, judged, gallery))


def test_a_number_without_a_source_is_found(document: Document) -> None:
    spoiled = replace(document, facts=(Item("처리율은 12,345 puts/s입니다"),))
    with pytest.raises(AssertionError, match="12,345 puts/s"):
        check_numbers(spoiled)


def test_every_source_can_be_looked_up(
    document: Document, inputs: ReportInputs, folder: Path
) -> None:
    for source in every_source(document):
        if source.stage == RULE:
            assert hasattr(importlib.import_module(source.file), source.field), source
            continue
        file = folder / source.file
        if source.file.startswith("runs/"):
            assert source.file.split("/")[1] == inputs.monitoring.run_id
            file = inputs.monitored_run / source.file.split("/")[-1]
        assert file.is_file(), source
        if file.suffix == ".json":
            assert_inside(json.loads(file.read_text()), source)


def assert_inside(value: Any, source: Source) -> None:
    for part in source.field.split("/"):
        key = int(part) if isinstance(value, list) else part
        assert isinstance(value, list) or key in value, source
        value = value[key]


def test_sources_stay_out_of_what_is_read(document: Document, folder: Path) -> None:
    names = [file for file in folder.iterdir() if file.suffix in (".md", ".json", ".html")]
    assert len(names) == 11
    for file in names:
        assert not re.search("[\ue000-\ue003]", file.read_text()), file.name
    assert "data-source" not in markdown(document)


def test_a_number_in_the_page_shows_where_it_came_from(folder: Path, inputs: ReportInputs) -> None:
    page = (folder / "phase_d_report.html").read_text()
    shown = re.findall(
        r'<span class="n" tabindex="(-?\d)" title="([^"]+)" data-source="([^"]+)">', page
    )
    assert len(shown) > 200
    assert {reach for reach, _, _ in shown} == {"0", "-1"}
    rate = next(
        title for _, title, at in shown if at == "performance_report.json#put_rate_ops_per_s"
    )
    assert inputs.monitoring.run_id in rate
    assert "scrap monitoring" in rate
    assert ".n:focus::after" in page
    images = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert len(images) == len(PICTURES)
    assert all(len(alt) > 20 for alt in images)
    assert page.count("<caption>표 ") == page.count("<table>") - 1
    assert [int(n) for n in re.findall(r"<figcaption>그림 (\d+)\.", page)] == list(
        range(1, len(PICTURES) + 1)
    )


def test_the_page_loads_nothing(document: Document) -> None:
    page = html_report(document, dict.fromkeys(PICTURES, b"\x89PNG"))
    assert not re.findall(r"""(?:src|href|url\()\s*=?\s*["']?(?!#|data:image/png)\w+:""", page)


def unpacked(pdf: bytes) -> bytes:
    """The bytes of a PDF with its compressed streams laid open."""
    parts = [pdf]
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S):
        try:
            parts.append(zlib.decompress(found.group(1)))
        except zlib.error:
            continue
    return b"\n".join(parts)


def test_the_pdf_has_embedded_fonts_bookmarks_and_its_language(folder: Path) -> None:
    text = unpacked((folder / "phase_d_report.pdf").read_bytes())
    assert text.startswith(b"%PDF")
    assert b"/Type3" not in text
    fonts = re.findall(rb"/BaseFont\s*/([A-Z]{6}\+)?([\w-]+)", text)
    assert fonts
    assert all(subset for subset, _ in fonts), fonts
    assert any(name.startswith(b"NanumGothic") for _, name in fonts)
    assert b"/Outlines" in text
    assert re.search(rb"/Lang\s*\(ko", text)
    assert b"/Alt" in text
    for name in PICTURES:
        figure = unpacked((folder / f"{name}.pdf").read_bytes())
        assert b"/Type3" not in figure
        assert b"/FontFile2" in figure


def test_the_same_report_is_the_same_pdf(document: Document, folder: Path) -> None:
    first = pdf_report(document, folder, MADE_AT)
    assert first == pdf_report(document, folder, MADE_AT)
    assert first != pdf_report(document, folder, MADE_AT.replace(year=2027))


def test_no_glyph_is_missing_in_the_pdf(document: Document) -> None:
    dejavu = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    known: set[int] = set()
    for font in (next(f for f in look.korean_fonts() if f.stem == "NanumGothic"), dejavu):
        known |= set(FT2Font(str(font)).get_charmap())
    used = {letter for text in every_text(document) for letter in plain(text)}
    assert not {letter for letter in used if ord(letter) not in known and letter != "\n"}


def test_tables_stay_inside_the_page(document: Document) -> None:
    tables = [block for block in document.blocks if isinstance(block, Table) and block.rows]
    assert len(tables) > 20
    for table in tables:
        layout = fit(table)
        width = LANDSCAPE_PT if layout.landscape else PORTRAIT_PT
        assert sum(layout.widths_pt) <= width + 0.1, table.caption
        assert len(layout.widths_pt) == len(table.columns)


def test_a_table_too_wide_for_the_page_is_turned() -> None:
    wide = Table.of("|".join("abcdefghijkl"), [["unbreakable_name_of_a_thing"] * 12])
    assert fit(wide).landscape
    assert "#page(flipped: true)" in typst_source(
        Document("t", "s", ("", ""), _box(), (), (replace(wide, caption="넓은 표"),))
    )


def _box() -> Box:
    return Box(Table.of("a | b", [("a", "b")]))


@pytest.mark.parametrize("text", ['"#image("x")', "\\", "$x$ #panic()", "*a* _b_ <c> @d", "]["])
def test_text_never_becomes_typst(tmp_path: Path, text: str) -> None:
    table = Table.of("a | b", [(text, f"`{text}`")])
    document = Document(text, text, (text, text), replace(_box(), table=table), (), ())
    assert pdf_report(document, tmp_path, MADE_AT).startswith(b"%PDF")
    assert literal(text).startswith('"')
    assert literal(text).endswith('"')


def test_every_captioned_table_is_there_for_a_paper(document: Document) -> None:
    found = dict(latex_tables(document))
    captioned = [b for b in document.blocks if isinstance(b, Table) and b.caption and b.rows]
    assert len(found) == len(captioned) > 10
    for text in found.values():
        body = text.partition("\\midrule")[2].partition("\\bottomrule")[0].strip().splitlines()
        columns = re.search(r"begin\{tabular\}\{([lr]+)\}", text)
        assert columns
        for line in body:
            assert len(re.findall(r"(?<!\\)&", line)) == len(columns[1]) - 1
    hostile = Table.of("a_b | c>", [("5 % & \\x{y} $z$", "`write_buffer_size` 1")], "50 %")
    text = latex_table(hostile)
    assert r"5 \% \& \textbackslash{}x\{y\} \$z\$ & \texttt{write\_buffer\_size} 1 \\" in text
    assert r"\caption{50 \%}" in text


def test_a_gallery_names_its_files(inputs: ReportInputs, folder: Path) -> None:
    gallery = draw(inputs, inputs.run(), folder)
    assert isinstance(gallery, Gallery)
    assert tuple(gallery.pictures) == PICTURES
    assert all(p.question.endswith("?") and p.answer for p in gallery.pictures.values())
    stems = {file.stem for file in gallery.files}
    assert stems == set(PICTURES)


# Machado, Oliveira and Fernandes 2009: full protanopia, deuteranopia and tritanopia.
DEFICIENCIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
TOGETHER = [
    (look.MEASURED, look.PREDICTED, look.QUIET),
    (look.MEASURED, look.DELAY, look.STOP),
    (look.MEASURED, look.DELAY, look.STOP, look.THIRD),
    (look.MEASURED, look.STOP, look.QUIET, look.THIRD),
]
"""Colours that meet in one panel."""


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", [None, *DEFICIENCIES])
@pytest.mark.parametrize("colours", TOGETHER)
def test_colours_that_meet_can_be_told_apart(sight: str | None, colours: tuple[str, ...]) -> None:
    seen = np.eye(3) if sight is None else np.array(DEFICIENCIES[sight])
    for first, second in itertools.combinations(colours, 2):
        linear = [np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
                            for c in to_rgb(colour)]) for colour in (first, second)]  # fmt: skip
        distance = float(np.linalg.norm(lab(seen @ linear[0]) - lab(seen @ linear[1])))
        assert distance > 15.0, (first, second, sight, distance)
