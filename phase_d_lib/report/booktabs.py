"""The tables of a report for a paper: LaTeX with booktabs, one file a table."""

from __future__ import annotations

from collections.abc import Iterator

from phase_d_lib.report.blocks import Document, Table, numbered
from phase_d_lib.report.sources import pieces, plain

_HEADER = (
    "% \\usepackage{booktabs,kotex}  % kotex (pdfLaTeX, XeLaTeX) or luatexko for the Korean text\n"
)
_SPECIAL = {
    "\\": "\\textbackslash{}", "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_",
    "{": "\\{", "}": "\\}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
    "µ": "\\textmu{}", "±": "\\(\\pm\\)", "→": "\\(\\rightarrow\\)", "≥": "\\(\\ge\\)",
    "≤": "\\(\\le\\)",
}  # fmt: skip


def latex_tables(document: Document) -> Iterator[tuple[str, str]]:
    """Yield file name and text of every captioned table of a report, numbered as in it."""
    for block, number in numbered(document.blocks):
        if isinstance(block, Table) and number:
            yield f"table_{number:02d}.tex", latex_table(block)


def latex_table(table: Table) -> str:
    """Write one table as a ``table`` environment."""
    columns = "".join("r" if right else "l" for right in table.right)
    rows = [" & ".join(map(_cell, row)) + " \\\\" for row in table.rows]
    lines = [
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{escaped(plain(table.caption))}}}",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
        " & ".join(map(escaped, table.names)) + " \\\\",
        "\\midrule",
        *rows,
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    return _HEADER + "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return "".join(
        f"\\texttt{{{escaped(piece.text)}}}" if piece.code else escaped(piece.text)
        for piece in pieces(text)
    )


def escaped(text: str) -> str:
    """Replace what LaTeX would take for a command."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text.replace("\n", " "))
