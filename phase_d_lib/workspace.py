"""Where things lie, and which of them are ours.

Every directory this project creates for itself carries a marker file. Nothing without that
marker is ever written into, opened for writing, cleaned or deleted.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from phase_d_lib.errors import InputError, NotOursError

MARKER = ".phase-d"
ROOT_VARIABLE = "PHASE_D_ROOT"
"""Environment variable that names the project root and ends every search for it."""
_MARKER_TEXT = "Created by the Phase-D workbench; its contents may be deleted by it.\n"


@dataclass(frozen=True)
class Workspace:
    """The directories of one checkout.

    Parameters
    ----------
    root : Path
        Project root: the directory that holds ``notebooks/`` and ``pyproject.toml``.
    """

    root: Path

    @property
    def notebooks(self) -> Path:
        """Stage notebooks, without outputs."""
        return self.root / "notebooks"

    @property
    def profiles(self) -> Path:
        """Profile YAML files."""
        return self.root / "data" / "profiles"

    @property
    def scenarios(self) -> Path:
        """Tuning scenarios, YAML files."""
        return self.root / "data" / "scenarios"

    @property
    def back_tests(self) -> Path:
        """Declared sets of runs that the twin is tested on, YAML files."""
        return self.root / "data" / "back_tests"

    @property
    def landscapes(self) -> Path:
        """Measured tables of many configurations of one scenario."""
        return self.root / "data" / "landscapes"

    @property
    def tunings(self) -> Path:
        """One directory a tuning."""
        return self.root / "data" / "tuning"

    @property
    def runs(self) -> Path:
        """Run directories."""
        return self.root / "data" / "runs"

    @property
    def calibrations(self) -> Path:
        """Calibration results by hash, and the deployment record."""
        return self.root / "data" / "calibration"

    @property
    def work(self) -> Path:
        """Live databases and settled base trees; safe to delete between runs."""
        return self.root / "data" / "work"

    @property
    def cache(self) -> Path:
        """Executed stages, by cache key."""
        return self.root / "data" / "cache"

    @property
    def reports(self) -> Path:
        """One directory a report, and ``latest``."""
        return self.root / "reports"

    @property
    def recorded_runs(self) -> Path:
        """Small recorded runs that replay and the tests read."""
        return self.root / "tests" / "data" / "recorded"


def find_workspace(start: Path | None = None) -> Workspace:
    """Find the project root from `start`, the working directory, or this file, upward.

    The environment variable ``PHASE_D_ROOT`` overrides the search.

    Raises
    ------
    InputError
        When no checkout is found.
    """
    override = os.environ.get(ROOT_VARIABLE)
    if override:
        return Workspace(Path(override).resolve())
    for origin in (start or Path.cwd(), Path(__file__).parent):
        for folder in (origin.resolve(), *origin.resolve().parents):
            if (folder / "notebooks").is_dir() and (folder / "phase_d_lib").is_dir():
                return Workspace(folder)
    raise InputError(
        f"no Phase-D checkout found above {start or Path.cwd()}; "
        "run inside a clone of the repository or set PHASE_D_ROOT"
    )


def is_ours(path: Path) -> bool:
    """Return whether `path` is a real directory (no symlink) that carries our marker."""
    return path.is_dir() and not path.is_symlink() and (path / MARKER).is_file()


def claim(path: Path) -> Path:
    """Create `path`, or take it if it is empty or already ours, and mark it.

    Raises
    ------
    NotOursError
        When `path` is a symlink, a file, or a directory with contents that are not ours.
    """
    if path.is_symlink():
        raise NotOursError(
            f"{path} is a symbolic link; it was left untouched, name a real directory"
        )
    if path.exists() and not path.is_dir():
        raise NotOursError(f"{path} is a file; it was left untouched, name a directory")
    if path.is_dir() and not is_ours(path) and any(path.iterdir()):
        raise NotOursError(
            f"{path} holds files this project did not create; it was left untouched, "
            "name a new or empty directory"
        )
    path.mkdir(parents=True, exist_ok=True)
    (path / MARKER).write_text(_MARKER_TEXT)
    return path


def remove(path: Path) -> None:
    """Delete a directory that is ours; missing is fine.

    Raises
    ------
    NotOursError
        When the directory carries no marker, is a symlink or a mount point.
    """
    if not path.exists() and not path.is_symlink():
        return
    if not is_ours(path) or path.is_mount():
        raise NotOursError(f"{path} was not created by this project; it was left untouched")
    shutil.rmtree(path)


def read_json_object(file: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises
    ------
    InputError
        One line: it can't be read, is not JSON, or holds something else.
    """
    try:
        values = orjson.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except orjson.JSONDecodeError as error:
        raise InputError(f"{file}: not JSON ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"{file}: holds a JSON {_kind(values)}; one JSON object is needed")
    return values


def _kind(value: object) -> str:
    names = {list: "array", str: "string", int: "number", float: "number", bool: "boolean"}
    return names.get(type(value), "null")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: to a neighbour first, flushed, then renamed over."""
    partial = path.with_name(f".{path.name}.part")
    payload = content.encode() if isinstance(content, str) else content
    with partial.open("wb") as stream:
        stream.write(payload)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
