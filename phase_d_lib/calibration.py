"""Measure what the models need: device, host, known configurations, and their sustainable rate."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from phase_d_lib.design import draw_cases
from phase_d_lib.device import DeviceProbe
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.ledger import Ledger, ledger_of
from phase_d_lib.models.base import (
    Amplification,
    Case,
    DeviceEnvelope,
    HostSpeeds,
    LedgerClosure,
    LevelFlow,
)
from phase_d_lib.profiles import IntegrationPlan, OptionChanges, Scenario
from phase_d_lib.rates import Estimate
from phase_d_lib.runs import Run, RunResult, utc_now
from phase_d_lib.smax import SMaxResult, measure
from phase_d_lib.specs import Frozen, RunSpec, digest, parse
from phase_d_lib.validity import Verdict
from phase_d_lib.workspace import Workspace, claim, read_json_object, write_atomically

DEFAULT = "default"
"""Name of the scenario's own configuration."""
_NEVER = 10_000
_UNLIMITED = {"limiter_bytes_per_s": None, "device_limit_bytes_per_s": None}
MAX_FOREGROUND_STALL_FRACTION = 0.02
"""Above it the foreground run was not unstalled, so it says nothing of U."""


class CalibrationRow(Frozen):
    """One measured configuration."""

    name: str
    run_id: str
    changes: OptionChanges
    case: Case
    """The case as a model sees it, amplification measured in this very run, without device."""
    measured_ops_per_s: Estimate
    s_max_ops_per_s: Estimate | None = None
    """Only where the plan asked for it."""
    stall_fraction: float
    verdict: Verdict


class Calibration(Frozen):
    """Everything measured before a prediction."""

    measured_at: str
    seed: int
    rocksdb_version: str | None
    host: HostSpeeds
    sources: dict[str, str]
    """Quantity -> id of the run it was measured in."""
    device: DeviceProbe | None = None
    """None where the plan measures no device."""
    sustained: SMaxResult | None = None
    """Search for S_max of the scenario's own configuration."""
    rows: tuple[CalibrationRow, ...]

    @property
    def hash(self) -> str:
        """Hash of the whole content, as models quote it."""
        return digest(self)

    @property
    def usable(self) -> tuple[CalibrationRow, ...]:
        """Rows whose run may be used: the valid ones."""
        return tuple(row for row in self.rows if row.verdict.valid)

    @cached_property
    def envelope(self) -> DeviceEnvelope:
        """What the models are told of the device."""
        if self.device is None:
            return DeviceEnvelope()
        return DeviceEnvelope.of(self.device.grid)


def calibrate(
    laboratory: Laboratory, scenario: Scenario, plan: IntegrationPlan, seed: int
) -> Calibration:
    """Measure device, U, mu, CPU costs, the plan's configurations and, if asked for, S_max."""
    device = None if plan.device is None else laboratory.probe(plan.device)
    foreground = laboratory.run(_foreground_spec(scenario, plan, seed))
    slots = laboratory.run(_slot_spec(scenario, plan, seed))
    host, sources = host_speeds(foreground, slots)
    sustained, rows = None, []
    if plan.s_max is not None:
        own = _specs(scenario, plan, {DEFAULT: {}}, seed)[DEFAULT]
        run = laboratory.run(own)
        row = _row(DEFAULT, {}, run, host)
        sustained = measure(laboratory, own, row.measured_ops_per_s.value, plan.s_max)
        rows.append(row.model_copy(update={"s_max_ops_per_s": sustained.s_max_ops_per_s}))
    drawn = draw_cases(scenario, plan.drawn, derived_seed(seed, "calibration", "design"))
    configurations = plan.calibration | {f"drawn-{name}": c for name, c in drawn.items()}
    for name, spec in _specs(scenario, plan, configurations, seed).items():
        rows.append(_row(name, configurations[name], laboratory.run(spec), host))
    return Calibration(
        measured_at=foreground.result.started_at if foreground.result else utc_now(),
        seed=seed,
        rocksdb_version=slots.host.rocksdb_version,
        host=host,
        sources=sources,
        device=device,
        sustained=sustained,
        rows=tuple(rows),
    )


def _specs(
    scenario: Scenario, plan: IntegrationPlan, configurations: dict[str, OptionChanges], seed: int
) -> dict[str, RunSpec]:
    return {
        name: scenario.spec(
            changes,
            duration_s=plan.duration_s,
            warmup_s=plan.warmup_s,
            seed=derived_seed(seed, "calibration", name),
            block=f"calibration/{name}",
        )
        for name, changes in configurations.items()
    }


def keep(workspace: Workspace, calibration: Calibration) -> Path:
    """Write a calibration under its hash; return the file."""
    file = claim(workspace.calibrations) / f"{calibration.hash}.json"
    write_atomically(file, calibration.model_dump_json(indent=1))
    return file


def read_calibration(file: Path) -> Calibration:
    """Read a kept calibration.

    Raises
    ------
    InputError
        One line, when it cannot be read or is no calibration of this version.
    """
    return parse(Calibration, read_json_object(file), str(file))


def table(calibration: Calibration) -> str:
    """Plain-text table of what was measured."""
    host, lines = calibration.host, [f"calibration {calibration.hash}, seed {calibration.seed}"]
    for name, value in host.model_dump(exclude={"level_slot_write_bytes_per_s"}).items():
        lines.append(f"  {name:28} {'not measured' if value is None else f'{value:,.4g}'}")
    lines.append(f"{'configuration':24} {'saturation puts/s':>18} {'WA':>6} {'stalled':>8}  valid")
    for row in calibration.rows:
        amplification = row.case.amplification
        wa = amplification.background_bytes_per_user_byte if amplification else float("nan")
        lines.append(
            f"{row.name:24} {row.measured_ops_per_s.value:>18,.0f} {wa:>6.2f} "
            f"{row.stall_fraction:>8.0%}  {'yes' if row.verdict.valid else 'no'}"
        )
    return "\n".join(lines)


def measured_amplification(ledger: Ledger) -> Amplification:
    """Amplification of a run from its own ledger (closure figures only)."""
    puts = ledger.user_bytes > 0
    levels = tuple(
        LevelFlow(
            level=level.level, write_bytes_per_user_byte=level.write_bytes / ledger.user_bytes
        )
        for level in ledger.levels
        if puts
    )
    read = ledger.device_read_bytes
    return Amplification(
        source="given",
        wal_bytes_per_user_byte=ledger.per_user_byte("wal_bytes"),
        flush_bytes_per_user_byte=ledger.per_user_byte("flush_write_bytes"),
        compaction_write_bytes_per_user_byte=ledger.per_user_byte("compaction_write_bytes"),
        device_read_bytes_per_user_byte=(
            ledger.per_user_byte("device_read_bytes") if read is not None else None
        ),
        levels=levels,
    )


def measured_closure(ledger: Ledger) -> LedgerClosure:
    """Whether the ledger of a run adds up."""
    return LedgerClosure(write=ledger.write_closure, device=ledger.device_closure)


def host_speeds(foreground: Run, slots: Run) -> tuple[HostSpeeds, dict[str, str]]:
    """Derive U, mu and CPU costs from the unstalled and the unlimited run.

    CPU per put includes the flush of what was put; CPU per compacted byte is what remains of the
    unlimited run. mu is compaction output over the time slots were occupied, without a limiter.
    A quantity whose run lost CPU to others, or a U whose run stalled, is None.
    """
    unstalled, unlimited = _trusted(foreground), _trusted(slots)
    if unstalled and unstalled.stall_fraction > MAX_FOREGROUND_STALL_FRACTION:
        unstalled = None
    put_s = unstalled.cpu_cores_used / unstalled.put_rate_ops_per_s.value if unstalled else None
    ledger = ledger_of(slots)
    merges = [level for level in ledger.levels if level.level > 0 and level.busy_s > 0]
    mu = ledger.slot_write_bytes_per_s
    # The LOG tells levels apart, the gauge tells what a slot really gives.
    merged, busy_s = (sum(getattr(level, n) for level in merges) for n in ("write_bytes", "busy_s"))
    scale = mu * busy_s / merged if mu and merged > 0 else None
    by_level = {m.level: scale * m.write_bytes / m.busy_s for m in merges} if scale else {}
    compacted_per_s = ledger.compaction_write_bytes / ledger.window_s
    byte_s = None
    if unlimited and put_s is not None and compacted_per_s > 0:
        spare = unlimited.cpu_cores_used - put_s * unlimited.put_rate_ops_per_s.value
        byte_s = spare / compacted_per_s if spare > 0 else None
    speeds = HostSpeeds(
        cores=slots.host.cores,
        foreground_ops_per_s=unstalled.put_rate_ops_per_s.value if unstalled else None,
        slot_write_bytes_per_s=mu if unlimited else None,
        level_slot_write_bytes_per_s=by_level if unlimited else {},
        cpu_s_per_put=put_s,
        cpu_s_per_compacted_byte=byte_s,
    )
    sources = {
        "foreground_ops_per_s": foreground.spec.run_id,
        "cpu_s_per_put": foreground.spec.run_id,
        "slot_write_bytes_per_s": slots.spec.run_id,
        "cpu_s_per_compacted_byte": slots.spec.run_id,
    }
    return speeds, sources


def _trusted(run: Run) -> RunResult | None:
    # Neither run is in a steady state by design, so only what spoils a CPU figure counts.
    result = run.result
    if result is None or result.validity.blocked_by("incomplete", "steal", "foreign"):
        return None
    return result


def _foreground_spec(scenario: Scenario, plan: IntegrationPlan, seed: int) -> RunSpec:
    """No stall can happen: the triggers are out of reach, memtables plenty, no limiter."""
    unreachable: OptionChanges = {
        "max_write_buffer_number": 32,
        "level0_file_num_compaction_trigger": _NEVER,
        "level0_slowdown_writes_trigger": _NEVER,
        "level0_stop_writes_trigger": _NEVER,
    }
    return scenario.spec(
        unreachable,
        duration_s=plan.foreground_s,
        warmup_s=min(1.0, plan.foreground_s / 4),
        sample_period_s=0.25,
        seed=derived_seed(seed, "foreground"),
        block="calibration/foreground",
    ).model_copy(update={**_UNLIMITED, "base_options": scenario.options})


def _slot_spec(scenario: Scenario, plan: IntegrationPlan, seed: int) -> RunSpec:
    """The scenario without its limiter: compactions run as fast as this host lets them."""
    return scenario.spec(
        duration_s=plan.slot_s,
        warmup_s=min(1.0, plan.slot_s / 4),
        sample_period_s=0.25,
        seed=derived_seed(seed, "slots"),
        block="calibration/slots",
    ).model_copy(update=_UNLIMITED)


def _row(name: str, changes: OptionChanges, run: Run, host: HostSpeeds) -> CalibrationRow:
    result = run.result
    if result is None:
        raise ValueError(f"run {run.spec.run_id} is not finished")
    ledger = ledger_of(run)
    amplification, closure = measured_amplification(ledger), measured_closure(ledger)
    return CalibrationRow(
        name=name,
        run_id=run.spec.run_id,
        changes=changes,
        case=Case.of(run.spec, host, amplification, closure=closure),
        measured_ops_per_s=result.put_rate_ops_per_s,
        stall_fraction=result.stall_fraction,
        verdict=result.validity,
    )
