"""Collect a finished report: notebooks as offline HTML, an index, a manifest."""

from __future__ import annotations

from pathlib import Path

from traitlets.config import Config

from phase_d_lib.notebook_packages import nbformat
from phase_d_lib.report.render import write_index, write_manifest
from phase_d_lib.stages import used_runs
from phase_d_lib.workspace import Workspace, write_atomically


def collect(folder: Path, notebooks: list[Path], workspace: Workspace) -> None:
    """Render executed notebooks, then index and manifest; the manifest comes last.

    Parameters
    ----------
    folder : Path
        Report directory.
    notebooks : list of Path
        Executed stage notebooks inside it.
    """
    for notebook in notebooks:
        write_atomically(notebook.with_suffix(".html"), notebook_html(notebook))
    write_index(folder)
    used = [run_id for notebook in notebooks for run_id in used_runs(notebook)]
    places = (workspace.runs, workspace.recorded_runs)
    results = [p / i / "result.json" for i in dict.fromkeys(used) for p in places]
    inputs = [
        workspace.root / "requirements.lock",
        *sorted(workspace.notebooks.glob("0*.ipynb")),
        *(file for file in results if file.is_file()),
    ]
    write_manifest(folder, inputs)


def notebook_html(notebook: Path) -> str:
    """Render a notebook as one file that opens offline: images embedded, no address outside.

    Code cells are kept; scraps, which hold data and no text to read, are left out.
    """
    from nbconvert import HTMLExporter  # half a second, and only pages need it

    content = without_scraps(nbformat.read(notebook, as_version=4))
    exporter = HTMLExporter(
        config=Config(
            {
                "HTMLExporter": {
                    "language_code": "ko",
                    "embed_images": True,
                    "mathjax_url": "",
                    "require_js_url": "",
                    "jquery_url": "",
                    "mermaid_js_url": "",
                }
            }
        )
    )
    body: str = exporter.from_notebook_node(content)[0]
    return body


def without_scraps(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a notebook without its scraps, which hold data and no text to read."""
    shown: nbformat.NotebookNode = nbformat.from_dict(notebook)
    for cell in shown.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if not _is_scrap(out)]
    return shown


def _is_scrap(output: nbformat.NotebookNode) -> bool:
    kinds = output.get("data", {})
    return bool(kinds) and all(kind.startswith("application/scrapbook") for kind in kinds)
