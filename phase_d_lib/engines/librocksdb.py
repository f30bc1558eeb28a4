"""Any RocksDB shared library through its C API: Debian's, conda-forge's, one's own build."""

from __future__ import annotations

import ctypes.util
import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from phase_d_lib.engines.child import ChildProcess, build_base_tree
from phase_d_lib.engines.protocol import EngineProcess
from phase_d_lib.errors import InputError
from phase_d_lib.specs import OptionsSpec, RunSpec, WorkloadSpec

LIBRARY_VARIABLE = "PHASE_D_LIBROCKSDB"
"""Environment variable that names the library where the engine's name does not."""
_MODULE = "phase_d_lib.engines.librocksdb_process"
_ASSERTION = b"\0__assert_fail\0"
"""What code compiled without NDEBUG imports, in the string table of an ELF file."""


class LibrocksdbEngine:
    """RocksDB from a shared library, in a process of its own.

    Parameters
    ----------
    library : str
        Path; empty takes ``PHASE_D_LIBROCKSDB``, else what is installed.

    Raises
    ------
    InputError
        When there is no such file, or none is found.
    """

    name = "librocksdb"

    def __init__(self, library: str = "") -> None:
        self.library = find_library(library)

    def build(self) -> str:
        """Describe the build: file name, hash, and whether it holds assertions; no path."""
        stat = self.library.stat()
        return describe_library(self.library, stat.st_mtime_ns, stat.st_size)

    def check(self, spec: RunSpec) -> None:
        """Accept every spec."""

    def build_base(
        self, workload: WorkloadSpec, options: OptionsSpec, seed: int, folder: Path
    ) -> None:
        """Load, settle and checkpoint in a child process.

        Raises
        ------
        EngineError
            With the last line the child said, for one an option that this RocksDB cannot pin.
        """
        build_base_tree(_MODULE, workload, options, seed, folder, library=str(self.library))

    def launch(self, spec: RunSpec, run: Path, database: Path) -> EngineProcess:
        """Start the child process of a run."""
        task = {"run": str(run), "database": str(database), "library": str(self.library)}
        return ChildProcess(_MODULE, task, database.with_name("task.json"))


def find_library(named: str = "") -> Path:
    """Return the real path of a RocksDB shared library.

    Parameters
    ----------
    named : str
        Its path; empty searches, in this order, ``PHASE_D_LIBROCKSDB``, the linker's list, the
        library directories of this Python, of a conda environment and of the system.

    Raises
    ------
    InputError
        When there is no such file, or none is found.
    """
    named = named or os.environ.get(LIBRARY_VARIABLE, "")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise InputError(f"librocksdb = {named}: no such file; give the path of librocksdb.so")
        return path.resolve()
    for path in _candidates():
        if path.is_file():
            return path.resolve()
    raise InputError(
        "no librocksdb found: install one (Debian: apt install librocksdb7.8; conda: rocksdb), or "
        f"give its path: --engine librocksdb=/path/librocksdb.so, LIB=..., or {LIBRARY_VARIABLE}"
    )


def _candidates() -> Iterator[Path]:
    folders = list(_library_folders())
    linked = ctypes.util.find_library("rocksdb")
    if linked:  # the linker's list names the file, not where it lies
        yield from (folder / linked for folder in folders)
    for folder in folders:
        for pattern in ("librocksdb.so*", "librocksdb*.dylib"):
            yield from sorted(folder.glob(pattern), reverse=True)


def _library_folders() -> Iterator[Path]:
    if prefix := os.environ.get("CONDA_PREFIX"):
        yield Path(prefix, "lib")
    yield Path(sys.prefix, "lib")
    yield from (Path(root, "lib") for root in ("/usr/local", "/opt/homebrew"))
    if multiarch := sysconfig.get_config_var("MULTIARCH"):
        yield from (Path(root, multiarch) for root in ("/usr/lib", "/lib"))
    yield from map(Path, ("/usr/lib64", "/usr/lib", "/lib64", "/lib"))


@lru_cache
def describe_library(path: Path, modified_ns: int, size_bytes: int) -> str:
    """Describe a library by what its file holds; the other arguments only tell files apart."""
    content = path.read_bytes()
    kind = "assertion build" if _ASSERTION in content else "release build"
    return f"{path.name} sha256 {hashlib.sha256(content).hexdigest()[:12]}, {kind}"
