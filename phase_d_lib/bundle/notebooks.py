"""Executed notebooks as pages that open offline: results first, code folded, no script."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from traitlets.config import Config

from phase_d_lib.bundle.privacy import Scrubber
from phase_d_lib.notebook_packages import nbformat
from phase_d_lib.report.bundle import without_scraps

_TEMPLATES = Path(__file__).parent / "templates"
_ACTIVE = re.compile(
    r"<(script|iframe|object|embed|applet|form)\b.*?(?:</\1\s*>|\Z)|<(?:link|base|meta)\b[^>]*>",
    re.IGNORECASE | re.DOTALL,
)
_HANDLER = re.compile(
    r"(<[a-z][^>]*?)\s+on[a-z]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE
)
_LOADED = re.compile(
    r"(\b(?:src|srcset|poster|background|data)\s*=\s*|\burl\(\s*)"
    r"([\"']?)\s*(?:[a-z]+:)?//[^\"')\s>]*",
    re.IGNORECASE,
)
_IMPORTED = re.compile(r"@import\b[^;<]*;?", re.IGNORECASE)
_OUTSIDE = re.compile(
    r"<(?:script|iframe|object|embed|link|base)\b[^>]*"
    r"|\b(?:src|srcset|poster|background)\s*=\s*[\"']?\s*(?:[a-z]+:)?//[^\"'\s>]*"
    r"|\burl\(\s*[\"']?\s*(?:[a-z]+:)?//[^\"')\s]*|@import\b[^;]*",
    re.IGNORECASE,
)


def scrubbed(notebook: nbformat.NotebookNode, scrub: Scrubber) -> nbformat.NotebookNode:
    """Return a notebook without private words: parameters, code, texts and scraps; no picture."""
    around = {name: part for name, part in notebook.items() if name != "cells"}
    copy: nbformat.NotebookNode = nbformat.from_dict(scrub.record(around))
    copy.cells = [nbformat.from_dict(_scrubbed_cell(cell, scrub)) for cell in notebook.cells]
    return copy


def read_notebook(file: Path) -> nbformat.NotebookNode:
    """Read an executed notebook."""
    notebook: nbformat.NotebookNode = nbformat.read(file, as_version=4)
    return notebook


def notebook_text(notebook: nbformat.NotebookNode) -> str:
    """Write a notebook as its file."""
    return str(nbformat.writes(notebook)) + "\n"


def folded_page(notebook: nbformat.NotebookNode, title: str) -> str:
    """Render a notebook as one page: each cell's results, then its code behind a fold.

    Scraps, which hold data and no text to read, are left out; so is anything active in an output.
    """
    from nbconvert import HTMLExporter  # half a second, and only pages need it

    shown = without_scraps(notebook)
    exporter = HTMLExporter(
        config=Config(
            {
                "TemplateExporter": {
                    "extra_template_basedirs": [str(_TEMPLATES)],
                    "template_name": "folded",
                },
                "HTMLExporter": {"language_code": "ko"},
            }
        )
    )
    body: str = exporter.from_notebook_node(shown, {"metadata": {"name": title}})[0]
    return inert(body)


def inert(page: str) -> str:
    """Return a page without scripts, handlers and addresses that a browser would load."""
    head, mark, body = page.partition("</head>")
    body = _ACTIVE.sub("", body)
    while (cut := _HANDLER.sub(r"\1", body)) != body:
        body = cut
    return head + mark + _IMPORTED.sub("", _LOADED.sub(r"\1\2", body))


def outside_addresses(page: str) -> list[str]:
    """What a page would run or fetch from elsewhere; a link to follow is neither."""
    return [found.group() for found in _OUTSIDE.finditer(page)]


def _scrubbed_cell(cell: Any, scrub: Scrubber) -> Any:
    kept = {k: scrub.record(v) for k, v in cell.items() if k != "outputs"}
    if "outputs" in cell:
        kept["outputs"] = [_scrubbed_output(output, scrub) for output in cell.outputs]
    return kept


def _scrubbed_output(output: Any, scrub: Scrubber) -> Any:
    kept = {k: scrub.record(v) for k, v in output.items() if k != "data"}
    if "data" in output:
        kept["data"] = {
            kind: content if _is_picture(kind) else scrub.record(content)
            for kind, content in output["data"].items()
        }
    return kept


def _is_picture(kind: str) -> bool:
    return kind.startswith("image/") and kind != "image/svg+xml"
