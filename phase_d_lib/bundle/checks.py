"""What is checked in a bundle, one kind of part at a time; each yields the differences it finds."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
from pydantic import BaseModel

from phase_d_lib.bundle.asked import asked_specs
from phase_d_lib.bundle.differences import (
    SAMPLED,
    Difference,
    page_differences,
    sources_of,
    text_differences,
    text_of,
    value_differences,
)
from phase_d_lib.bundle.layout import NOTEBOOKS, REPORT, RUNS
from phase_d_lib.bundle.manifest import table_digest
from phase_d_lib.bundle.notebooks import folded_page, read_notebook
from phase_d_lib.bundle.reading import FindRun
from phase_d_lib.bundle.recompute import Recomputation
from phase_d_lib.engines import DEFAULT_ENGINE
from phase_d_lib.errors import InputError
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.render import REPORT_NAME
from phase_d_lib.runs import Run, with_interval_rates
from phase_d_lib.stages import NOTEBOOKS as STAGE_FILES
from phase_d_lib.workspace import read_json_object

_PICTURE = re.compile(r'src="data:image/png;base64,([A-Za-z0-9+/=]*)"')
_REDACTED = re.compile(r"\b(?:path|host|user|device)-\d+\b")
_TEXTS = (".md", ".tex")
_DRAWN = (".png", ".pdf")


def run_differences(run: Run) -> Iterator[Difference]:
    """Check one run: its id, its samples against their own counters, its summary against them."""
    place = f"{RUNS}/{run.path.name}"
    asked = (run.path / "spec.json").read_bytes()
    if not _REDACTED.search(asked.decode(errors="replace")):
        yield from value_differences(f"{place}/spec.json", run.path.name, _id_of(asked), field="id")
    yield from _sample_differences(run.samples, f"{place}/samples.parquet")
    yield from _latency_differences(run, f"{place}/latency.parquet")
    shown = run.result
    if shown is None:
        yield Difference(file=f"{place}/result.json", field="", shown="", recomputed="a summary")
        return
    again = run.summarise(shown.status, shown.reason, shown.attempt)
    if shown.run_id == run.path.name:  # a redacted spec hashes to another id
        again = again.model_copy(update={"run_id": shown.run_id})
    yield from value_differences(f"{place}/result.json", _plain(shown), _plain(again), SAMPLED)
    frozen = run.predictions
    if frozen is not None and not str(frozen.get("written_at")) < shown.started_at:
        yield Difference(
            file=f"{place}/prediction.json",
            field="written_at",
            shown=str(frozen.get("written_at")),
            recomputed=f"a time before the run's first sample, {shown.started_at}",
        )


def table_differences(run: Run, known: Mapping[str, str]) -> Iterator[Difference]:
    """Check the values of a run's tables against the hashes of the manifest.

    A value that no number comes from is held by nothing else.
    """
    for name, table in (("samples", run.samples), ("latency", run.latency)):
        file = f"{RUNS}/{run.path.name}/{name}.parquet"
        shown, found = known.get(file), table_digest(table)
        if shown != found:
            yield Difference(file=file, field="values", shown=shown or "", recomputed=found)


def result_differences(inputs: ReportInputs, find_run: FindRun) -> Iterator[Difference]:
    """Check the results in the notebooks against the raw runs."""
    for stage, place, wanted, found in asked_specs(inputs, find_run):
        yield from value_differences(
            _notebook(stage), _plain(wanted), _plain(found), field=f"{place}/changes"
        )
    for stage, fields in Recomputation(inputs, find_run).results().items():
        shown = getattr(inputs, stage)
        again = _plain(shown.model_copy(update=fields))
        yield from value_differences(_notebook(stage), _plain(shown), again, SAMPLED)


def report_differences(folder: Path, again: Path, *, drawn_alike: bool) -> Iterator[Difference]:
    """Check every file of a report against the same file written again from the results.

    Parameters
    ----------
    again : Path
        Folder the report was written into again.
    drawn_alike : bool
        Whether what draws here is what drew there, so that pictures have to be the same.
    """
    report = folder / REPORT
    page = (again / f"{REPORT_NAME}.html").read_text()
    sources = sources_of(page)
    names = {p.relative_to(root).as_posix() for root in (report, again) for p in _files(root)}
    for name in sorted(names):
        shown, expected = report / name, again / name
        if not (shown.is_file() and expected.is_file()):
            yield _present(f"{REPORT}/{name}", shown, expected)
        elif name.endswith(".json"):
            yield from json_differences(f"{REPORT}/{name}", shown, expected)
        elif name.endswith(".html"):
            yield from _page_differences(f"{REPORT}/{name}", shown, text_of(expected), report)
        elif name.endswith(_TEXTS):
            yield from text_differences(
                f"{REPORT}/{name}", text_of(shown), text_of(expected), sources
            )
        elif name.endswith(_DRAWN) and drawn_alike and shown.read_bytes() != expected.read_bytes():
            yield Difference(
                file=f"{REPORT}/{name}", field="", shown="a picture or print",
                recomputed="another one, drawn from the results",
            )  # fmt: skip


def json_differences(file: str, shown: Path, expected: Path) -> Iterator[Difference]:
    """Check a JSON file value by value, exactly."""
    try:
        value = read_json_object(shown)
    except InputError:
        yield Difference(file=file, field="", shown="no JSON object", recomputed="one")
        return
    found = list(value_differences(file, value, read_json_object(expected)))
    yield from found
    if not found:  # the same values written in another way
        yield from text_differences(file, text_of(shown), text_of(expected), {})


def notebook_differences(folder: Path) -> Iterator[Difference]:
    """Check that each notebook's page shows the notebook beside it."""
    for file in STAGE_FILES.values():
        notebook = folder / NOTEBOOKS / file
        page = notebook.with_suffix(".html")
        if not (notebook.is_file() and page.is_file()):
            yield _present(f"{NOTEBOOKS}/{page.name}", page, notebook)
            continue
        try:
            again = folded_page(read_notebook(notebook), notebook.stem)
        except Exception as error:  # nbformat and nbconvert raise what they meet
            again = f"<p>nothing, for {escape(type(error).__name__)}</p>"
        yield from page_differences(f"{NOTEBOOKS}/{page.name}", text_of(page), again)


def _page_differences(file: str, shown: Path, expected: str, report: Path) -> Iterator[Difference]:
    text = text_of(shown)
    known = {hashlib.sha256(p.read_bytes()).digest() for p in report.glob("*.png")}
    for number, found in enumerate(_PICTURE.finditer(text), start=1):
        if hashlib.sha256(base64.b64decode(found.group(1))).digest() not in known:
            yield Difference(
                file=file,
                field=f"picture {number}",
                shown="a picture that is no file of the report",
                recomputed="one of its figures",
            )
    one, other = (_PICTURE.sub('src=""', page) for page in (text, expected))
    yield from page_differences(file, one, other)


def _sample_differences(samples: pd.DataFrame, file: str) -> Iterator[Difference]:
    """Check the rates stored in each row against the counters of that row and the one before."""
    again = with_interval_rates(samples)
    for name in samples.columns.intersection(again.columns):
        if samples[name].dtype.kind not in "fiu":
            continue
        one, other = (table[name].to_numpy(dtype=float) for table in (samples, again))
        wrong = np.flatnonzero(~np.isclose(one, other, rtol=1e-9, atol=0.0, equal_nan=True))
        if len(wrong):
            row = int(wrong[0])
            yield Difference(
                file=file,
                field=f"row {row}/{name}",
                shown=str(one[row]),
                recomputed=str(other[row]),
            )


def _latency_differences(run: Run, file: str) -> Iterator[Difference]:
    """Check that the histogram holds every put that the samples count."""
    result, latency = run.result, run.latency
    # Only this engine counts both itself; elsewhere the counter is RocksDB's.
    if run.spec.engine != DEFAULT_ENGINE or result is None or result.status != "complete":
        return
    shown = int(latency.loc[latency["operation"] == "put", "count"].sum())
    counted = int(run.samples["puts_total"].iloc[-1])
    if shown != counted:
        yield Difference(file=file, field="count", shown=str(shown), recomputed=str(counted))


def _id_of(spec_json: bytes) -> str:
    """Id of a spec as it was when it ran: later fields of the type are not in it."""
    payload = json.dumps(orjson.loads(spec_json), sort_keys=True)
    return hashlib.sha256(payload.encode()).hexdigest()[:16]


def _plain(model: BaseModel) -> dict[str, object]:
    return model.model_dump(mode="json")


def _notebook(stage: str) -> str:
    return f"{NOTEBOOKS}/{STAGE_FILES[stage]}"


def _files(root: Path) -> Iterator[Path]:
    yield from (file for file in root.rglob("*") if file.is_file() and file.name[0] != ".")


def _present(name: str, shown: Path, expected: Path) -> Difference:
    state = {True: "a file", False: ""}
    return Difference(
        file=name, field="", shown=state[shown.is_file()] or "no file",
        recomputed=state[expected.is_file()] or "no file",
    )  # fmt: skip
