"""Advice from a LOG alone."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phase_d_lib.cli.console import tell

if TYPE_CHECKING:
    from phase_d_lib.advice.advise import Advice
    from phase_d_lib.logfile import LogTables
    from phase_d_lib.redaction import Redactor


def advise(
    paths: Annotated[list[Path], typer.Argument(help="LOG files of one database, any order.")],
    html: Annotated[Path | None, typer.Option(help="Write a page here, too.")] = None,
    lang: Annotated[str, typer.Option(help="ko or en; default by locale.")] = "",
    json: Annotated[bool, typer.Option(help="One JSON object.")] = False,
    redact: Annotated[
        bool, typer.Option("--redact", help="Replace names, paths and ids by tokens.")
    ] = False,
) -> None:
    """Say what stalled, why, and what would help, from a LOG alone; needs no checkout."""
    from phase_d_lib.advice.advise import advice_of
    from phase_d_lib.advice.page import as_html, as_text
    from phase_d_lib.advice.words import Language, language_of_locale
    from phase_d_lib.errors import InputError
    from phase_d_lib.logfile import read_log
    from phase_d_lib.redaction import Redactor

    if lang not in ("", "ko", "en"):
        raise InputError(f"--lang {lang}: give ko or en")
    language: Language = "ko" if lang == "ko" else "en" if lang == "en" else language_of_locale()
    redactor = Redactor()
    redactor.know("path", [str(path) for path in (*paths, html) if path is not None])
    with redactor.errors() if redact else nullcontext():
        if html is not None and html.exists():
            raise InputError(f"--html {html}: exists and was left untouched; name a new file")
        log = read_log(*paths)
        told = advice_of(log)
        if redact:
            told = _redacted(told, log, redactor)
        typer.echo(told.model_dump_json() if json else as_text(told, language))
        if html is not None:
            _write(html, as_html(told, language))
            tell(f"written: {redactor.name('path', str(html)) if redact else html}")


def back_test(
    plan: Annotated[str, typer.Option(help="Name of a file in data/back_tests.")] = "declared",
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed resumes.")] = None,
    json: Annotated[bool, typer.Option(help="One JSON object.")] = False,
) -> None:
    """Measure a declared set of runs and test the twin on the second half of each LOG."""
    from phase_d_lib.advice import declared
    from phase_d_lib.laboratory import Laboratory, fresh_seed
    from phase_d_lib.workspace import find_workspace

    workspace, chosen = find_workspace(), fresh_seed(seed)
    asked = declared.load_plan(workspace.back_tests, plan)
    tell(f"seed {chosen}: give it again to resume")
    laboratory = Laboratory(workspace, retries=1, announce=tell, resumes=True)
    score = declared.measure(laboratory, asked, chosen)
    typer.echo(score.model_dump_json() if json else declared.table(score))


def _write(path: Path, page: str) -> None:
    from phase_d_lib.errors import InputError

    try:
        path.write_text(page)
    except OSError as error:
        raise InputError(f"--html {path}: cannot be written ({error.strerror})") from None


def _redacted(told: Advice, log: LogTables, redactor: Redactor) -> Advice:
    """Return an advice without the names in it; they stand in its family and its refusal."""
    met = log.flushes["column_family"].dropna()
    redactor.know("cf", sorted({*log.column_families, *map(str, met)}))
    redactor.learn(log.options)
    facts, refused = told.facts, told.refused
    if facts is not None:
        family = redactor.name("cf", facts.column_family)
        facts = facts.model_copy(update={"column_family": family})
    if refused is not None:
        refused = redactor.text(refused)
    return told.model_copy(update={"facts": facts, "refused": refused})
