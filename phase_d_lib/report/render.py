"""Write a report: figures, Markdown, HTML, PDF, JSON files, index and manifest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from phase_d_lib.report.booktabs import latex_tables
from phase_d_lib.report.chapters import report_document
from phase_d_lib.report.document_types import Document as JsonDocument
from phase_d_lib.report.documents import build_documents
from phase_d_lib.report.html_page import html_environment, html_report, page
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.markup import markdown
from phase_d_lib.report.objectives import objectives
from phase_d_lib.report.panels import FIGURE_NAME
from phase_d_lib.report.pictures import draw
from phase_d_lib.report.provenance import JSON_FILES
from phase_d_lib.report.typesetting import pdf_report
from phase_d_lib.workspace import write_atomically

REPORT_NAME = "phase_d_report"
TABLES = "tables"
"""Folder of the LaTeX tables in a report."""
_MANIFEST = "manifest.json"
_MANIFEST_VERSION = 1


def write_report(inputs: ReportInputs, folder: Path) -> list[Path]:
    """Write the report's figures, Markdown, HTML, PDF, LaTeX tables and JSON files to `folder`.

    Returns
    -------
    list of Path
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = inputs.run()
    gallery = draw(inputs, run, folder)
    document = report_document(inputs, objectives(inputs, run.samples), gallery)
    pictures = {name: (folder / f"{name}.png").read_bytes() for name in gallery.pictures}
    made_at = datetime.fromisoformat(inputs.generated_at)
    documents = build_documents(inputs, run)
    contents: dict[str, str | bytes] = {
        f"{REPORT_NAME}.md": markdown(document),
        f"{REPORT_NAME}.html": html_report(document, pictures),
        f"{REPORT_NAME}.pdf": pdf_report(document, folder, made_at),
        **{f"{name}.json": _json_text(found) for name, found in documents.items()},
    }
    contents |= {f"{TABLES}/{name}": text for name, text in latex_tables(document)}
    (folder / TABLES).mkdir(exist_ok=True)
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [*gallery.files, *(folder / name for name in contents)]


def write_index(folder: Path) -> Path:
    """Write ``index.html``: links to the report, the notebooks, the JSON files and the figures."""
    report, figure = folder / f"{REPORT_NAME}.html", folder / FIGURE_NAME
    groups = [
        ("보고서", [f"{REPORT_NAME}.{kind}" for kind in ("html", "pdf", "md")]),
        ("노트북", _names(folder, "notebooks/*.html")),
        ("노트북 원본", _names(folder, "notebooks/*.ipynb")),
        ("그림", [*_names(folder, "*.png"), *_figure_pdfs(folder)]),
        ("표(LaTeX)", _names(folder, f"{TABLES}/*.tex")),
        ("JSON 파일", [name for name in _names(folder, "*.json") if name != _MANIFEST]),
    ]
    body = html_environment().get_template("index.html.j2").render(
        report_id=folder.name,
        report=report.name if report.is_file() else None,
        figure=figure.name if figure.is_file() else None,
        groups=[{"title": title, "files": _links(folder, names)} for title, names in groups],
    )  # fmt: skip
    file = folder / "index.html"
    write_atomically(file, page("Phase-D 보고서 묶음", body, []))
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


def _json_text(document: JsonDocument) -> str:
    return document.model_dump_json(indent=1) + "\n"


def _names(folder: Path, pattern: str) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.glob(pattern))


def _figure_pdfs(folder: Path) -> list[str]:
    return [name for name in _names(folder, "*.pdf") if name != f"{REPORT_NAME}.pdf"]


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
