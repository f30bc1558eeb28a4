#!/usr/bin/env python3
"""Make or repair .venv from requirements.lock; do nothing when it is up to date.

`make` calls it before every target. It needs the standard library only, and keeps to
the syntax of Python 3.6: an unsupported python3 must get far enough to say so in one line.

    setup_env.py            make .venv, or bring it up to date
    setup_env.py --exact    the same with this very interpreter, or not at all
    setup_env.py --check    exit 0 when nothing is to be done, else 1; fast and silent

Exit codes: 0 ready, 1 an installation step failed, 2 this Python cannot do it.
"""

import hashlib
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = ".phase-d-setup"
UNFINISHED = "unfinished"


# --- what is wanted, and whether it is there ---------------------------------------------


def supported_range(pyproject_text):
    """Return ((3, 11), (3, 14)): the lowest version allowed and the first one too new."""
    found = re.search(
        r'^requires-python = ">=(\d+)\.(\d+),<(\d+)\.(\d+)"$', pyproject_text, re.MULTILINE
    )
    if not found:
        raise SystemExit("pyproject.toml: requires-python must look like '>=3.11,<3.14'")
    low_major, low_minor, high_major, high_minor = map(int, found.groups())
    return (low_major, low_minor), (high_major, high_minor)


def fingerprint(root=ROOT, version=sys.version_info):
    """Return the hash of all that decides what .venv holds: a moved project needs a new one."""
    digest = hashlib.sha256()
    for name in ("requirements.lock", "pyproject.toml", "tools/setup_env.py"):
        digest.update((root / name).read_bytes())
        digest.update(b"\0")
    digest.update(f"{version[0]}.{version[1]} {root}".encode())
    return digest.hexdigest()


def read_stamp(venv):
    """Return the stamp of the last set-up, "" when there is none."""
    try:
        return (venv / STAMP).read_text()
    except OSError:
        return ""


def write_stamp(venv, text):
    """Replace the stamp in one step."""
    part = venv / (STAMP + ".part")
    part.write_text(text)
    part.replace(venv / STAMP)


def is_current(root=ROOT, version=sys.version_info):
    """Return whether the last set-up finished, with the same inputs and Python."""
    return read_stamp(root / ".venv") == fingerprint(root, version)


# --- which Python ------------------------------------------------------------------------


def wanted_versions(bounds, exact):
    """Return the (major, minor) that .venv may have: this one, or any supported one."""
    low, high = bounds
    supported = [(low[0], minor) for minor in range(low[1], high[1])]
    return [tuple(sys.version_info[:2])] if exact else supported


def succeeds(command):
    """Return whether a command runs and exits 0, in silence."""
    import subprocess

    try:
        return not subprocess.call(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
    except OSError:
        return False


def missing_modules():
    """Return the modules that Debian keeps in a package of their own and are not here."""
    missing = []
    for name in ("venv", "ensurepip"):
        try:
            __import__(name)
        except ImportError:
            missing.append(name)
    return missing


def complaint(bounds, version, missing, executable="python3"):
    """Return the one line that says why this Python cannot do it, "" when it can."""
    names = ["{}.{}".format(*each) for each in wanted_versions(bounds, exact=False)]
    name = "{}.{}".format(*version[:2])
    if name not in names:
        return (
            f"phase-d: {executable} is Python {name}, but {' or '.join(names)} is needed: install "
            f"one with its venv module, or say where it is: make PYTHON=/path/to/python{names[-1]}"
        )
    if missing:
        return (
            f"phase-d: {executable} has no module {' and no '.join(missing)}, which makes .venv: "
            f"install it (Debian, Ubuntu: apt install python3-venv or python{name}-venv)"
        )
    return ""


def find_other_python(bounds):
    """Return the path of a supported Python that can make a venv, newest first, or None."""
    import shutil

    for major, minor in reversed(wanted_versions(bounds, exact=False)):
        path = shutil.which(f"python{major}.{minor}")
        # On the PATH is not enough: a pyenv shim is there for versions that are switched off.
        test = f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != ({major}, {minor}))"
        if path and succeeds([path, "-c", test]):
            return path
    return None


# --- making it ---------------------------------------------------------------------------


def say(text):
    print("phase-d: " + text, flush=True)


def run(doing, command, environment):
    """Run one step; on failure say in one line which, and leave."""
    import subprocess

    code = subprocess.call(command, env=environment, cwd=str(ROOT), stdin=subprocess.DEVNULL)
    if code:
        sys.stderr.write(
            f"phase-d: {doing} failed (exit {code}) for the reason above; "
            "is the package index within reach? Then run `make setup` again\n"
        )
        raise SystemExit(1)


def environment_for(venv):
    """Return the environment of the steps: a home that can be written, no foreign venv."""
    environment = dict(os.environ)
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_USER"):
        environment.pop(name, None)
    home = Path(environment.get("HOME") or os.devnull)
    if not (home.is_dir() and os.access(str(home), os.W_OK)):
        environment["HOME"] = str(venv / "home")
        environment.pop("XDG_CACHE_HOME", None)
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    return environment


def system_certificates():
    """Return the uv option that trusts what the machine trusts, when it has such a store."""
    import ssl

    paths = ssl.get_default_verify_paths()
    has_directory = paths.capath and any(Path(paths.capath).iterdir())
    return ["--system-certs"] if paths.cafile or has_directory else []


def locked_block(lock_text, name):
    """Return the lines of one package in the lock: its pin and its hashes."""
    found = re.search(rf"^{re.escape(name)}==.*(?:\n +--hash=.*)+", lock_text, re.MULTILINE)
    if not found:
        raise SystemExit(f"requirements.lock holds no hashed {name}; run `make lock`")
    return found.group() + "\n"


def is_usable(venv, wanted):
    """Return whether .venv runs, is of a wanted version, has pip and was not left half-made."""
    test = f"import sys, pip; sys.exit(sys.version_info[:2] not in {wanted!r})"
    return (
        read_stamp(venv) != UNFINISHED
        and was_made_here(venv)
        and succeeds([str(venv / "bin/python"), "-c", test])
    )


def was_made_here(venv):
    """Return whether the scripts in .venv call its own Python: a moved one calls the old place."""
    try:
        return str(venv / "bin/python") in (venv / "bin/pip").read_text(encoding="utf-8")
    except OSError:
        return False


def is_finished(venv, wanted):
    """Return whether .venv is of a wanted version and, asked itself, up to date."""
    return is_usable(venv, wanted) and succeeds(
        [str(venv / "bin/python"), "-IS", __file__, "--check"]
    )


def install(root, wanted):
    """Make .venv or bring it up to date; a set-up that was interrupted starts afresh."""
    import time

    started = time.monotonic()
    venv = root / ".venv"
    python = venv / "bin/python"
    environment = environment_for(venv)
    if not is_usable(venv, wanted):
        say("making .venv with Python {}.{}.{}".format(*sys.version_info[:3]))
        # Called from inside .venv, sys.executable is about to be deleted.
        base = getattr(sys, "_base_executable", None) or sys.executable
        run("making .venv", [base, "-m", "venv", "--clear", str(venv)], environment)
    write_stamp(venv, UNFINISHED)

    lock = root / "requirements.lock"
    lock_text = lock.read_text(encoding="utf-8")
    uv_lock = venv / "uv-requirement.txt"
    uv_lock.write_text(locked_block(lock_text, "uv"), encoding="utf-8")
    Path(environment["HOME"]).mkdir(parents=True, exist_ok=True)
    say("installing uv")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    run("installing uv", [*pip, "-r", str(uv_lock)], environment)

    uv = [str(venv / "bin/uv"), "pip", "install", "--quiet", "--python", str(python), "--no-deps"]
    count = len(re.findall(r"^[A-Za-z0-9][\w.-]*==", lock_text, re.MULTILINE))
    say(f"installing {count} locked packages")
    locked = [*uv, *system_certificates(), "--require-hashes", "-r", str(lock)]
    run("installing requirements.lock", locked, environment)
    (venv / STAMP).unlink()  # from here on a failure leaves whole packages behind
    project = [*uv, "--no-build-isolation", "--editable", str(root)]
    run("installing the project", project, environment)

    turn_off_announcements(venv)
    write_stamp(venv, fingerprint(root, python_version_of(venv)))
    say(f".venv is ready ({time.monotonic() - started:.0f} s)")


def turn_off_announcements(venv):
    """Keep JupyterLab from asking for news: it would call out, and cover the notebook."""
    config = venv / "etc/jupyter/labconfig/page_config.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(
        '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}\n'
    )


def python_version_of(venv):
    """Return the (major, minor) that made .venv, from its own configuration file."""
    text = (venv / "pyvenv.cfg").read_text(encoding="utf-8")
    found = re.search(r"^version(?:_info)? *= *(\d+)\.(\d+)", text, re.MULTILINE)
    return tuple(map(int, found.groups()))


def one_at_a_time(root):
    """Wait for another set-up of this project to end; the lock goes with the process."""
    try:
        import fcntl
    except ImportError:
        return None
    handle = (root / "requirements.lock").open("rb")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for another set-up to end")
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        pass
    return handle


def main(arguments, version=sys.version_info, missing=None):
    if "--check" in arguments:
        return 0 if is_current() else 1
    exact = "--exact" in arguments
    bounds = supported_range((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    problem = complaint(
        bounds, version, missing_modules() if missing is None else missing, sys.executable
    )
    if problem:
        other = None if exact else find_other_python(bounds)
        if other is None:
            sys.stderr.write(problem + "\n")
            return 2
        import subprocess

        say(f"using {other}: {sys.executable} will not do")
        return subprocess.call([other, __file__, *arguments])
    lock = one_at_a_time(ROOT)
    try:
        wanted = wanted_versions(bounds, exact)
        if not is_finished(ROOT / ".venv", wanted):
            install(ROOT, wanted)
    finally:
        if lock:
            lock.close()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("phase-d: set-up interrupted; run `make setup` again")
