"""Notebooks as stages: parameters refused early, failures in one line, cache keys, reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from phase_d_lib import batch
from phase_d_lib.errors import InputError, NotOursError, StageError
from phase_d_lib.stages import NOTEBOOKS
from phase_d_lib.workspace import Workspace, find_workspace, is_ours

REPOSITORY = find_workspace()


def write_notebook(path: Path, *code: str, parameters: str = "x: int = 1") -> Path:
    cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(source) for source in code]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


@pytest.mark.parametrize("file", NOTEBOOKS.values())
def test_every_stage_declares_typed_parameters(file: str) -> None:
    declared = batch.declared_parameters(REPOSITORY.notebooks / file)
    assert declared["profile"] is str
    assert {"seed", "engine", "report_dir"} <= set(declared)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"duration": 3.0}, "unknown parameter 'duration'; it takes: profile, seed,"),
        ({"duration_s": "long"}, "duration_s = 'long'"),
        ({"seed": 1.5}, "seed = 1.5"),
        ({"profile": 3}, "profile = 3"),
    ],
)
def test_bad_parameters_are_refused_before_a_kernel_starts(
    given: dict[str, Any], expected: str
) -> None:
    notebook = REPOSITORY.notebooks / NOTEBOOKS["monitoring"]
    with pytest.raises(InputError) as caught:
        batch.check_parameters(notebook, given)
    assert expected in str(caught.value)
    batch.check_parameters(notebook, {"duration_s": 3, "seed": None, "profile": "quick"})


def test_a_parameter_without_a_type_is_refused(tmp_path: Path) -> None:
    for source, expected in (("x = 1", "no type annotation"), ("x: list = []", "type list")):
        notebook = write_notebook(tmp_path / "a.ipynb", parameters=source)
        with pytest.raises(InputError, match=expected):
            batch.declared_parameters(notebook)


@pytest.mark.slow
def test_a_failing_cell_is_one_line_and_leaves_evidence(tmp_path: Path) -> None:
    notebook = write_notebook(
        tmp_path / "a.ipynb",
        "print(x)",
        "raise ValueError('둘째 칸이\\n틀렸습니다')",
        "print('never')",
    )
    target = tmp_path / "out.ipynb"
    with pytest.raises(StageError) as caught:
        batch.run_notebook(Workspace(tmp_path), notebook, target, {"x": 7}, tmp_path / "progress")
    assert str(caught.value) == (
        "a.ipynb, cell 3: ValueError: 둘째 칸이 (evidence: out.failed.ipynb)"
    )
    assert sorted(p.name for p in tmp_path.glob("out*")) == ["out.failed.ipynb"]
    assert "7" in (tmp_path / "out.failed.ipynb").read_text()


@pytest.mark.slow
def test_korean_parameters_stay_readable(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "a.ipynb", "print(name)", parameters='name: str = ""')
    target = tmp_path / "out.ipynb"
    given = {"name": '멤테이블 "8" \\n'}
    batch.run_notebook(Workspace(tmp_path), notebook, target, given, tmp_path / "progress")
    done = nbformat.read(target, as_version=4)
    assert "멤테이블" in done.cells[1].source
    assert done.cells[2].outputs[0].text == '멤테이블 "8" \\n\n'


def test_imported_modules_are_followed(tmp_path: Path) -> None:
    package = REPOSITORY.root / "phase_d_lib"
    notebook = REPOSITORY.notebooks / NOTEBOOKS["tuning"]
    found = {
        file.relative_to(package).as_posix() for file in batch.imported_modules(notebook, package)
    }
    assert {"stages.py", "tuning/comparison.py", "runs.py", "specs.py", "report/tables.py"} <= found
    assert "engines/embedded_process.py" in found
    assert not any(file.startswith("cli/") for file in found)


def copy_of_repository(target: Path) -> Workspace:
    for name in ("notebooks", "phase_d_lib", "data/profiles"):
        for file in (REPOSITORY.root / name).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                copy = target / file.relative_to(REPOSITORY.root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes())
    (target / "requirements.lock").write_bytes((REPOSITORY.root / "requirements.lock").read_bytes())
    return Workspace(target)


@pytest.mark.parametrize(
    ("changed", "stages"),
    [
        ("notebooks/03_tuning.ipynb", {"tuning"}),
        ("phase_d_lib/tuning/comparison.py", {"integration", "monitoring", "tuning"}),
        ("data/profiles/quick.yaml", {"integration", "monitoring", "tuning"}),
        ("requirements.lock", {"integration", "monitoring", "tuning"}),
        ("phase_d_lib/cli/reports.py", set()),
    ],
)
def test_a_cache_key_follows_what_a_stage_depends_on(
    tmp_path: Path, changed: str, stages: set[str]
) -> None:
    workspace = copy_of_repository(tmp_path)

    def keys() -> dict[str, str]:
        names = ("integration", "monitoring", "tuning")
        return {name: batch.cache_key(workspace, name, "quick", "", []) for name in names}

    before = keys()
    file = tmp_path / changed
    text = file.read_text()
    edited = text.replace("비교와 선택", "비교와 선택!").replace("retries: 1", "retries: 0")
    file.write_text(edited if edited != text else text + "\n# changed\n")
    after = keys()
    assert {name for name in before if before[name] != after[name]} == stages


def test_the_key_holds_engine_and_upstream() -> None:
    key = batch.cache_key(REPOSITORY, "tuning", "quick", "", [])
    assert key != batch.cache_key(REPOSITORY, "tuning", "quick", "embedded", [])
    assert key != batch.cache_key(REPOSITORY, "tuning", "quick", "", ["another"])
    assert key != batch.cache_key(REPOSITORY, "tuning", "smoke", "", [])


def test_an_output_directory_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "CURRENT").write_text("MANIFEST-000001\n")
    with pytest.raises(NotOursError, match="left untouched"):
        batch.open_report(REPOSITORY, "replay", tmp_path)
    fresh = batch.open_report(REPOSITORY, "replay", tmp_path / "report")
    assert is_ours(fresh)


def test_latest_points_inside_reports_and_is_never_overwritten(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for name in ("one", "two"):
        (workspace.reports / name).mkdir(parents=True)
        batch.point_latest(workspace, workspace.reports / name)
        assert (workspace.reports / "latest").readlink() == Path(name)
    batch.point_latest(workspace, tmp_path / "elsewhere")
    assert (workspace.reports / "latest").readlink() == Path("two")
    (workspace.reports / "latest").unlink()
    (workspace.reports / "latest").mkdir()
    with pytest.raises(InputError, match="not a symbolic link"):
        batch.point_latest(workspace, workspace.reports / "one")


def test_clean_deletes_only_what_is_ours(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for folder in (workspace.work, workspace.cache):
        batch.claim(folder / "ours")
        (folder / "theirs").mkdir(parents=True)
        (folder / "theirs" / "CURRENT").write_text("x")
    assert {path.name for path in batch.clean(workspace)} == {"ours"}
    assert (workspace.work / "theirs" / "CURRENT").exists()
    assert not (workspace.cache / "ours").exists()
