"""Run the stage notebooks in order with papermill, cached and resumable, and collect a report."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from traitlets.config import Config

from phase_d_lib.deployment import pinned_model
from phase_d_lib.errors import InputError, StageError
from phase_d_lib.notebook_packages import (
    DeadKernelError,
    PapermillExecutionError,
    PythonTranslator,
    nbformat,
    papermill,
    papermill_translators,
)
from phase_d_lib.profiles import load_profile
from phase_d_lib.slot import benchmark_slot
from phase_d_lib.stages import NOTEBOOKS, PROGRESS_VARIABLE, report_id, used_runs
from phase_d_lib.workspace import ROOT_VARIABLE, Workspace, claim, is_ours, remove, write_atomically

Say = Callable[[str], None]
_KERNEL_CONFIG = Config(
    {
        "KernelManager": {"transport": "ipc"},
        # A kernel says "KeyboardInterrupt caught" when it is asked to leave; nobody needs that.
        "NotebookClient": {"extra_arguments": ["--log-level=50"]},
    }
)
_TYPES: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool}


class KoreanTranslator(PythonTranslator):  # type: ignore[misc] # papermill ships no types
    """papermill's Python translator, without escaping Korean strings to backslash codes."""

    @classmethod
    def translate_str(cls, value: str) -> str:
        """Write a string literal as a person would."""
        return json.dumps(value, ensure_ascii=False)


papermill_translators.register("python", KoreanTranslator)


@dataclass(frozen=True)
class StageRun:
    """One stage of a batch, done."""

    name: str
    notebook: Path
    seconds: float
    cached: bool


def declared_parameters(notebook: Path) -> dict[str, Any]:
    """Return name -> allowed type of a notebook's parameters cell.

    Raises
    ------
    InputError
        When a parameter carries no annotation that can be checked.
    """
    cells = nbformat.read(notebook, as_version=4).cells
    source = next((c.source for c in cells if "parameters" in c.metadata.get("tags", [])), "")
    found = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            raise InputError(
                f"{notebook.name}: parameter on line {node.lineno} has no type annotation"
            )
        found[node.target.id] = _annotation(node.annotation)
    return found


def _annotation(node: ast.expr) -> Any:
    # papermill's own reader does not know "int | None", so notebooks write Optional[int].
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Optional":
        return _annotation(node.slice) | None
    name = ast.unparse(node)
    if name not in _TYPES:
        raise InputError(f"parameter type {name} can't be checked; use {', '.join(_TYPES)}")
    return _TYPES[name]


def check_parameters(notebook: Path, given: dict[str, Any]) -> None:
    """Refuse unknown or ill-typed parameters before a kernel starts.

    Raises
    ------
    InputError
        Naming the parameter, its value and what is allowed.
    """
    declared = declared_parameters(notebook)
    for name, value in given.items():
        if name not in declared:
            raise InputError(
                f"{notebook.name}: unknown parameter '{name}'; it takes: {', '.join(declared)}"
            )
        try:
            TypeAdapter(declared[name]).validate_python(value, strict=True)
        except ValidationError as error:
            raise InputError(
                f"{notebook.name}: {name} = {value!r}: {error.errors()[0]['msg']}"
            ) from None


def run_notebook(
    workspace: Workspace,
    notebook: Path,
    target: Path,
    parameters: dict[str, Any],
    progress: Path,
) -> None:
    """Execute one notebook to `target`; a failure leaves ``.failed.ipynb`` as evidence.

    Raises
    ------
    StageError
        One line naming notebook, cell and error.
    """
    check_parameters(notebook, parameters)
    partial, failed = target.with_suffix(".part.ipynb"), target.with_suffix(".failed.ipynb")
    surroundings = {PROGRESS_VARIABLE: str(progress), ROOT_VARIABLE: str(workspace.root)}
    with _environment(surroundings):
        try:
            papermill.execute_notebook(
                str(notebook),
                str(partial),
                parameters=parameters,
                kernel_name="python3",
                progress_bar=False,
                config=_KERNEL_CONFIG,
            )
        except DeadKernelError:
            partial.replace(failed)
            raise StageError(
                f"{notebook.name}: its kernel died, perhaps for lack of memory; "
                f"run again, or choose a smaller profile (evidence: {failed.name})"
            ) from None
        except PapermillExecutionError as error:
            partial.replace(failed)
            first = (str(error.evalue).splitlines() or [""])[0]
            raise StageError(
                f"{notebook.name}, cell {error.cell_index}: {error.ename}: {first} "
                f"(evidence: {failed.name})"
            ) from None
    failed.unlink(missing_ok=True)
    partial.replace(target)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def run_stages(
    workspace: Workspace,
    profile_name: str,
    folder: Path,
    keys: dict[str, str],
    *,
    engine: str = "",
    force: bool = False,
    say: Say = print,
) -> list[StageRun]:
    """Run the stages of a profile into ``folder / "notebooks"``, taking cached ones.

    Parameters
    ----------
    folder : Path
        Report directory, already claimed.
    keys : dict
        Of :func:`stage_keys`, taken once, so that an edit meanwhile spoils no shelf.
    engine : str
        Name of an installed engine; empty keeps the profile's.
    force : bool
        Measure again even when nothing changed.
    say : callable
        Told in one line how far it is.
    """
    notebooks = folder / "notebooks"
    notebooks.mkdir(exist_ok=True)
    done: list[StageRun] = []
    for number, (name, file) in enumerate(NOTEBOOKS.items(), start=1):
        start = time.monotonic()
        target = notebooks / file
        shelf = workspace.cache / f"{name}-{keys[name]}"
        fed = _fingerprint([stage.notebook for stage in done])
        cached = not force and name != "report" and _restore(workspace, shelf, target, fed)
        if not cached:
            parameters = {"profile": profile_name, "report_dir": str(folder), "engine": engine}
            with _progress(say, f"[{number}/{len(NOTEBOOKS)}] {name}", start) as progress:
                run_notebook(workspace, workspace.notebooks / file, target, parameters, progress)
            _store(shelf, target, fed)
        seconds = time.monotonic() - start
        how = "unchanged, reused" if cached else f"{seconds:.0f} s"
        say(f"[{number}/{len(NOTEBOOKS)}] {name}: {how}")
        done.append(StageRun(name, target, seconds, cached))
    return done


def up_to_date(workspace: Workspace, keys: dict[str, str]) -> Path | None:
    """Return the report that a new run would only repeat, or None."""
    note = _shelf_of_report(workspace, keys) / "report.txt"
    if not note.is_file():
        return None
    folder = Path(note.read_text())
    return folder if is_ours(folder) and (folder / "manifest.json").is_file() else None


def remember(workspace: Workspace, keys: dict[str, str], folder: Path) -> None:
    """Note that `folder` holds the finished report of these keys."""
    shelf = claim(_shelf_of_report(workspace, keys))
    write_atomically(shelf / "report.txt", str(folder.resolve()))


def _shelf_of_report(workspace: Workspace, keys: dict[str, str]) -> Path:
    return workspace.cache / f"report-{keys['report']}"


def stage_keys(workspace: Workspace, profile_name: str, engine: str = "") -> dict[str, str]:
    """Return stage -> cache key; each stage's key holds those of the stages before it."""
    keys: dict[str, str] = {}
    pinned = pinned_model(workspace) or ""
    for name in NOTEBOOKS:
        keys[name] = cache_key(workspace, name, profile_name, engine, [pinned, *keys.values()])
    return keys


def cache_key(
    workspace: Workspace, name: str, profile_name: str, engine: str, upstream: list[str]
) -> str:
    """Hash everything a stage's result depends on: notebook, modules, lock, parameters, inputs."""
    notebook = workspace.notebooks / NOTEBOOKS[name]
    profile = load_profile(workspace.profiles, profile_name)
    files = [notebook, workspace.root / "requirements.lock"]
    files += imported_modules(notebook, workspace.root / "phase_d_lib")
    if profile.recorded:
        files += sorted(workspace.recorded_runs.glob("*/result.json"))
        files += sorted(workspace.recorded_runs.glob("device.*"))
    total = hashlib.sha256(json.dumps([engine, *upstream]).encode())
    total.update(profile.model_dump_json().encode())
    for file in files:
        total.update(file.name.encode() + file.read_bytes())
    return total.hexdigest()[:16]


def imported_modules(notebook: Path, package: Path) -> list[Path]:
    """List the files of the library that a notebook imports, directly or through others."""
    cells = nbformat.read(notebook, as_version=4).cells
    code = "\n".join(
        c.source for c in cells if c.cell_type == "code" and not c.source.startswith("%")
    )
    todo, seen = _imports(ast.parse(code)), set[Path]()
    while todo:
        file = _module_file(todo.pop(), package)
        if file is not None and file not in seen:
            seen.add(file)
            todo |= _imports(ast.parse(file.read_text()))
    # Engines and models come by entry point, templates by name: nothing imports them.
    seen |= set((package / "engines").glob("*.py")) | set((package / "models").glob("*.py"))
    seen |= set((package / "models").glob("*.json"))
    seen |= set((package / "report").rglob("*.j2")) if "report" in notebook.name else set()
    return sorted(seen)


def _imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = {name for name in found if name.split(".")[0] == "phase_d_lib"}
    # Importing a.b.c runs a/__init__ and a/b/__init__ first.
    return ours | {name.rpartition(".")[0] for name in ours if name.count(".") > 1}


def _module_file(name: str, package: Path) -> Path | None:
    stem = package.joinpath(*name.split(".")[1:])
    candidates = (stem.with_name(f"{stem.name}.py"), stem / "__init__.py")
    return next((file for file in candidates if file.is_file() and stem != package), None)


def _fingerprint(notebooks: list[Path]) -> str:
    """Hash of the executed notebooks a stage reads: seeds are fresh, so keys alone don't tell."""
    total = hashlib.sha256()
    for notebook in notebooks:
        total.update(notebook.read_bytes())
    return total.hexdigest()


def _store(shelf: Path, notebook: Path, fed: str) -> None:
    building = shelf.with_name(f"{shelf.name}.{os.getpid()}.part")
    remove(building)
    claim(building)
    shutil.copyfile(notebook, building / notebook.name)
    (building / "fed.txt").write_text(fed)
    remove(shelf)
    building.rename(shelf)


def _restore(workspace: Workspace, shelf: Path, target: Path, fed: str) -> bool:
    """Copy a cached notebook, if it was fed the same results and its runs are still there."""
    source, note = shelf / target.name, shelf / "fed.txt"
    if not source.is_file() or not note.is_file() or note.read_text() != fed:
        return False
    places = (workspace.runs, workspace.recorded_runs)
    if not all(any((p / run_id).is_dir() for p in places) for run_id in used_runs(source)):
        return False
    shutil.copyfile(source, target)
    return True


@contextmanager
def _progress(say: Say, label: str, start: float) -> Iterator[Path]:
    """Repeat a stage's progress lines, with the time since `start`, as they come."""
    with tempfile.TemporaryDirectory(prefix="phase-d-") as scratch:
        file, ended = Path(scratch) / "progress", threading.Event()
        file.touch()

        def follow() -> None:
            with file.open() as stream:
                while True:
                    last = ended.is_set()
                    for line in stream.read().splitlines():
                        say(f"{label} {time.monotonic() - start:4.0f} s: {line}")
                    if last:
                        return
                    ended.wait(0.3)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield file
        finally:
            ended.set()
            thread.join()


def open_report(workspace: Workspace, profile_name: str, out: Path | None) -> Path:
    """Create the directory of a new report, or take `out` if it is empty or ours.

    Raises
    ------
    NotOursError
        When `out` holds anything this project did not create.
    """
    profile = load_profile(workspace.profiles, profile_name)
    return claim(out.absolute() if out else workspace.reports / report_id(profile))


def point_latest(workspace: Workspace, folder: Path) -> None:
    """Let ``reports/latest`` point to a finished report inside ``reports/``."""
    if folder.parent.resolve() != workspace.reports.resolve():
        return
    link = workspace.reports / "latest"
    if link.exists() and not link.is_symlink():
        raise InputError(f"{link} is not a symbolic link; move it away, then run again")
    fresh = workspace.reports / f".latest-{os.getpid()}"
    fresh.symlink_to(folder.name)
    fresh.replace(link)


def clean(workspace: Workspace) -> list[Path]:
    """Delete cached stages and live databases that are ours; return what was deleted.

    Raises
    ------
    SlotBusyError
        While a run measures: its database is one of them.
    """
    deleted = []
    with benchmark_slot(timeout_s=0.0):
        for shelf in (workspace.cache, workspace.work):
            for entry in sorted(shelf.glob("*")) if shelf.is_dir() else []:
                if is_ours(entry):
                    remove(entry)
                    deleted.append(entry)
    return deleted
