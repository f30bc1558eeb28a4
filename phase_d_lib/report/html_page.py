"""The report as one HTML page that needs nothing from outside; a number shows its source."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from phase_d_lib.report.blocks import (
    NOTHING,
    UNBREAKABLE,
    Block,
    Box,
    CodeBlock,
    Document,
    Heading,
    Item,
    ItemList,
    Paragraph,
    Picture,
    Table,
    numbered,
)
from phase_d_lib.report.sources import Piece, Source, pieces, plain
from phase_d_lib.report.wording import source_sentence

_TEMPLATES = Path(__file__).parent / "templates"


def html_report(document: Document, pictures_png: Mapping[str, bytes]) -> str:
    """Render the report as a page.

    Parameters
    ----------
    pictures_png : mapping
        Name of a figure -> its picture.
    """
    lead, rest = document.notice
    head = [
        f"<h1>{inline(document.title)}</h1>",
        f'<p class="subtitle">{inline(document.subtitle)}</p>',
        f'<p class="notice"><strong>{inline(lead)}</strong> {inline(rest)}</p>' if lead else "",
        f'<section class="summary" aria-label="요약">{_table(document.summary.table)}</section>',
        f'<div class="facts">{_list(ItemList(document.facts))}</div>',
    ]
    body = "\n".join([*head, *_blocks(document.blocks, pictures_png)])
    contents = [(f"s{n}", plain(name)) for n, name in enumerate(document.chapters, start=1)]
    return page(document.title, body, contents)


def page(title: str, body: str, contents: Sequence[tuple[str, str]]) -> str:
    """Put a body between the page's head and foot.

    Parameters
    ----------
    contents : sequence of (anchor, name)
        Chapters to list at the top.
    """
    environment = html_environment()
    css = environment.get_template("report.css.j2").render()
    template = environment.get_template("page.html.j2")
    return template.render(title=title, css=css, body=body, contents=contents)


def html_environment() -> Environment:
    """Templates of the pages, with everything escaped."""
    return Environment(
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, autoescape=True
    )


def inline(text: str, known: Source | None = None) -> str:
    """Render a line; a number whose source is not `known` yet can be reached by keyboard.

    Parameters
    ----------
    known : Source, optional
        Source that a cell to the left has already been given: it is shown on a click only.
    """
    line = UNBREAKABLE.sub("\u00a0", " ".join(text.split()))
    return "".join(_piece(piece, known) for piece in pieces(line))


def _piece(piece: Piece, known: Source | None) -> str:
    shown = escape(piece.text)
    if piece.code:
        return f"<code>{shown}</code>"
    if piece.source is None:
        return shown
    reach = -1 if piece.source == known else 0
    told, address = escape(source_sentence(piece.source)), escape(piece.source.address)
    return (
        f'<span class="n" tabindex="{reach}" title="{told}" data-source="{address}">{shown}</span>'
    )


def _blocks(blocks: Sequence[Block], pictures_png: Mapping[str, bytes]) -> Iterator[str]:
    for block, number in numbered(blocks):
        if isinstance(block, Heading) and number:
            yield f'<h2 id="s{number}">{inline(block.text)}</h2>'
        elif isinstance(block, Table) and number:
            yield _table(block, f"표 {number}. {block.caption}")
        elif isinstance(block, Picture):
            yield _picture(block, pictures_png[block.name], number)
        else:
            yield _block(block)


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{inline(block.text)}</h{block.level}>"
        case Paragraph():
            lead = f"<strong>{inline(block.lead)}</strong>: " if block.lead else ""
            return f"<p>{lead}{inline(block.text)}</p>"
        case ItemList():
            return _list(block)
        case Table():
            return _table(block)
        case Box():
            return _table(block.table)
        case CodeBlock():
            return f"<pre><code>{escape(block.text)}</code></pre>"
        case Picture():
            return ""


def _list(block: ItemList) -> str:
    if not block.items:
        return f"<p>{inline(block.empty)}</p>"
    kind = "ol" if block.numbered else "ul"
    rows = "\n".join(f"<li>{_item(item)}</li>" for item in block.items)
    return f"<{kind}>\n{rows}\n</{kind}>"


def _item(item: Item) -> str:
    label = f"<strong>{inline(item.label)}</strong>: " if item.label else ""
    return label + inline(item.text)


def _table(table: Table, caption: str = "") -> str:
    if not table.rows:
        return f"<p>{NOTHING}</p>"
    head = "".join(
        f'<th scope="col"{_align(right)}>{inline(name)}</th>'
        for name, right in zip(table.names, table.right, strict=True)
    )
    rows = "\n".join(f"<tr>{''.join(_cells(row, table.right))}</tr>" for row in table.rows)
    named = f"<caption>{inline(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{named}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cells(row: Sequence[str], right: Sequence[bool]) -> Iterator[str]:
    known: Source | None = None
    for cell, aligned in zip(row, right, strict=True):
        yield f"<td{_align(aligned)}>{inline(cell, known)}</td>"
        known = known or next((p.source for p in pieces(cell) if p.source), None)


def _align(right: bool) -> str:
    return ' class="right"' if right else ""


def _picture(picture: Picture, png: bytes, number: int) -> str:
    data = base64.b64encode(png).decode()
    return (
        f'<figure><img style="width: {picture.share:.0%}" src="data:image/png;base64,{data}" '
        f'alt="{escape(plain(picture.alt))}">'
        f"<figcaption>그림 {number}. <strong>{inline(picture.question)}</strong> "
        f"{inline(picture.answer)}.</figcaption></figure>"
    )
