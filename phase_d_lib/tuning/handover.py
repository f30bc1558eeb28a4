"""A tuned option set in the forms people use: OPTIONS file, diff, C++, Java, INI, commands."""

from __future__ import annotations

import shlex
from typing import Literal

from phase_d_lib.errors import InputError
from phase_d_lib.optionsfile import DB_OPTIONS, LIVE_OPTIONS, render_options, rendered
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.specs import Frozen, OptionsSpec

Form = Literal["options_file", "diff", "cpp", "java", "ini", "commands"]

_JAVA_SUFFIXES = {
    "write_buffer_size": "L",
    "target_file_size_base": "L",
    "max_bytes_for_level_base": "L",
    "delayed_write_rate": "L",
    "soft_pending_compaction_bytes_limit": "L",
    "hard_pending_compaction_bytes_limit": "L",
}
"""What marks a Java long; the other numbers are int or double as they stand."""
_JAVA_COMPRESSIONS = {
    "none": "NO_COMPRESSION",
    "snappy": "SNAPPY_COMPRESSION",
    "lz4": "LZ4_COMPRESSION",
    "zstd": "ZSTD_COMPRESSION",
}


class Change(Frozen):
    """One option that differs."""

    name: str
    old: int | float | bool | str
    new: int | float | bool | str

    @property
    def live(self) -> bool:
        """Whether SetOptions changes it on a running instance."""
        return self.name in LIVE_OPTIONS


def differing(default: OptionsSpec, changes: OptionChanges) -> tuple[Change, ...]:
    """List what a set of changes makes different, in the order of the spec.

    Raises
    ------
    InputError
        When a change names no option.
    """
    own = default.model_dump()
    unknown = sorted(set(changes) - set(own))
    if unknown:
        raise InputError(f"{', '.join(unknown)}: no RocksDB option this workbench pins")
    return tuple(
        Change(name=name, old=old, new=new)
        for name, old in own.items()
        if (new := changes.get(name, old)) is not None and new != old
    )


def handover(
    default: OptionsSpec,
    changes: OptionChanges,
    form: Form,
    command: str = "your-tool set {name}={value}",
) -> str:
    """Write a tuned option set in one form.

    Parameters
    ----------
    command : str
        Of the form ``commands``: template with ``{name}`` and ``{value}``, one line an option. It
        is filled in and printed, never run; values are quoted for a shell.

    Raises
    ------
    InputError
        When a change names no option, or the template holds another placeholder.
    """
    different = differing(default, changes)
    if form == "options_file":
        return render_options(default.model_copy(update=changes))
    if form == "ini":
        return _ini(different)
    lines = {"diff": _diff, "cpp": _cpp, "java": _java}
    if form == "commands":
        return "".join(_command(command, change) for change in different)
    return "".join(lines[form](change) for change in different)


def _diff(change: Change) -> str:
    return f"-{change.name}={rendered(change.old)}\n+{change.name}={rendered(change.new)}\n"


def _cpp(change: Change) -> str:
    value = rendered(change.new)
    prefix = "rocksdb::" if change.name == "compression" else ""
    return f"options.{change.name} = {prefix}{value};\n"


def _java(change: Change) -> str:
    words = change.name.split("_")
    setter = "set" + "".join(word.capitalize() for word in words)
    value = rendered(change.new) + _JAVA_SUFFIXES.get(change.name, "")
    if change.name == "compression":
        setter, value = (
            "setCompressionType",
            f"CompressionType.{_JAVA_COMPRESSIONS[str(change.new)]}",
        )
    return f"options.{setter}({value});\n"


def _ini(changes: tuple[Change, ...]) -> str:
    """Sections of an OPTIONS file that hold only what differs."""
    sections = {
        "DBOptions": [c for c in changes if c.name in DB_OPTIONS],
        'CFOptions "default"': [c for c in changes if c.name not in DB_OPTIONS],
    }
    return "".join(
        f"[{title}]\n" + "".join(f"  {c.name}={rendered(c.new)}\n" for c in inside)
        for title, inside in sections.items()
        if inside
    )


def _command(template: str, change: Change) -> str:
    try:
        return (
            template.format(name=shlex.quote(change.name), value=shlex.quote(rendered(change.new)))
            + "\n"
        )
    except (KeyError, IndexError, ValueError, AttributeError):
        raise InputError(
            f"apply command {template!r}: may hold {{name}} and {{value}}, nothing else in braces"
        ) from None
