"""One output of a notebook whose content is replaced, from any thread."""

from __future__ import annotations

from typing import Any

from IPython.display import HTML, display

WIDGET_TYPE = "application/vnd.jupyter.widget-view+json"
_CONTROLS_TEXT = "조작부는 JupyterLab에서 이 셀을 실행하면 나타납니다. 아래는 마지막 결과입니다."


class Place:
    """Where a result is shown.

    Parameters
    ----------
    html : str
        What stands there at first.
    """

    def __init__(self, html: str = "") -> None:
        self.html = html
        self._handle = display(HTML(html), display_id=True)

    def show(self, html: str) -> None:
        """Replace the content; outside a notebook it is only kept in ``html``."""
        self.html = html
        if self._handle is not None:
            self._handle.update(HTML(html))


def show_controls(box: Any) -> None:
    """Display a widget, and one line of text where there is no front end for it."""
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    text = f"<p style='color: #5f5f5f'>{_CONTROLS_TEXT}</p>"
    bundle = {WIDGET_TYPE: view, "text/html": text, "text/plain": _CONTROLS_TEXT}
    display(bundle, raw=True)
