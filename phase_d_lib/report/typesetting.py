"""The report as PDF, set by Typst from the same blocks; all text is passed as string literals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import typst

from phase_d_lib.errors import InputError
from phase_d_lib.report.blocks import (
    NOTHING,
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
from phase_d_lib.report.columns import Layout, fit, units
from phase_d_lib.report.look import korean_fonts

_PREAMBLE = Path(__file__).parent / "templates" / "report.typ.j2"
_TURNED_SHARE = 0.92
"""Width of a figure on a turned page: leaves room for its caption."""
WHOLE_ROWS = 14
"""Tables of up to so many rows are not split between pages."""
_NBSP = "\u00a0"
_ESCAPED = {"\\": "\\\\", '"': '\\"'}


def pdf_report(document: Document, folder: Path, made_at: datetime) -> bytes:
    """Set the report; the figures are read as PDF from `folder`.

    Parameters
    ----------
    made_at : datetime
        Date the file carries; the same document and date give the same bytes.

    Raises
    ------
    InputError
        When Typst cannot set it, with Typst's own words.
    """
    source = typst_source(document).encode()
    try:
        compiler = typst.Compiler(source, root=folder, font_paths=_fonts())
        made = compiler.compile(format="pdf", timestamp=made_at.replace(microsecond=0))
    except typst.TypstError as error:
        raise InputError(f"Typst cannot set the report: {error.message}") from None
    if not isinstance(made, bytes):
        raise InputError("Typst gave no PDF of the report")
    return made


def typst_source(document: Document) -> str:
    """Write the whole document in Typst's language."""
    lead, rest = document.notice
    notice = f"#notice[#strong[{inline(lead)}] {inline(rest)}]" if lead else ""
    facts = "\n".join(f"[{inline(f.label)}], [{inline(f.text)}]," for f in document.facts)
    head = [
        _PREAMBLE.read_text(),
        f"#set document(title: {literal(document.title)}, date: auto)",
        f"#cover({literal(document.title)}, {literal(document.subtitle)})",
        notice,
        _summary(document.summary),
        f"#facts({facts})",
        f"#contents({len(document.chapters)})",
    ]
    return "\n\n".join([*head, *_blocks(document.blocks)]) + "\n"


def literal(text: str) -> str:
    """Typst string of any text; letters that cannot be printed are left out."""
    kept = (letter for letter in text if letter.isprintable() or letter == _NBSP)
    return '"' + "".join(_ESCAPED.get(letter, letter) for letter in kept) + '"'


def inline(text: str) -> str:
    """Content of one line; a line breaks between words, and before a parenthesis."""
    parts = []
    for unit in units(text):
        if unit.space:
            parts.append(" ")
            continue
        body = "".join(f"#{_piece(shown, code)}" for shown, code in unit.pieces)
        parts.append(body if unit.loose else f"#box[{body}]")
    return "".join(parts)


def _piece(text: str, code: bool) -> str:
    return f"code({literal(text)})" if code else literal(text)


def _blocks(blocks: Sequence[Block]) -> Iterator[str]:
    for block, number in numbered(blocks):
        if isinstance(block, Table) and number:
            yield _table(block, f"표 {number}. {block.caption}")
        elif isinstance(block, Picture):
            yield _picture(block, number)
        else:
            yield _block(block)


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'=' * (block.level - 1)} {inline(block.text)}"
        case Paragraph():
            lead = f"#strong[{inline(block.lead)}]: " if block.lead else ""
            return f"#par[{lead}{inline(block.text)}]"
        case ItemList():
            return _list(block)
        case Table():
            return _table(block, "")
        case Box():
            return _summary(block)
        case CodeBlock():
            typed = ", ".join(literal(line) for line in block.text.splitlines())
            return f"#commands({typed})"
        case Picture():
            return ""


def _list(block: ItemList) -> str:
    if not block.items:
        return f"#par[{inline(block.empty)}]"
    kind = "enum" if block.numbered else "list"
    return f"#{kind}({' '.join(f'[{_item(item)}],' for item in block.items)})"


def _item(item: Item) -> str:
    label = f"#strong[{inline(item.label)}]: " if item.label else ""
    return label + inline(item.text)


def _summary(box: Box) -> str:
    rows = "\n".join(f"[{inline(name)}], [{inline(value)}]," for name, value in box.table.rows)
    return f"#summary({rows})"


def _table(table: Table, caption: str) -> str:
    if not table.rows:
        return f"#par[{inline(NOTHING)}]"
    layout = fit(table)
    head = ", ".join(f"[{inline(name)}]" for name in table.names)
    rows = "\n".join(", ".join(f"[{inline(cell)}]" for cell in row) + "," for row in table.rows)
    set_table = (
        f"#datatable(caption: [{inline(caption)}], size: {layout.size_pt}pt, "
        f"widths: ({_widths(layout)},), whole: {str(len(table.rows) <= WHOLE_ROWS).lower()}, "
        f"right: ({', '.join(str(r).lower() for r in table.right)},),\n"
        f"({head},),\n{rows})"
    )
    return f"#page(flipped: true)[{set_table}]" if layout.landscape else set_table


def _widths(layout: Layout) -> str:
    return ", ".join(f"{width:.1f}pt" for width in layout.widths_pt)


def _picture(picture: Picture, number: int) -> str:
    caption = f"그림 {number}. #strong[{inline(picture.question)}] {inline(picture.answer)}."
    file, alt = literal(f"/{picture.name}.pdf"), literal(picture.alt)
    share = _TURNED_SHARE if picture.turned else picture.share
    drawn = f"#drawing({file}, {alt}, {share:.0%}, [{caption}])"
    return f"#page(flipped: true)[{drawn}]" if picture.turned else drawn


@cache
def _fonts() -> typst.Fonts:
    """NanumGothic, and the DejaVu fonts for code and for signs that NanumGothic lacks."""
    carrier = find_spec("matplotlib")
    if carrier is None or carrier.origin is None:
        raise InputError("matplotlib is not installed; run make setup")
    dejavu = Path(carrier.origin).parent / "mpl-data" / "fonts" / "ttf"
    return typst.Fonts(include_system_fonts=False, font_paths=[korean_fonts()[0].parent, dejavu])
