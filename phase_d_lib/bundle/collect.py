"""Put a report together for a reviewer: one folder, and one zip of it."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from phase_d_lib.bundle.archive import MANIFEST, checked_folder, pack
from phase_d_lib.bundle.claims import claims
from phase_d_lib.bundle.claims_page import claims_document, claims_files
from phase_d_lib.bundle.differences import Difference, text_differences, value_differences
from phase_d_lib.bundle.index import index_page
from phase_d_lib.bundle.layout import CLAIMS, INDEX, NOTEBOOKS, PROFILE, REPORT, RUNS
from phase_d_lib.bundle.manifest import write_manifest
from phase_d_lib.bundle.notebooks import (
    folded_page,
    notebook_text,
    outside_addresses,
    read_notebook,
    scrubbed,
)
from phase_d_lib.bundle.privacy import Scrubber, scrubber
from phase_d_lib.bundle.rawruns import copy_run, log_bytes, log_head
from phase_d_lib.bundle.reading import (
    FindRun,
    read_header,
    read_inputs,
    runs_of_folder,
    runs_of_workspace,
    stage_runs,
)
from phase_d_lib.errors import InputError, NotOursError, PhaseDError
from phase_d_lib.profiles import Profile
from phase_d_lib.report.chapters import report_document
from phase_d_lib.report.documents import build_documents
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.markup import markdown
from phase_d_lib.report.objectives import objectives
from phase_d_lib.report.pictures import Gallery, captions
from phase_d_lib.report.render import REPORT_NAME, write_report
from phase_d_lib.runs import Run
from phase_d_lib.stages import NOTEBOOKS as STAGE_FILES
from phase_d_lib.workspace import (
    Workspace,
    claim,
    is_ours,
    read_json_object,
    remove,
    write_atomically,
)

Say = Callable[[str], None]
SHARED = "shared"
"""Folder below ``reports/`` that bundles go to."""
_READ_AS_TEXT = (".html", ".md", ".json", ".jsonl", ".ipynb", ".tex", ".yaml", "")


@dataclass(frozen=True)
class Bundle:
    """A finished bundle."""

    folder: Path
    file: Path
    """The zip."""
    runs: int
    bytes: int
    """Of the zip."""
    sha256: str
    """Of the zip."""


def share(
    report: Path,
    workspace: Workspace,
    out: Path | None = None,
    *,
    redact: bool = True,
    say: Say = lambda line: None,
) -> Bundle:
    """Write the bundle of a report: a folder and a zip beside it.

    Parameters
    ----------
    report : Path
        Report directory.
    out : Path, optional
        Folder of the bundle; by default ``reports/shared/REPORT_ID``.
    redact : bool
        Replace names of hosts and users, absolute paths and own names of kernel and devices.
    say : callable
        Told in one line what is being done.

    Raises
    ------
    InputError
        When it is no report of this state of the library, one of its runs is gone, or `out` is
        not ours to write.
    PhaseDError
        When something private would be left in the bundle.
    """
    report = report.resolve()
    header = read_header(report)
    target = out.absolute() if out else workspace.reports / SHARED / header.report_id
    _check_target(target)
    building = target.with_name(f".{target.name}.part")
    remove(building)
    claim(building)
    try:
        runs = _fill(building, report, workspace, redact=redact, say=say)
        write_manifest(building, header.report_id, redacted=redact)
        remove(target)
        building.rename(target)
    finally:
        remove(building)
    file = _zip_of(target)
    pack(target, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Bundle(target, file, runs, file.stat().st_size, digest)


def front_pages(
    folder: Path,
    inputs: ReportInputs,
    find_run: FindRun,
    used: Mapping[str, Sequence[str]],
    *,
    redacted: bool,
) -> Iterator[tuple[str, str]]:
    """Yield name and text of what a bundle adds to a report; the first page comes last."""
    document = claims_document(inputs, claims(inputs, find_run, used))
    for ending, text in claims_files(document).items():
        yield f"{CLAIMS}.{ending}", text
    yield f"{PROFILE}/{inputs.profile.name}.yaml", profile_text(inputs.profile)
    yield INDEX, index_page(folder, inputs, find_run, used, redacted=redacted)


def profile_text(profile: Profile) -> str:
    """Write a profile, with everything it took from others, as a file of ``data/profiles``."""
    values = profile.model_dump(mode="json", exclude={"name"})
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False)


def _fill(building: Path, report: Path, workspace: Workspace, *, redact: bool, say: Say) -> int:
    header, notebooks = read_header(report), report / "notebooks"
    find_run = runs_of_workspace(workspace, recorded=header.profile.recorded)
    used = stage_runs(notebooks)
    runs = [
        find_run(run_id) for run_id in dict.fromkeys(one for ids in used.values() for one in ids)
    ]
    scrub = _scrubber(report, header.report_id, workspace, runs) if redact else None
    say(f"{len(runs)} runs")
    for run in runs:
        copy_run(run, building / RUNS / run.path.name, scrub)
    bundled = runs_of_folder(building / RUNS)
    inputs = read_inputs(report, notebooks, bundled)
    _check_report(inputs, report)
    say("notebooks")
    _copy_notebooks(notebooks, building / NOTEBOOKS, scrub)
    say("the report")
    if scrub:
        inputs = _scrubbed(inputs, scrub)
    write_report(inputs, building / REPORT)
    (building / PROFILE).mkdir()
    for name, text in front_pages(building, inputs, bundled, used, redacted=redact):
        write_atomically(building / name, text)
    _check_pages(building)
    if scrub:
        _check_private(building, scrub)
    return len(runs)


def _check_report(inputs: ReportInputs, report: Path) -> None:
    """See that a report says what its results and runs come to, word for word."""
    run = inputs.run()
    gallery = Gallery({picture.name: picture for picture in captions(inputs, run)}, ())
    document = report_document(inputs, objectives(inputs, run.samples), gallery)
    found = list(_file_differences(report / f"{REPORT_NAME}.md", markdown(document)))
    for name, values in build_documents(inputs, run).items():
        found += value_differences(
            f"{name}.json",
            read_json_object(report / f"{name}.json"),
            values.model_dump(mode="json"),
        )
    if found:
        raise InputError(
            f"{report.name} cannot be written again from its own results ({found[0]}): it was "
            "made by another state of this library; make it again with make report"
        )


def _file_differences(file: Path, text: str) -> Iterator[Difference]:
    shown = file.read_text() if file.is_file() else ""
    yield from text_differences(file.name, shown, text, {})


def _copy_notebooks(source: Path, target: Path, scrub: Scrubber | None) -> None:
    target.mkdir()
    for file in STAGE_FILES.values():
        if not (source / file).is_file():
            raise InputError(f"{source / file}: no such notebook; make the report again")
        notebook = read_notebook(source / file)
        if scrub:
            notebook = scrubbed(notebook, scrub)
        write_atomically(target / file, notebook_text(notebook))
        page = folded_page(read_notebook(target / file), Path(file).stem)
        write_atomically((target / file).with_suffix(".html"), page)


def _scrubber(report: Path, report_id: str, workspace: Workspace, runs: Sequence[Run]) -> Scrubber:
    hosts = [run.host for run in runs]
    return scrubber(report, report_id, workspace.root, hosts, (log_head(run) for run in runs))


def _scrubbed(inputs: ReportInputs, scrub: Scrubber) -> ReportInputs:
    """What a report is made from without private words, as they are taken out of its notebooks."""
    values = inputs.model_dump(mode="json", exclude={"monitored_run"})
    return ReportInputs.model_validate(
        {**scrub.record(values), "monitored_run": inputs.monitored_run}
    )


def _check_target(target: Path) -> None:
    """Refuse to write over anything that is no bundle of ours."""
    file = _zip_of(target)
    if target.is_symlink() or (target.exists() and not is_ours(target)):
        raise NotOursError(
            f"{target} was not created by this project; it was left untouched, name a new folder"
        )
    if target.exists() and not (target / MANIFEST).is_file() and any(checked_folder(target)):
        raise NotOursError(f"{target} holds something else than a bundle; name a new folder")
    if file.exists() and not _is_bundle(file):
        raise NotOursError(f"{file} is no bundle; it was left untouched, name another folder")


def _is_bundle(file: Path) -> bool:
    if file.is_symlink() or not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.endswith(f"/{MANIFEST}") for name in archive.namelist())


def _zip_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.zip")


def _check_pages(folder: Path) -> None:
    for page in folder.rglob("*.html"):
        text = page.read_text()
        outside = outside_addresses(text)
        if outside:
            raise PhaseDError(f"{page.relative_to(folder)} would run or load {outside[0]}")


def _check_private(folder: Path, scrub: Scrubber) -> None:
    """See that no private word is left in any text of the bundle."""
    for file in _files(folder):
        if file.suffix == ".gz":
            text = log_bytes(Run(file.parent)).decode(errors="replace")
        elif file.suffix in _READ_AS_TEXT:
            text = file.read_text(errors="replace")
        else:
            continue
        found = scrub.leaks(text)
        if found:
            name = file.relative_to(folder)
            raise PhaseDError(f"{name} still names {found[0]!r}; nothing was written")


def _files(folder: Path) -> Iterator[Path]:
    yield from (
        file for file in sorted(folder.rglob("*")) if file.is_file() and file.name[0] != "."
    )
