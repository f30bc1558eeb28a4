"""Write a report: figure, Markdown, self-contained HTML, JSON files, index and manifest."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from phase_d_lib.report.context import template_context
from phase_d_lib.report.document_types import Document
from phase_d_lib.report.documents import build_documents
from phase_d_lib.report.findings import Finding
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.markup import Table, code, markdown_table, prose
from phase_d_lib.report.objectives import objectives
from phase_d_lib.report.panels import FIGURE_NAME, six_panels
from phase_d_lib.report.particles import with_particle
from phase_d_lib.report.provenance import JSON_FILES
from phase_d_lib.report.quantities import (
    count,
    moment,
    percent,
    puts_per_s,
    rate,
    seconds,
)
from phase_d_lib.runs import Run
from phase_d_lib.workspace import write_atomically

_TEMPLATES = Path(__file__).parent / "templates"
_FIGURE_DPI = 120
_MANIFEST = "manifest.json"
_UNBREAKABLE = re.compile(
    r"(?<=\d) (?=(?:%|s|ms|µs|ns|B|KiB|MiB|GiB|MiB/s|puts/s|UTC)(?![A-Za-z0-9]))"
    r"|(?<=목표) (?=달성|미달)"
)
"""Spaces a line must not break at: between number and unit, and inside a verdict."""
_MANIFEST_VERSION = 1


def write_report(inputs: ReportInputs, folder: Path) -> list[Path]:
    """Write the report's figure, Markdown, HTML and JSON files to `folder`.

    Returns
    -------
    list of Path
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = inputs.run()
    documents = build_documents(inputs, run)
    figure = six_panels(inputs, run)
    try:
        figure.savefig(folder / FIGURE_NAME, dpi=_FIGURE_DPI)
    finally:
        plt.close(figure)
    text = markdown_report(inputs, run)
    picture = (folder / FIGURE_NAME).read_bytes()
    contents = {
        "phase_d_report.md": text,
        "phase_d_report.html": html_report(text, picture),
        **{f"{name}.json": _json_text(document) for name, document in documents.items()},
    }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / FIGURE_NAME, *(folder / name for name in contents)]


def markdown_report(inputs: ReportInputs, run: Run) -> str:
    """Render the Korean report as Markdown; `run` is the monitored run."""
    # What comes from data is escaped for Markdown by the filters prose, code and table.
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        code=code,
        code_block=lambda text: f"```sh\n{text}\n```",
        count=count,
        moment=moment,
        particle=with_particle,
        percent=percent,
        prose=prose,
        puts_per_s=puts_per_s,
        quoted_table=_quoted_table,
        rate=rate,
        seconds=seconds,
        statements=_statements,
        table=markdown_table,
    )
    template = environment.get_template("phase_d_report.md.j2")
    return template.render(template_context(inputs, objectives(inputs, run.samples)))


def html_report(markdown: str, picture_png: bytes) -> str:
    """Render the Markdown report as one HTML page that needs nothing from outside."""
    body, contents = _markdown_html(_UNBREAKABLE.sub("\u00a0", markdown), picture_png)
    return _page("Phase-D 최종 보고서", body, contents)


def write_index(folder: Path) -> Path:
    """Write ``index.html``: links to the report, the notebooks, the JSON files and the figure."""
    report, figure = folder / "phase_d_report.html", folder / FIGURE_NAME
    groups = [
        ("보고서", ["phase_d_report.html", "phase_d_report.md", "phase_d_report.pdf"]),
        ("노트북", _names(folder, "notebooks/*.html")),
        ("노트북 원본", _names(folder, "notebooks/*.ipynb")),
        ("JSON 파일", [name for name in _names(folder, "*.json") if name != _MANIFEST]),
    ]
    body = _html_environment().get_template("index.html.j2").render(
        report_id=folder.name,
        report=report.name if report.is_file() else None,
        figure=figure.name if figure.is_file() else None,
        groups=[{"title": title, "files": _links(folder, names)} for title, names in groups],
    )  # fmt: skip
    file = folder / "index.html"
    write_atomically(file, _page("Phase-D 보고서 묶음", body, []))
    return file


def write_manifest(folder: Path, inputs: Sequence[Path]) -> Path:
    """Write ``manifest.json``: SHA-256 and size of every output and of every input file.

    Parameters
    ----------
    inputs : sequence of Path
        Files, or directories whose files all count; named relative to what they share.
    """
    outputs = [f for f in folder.rglob("*") if f.is_file() and not _is_hidden(f, folder)]
    files = [f for path in inputs for f in ([path] if path.is_file() else path.rglob("*"))]
    sources = [f for f in files if f.is_file()]
    shared = Path(os.path.commonpath([f.parent for f in sources])) if sources else folder
    manifest = {
        "schema_version": _MANIFEST_VERSION,
        "inputs": _hashes(sources, shared),
        "outputs": _hashes([f for f in outputs if f != folder / _MANIFEST], folder),
    }
    file = folder / _MANIFEST
    write_atomically(file, json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")
    return file


def _json_text(document: Document) -> str:
    return document.model_dump_json(indent=1) + "\n"


def _quoted_table(table: Table) -> str:
    return "\n".join(f"> {line}" for line in markdown_table(table).splitlines())


def _statements(found: Sequence[Finding]) -> str:
    if not found:
        return "해당하는 항목이 없습니다."
    return "\n".join(
        f"{number}. {prose(f.statement_ko)}. (규칙: {prose(f.rule_ko)})"
        for number, f in enumerate(found, start=1)
    )


def _markdown_html(markdown: str, picture_png: bytes) -> tuple[str, list[tuple[str, str]]]:
    """Return the HTML of the report and (anchor, name) of every second-level heading."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    # The report links to nothing; a link could only come out of a name.
    parser.disable(["link", "autolink", "html_inline", "html_block", "reference"])
    data = base64.b64encode(picture_png).decode()

    def image(
        self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any
    ) -> str:
        if tokens[index].attrs.get("src") != FIGURE_NAME:
            return ""
        return f'<img src="data:image/png;base64,{data}" alt="종합 분석 시각화">'

    parser.add_render_rule("image", image)
    parser.add_render_rule("table_open", lambda *_: '<div class="scroll"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens = parser.parse(markdown)
    contents: list[tuple[str, str]] = []
    for opening, inside in pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h2":
            anchor = f"s{len(contents) + 1}"
            opening.attrSet("id", anchor)
            contents.append((anchor, inside.content))
    rendered: str = parser.renderer.render(tokens, parser.options, {})
    return rendered, contents


def _page(title: str, body: str, contents: list[tuple[str, str]]) -> str:
    environment = _html_environment()
    css = environment.get_template("report.css.j2").render()
    return environment.get_template("page.html.j2").render(
        title=title, css=css, body=body, contents=contents
    )


def _html_environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, autoescape=True
    )


def _names(folder: Path, pattern: str) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.glob(pattern))


def _links(folder: Path, names: Sequence[str]) -> list[dict[str, str]]:
    present = [name for name in names if (folder / name).is_file()]
    return [{"path": name, "note": JSON_FILES.get(Path(name).stem, "")
             if name.endswith(".json") else ""} for name in present]  # fmt: skip


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _hashes(files: Sequence[Path], root: Path) -> list[dict[str, str | int]]:
    return [
        {
            "path": file.relative_to(root).as_posix(),
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "bytes": file.stat().st_size,
        }
        for file in sorted(files)
    ]
