"""Guards: what a candidate must not break, whatever it gains."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from phase_d_lib.specs import Frozen, OptionsSpec, RunSpec, WorkloadSpec

GuardName = Literal[
    "durability", "memtable_bytes", "background_jobs", "space_amplification", "read_p999_us"
]


class Breach(Frozen):
    """One guard broken, with what would have been allowed."""

    guard: GuardName
    value: float
    allowed: float

    def __str__(self) -> str:
        if self.guard == "durability":
            return "durability: the write-ahead log of the scenario would be switched off"
        return f"{self.guard} {self.value:,.4g} is above the bound of {self.allowed:,.4g}"


class Guards(Frozen):
    """Bounds the user states; the scenario's write-ahead log is never switched off."""

    memtable_bytes: int = Field(gt=0)
    """Most memory of all memtables: ``write_buffer_size * max_write_buffer_number``."""
    space_amplification: float = Field(default=2.5, gt=0)
    """Most bytes of table files over user bytes of the live keys.

    Source: RocksDB Tuning Guide, "Amplification factors".
    """
    background_jobs: int = Field(default=4, ge=1)
    read_p999_us: float | None = Field(default=None, gt=0)
    """Most p99.9 latency of reads; needs a workload that reads."""

    def breaches(
        self, spec: RunSpec, default: WorkloadSpec, space_amplification: float | None = None
    ) -> tuple[Breach, ...]:
        """What a candidate would break, told before it runs.

        Parameters
        ----------
        spec : RunSpec
            The candidate.
        default : WorkloadSpec
            The scenario's own workload.
        space_amplification : float, optional
            As a model predicts it.
        """
        options = spec.options
        found = [
            ("memtable_bytes", memtable_bytes(options), self.memtable_bytes),
            ("background_jobs", options.max_background_jobs, self.background_jobs),
            ("space_amplification", space_amplification, self.space_amplification),
        ]
        durable = () if spec.workload.wal or not default.wal else (("durability", 1.0, 0.0),)
        return _broken([*durable, *found])

    def breaches_measured(
        self, space_amplification: float, read_p999_us: float | None
    ) -> tuple[Breach, ...]:
        """What a finished run did break, as measured."""
        return _broken(
            [
                ("space_amplification", space_amplification, self.space_amplification),
                ("read_p999_us", read_p999_us, self.read_p999_us),
            ]
        )


def memtable_bytes(options: OptionsSpec) -> int:
    """Memory that memtables may take before writes stop."""
    return options.write_buffer_size * options.max_write_buffer_number


def _broken(
    values: list[tuple[str, float | None, float | None]],
) -> tuple[Breach, ...]:
    return tuple(
        Breach.model_validate({"guard": guard, "value": value, "allowed": allowed})
        for guard, value, allowed in values
        if value is not None and allowed is not None and value > allowed
    )
