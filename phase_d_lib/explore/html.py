"""Pieces of HTML that survive a notebook: no class, no script, pictures inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

from matplotlib.figure import Figure

from phase_d_lib.report.blocks import NOTHING, Table
from phase_d_lib.report.html_page import inline

_LINE = "border-bottom: 1px solid #d0d0d0; padding: 3px 10px; word-break: keep-all;"
_SHORT = 12
"""Cells up to this many characters are never broken."""
_DPI = 110


def table_html(columns: str, rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """Write a table of formatted text; columns as :meth:`phase_d_lib.report.blocks.Table.of`."""
    table = Table.of(columns, rows, caption)
    title = f"<p style='margin: 10px 0 2px'><b>{inline(caption)}</b></p>" if caption else ""
    if not rows:
        return f"{title}<p>{NOTHING}</p>"
    head = _row("th", table.names, table.right)
    body = "".join(_row("td", row, table.right) for row in table.rows)
    return f"{title}<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def _row(tag: str, cells: Sequence[str], right: Sequence[bool]) -> str:
    shown = "".join(
        f"<{tag} style='{_cell_style(cell, aligned)}'>{inline(cell)}</{tag}>"
        for cell, aligned in zip(cells, right, strict=True)
    )
    return f"<tr>{shown}</tr>"


def _cell_style(cell: str, aligned_right: bool) -> str:
    wrap = "nowrap" if len(cell) <= _SHORT else "normal"
    return f"{_LINE} white-space: {wrap}; text-align: {'right' if aligned_right else 'left'}"


def paragraph(text: str, *, strong: bool = False) -> str:
    """Write a line; backquotes make code."""
    shown = inline(text)
    return f"<p>{f'<b>{shown}</b>' if strong else shown}</p>"


def notice(text: str, colour: str = "#b3261e") -> str:
    """Write a line that must be seen: an error, or what does not hold."""
    return f"<p style='border-left: 4px solid {colour}; padding-left: 8px'>{inline(text)}</p>"


def svg_picture(svg: str, alt: str) -> str:
    """Embed an SVG as a picture: inline SVG is stripped where a notebook is not trusted."""
    return _image("svg+xml", svg.encode(), alt)


def figure_picture(figure: Figure, alt: str) -> str:
    """Embed a matplotlib figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI, facecolor="white")
    return _image("png", stream.getvalue(), alt)


def _image(kind: str, payload: bytes, alt: str) -> str:
    data = base64.b64encode(payload).decode()
    return (
        f"<img alt='{escape(alt, quote=True)}' style='max-width: 100%' "
        f"src='data:image/{kind};base64,{data}'>"
    )
