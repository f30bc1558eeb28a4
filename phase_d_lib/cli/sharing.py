"""Reports for others: a bundle of one, a check of a bundle, a comparison of two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phase_d_lib.cli.console import say, tell
from phase_d_lib.workspace import find_workspace

if TYPE_CHECKING:
    from phase_d_lib.bundle.differences import Difference

_MOST_LINES = 8
"""Differences told of one file."""


def share(
    report: Annotated[
        Path | None, typer.Argument(help="Report directory; default reports/latest.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default reports/shared/REPORT_ID.")
    ] = None,
    redact: Annotated[
        bool, typer.Option("--redact/--no-redact", help="Replace names, paths and own names.")
    ] = True,
) -> None:
    """Write one folder and one zip of a report that open offline and can be verified."""
    from phase_d_lib.bundle.collect import share as write_bundle
    from phase_d_lib.bundle.verify import verify as check
    from phase_d_lib.errors import PhaseDError

    workspace = find_workspace()
    place = report or workspace.reports / "latest"
    made = write_bundle(place, workspace, out, redact=redact, say=_telling("bundling"))
    found = check(made.folder, _telling("verifying"))
    if found.differences:
        raise PhaseDError(f"{made.folder} does not verify: {found.differences[0]}")
    say(f"{made.runs} runs, {made.bytes / 1e6:.1f} MB, verified")
    say(f"folder: {made.folder}\nzip: {made.file}\nsha256: {made.sha256}")
    say(f"open: {made.folder / 'index.html'}")


def verify(
    bundle: Annotated[Path, typer.Argument(help="Folder or zip that share wrote.")],
    json: Annotated[bool, typer.Option(help="One JSON object.")] = False,
) -> None:
    """Check a bundle's hashes and compute its numbers again from the raw samples inside.

    Exit code 0: everything is as it should be; 1: something is not, one line each; 2: no bundle.
    """
    from phase_d_lib.bundle.verify import NOT_RECOMPUTED
    from phase_d_lib.bundle.verify import verify as check

    found = check(bundle, _telling("verifying"))
    if json:
        typer.echo(found.model_dump_json())
    else:
        for line in _shortened(found.differences):
            say(line)
        for note in found.notes:
            say(f"note: {note}")
    if found.differences:
        tell(f"phase-d: {bundle}: {len(found.differences)} differences")
        raise typer.Exit(1)
    if not json:
        say(
            f"verified: {found.files} hashes, {found.runs} runs from their samples, "
            f"{found.values:,} values in JSON, {found.numbers:,} numbers in the text"
        )
        say(f"not recomputed: {NOT_RECOMPUTED}")


def compare(
    first: Annotated[Path, typer.Argument(help="Report directory or bundle.")],
    second: Annotated[Path, typer.Argument(help="Report directory or bundle.")],
    out: Annotated[
        Path | None, typer.Option(help="Markdown or HTML file to write, by its ending.")
    ] = None,
) -> None:
    """Compare two reports: environment, rates, stalls, tuning, model errors, with tests."""
    from phase_d_lib.bundle.comparison import compare as compared
    from phase_d_lib.bundle.comparison_page import write_comparison

    workspace = find_workspace()
    text = write_comparison(compared(first, second, workspace), out)
    if out is None:
        typer.echo(text)
    else:
        tell(f"written: {out}")


def _shortened(found: Sequence[Difference]) -> Iterator[str]:
    """One line a difference, the first few of each file."""
    by_file: dict[str, list[Difference]] = {}
    for difference in found:
        by_file.setdefault(difference.file, []).append(difference)
    for file, own in by_file.items():
        yield from map(str, own[:_MOST_LINES])
        if len(own) > _MOST_LINES:
            yield f"{file}: and {len(own) - _MOST_LINES} differences more"


def _telling(verb: str) -> Callable[[str], None]:
    return lambda line: tell(f"{verb} {line}")
