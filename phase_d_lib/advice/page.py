"""An advice as text for a terminal, or as one HTML page that opens offline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jinja2
from pydantic import Field
from rich.cells import cell_len

from phase_d_lib.advice.advise import Advice
from phase_d_lib.advice.changes import Effect, Outlook
from phase_d_lib.advice.twin import BackTest
from phase_d_lib.advice.words import Language, word
from phase_d_lib.optionsfile import rendered
from phase_d_lib.specs import Frozen

Say = Callable[[str], str]
_GIB, _MIB = 1 << 30, 1 << 20


class Section(Frozen):
    """A title, sentences, and a table."""

    title: str
    sentences: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    timeline: tuple[tuple[float, float], ...] = Field(default=(), repr=False)


def sections(advice: Advice, language: Language) -> list[Section]:
    """Everything to be said, the back-test first."""
    say = partial(word, language=language)
    found = [_trust(advice, say), _when(advice, say), _stalls(advice, say)]
    if advice.timeline and advice.stall_fraction > 0:
        found.append(Section(title=say("timeline"), timeline=advice.timeline))
    if advice.binding is not None:
        found.append(Section(title=say("binding"), sentences=(say(advice.binding),)))
    if advice.ledger is not None:
        found.append(_ledger(advice, say))
    if advice.levels:
        found.append(_levels(advice, say))
    if advice.outlook is not None:
        found.append(_outlook(advice.outlook, advice.cliff_interval_90, say))
    elif advice.back_test is not None:
        why = f"{say('no_outlook')}: {advice.refused}"
        found.append(Section(title=say("outlook"), sentences=(why,)))
    return found


def as_text(advice: Advice, language: Language) -> str:
    """Lines for a terminal."""
    lines = [word("title", language), ""]
    for section in sections(advice, language):
        if section.timeline:
            continue
        lines += [f"## {section.title}", *(f"  {sentence}" for sentence in section.sentences)]
        lines += [f"  {row}" for row in _aligned((section.header, *section.rows))]
        lines.append("")
    return "\n".join(lines)


def as_html(advice: Advice, language: Language) -> str:
    """One page: no script, nothing fetched; every text escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("phase_d_lib.advice"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("advice.html.j2").render(
        language=language,
        title=word("title", language),
        sections=sections(advice, language),
        legend=(word("delay", language), word("stop", language)),
    )


def _aligned(rows: tuple[tuple[str, ...], ...]) -> list[str]:
    """Pad cells to the width they take on a terminal, where Korean letters take two."""
    rows = tuple(row for row in rows if row)
    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _trust(advice: Advice, say: Say) -> Section:
    tested = advice.back_test
    if tested is None:
        reason = advice.refused or ""
        return Section(title=say("back_test"), sentences=(f"{say('refused')}: {reason}",))
    return Section(
        title=say("back_test"),
        sentences=(say("back_test_how"), say("trusted" if advice.trusted else "not_trusted")),
        header=("", *(say(key) for key in ("measured", "predicted", "error", "persistence"))),
        rows=_back_test_rows(tested, say),
    )


def _back_test_rows(tested: BackTest, say: Say) -> tuple[tuple[str, ...], ...]:
    measured_s, predicted_s = tested.stall_fraction, tested.predicted_stall_fraction
    rate = tested.predicted_put_ops_per_s / tested.put_ops_per_s - 1.0
    return (
        (
            say("stall_share"),
            f"{measured_s:.1%}",
            f"{predicted_s:.1%}",
            f"{tested.stall_error_points:+.1f} %p",
            f"{tested.persistent_stall_error_points:+.1f} %p",
        ),
        (
            say("background_bytes"),
            _size(tested.background_bytes),
            _size(tested.predicted_background_bytes),
            f"{tested.bytes_error_fraction:+.1%}",
            f"{tested.persistent_bytes_error_fraction:+.1%}",
        ),
        (
            say("put_rate"),
            _rate(tested.put_ops_per_s),
            _rate(tested.predicted_put_ops_per_s),
            f"{rate:+.1%}",
            "",
        ),
    )


def _when(advice: Advice, say: Say) -> Section:
    sentences = [
        f"{advice.first_time or '-'} - {advice.last_time or '-'} ({advice.length_s:,.0f} s)"
    ]
    if advice.version is not None:
        sentences.append(f"{say('version')}: {advice.version}")
        if advice.back_test and not advice.version.startswith(advice.simulated_version + "."):
            sentences.append(say("other_version").format(simulated=advice.simulated_version))
    return Section(title=say("when"), sentences=tuple(sentences))


def _stalls(advice: Advice, say: Say) -> Section:
    if not advice.stalls:
        return Section(title=say("stalls"), sentences=(say("no_stalls"),))
    head = ("cause", "state", "time", "share", "warnings")
    return Section(
        title=say("stalls"),
        header=tuple(say(key) for key in head),
        rows=tuple(
            (
                say(s.cause),
                say(s.kind),
                f"{s.seconds:,.1f} s",
                f"{s.fraction:.1%}",
                f"{s.warnings:,}",
            )
            for s in advice.stalls
        ),
    )


def _ledger(advice: Advice, say: Say) -> Section:
    ledger = advice.ledger
    assert ledger is not None
    parts = {
        "user": ledger.user_bytes,
        "flush": ledger.flush_bytes,
        "compaction_write": ledger.compaction_write_bytes,
        "compaction_read": ledger.compaction_read_bytes,
    }
    return Section(
        title=say("ledger"),
        sentences=(f"{say('wa')}: {ledger.write_amplification:.2f}",),
        rows=tuple(
            (say(name), _size(value), f"x {value / ledger.user_bytes:.2f}")
            for name, value in parts.items()
        ),
    )


def _levels(advice: Advice, say: Say) -> Section:
    return Section(
        title=say("levels"),
        header=(say("level"), say("files"), say("size")),
        rows=tuple((v.name, f"{v.files:,}", _size(v.size_bytes)) for v in advice.levels if v.files),
    )


def _outlook(outlook: Outlook, interval: tuple[float, float] | None, say: Say) -> Section:
    sentences = [
        f"{say('present')}: {_rate(outlook.present_ops_per_s)}",
        f"{say('saturation')}: {_rate(outlook.saturation_ops_per_s)}",
    ]
    headroom = outlook.headroom_fraction
    if outlook.cliff_ops_per_s is None or headroom is None:
        sentences.append(say("no_cliff"))
    else:
        held = "" if interval is None else f" [{_rate(interval[0])}, {_rate(interval[1])}]"
        note = f" ({say('interval')})" if held else ""
        sentences.append(f"{say('cliff')}: {_rate(outlook.cliff_ops_per_s)}{held}{note}")
        beyond = f" - {say('beyond')}" if headroom < 0 else ""
        sentences.append(f"{say('headroom')}: {headroom:+.0%}{beyond}")
    if not outlook.effects:
        sentences.append(say("no_change"))
    sentences.append(say("limits"))
    head = ("change", "effect", "stall_then", "memory", "how")
    return Section(
        title=say("outlook"),
        sentences=tuple(sentences),
        header=tuple(say(key) for key in head) if outlook.effects else (),
        rows=tuple(_effect(effect, say) for effect in outlook.effects),
    )


def _effect(effect: Effect, say: Say) -> tuple[str, ...]:
    told = ", ".join(
        f"{name} {rendered(effect.before[name])} -> {rendered(value)}"
        for name, value in effect.changes.items()
    )
    added = effect.memtable_bytes_added
    return (
        told,
        f"x {effect.rate_ratio:.2f}",
        f"{effect.stall_fraction:.0%}",
        f"+{_size(added)}" if added > 0 else "-",
        say("live" if effect.live else "restart"),
    )


def _size(value: float) -> str:
    if abs(value) >= _GIB:
        return f"{value / _GIB:,.2f} GiB"
    return f"{value / _MIB:,.1f} MiB"


def _rate(value: float) -> str:
    return f"{value:,.0f} puts/s"
