"""The default engine: RocksDB from the rocksdict wheel, in a process of its own."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from phase_d_lib.engines.child import ChildProcess, build_base_tree
from phase_d_lib.engines.protocol import EngineProcess
from phase_d_lib.specs import OptionsSpec, RunSpec, WorkloadSpec

_MODULE = "phase_d_lib.engines.embedded_process"


class EmbeddedEngine:
    """RocksDB through rocksdict."""

    name = "embedded"

    def build(self) -> str:
        """Describe the build."""
        return f"rocksdict {version('rocksdict')} wheel, release build"

    def check(self, spec: RunSpec) -> None:
        """Accept every spec."""

    def build_base(
        self, workload: WorkloadSpec, options: OptionsSpec, seed: int, folder: Path
    ) -> None:
        """Load, settle and checkpoint in a child process.

        Raises
        ------
        EngineError
            With the last line the child said.
        """
        build_base_tree(_MODULE, workload, options, seed, folder)

    def launch(self, spec: RunSpec, run: Path, database: Path) -> EngineProcess:
        """Start the child process of a run."""
        task = {"run": str(run), "database": str(database)}
        return ChildProcess(_MODULE, task, database.with_name("task.json"))
