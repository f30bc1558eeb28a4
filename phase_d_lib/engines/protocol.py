"""What an engine is: it builds a settled base tree and drives a run in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from phase_d_lib.specs import OptionsSpec, RunSpec, WorkloadSpec


class EngineProcess(Protocol):
    """A run under way in its own process."""

    @property
    def pid(self) -> int:
        """Process id, for /proc."""
        ...

    def poll(self) -> int | None:
        """Return the exit code, or None while running."""
        ...

    def set_options(self, changes: dict[str, str]) -> None:
        """Ask for a live option change; the outcome is journalled in ``commands.jsonl``."""
        ...

    def stop(self) -> None:
        """Ask the run to end at its next sample."""
        ...

    def end(self, patience_s: float) -> tuple[int, str]:
        """Wait for the process, then kill it; return its exit code and last message."""
        ...


class Engine(Protocol):
    """One way to run a real RocksDB."""

    name: str

    def build(self) -> str:
        """Describe the build: package, version, build kind."""
        ...

    def check(self, spec: RunSpec) -> None:
        """Refuse a spec that asks for what this engine cannot do.

        Raises
        ------
        InputError
            One line naming it.
        """
        ...

    def build_base(
        self, workload: WorkloadSpec, options: OptionsSpec, seed: int, folder: Path
    ) -> None:
        """Load every key, settle, and leave a closed tree at ``folder / "db"``."""
        ...

    def launch(self, spec: RunSpec, run: Path, database: Path) -> EngineProcess:
        """Start the run described by ``spec.json`` in `run` against `database`."""
        ...
