"""Traces: runs whose load or options change while they go."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from phase_d_lib.engines.protocol import EngineProcess
from phase_d_lib.errors import EngineError
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.optionsfile import LIVE_OPTIONS
from phase_d_lib.profiles import Scenario
from phase_d_lib.runs import Run, read_json_lines
from phase_d_lib.specs import ArrivalSpec, Frozen, OptionsSpec, RunSpec, parse

TRACE_S, WARMUP_S, CHANGE_AT_S = 90.0, 10.0, 40.0


Kind = Literal["options", "load", "stationary"]


class Change(Frozen):
    """A live change of options; changes of the load are in the arrivals of the spec."""

    at_s: float = Field(ge=0)
    options: dict[str, int | float] = Field(min_length=1)


class TraceSpec(Frozen):
    """A run and what is changed while it goes."""

    name: str
    spec: RunSpec
    changes: tuple[Change, ...] = ()

    @model_validator(mode="after")
    def _possible(self) -> TraceSpec:
        times = [change.at_s for change in self.changes]
        if times != sorted(times) or (times and times[-1] >= self.spec.duration_s):
            raise ValueError(f"changes at {times} s must ascend and lie inside the run")
        for change in self.changes:
            fixed = sorted(set(change.options) - LIVE_OPTIONS)
            if fixed:
                raise ValueError(f"{', '.join(fixed)}: RocksDB does not change it live")
            self.spec_at(change.at_s)
        return self

    @property
    def kind(self) -> Kind:
        """What changes the regime."""
        if self.changes:
            return "options"
        moving = self.spec.workload.arrival.kind in ("bursts", "ramp", "trace")
        return "load" if moving else "stationary"

    def spec_at(self, time_s: float) -> RunSpec:
        """Spec with the options that hold at a time."""
        options = self.spec.options.model_dump()
        for change in self.changes:
            if change.at_s <= time_s:
                options |= change.options
        changed = parse(OptionsSpec, options, f"trace {self.name}")
        return self.spec.model_copy(update={"options": changed})


def standard_traces(
    scenario: Scenario, saturation_ops_per_s: float, seed: int
) -> tuple[TraceSpec, ...]:
    """Return ten traces with a change of options or load, and four stationary ones.

    Loads go from half of the saturation rate to 1.2 times it; no window is without arrivals, for
    the logarithm of its rate would tell nothing.
    """
    own, rate = scenario.options, saturation_ops_per_s

    def spec(name: str, options: dict[str, Any] | None = None, **arrival: Any) -> RunSpec:
        changes: dict[str, Any] = dict(options or {})
        if arrival:
            changes["arrival"] = ArrivalSpec(**arrival).model_dump()
        return scenario.spec(
            changes,
            duration_s=TRACE_S,
            warmup_s=WARMUP_S,
            seed=derived_seed(seed, "adaptation", name),
            block=f"adaptation/{name}",
        )

    buffer, base = own.write_buffer_size, own.max_bytes_for_level_base
    slowdown, stop = own.level0_slowdown_writes_trigger, own.level0_stop_writes_trigger
    trigger = own.level0_file_num_compaction_trigger
    low = (trigger + slowdown) // 2
    option_changes: dict[str, dict[str, int | float]] = {
        "buffer-x2": {"write_buffer_size": 2 * buffer},
        "buffer-half": {"write_buffer_size": buffer // 2},
        "level-base-x2": {"max_bytes_for_level_base": 2 * base},
        "level-base-half": {"max_bytes_for_level_base": base // 2},
        "triggers-low": {
            "level0_slowdown_writes_trigger": low,
            "level0_stop_writes_trigger": low + stop - slowdown,
        },
        "triggers-high": {
            "level0_slowdown_writes_trigger": stop,
            "level0_stop_writes_trigger": 2 * stop - slowdown,
        },
    }
    loads: dict[str, dict[str, Any]] = {
        "bursts-over": _bursts(0.8 * rate, 4 / 3, 20.0),
        "bursts-under": _bursts(0.75 * rate, 1.25, 25.0),
        "ramp-up": _ramp(0.5 * rate, 1.2 * rate),
        "ramp-down": _ramp(1.2 * rate, 0.5 * rate),
    }
    steady = {
        "steady": spec("steady"),
        "steady-again": spec("steady-again"),
        "steady-buffer-x2": spec("steady-buffer-x2", {"write_buffer_size": 2 * buffer}),
        "steady-load": spec("steady-load", kind="poisson", rate_ops_per_s=0.8 * rate),
    }
    return (
        *(
            TraceSpec(
                name=name, spec=spec(name), changes=(Change(at_s=CHANGE_AT_S, options=options),)
            )
            for name, options in option_changes.items()
        ),
        *(TraceSpec(name=name, spec=spec(name, **load)) for name, load in loads.items()),
        *(TraceSpec(name=name, spec=asked) for name, asked in steady.items()),
    )


def _bursts(mean: float, factor: float, period_s: float) -> dict[str, Any]:
    shape = {"burst_factor": factor, "burst_period_s": period_s}
    return {"kind": "bursts", "rate_ops_per_s": mean, **shape}


def _ramp(start: float, end: float) -> dict[str, Any]:
    return {"kind": "ramp", "rate_ops_per_s": start, "end_rate_ops_per_s": end}


def run_trace(laboratory: Laboratory, trace: TraceSpec) -> Run:
    """Run a trace, changing its options live, or return its recording.

    Raises
    ------
    EngineError
        When RocksDB did not take a change.
    """
    waiting = list(trace.changes)
    before_s = 0.0

    def follow(row: dict[str, Any], process: EngineProcess) -> None:
        nonlocal waiting, before_s
        if row["time_s"] < before_s:  # a new attempt began
            waiting = list(trace.changes)
        before_s = row["time_s"]
        # The engine looks for commands at its samples, so one is sent a period ahead.
        while waiting and before_s >= waiting[0].at_s - trace.spec.sample_period_s:
            options = waiting.pop(0).options
            process.set_options({name: str(value) for name, value in options.items()})

    run = laboratory.run(trace.spec, on_sample=follow)
    if not laboratory.recorded:
        _must_have_changed(run, trace)
    return run


def _must_have_changed(run: Run, trace: TraceSpec) -> None:
    journal = read_json_lines(run.path / "commands.jsonl")
    refused = [row["error"] for row in journal if row["error"] is not None]
    if refused or len(journal) < len(trace.changes):
        what = refused[0] if refused else f"{len(journal)} of {len(trace.changes)} changes arrived"
        raise EngineError(f"trace {trace.name}: options were not changed: {what}")
