"""What is in a bundle: every file with its hash, and what the bundle was made with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import pandas as pd

import phase_d_lib
from phase_d_lib.bundle.archive import MANIFEST, checked_folder
from phase_d_lib.bundle.differences import Difference
from phase_d_lib.specs import Frozen, parse
from phase_d_lib.workspace import read_json_object, write_atomically

_DRAWING = ("matplotlib", "seaborn", "typst", "koreanize-matplotlib")
_RENDERING = ("nbconvert", "pygments", "mistune")
_COMPUTING = ("numpy", "scipy", "pandas", "statsmodels", "pydantic")


class Library(Frozen):
    """The state of this library that made a bundle."""

    version: str
    sources_sha256: str
    """Of every module and template of the package."""
    packages: dict[str, str]
    """Package -> version, of those that compute and draw."""

    @property
    def drawing(self) -> dict[str, str | None]:
        """Versions of what draws figures and sets pages."""
        return {name: self.packages.get(name) for name in _DRAWING}

    @property
    def rendering(self) -> dict[str, str | None]:
        """Versions of what turns notebooks into pages."""
        return {name: self.packages.get(name) for name in _RENDERING}


class BundledFile(Frozen):
    """One file of a bundle."""

    path: str
    sha256: str
    bytes: int


class Manifest(Frozen):
    """manifest.json of a bundle."""

    schema_version: Literal[1] = 1
    kind: Literal["phase-d-bundle"] = "phase-d-bundle"
    report_id: str
    redacted: bool
    """Names of hosts and users and absolute paths were replaced."""
    library: Library
    files: tuple[BundledFile, ...]
    tables: dict[str, str]
    """Parquet file -> hash of its values, which is the same however they are stored."""


def this_library() -> Library:
    """Describe the library of this process."""
    root, total = Path(phase_d_lib.__file__).parent, hashlib.sha256()
    for file in sorted(root.rglob("*")):
        if file.suffix in (".py", ".j2", ".json"):
            total.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    found = {name: _version(name) for name in (*_COMPUTING, *_DRAWING, *_RENDERING)}
    return Library(
        version=phase_d_lib.__version__,
        sources_sha256=total.hexdigest(),
        packages={name: known for name, known in found.items() if known is not None},
    )


def write_manifest(folder: Path, report_id: str, *, redacted: bool) -> Path:
    """Write the manifest of a finished folder; it comes last."""
    file = folder / MANIFEST
    files = [path for path in checked_folder(folder) if path != file]
    manifest = Manifest(
        report_id=report_id,
        redacted=redacted,
        library=this_library(),
        files=tuple(
            BundledFile(
                path=path.relative_to(folder).as_posix(),
                sha256=_sha256(path),
                bytes=path.stat().st_size,
            )
            for path in files
        ),
        tables={
            path.relative_to(folder).as_posix(): table_digest(pd.read_parquet(path))
            for path in files
            if path.suffix == ".parquet"
        },
    )
    write_atomically(file, manifest.model_dump_json(indent=1) + "\n")
    return file


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a bundle.

    Raises
    ------
    InputError
        One line, when it is no manifest of a bundle.
    """
    return parse(Manifest, read_json_object(folder / MANIFEST), MANIFEST)


def table_digest(table: pd.DataFrame) -> str:
    """Hash of a table's values, however they are stored."""
    values = pd.util.hash_pandas_object(table, index=False).to_numpy()
    total = hashlib.sha256("\n".join(map(str, table.columns)).encode())
    total.update(values.tobytes())
    return total.hexdigest()


def hash_differences(folder: Path, manifest: Manifest) -> Iterator[Difference]:
    """Yield every file that is missing, not listed, or not what its hash says."""
    listed = {entry.path: entry.sha256 for entry in manifest.files}
    present = {path.relative_to(folder).as_posix(): path for path in checked_folder(folder)}
    present.pop(MANIFEST, None)
    for name in sorted({**listed, **present}):
        known = listed.get(name)
        found = _sha256(present[name]) if name in present else None
        if known != found:
            yield Difference(
                file=name,
                field="sha256",
                shown=known or "not in the manifest",
                recomputed=found or "no such file",
            )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
