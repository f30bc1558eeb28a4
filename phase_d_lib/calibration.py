"""Measure what the models need: the host's speeds, and amplification of known configurations."""

from __future__ import annotations

from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.ledger import Ledger, ledger_of
from phase_d_lib.models.base import Amplification, Case, HostSpeeds, LevelFlow
from phase_d_lib.profiles import IntegrationPlan, OptionChanges, Scenario
from phase_d_lib.rates import Estimate
from phase_d_lib.runs import Run, RunResult, utc_now
from phase_d_lib.specs import Frozen, RunSpec, digest
from phase_d_lib.validity import Verdict

_NEVER = 10_000
MAX_FOREGROUND_STALL_FRACTION = 0.02
"""Above it the foreground run was not unstalled, so it says nothing of U."""


class CalibrationRow(Frozen):
    """One measured configuration."""

    name: str
    run_id: str
    changes: OptionChanges
    case: Case
    """The case as a model sees it, amplification measured in this very run."""
    measured_ops_per_s: Estimate
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
    rows: tuple[CalibrationRow, ...]

    @property
    def hash(self) -> str:
        """Hash of the whole content, as models quote it."""
        return digest(self)

    @property
    def usable(self) -> tuple[CalibrationRow, ...]:
        """Rows whose run may be used: the valid ones."""
        return tuple(row for row in self.rows if row.verdict.valid)


def calibrate(
    laboratory: Laboratory, scenario: Scenario, plan: IntegrationPlan, seed: int
) -> Calibration:
    """Measure U, mu, CPU costs and the amplification of the plan's configurations."""
    foreground = laboratory.run(_foreground_spec(scenario, plan, seed))
    slots = laboratory.run(_slot_spec(scenario, plan, seed))
    host, sources = host_speeds(foreground, slots)
    rows = []
    for name, changes in plan.calibration.items():
        spec = scenario.spec(
            changes,
            duration_s=plan.duration_s,
            warmup_s=plan.warmup_s,
            seed=derived_seed(seed, "calibration", name),
            block=f"calibration/{name}",
        )
        rows.append(_row(name, changes, laboratory.run(spec), host))
    return Calibration(
        measured_at=foreground.result.started_at if foreground.result else utc_now(),
        seed=seed,
        rocksdb_version=slots.host.rocksdb_version,
        host=host,
        sources=sources,
        rows=tuple(rows),
    )


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


def host_speeds(foreground: Run, slots: Run) -> tuple[HostSpeeds, dict[str, str]]:
    """Derive U, mu and CPU costs from the unstalled and the unlimited run.

    CPU per put includes the flush of what was put; CPU per compacted byte is what remains of the
    unlimited run. mu is compaction output over busy time of its jobs, without a limiter.
    A quantity whose run lost CPU to others, or a U whose run stalled, is None.
    """
    unstalled, unlimited = _trusted(foreground), _trusted(slots)
    if unstalled and unstalled.stall_fraction > MAX_FOREGROUND_STALL_FRACTION:
        unstalled = None
    put_s = unstalled.cpu_cores_used / unstalled.put_rate_ops_per_s.value if unstalled else None
    ledger = ledger_of(slots)
    merges = [level for level in ledger.levels if level.level > 0 and level.busy_s > 0]
    busy_s = sum(level.busy_s for level in merges)
    by_level = {level.level: level.write_bytes / level.busy_s for level in merges}
    merged = sum(level.write_bytes for level in merges)
    compacted_per_s = ledger.compaction_write_bytes / ledger.window_s
    byte_s = None
    if unlimited and put_s is not None and compacted_per_s > 0:
        spare = unlimited.cpu_cores_used - put_s * unlimited.put_rate_ops_per_s.value
        byte_s = spare / compacted_per_s if spare > 0 else None
    speeds = HostSpeeds(
        cores=slots.host.cores,
        foreground_ops_per_s=unstalled.put_rate_ops_per_s.value if unstalled else None,
        slot_write_bytes_per_s=merged / busy_s if unlimited and busy_s > 0 else None,
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
    ).model_copy(update={"limiter_bytes_per_s": None, "base_options": scenario.options})


def _slot_spec(scenario: Scenario, plan: IntegrationPlan, seed: int) -> RunSpec:
    """The scenario without its limiter: compactions run as fast as this host lets them."""
    return scenario.spec(
        duration_s=plan.slot_s,
        warmup_s=min(1.0, plan.slot_s / 4),
        sample_period_s=0.25,
        seed=derived_seed(seed, "slots"),
        block="calibration/slots",
    ).model_copy(update={"limiter_bytes_per_s": None})


def _row(name: str, changes: OptionChanges, run: Run, host: HostSpeeds) -> CalibrationRow:
    result = run.result
    if result is None:
        raise ValueError(f"run {run.spec.run_id} is not finished")
    amplification = measured_amplification(ledger_of(run))
    return CalibrationRow(
        name=name,
        run_id=run.spec.run_id,
        changes=changes,
        case=Case.of(run.spec, host, amplification),
        measured_ops_per_s=result.put_rate_ops_per_s,
        stall_fraction=result.stall_fraction,
        verdict=result.validity,
    )
