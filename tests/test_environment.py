"""The environment files say the same thing, and set-up fails in one clear line."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
SUPPORTED_PYTHONS = ("3.11", "3.12", "3.13")
PIN = re.compile(r"^[A-Za-z0-9].*?==.*?(?= \\$|$)", re.MULTILINE)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins_of(text: str) -> list[str]:
    """Return the lines `name==version ; marker` of a lock or constraints file, hashes left off."""
    return PIN.findall(text)


def locked_versions(python: str) -> dict[str, str]:
    """Return {name: version} of what the lock installs on Linux with this Python."""
    environment = {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "os_name": "posix",
    }
    versions = {}
    for line in pins_of(read("requirements.lock")):
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate(environment):
            assert canonical(pin.name) not in versions, f"{pin.name} is pinned twice for {python}"
            versions[canonical(pin.name)] = str(pin.specifier).removeprefix("==")
    return versions


def drifted(dependencies: list[str], versions: dict[str, str]) -> list[str]:
    """Return the dependencies that the lock leaves out or does not satisfy."""
    wanted = map(Requirement, dependencies)
    return [
        f"{each} (locked: {versions.get(canonical(each.name), 'missing')})"
        for each in wanted
        if not each.specifier.contains(versions.get(canonical(each.name), "0"), prereleases=True)
    ]


@pytest.fixture(scope="module")
def setup_env() -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_env", ROOT / "tools/setup_env.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("python", SUPPORTED_PYTHONS)
def test_lock_satisfies_every_dependency(python: str) -> None:
    dependencies = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    assert drifted(dependencies, locked_versions(python)) == []


def test_drift_is_seen() -> None:
    assert drifted(["numpy>=2", "nosuch>=1"], {"numpy": "1.9"}) == [
        "numpy>=2 (locked: 1.9)",
        "nosuch>=1 (locked: missing)",
    ]


def test_every_locked_package_has_hashes() -> None:
    blocks = re.split(r"^(?=[A-Za-z0-9])", read("requirements.lock"), flags=re.MULTILINE)[1:]
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_lock_leaves_out_the_slow_grammar() -> None:
    assert "rfc3987-syntax" not in locked_versions("3.11")


def test_constraints_are_the_lock_without_hashes() -> None:
    assert pins_of(read("constraints.txt")) == pins_of(read("requirements.lock"))
    assert "--hash" not in read("constraints.txt")


def test_conda_environment_matches() -> None:
    environment = yaml.safe_load(read("environment.yml"))
    assert environment["name"] == "phase-d"
    assert environment["channels"] == ["conda-forge"]
    *conda, pip_section = environment["dependencies"]
    assert {"make", "pip"} <= set(conda)
    (python,) = [each for each in conda if each.startswith("python")]
    assert SpecifierSet(python.removeprefix("python")) == SpecifierSet(PROJECT["requires-python"])
    assert pip_section == {"pip": ["-c constraints.txt", "-e .[dev]"]}


def test_python_range_is_the_one_tested(setup_env: ModuleType) -> None:
    low, high = setup_env.supported_range(read("pyproject.toml"))
    assert tuple(f"3.{minor}" for minor in range(low[1], high[1])) == SUPPORTED_PYTHONS
    classifiers = "\n".join(PROJECT["classifiers"])
    assert re.findall(r"Python :: (3\.\d+)", classifiers) == list(SUPPORTED_PYTHONS)
    assert f"--python-version {SUPPORTED_PYTHONS[0]}" in read("Makefile")


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "requirements.lock", "constraints.txt", "environment.yml"]
)
def test_no_address_and_no_path_of_a_machine(name: str) -> None:
    text = read(name)
    assert re.findall(r"\w+://\S+|(?<![\w.~*-])/(?:home|root|opt|usr|work|tmp|etc)\b", text) == []
    assert re.findall(r"find-links|index-url|^-[fi] ", text, re.MULTILINE) == []


def test_license_is_apache_2() -> None:
    digest = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert PROJECT["license"] == "Apache-2.0"


def test_console_script_and_version() -> None:
    assert PROJECT["scripts"] == {"phase-d": "phase_d_lib.cli:main"}
    assert PROJECT["dynamic"] == ["version"]
    version_file = ROOT / PYPROJECT["tool"]["hatch"]["version"]["path"]
    assert re.search(r'^__version__ = "\d+\.\d+\.\d+"$', version_file.read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("version", "missing", "says"),
    [
        ((3, 10, 13), [], "python3 is Python 3.10, but 3.11 or 3.12 or 3.13 is needed"),
        ((3, 14, 0), [], "python3 is Python 3.14, but 3.11 or 3.12 or 3.13 is needed"),
        ((3, 12, 1), ["ensurepip"], "apt install python3-venv or python3.12-venv"),
    ],
)
def test_unfit_python_is_one_line(
    setup_env: ModuleType, version: tuple[int, ...], missing: list[str], says: str
) -> None:
    line = setup_env.complaint(((3, 11), (3, 14)), version, missing)
    assert says in line
    assert "\n" not in line


def test_fit_python_is_no_complaint(setup_env: ModuleType) -> None:
    assert setup_env.complaint(((3, 11), (3, 14)), (3, 13, 0), []) == ""


def test_set_up_with_an_old_python_exits_2(
    setup_env: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup_env.main(["--exact"], version=(3, 6, 15)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1


def test_set_up_without_ensurepip_exits_2(tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError\n")
    outcome = subprocess.run(
        [sys.executable, str(ROOT / "tools/setup_env.py"), "--exact"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert outcome.stderr.count("\n") == 1
    assert "has no module ensurepip" in outcome.stderr


def test_set_up_is_due_after_a_change(setup_env: ModuleType, tmp_path: Path) -> None:
    for name in ("requirements.lock", "pyproject.toml", "tools/setup_env.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    assert not setup_env.is_current(tmp_path, (3, 11))
    (tmp_path / ".venv").mkdir()
    setup_env.write_stamp(tmp_path / ".venv", setup_env.fingerprint(tmp_path, (3, 11)))
    assert setup_env.is_current(tmp_path, (3, 11, 7))
    assert not setup_env.is_current(tmp_path, (3, 12, 1))
    with (tmp_path / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert not setup_env.is_current(tmp_path, (3, 11))


def test_half_made_venv_is_not_usable(setup_env: ModuleType, tmp_path: Path) -> None:
    venv = tmp_path / ".venv"
    venv.mkdir()
    here = [tuple(sys.version_info[:2])]
    assert not setup_env.is_usable(venv, here)
    (venv / "bin").mkdir()
    (venv / "bin/python").symlink_to(sys.executable)
    (venv / "bin/python").unlink()
    (venv / "bin/python").symlink_to(tmp_path / "gone")
    assert not setup_env.is_usable(venv, here)
    setup_env.write_stamp(venv, setup_env.UNFINISHED)
    assert not setup_env.is_usable(venv, here)


def test_uv_is_installed_by_its_locked_hash(setup_env: ModuleType) -> None:
    block = setup_env.locked_block(read("requirements.lock"), "uv")
    assert block.startswith("uv==")
    assert block.count("--hash=sha256:") > 1
    assert block.count("==") == 1


def test_make_help_lists_every_target() -> None:
    makefile = read("Makefile")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE)) - {"venv"}
    outcome = subprocess.run(
        ["make", "-s", "-C", str(ROOT)], capture_output=True, text=True, check=True
    )
    assert set(re.findall(r"^  make ([a-z-]+)", outcome.stdout, re.MULTILINE)) == targets
    assert {"setup", "lab", "report", "test", "test-fast", "lint", "bench", "clean"} <= targets
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert set(phony.group(1).split()) == targets | {"venv"}


def test_git_ignores_what_runs_write(tmp_path: Path) -> None:
    ignored = [
        ".venv/bin/python",
        "data/work/db/LOG",
        "data/cache/x",
        "data/runs/abc/spec.json",
        "data/calibration/x.json",
        "reports/20260101-abc/index.html",
        "notebooks/01_integration.part.ipynb",
        "notebooks/01_integration.failed.ipynb",
    ]
    kept = [
        "data/runs/.gitkeep",
        "data/calibration/.phase-d",
        "data/profiles/quick.yml",
        "reports/example/index.html",
        "notebooks/01_integration.ipynb",
        "tests/data/LOG",
    ]
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    outcome = subprocess.run(
        ["git", "-C", str(tmp_path), "check-ignore", *ignored, *kept],
        capture_output=True,
        text=True,
        check=True,
    )
    assert outcome.stdout.split() == ignored
