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
        (("report", "--profile", "quik"), "profile = 'quik' is unknown; there are: full, pool,"),
        (("report", "--engine", "rocks"), "engine = 'rocks' is unknown; installed: embedded"),
        (("record", "--profile", "quick"), "is not recorded; name one with recorded: true"),
        (
            ("calibrate", "--profile", "quik"),
            "profile = 'quik' is unknown; there are: full, pool,",
        ),
        (("smax", "--profile", "quik"), "profile = 'quik' is unknown; there are: full, pool,"),
        (("smax", "--set", "write_buffer_size"), "--set write_buffer_size: give NAME=VALUE"),
        (
            ("smax", "--set", "write_bufer=1"),
            "unknown key 'write_bufer'; allowed here: write_buffer",
        ),
        (("smax", "--arrival", "bursty"), "smax: arrival = 'bursty'"),
        (("smax", "--budget-s", "5"), "budget_s 5.0 must cover a trial"),
        (("deploy", "--activate", "v9"), "model = 'v9': not installed; installed are v1, v2_1"),
        (("deploy", "--activate", "v1", "--rollback"), "contradict each other; give one"),
        (
            ("predict", "--inputs", "data/examples/case.json", "--calibration", "Makefile"),
            "Makefile: not JSON",
        ),
        (
            ("predict", "--inputs", "data/examples/case.json", "--calibration", "none.json"),
            "none.json: cannot be read (No such file or directory)",
        ),
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


def test_a_model_is_activated_and_rolled_back(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    assert "no model is active yet" in phase_d("deploy", root=tmp_path).stdout
    shown = phase_d("deploy", "--activate", "v1", root=tmp_path).stdout
    assert shown.startswith("active: v1, by its user, since 20")
    refused = phase_d("deploy", "--rollback", root=tmp_path)
    assert refused.returncode == 2
    assert "nothing to roll back to" in refused.stderr
    phase_d("deploy", "--activate", "v3", root=tmp_path)
    shown = phase_d("deploy", "--rollback", root=tmp_path).stdout
    assert shown.startswith("active: v1, by its user")
    assert "before: v3" in shown
    shown = phase_d("deploy", "--auto", root=tmp_path).stdout
    assert shown.startswith("active: v1, by cross-validated error")


@pytest.mark.slow
@pytest.mark.rocksdb
def test_calibrate_keeps_what_predict_then_uses(tmp_path: Path) -> None:
    for folder in ("notebooks", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data" / "profiles").symlink_to(REPOSITORY / "data" / "profiles")
    done = phase_d("calibrate", "--profile", "smoke", "--seed", "5", "--json", root=tmp_path)
    assert done.returncode == 0, done.stderr
    calibration = json.loads(done.stdout)
    assert calibration["seed"] == 5
    kept = list((tmp_path / "data" / "calibration").glob("*.json"))
    assert len(kept) == 1
    assert json.loads(kept[0].read_text()) == calibration
    case = str(REPOSITORY / "data" / "examples" / "case.json")
    done = phase_d("predict", "--inputs", case, "--calibration", str(kept[0]), "--json")
    assert done.returncode == 0, done.stderr
    assert {row["model"] for row in json.loads(done.stdout)} >= {"v1", "v2_1", "v3", "v4", "v5"}


@pytest.mark.slow
@pytest.mark.rocksdb
def test_smax_gives_both_rates_and_resumes_by_its_seed(tmp_path: Path) -> None:
    for folder in ("notebooks", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data" / "profiles").symlink_to(REPOSITORY / "data" / "profiles")
    arguments = ("smax", "--profile", "smoke", "--seed", "6", "--trial-s", "3", "--warmup-s", "1",
                 "--budget-s", "6", "--json")  # fmt: skip
    done = phase_d(*arguments, root=tmp_path)
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout)
    assert first["saturation"]["saturation_ops_per_s"]["value"] > 0
    assert len(first["s_max"]["trials"]) == 2
    again = phase_d(*arguments, root=tmp_path)
    assert again.stderr.count("reusing") == 3
    assert json.loads(again.stdout) == first
