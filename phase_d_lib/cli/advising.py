"""Advice from a LOG alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phase_d_lib.cli.console import tell


def advise(
    paths: Annotated[list[Path], typer.Argument(help="LOG files of one database, any order.")],
    html: Annotated[Path | None, typer.Option(help="Write a page here, too.")] = None,
    lang: Annotated[str, typer.Option(help="ko or en; default by locale.")] = "",
    json: Annotated[bool, typer.Option(help="One JSON object.")] = False,
) -> None:
    """Say what stalled, why, and what would help, from a LOG alone; needs no checkout."""
    from phase_d_lib.advice.advise import advise as ask
    from phase_d_lib.advice.page import as_html, as_text
    from phase_d_lib.advice.words import Language, language_of_locale
    from phase_d_lib.errors import InputError

    if lang not in ("", "ko", "en"):
        raise InputError(f"--lang {lang}: give ko or en")
    language: Language = "ko" if lang == "ko" else "en" if lang == "en" else language_of_locale()
    if html is not None and html.exists():
        raise InputError(f"--html {html}: exists and was left untouched; name a new file")
    told = ask(paths)
    typer.echo(told.model_dump_json() if json else as_text(told, language))
    if html is not None:
        try:
            html.write_text(as_html(told, language))
        except OSError as error:
            raise InputError(f"--html {html}: cannot be written ({error.strerror})") from None
        tell(f"written: {html}")
