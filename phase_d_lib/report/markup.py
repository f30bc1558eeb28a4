"""The report as Markdown in which no name of anything can become markup; sources are not shown."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
from phase_d_lib.report.sources import pieces

_ACTIVE = re.compile(r"([\\*\[\]|~])|(?<!\w)(_)|(_)(?!\w)|(<)(?=[A-Za-z/!?])|(&)(?=[#\w])|(`)")


def prose(text: object) -> str:
    """Escape Markdown in `text`, keeping code spans, on one line."""
    line = " ".join(str(text).split())
    return "".join(
        code(piece.text) if piece.code else _escape(piece.text) for piece in pieces(line)
    )


def code(text: object) -> str:
    """Code span of any text, safe inside a table."""
    line = " ".join(str(text).split()).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else ""


def markdown_table(table: Table) -> str:
    """Pipe table; an empty one says so."""
    if not table.rows:
        return NOTHING
    names = [prose(name) for name in table.names]
    rule = ["---:" if right else "---" for right in table.right]
    lines = [names, rule, *([prose(cell) for cell in row] for row in table.rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def markdown(document: Document) -> str:
    """Render the whole report."""
    lead, rest = document.notice
    head = [f"# {prose(document.title)}", f"*{prose(document.subtitle)}*"]
    head += [f"**{prose(lead)}** {prose(rest)}"] if lead else []
    head += [_block(document.summary), _listed(ItemList(document.facts))]
    return "\n\n".join([*head, *_numbered(document.blocks)]) + "\n"


def _numbered(blocks: tuple[Block, ...]) -> Iterator[str]:
    for block, number in numbered(blocks):
        shown = _block(block)
        if isinstance(block, Table) and number:
            shown = f"*표 {number}. {prose(block.caption)}*\n\n{shown}"
        elif isinstance(block, Picture):
            shown += f"\n\n*그림 {number}. {prose(block.question)} {prose(block.answer)}.*"
        yield shown


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {prose(block.text)}"
        case Paragraph():
            return _item(Item(block.text, block.lead))
        case ItemList():
            return _listed(block)
        case Table():
            return markdown_table(block)
        case Box():
            return "\n".join(f"> {line}" for line in markdown_table(block.table).splitlines())
        case Picture():
            return f"![{prose(block.alt)}]({block.name}.png)"
        case CodeBlock():
            return f"```sh\n{block.text}\n```"


def _listed(block: ItemList) -> str:
    if not block.items:
        return prose(block.empty)
    return "\n".join(
        f"{f'{number}.' if block.numbered else '-'} {_item(item)}"
        for number, item in enumerate(block.items, start=1)
    )


def _item(item: Item) -> str:
    return f"**{prose(item.label)}**: {prose(item.text)}" if item.label else prose(item.text)


def _escape(text: str) -> str:
    return _ACTIVE.sub(lambda found: "\\" + found.group(), text)
