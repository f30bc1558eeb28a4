"""Check a bundle: hashes, every result again from raw samples, every file again from the results.

Nothing of a bundle is executed: notebooks are read as JSON, tables as tables, texts as texts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pyarrow import ArrowException

from phase_d_lib.bundle.archive import check_log, check_table, opened
from phase_d_lib.bundle.checks import (
    notebook_differences,
    report_differences,
    result_differences,
    run_differences,
    table_differences,
)
from phase_d_lib.bundle.collect import front_pages
from phase_d_lib.bundle.differences import (
    Difference,
    count_values,
    page_differences,
    page_pieces,
    text_differences,
    text_of,
)
from phase_d_lib.bundle.layout import INDEX, NOTEBOOKS, REPORT, RUNS
from phase_d_lib.bundle.manifest import (
    Manifest,
    hash_differences,
    read_manifest,
    this_library,
)
from phase_d_lib.bundle.rawruns import LOG, TABLES
from phase_d_lib.bundle.reading import read_inputs, runs_of_folder, stage_runs
from phase_d_lib.errors import InputError, PhaseDError
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.render import REPORT_NAME, write_report
from phase_d_lib.runs import Run
from phase_d_lib.specs import Frozen
from phase_d_lib.workspace import read_json_object

Say = Callable[[str], None]
NOT_RECOMPUTED = (
    "seeds, times, the device grid, which option sets a search proposed, and what notebooks show "
    "beside their results"
)
"""What no raw sample of a bundle can tell."""
_WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What computing raises on values that no measurement gave."""


class Verification(Frozen):
    """What a check of a bundle found."""

    report_id: str
    differences: tuple[Difference, ...]
    files: int
    """Files whose hashes were compared."""
    runs: int
    """Runs computed again from their samples."""
    values: int
    """Numbers in the JSON files."""
    numbers: int
    """Numbers in the report's text that name their source."""
    notes: tuple[str, ...]
    """What could not be told here."""


def verify(bundle: Path, say: Say = lambda line: None) -> Verification:
    """Check a bundle, a folder or a zip.

    Parameters
    ----------
    say : callable
        Told in one line what is being checked.

    Raises
    ------
    InputError
        When it is no bundle, or a part of it cannot be read although its hash is right.
    """
    with opened(bundle) as folder:
        manifest = read_manifest(folder)
        say(f"hashes of {len(manifest.files)} files")
        changed = list(hash_differences(folder, manifest))
        try:
            found = [*changed, *content_differences(folder, manifest, say)]
        except InputError as error:
            if not changed:
                raise
            # A file that is not what it was may be unreadable, too: that is a finding.
            shown = Difference(file=folder.name, field="", shown=str(error), recomputed="")
            found = [*changed, shown]
        return Verification(
            report_id=manifest.report_id,
            differences=tuple(dict.fromkeys(found)),
            files=len(manifest.files),
            runs=len(_run_folders(folder)),
            values=sum(map(_count_values, sorted((folder / REPORT).glob("*.json")))),
            numbers=_count_numbers(folder / REPORT / f"{REPORT_NAME}.html"),
            notes=tuple(_notes(manifest)),
        )


def content_differences(folder: Path, manifest: Manifest, say: Say) -> Iterator[Difference]:
    """Check everything but the hashes of the files."""
    folders = _run_folders(folder)
    say(f"{len(folders)} runs from their samples")
    for place in folders:
        run = _readable(place)
        yield from table_differences(run, manifest.tables)
        yield from run_differences(run)
    used = stage_runs(folder / NOTEBOOKS)
    missing = {one for ids in used.values() for one in ids} - {place.name for place in folders}
    for run_id in sorted(missing):
        yield Difference(
            file=f"{RUNS}/{run_id}", field="", shown="no run", recomputed="a run the report used"
        )
    if missing:
        return
    find_run = runs_of_folder(folder / RUNS)
    inputs = read_inputs(folder / REPORT, folder / NOTEBOOKS, find_run)
    say("the results of the stages from the runs")
    yield from _as_findings(NOTEBOOKS, result_differences(inputs, find_run))
    say("every file of the report from the results")
    yield from _as_findings(REPORT, _written_differences(folder, manifest, inputs))
    pages = front_pages(folder, inputs, find_run, used, redacted=manifest.redacted)
    yield from _as_findings(INDEX, _front_differences(folder, pages))


def _written_differences(
    folder: Path, manifest: Manifest, inputs: ReportInputs
) -> Iterator[Difference]:
    here = this_library()
    with tempfile.TemporaryDirectory(prefix="phase-d-verify-") as scratch:
        write_report(inputs, Path(scratch))
        alike = manifest.library.drawing == here.drawing
        yield from report_differences(folder, Path(scratch), drawn_alike=alike)
    if manifest.library.rendering == here.rendering:
        yield from notebook_differences(folder)


def _front_differences(folder: Path, pages: Iterator[tuple[str, str]]) -> Iterator[Difference]:
    for name, text in pages:
        file = folder / name
        shown = text_of(file) if file.is_file() else ""
        if name.endswith(".html"):
            yield from page_differences(name, shown, text)
        else:
            yield from text_differences(name, shown, text, {})


def _as_findings(part: str, found: Iterator[Difference]) -> Iterator[Difference]:
    """Pass differences on; values that nothing can be computed from are one, too."""
    try:
        yield from found
    except (
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        PhaseDError,
    ) as error:
        first = (str(error).splitlines() or [""])[0]
        again = f"nothing, for {type(error).__name__}: {first}"
        yield Difference(file=part, field="", shown="what it holds", recomputed=again)


def _readable(place: Path) -> Run:
    """Open a run whose files may be anything.

    Raises
    ------
    InputError
        One line, when one of them is no such file or too large.
    """
    try:
        for name in TABLES:
            check_table(place / name)
        check_log(place / LOG)
        run = Run(place)
        _ = run.spec, run.host, run.result, run.predictions, run.samples, run.latency, run.log
    except InputError as error:
        raise InputError(f"{RUNS}/{place.name}: {error}") from None
    except (ArrowException, OSError, ValueError, LookupError, TypeError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise InputError(f"{RUNS}/{place.name}: not a readable run ({first})") from None
    return run


def _run_folders(folder: Path) -> list[Path]:
    return sorted(file.parent for file in (folder / RUNS).glob("*/spec.json"))


def _notes(manifest: Manifest) -> Iterator[str]:
    there, here = manifest.library, this_library()
    if there.sources_sha256 != here.sources_sha256:
        yield (
            f"made by another state of this library (version {there.version}, sources "
            f"{there.sources_sha256[:12]}; here {here.version}, {here.sources_sha256[:12]}): "
            "differences may come from that"
        )
    if there.drawing != here.drawing:
        yield f"pictures and prints were not compared: drawn with {_listed(there.drawing)}"
    if there.rendering != here.rendering:
        yield f"pages of notebooks were not compared: made with {_listed(there.rendering)}"


def _listed(versions: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _count_values(file: Path) -> int:
    try:
        return count_values(read_json_object(file))
    except InputError:
        return 0


def _count_numbers(page: Path) -> int:
    text = text_of(page) if page.is_file() else ""
    return sum(bool(piece.source) for piece in page_pieces(text))
