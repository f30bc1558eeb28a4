"""The command line as a user meets it: one clear line, the right exit code, nothing lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from phase_d_lib.workspace import ROOT_VARIABLE, find_workspace

REPOSITORY = find_workspace().root


def phase_d(*arguments: str, root: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "phase_d_lib", *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", ROOT_VARIABLE: str(root)},
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("report", "--profile", "quik"), "profile = 'quik' is unknown; there are: full, quick,"),
        (("report", "--engine", "rocks"), "engine = 'rocks' is unknown; installed: embedded"),
        (("record", "--profile", "quick"), "is not recorded; name one with recorded: true"),
    ],
)
def test_a_wrong_name_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], expected: str
) -> None:
    done = phase_d(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_an_unknown_verb_is_exit_code_2() -> None:
    assert phase_d("reprot").returncode == 2


def test_a_report_never_goes_into_a_directory_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "CURRENT").write_text("MANIFEST-000004\n")
    done = phase_d("report", "--profile", "replay", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "it was left untouched" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["CURRENT"]


def test_profiles_are_listed() -> None:
    done = phase_d("profiles")
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.splitlines()} >= {"replay", "quick", "full"}


@pytest.mark.slow
def test_runs_are_listed_for_people_and_machines(tmp_path: Path) -> None:
    assert phase_d("runs", "--json", root=tmp_path).stdout == "[]\n"
    recorded = REPOSITORY / "tests" / "data" / "recorded"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "runs").symlink_to(recorded)
    rows = json.loads(phase_d("runs", "--json", root=tmp_path).stdout)
    assert len(rows) == len(list(recorded.glob("*/spec.json"))) > 0
    assert {"run_id", "block", "status", "put_ops_per_s", "valid"} == set(rows[0])
    assert "monitoring/live" in phase_d("runs", root=tmp_path).stdout
