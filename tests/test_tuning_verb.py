"""``phase-d tune`` from the command line, on a real RocksDB."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from phase_d_lib.optionsfile import parse_options, spec_of
from phase_d_lib.tuning.records import FILES
from phase_d_lib.workspace import ROOT_VARIABLE, find_workspace

REPOSITORY = find_workspace()


def tune(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "phase_d_lib", "tune", *arguments],
        env={**os.environ, ROOT_VARIABLE: str(root)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(REPOSITORY.profiles, tmp_path / "data" / "profiles")
    scenario = yaml.safe_load((REPOSITORY.scenarios / "equal-budget.yaml").read_text())
    scenario["scenario"]["workload"]["keys"] = 20_000
    # Level 0 alone holds several times so small a tree.
    scenario["guards"]["space_amplification"] = 50.0
    folder = tmp_path / "data" / "scenarios"
    folder.mkdir()
    (folder / "tiny.yaml").write_text(yaml.safe_dump(scenario))
    return tmp_path


@pytest.mark.slow
@pytest.mark.rocksdb
def test_the_verb_searches_proves_and_hands_over(root: Path) -> None:
    done = tune(root, "--profile", "smoke", "--scenario", "tiny", "--seed", "3", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["scenario"] == "tiny"
    assert told["evaluations"] >= 3
    assert told["rejected"] >= 1, "a preset takes more memory than the guards allow"
    folder = Path(told["folder"])
    assert "# 튜닝 결과: tiny" in (folder / "summary.ko.md").read_text()
    assert (folder / "result.json").is_file()
    handed = {name for name in FILES if (folder / name).is_file()}
    if told["chosen"] == "default":
        assert told["options_file"] is None
        assert handed == set()
    else:
        assert handed == set(FILES)
        parsed = parse_options(Path(told["options_file"]).read_text())
        written, _ = spec_of({**parsed.db, **parsed.cf["default"]})
        for name, value in told["chosen_changes"].items():
            assert getattr(written, name) == value


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sampler", "wild"), "sampler = 'wild': allowed are guided, random, tpe"),
        (("--scenario", "none"), "scenario = 'none' is unknown; there are: tiny"),
        (("--apply-cmd", "set {nothing}"), "may hold {name} and {value}"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    root: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = tune(root, "--profile", "smoke", "--scenario", "tiny", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (root / "data" / "tuning").exists()
    assert not (root / "data" / "runs").exists()
