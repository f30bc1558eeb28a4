"""A landscape: one scenario measured at many space-filling configurations, for comparing tuners.

It is measured once, in any number of sittings, before a tuner is tried on it, and no tuner learns
from it. The file is the state: a row that is there is not measured again.
"""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import orjson
import pandas as pd
from pydantic import ValidationError

from phase_d_lib.errors import InputError
from phase_d_lib.guards import memtable_bytes
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.profiles import OptionChanges, Window
from phase_d_lib.runs import Run
from phase_d_lib.specs import Frozen, Positive, digest
from phase_d_lib.tuning.outcome import space_amplification
from phase_d_lib.tuning.scenarios import TuningScenario
from phase_d_lib.tuning.space import changes_of, search_space
from phase_d_lib.workspace import write_atomically


class LandscapePlan(Window):
    """How many configurations, how often, for how long."""

    duration_s: float = 30.0
    warmup_s: float = 10.0
    configurations: Positive = 120
    """Without the default, which is configuration 0."""
    repeats: Positive = 2
    seed: int = 20261124
    """Of the design; the seeds of the runs derive from it."""


class LandscapeRow(Frozen):
    """One run of one configuration; means over the window unless it says otherwise."""

    configuration: int
    repeat: int
    changes: OptionChanges
    put_ops_per_s: float
    put_latency_p999_us: float | None
    stall_fraction: float
    write_bytes_per_user_byte: float | None
    space_amplification: float
    memtable_bytes: int
    l0_files_start: float
    l0_files_end: float
    """Means of the first and last third of the window."""
    pending_bytes_start: float
    pending_bytes_end: float
    live_sst_bytes_start: float
    live_sst_bytes_end: float
    steal_fraction: float
    valid: bool
    reasons: str
    rocksdb: str | None
    started_at: str

    @property
    def spoiled(self) -> bool:
        """Whether the host lost it to others; a tree that still grows is what it is."""
        return any(words in self.reasons for words in ("CPU steal", "other processes"))


class Landscape(Frozen):
    """Everything measured so far."""

    scenario: TuningScenario
    plan: LandscapePlan
    rows: tuple[LandscapeRow, ...] = ()

    @property
    def missing(self) -> list[tuple[int, int]]:
        """(repeat, configuration) to measure; every second repeat in reverse order."""
        done = {(row.repeat, row.configuration) for row in self.rows if not row.spoiled}
        count = self.plan.configurations + 1
        order = [
            (repeat, number if repeat % 2 == 0 else count - 1 - number)
            for repeat in range(self.plan.repeats)
            for number in range(count)
        ]
        return [pair for pair in order if pair not in done]

    def design(self) -> list[OptionChanges]:
        """Changes of every configuration, from 0, the default."""
        space = search_space(self.scenario.guards)
        points = islice(space.fill(self.plan.seed), self.plan.configurations)
        return [{}, *(changes_of(point, self.scenario.scenario) for point in points)]

    def table(self) -> pd.DataFrame:
        """One row a run."""
        return pd.DataFrame([row.model_dump() for row in self.rows])


def read_landscape(file: Path) -> Landscape:
    """Read a landscape: JSON lines, the first of them scenario and plan.

    Raises
    ------
    InputError
        When it can't be read, with the line.
    """
    try:
        first, *rest = file.read_bytes().splitlines()
        head = orjson.loads(first)
        return Landscape(**head, rows=tuple(LandscapeRow(**orjson.loads(line)) for line in rest))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, ValidationError) as error:
        raise InputError(f"{file}: is no landscape ({str(error).splitlines()[0]})") from None


def write_landscape(file: Path, landscape: Landscape) -> None:
    """Write it whole, rows in order of configuration and repeat."""
    rows = sorted(landscape.rows, key=lambda row: (row.configuration, row.repeat))
    head = landscape.model_dump_json(exclude={"rows"})
    lines = [head, *(row.model_dump_json() for row in rows)]
    write_atomically(file, "\n".join(lines) + "\n")


def measure_landscape(
    laboratory: Laboratory,
    scenario: TuningScenario,
    file: Path,
    plan: LandscapePlan,
    sitting_s: float,
) -> Landscape:
    """Measure missing rows for at most `sitting_s` seconds; write the file after each.

    Every run starts from a clone of the settled tree of the default options. One that lost the
    CPU to others is run once more, and again in the next sitting.

    Raises
    ------
    InputError
        When the file holds another scenario or plan.
    """
    found = Landscape(scenario=scenario, plan=plan)
    if file.exists():
        kept = read_landscape(file)
        if digest(kept, exclude={"rows"}) != digest(found, exclude={"rows"}):
            raise InputError(f"{file}: holds another scenario or plan; move it away or keep to it")
        found = kept
    design, deadline = found.design(), time.monotonic() + sitting_s
    for repeat, number in found.missing:
        if time.monotonic() + plan.duration_s > deadline:
            break
        spec = scenario.scenario.spec(
            design[number],
            duration_s=plan.duration_s,
            warmup_s=plan.warmup_s,
            seed=derived_seed(plan.seed, "landscape", repeat, number),
            repeat=repeat,
            block=f"landscape/{scenario.name}/{number:03d}",
            base_options=scenario.scenario.options,
        )
        run = laboratory.run(spec)
        if run.result is not None and run.result.validity.blocked_by("steal", "foreign"):
            run = laboratory.run(spec)
        row = landscape_row(run, number, design[number])
        others = [r for r in found.rows if (r.repeat, r.configuration) != (repeat, number)]
        found = found.model_copy(update={"rows": (*others, row)})
        write_landscape(file, found)
    return found


def landscape_row(run: Run, number: int, changes: OptionChanges) -> LandscapeRow:
    """Condense a finished run."""
    result = run.result
    if result is None:
        raise ValueError(f"run {run.spec.run_id} is not finished")
    gauges = {
        "l0_files": "l0_files",
        "pending_compaction_bytes": "pending_bytes",
        "live_sst_bytes": "live_sst_bytes",
    }
    inside = run.window[list(gauges)].rename(columns=gauges)
    third = max(1, len(inside) // 3)
    ends = {
        **{f"{name}_start": float(value) for name, value in inside[:third].mean().items()},
        **{f"{name}_end": float(value) for name, value in inside[-third:].mean().items()},
    }
    return LandscapeRow(
        configuration=number,
        repeat=run.spec.repeat,
        changes=changes,
        put_ops_per_s=result.put_rate_ops_per_s.value,
        put_latency_p999_us=result.put_latency_us["p999"],
        stall_fraction=result.stall_fraction,
        write_bytes_per_user_byte=result.write_bytes_per_user_byte,
        space_amplification=space_amplification(run),
        memtable_bytes=memtable_bytes(run.spec.options),
        steal_fraction=result.steal_fraction,
        valid=result.validity.valid,
        reasons="; ".join(map(str, result.validity.reasons)),
        rocksdb=run.host.rocksdb_version,
        started_at=result.started_at,
        **ends,
    )
