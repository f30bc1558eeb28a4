"""A tuning on disk: what was asked, so that a killed one goes on, and what a person takes away."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from phase_d_lib.calibration import DEFAULT
from phase_d_lib.profiles import OptionChanges, TuningPlan
from phase_d_lib.rates import Estimate
from phase_d_lib.specs import Frozen
from phase_d_lib.tuning.comparison import Effect, Trial
from phase_d_lib.tuning.handover import Form, handover
from phase_d_lib.tuning.protocol import TuningResult
from phase_d_lib.tuning.scenarios import TuningScenario
from phase_d_lib.workspace import claim, write_atomically

JOURNAL, ASSIGNMENT, RESULT = "study.jsonl", "assignment.json", "result.json"
FILES: dict[str, Form] = {
    "OPTIONS": "options_file",
    "changes.diff": "diff",
    "options.cc": "cpp",
    "Options.java": "java",
    "options.ini": "ini",
    "apply.sh": "commands",
}
"""File -> form the chosen options are written in."""


class Assignment(Frozen):
    """What a tuning was asked to do."""

    tuned: TuningScenario
    plan: TuningPlan
    sampler: str
    seed: int

    def same_but_seed(self, other: Assignment) -> bool:
        """Whether two ask for the same work."""
        return self.model_copy(update={"seed": other.seed}) == other


class Side(Frozen):
    """Default or chosen set over the valid runs of the pairs: rate, latency and stalls together."""

    put_ops_per_s: float
    put_latency_p999_us: float | None
    stall_fraction: float
    write_bytes_per_user_byte: float | None
    space_amplification: float


class Summary(Frozen):
    """What a tuning came to."""

    scenario: str
    sampler: str
    seed: int
    chosen: str
    chosen_changes: OptionChanges
    gain: float | None
    """Put rate of the chosen set over the default's, inside fresh pairs; 1.3 is 30 % more. Of the
    best set tried where none was chosen; None without valid pairs."""
    gain_interval_95: tuple[float, float] | None
    held_gain: float | None
    """The same of the rates without borrowed debt."""
    effect: Effect
    memtable_bytes_ratio: float | None
    pairs: int
    evaluations: int
    """Runs the search spent, repeats and finalists included."""
    rejected: int
    """Proposals that broke a guard and never ran."""
    guards_broken: int
    """Evaluated sets that broke a guard as measured; they can't be chosen."""
    default: Side | None
    tuned: Side | None
    s_max_ops_per_s: dict[str, Estimate | None]
    options_file: str | None
    """None: the default is kept."""
    folder: str


def open_tuning(root: Path, asked: Assignment, seed: int | None) -> tuple[Path, Assignment]:
    """Return the folder of a tuning: an unfinished one of the same work, or a new one.

    Parameters
    ----------
    asked : Assignment
        Its seed is used for a new one.
    seed : int, optional
        Insist on this seed.

    Raises
    ------
    NotOursError
        When the folder holds anything this project did not create.
    """
    for file in sorted(root.glob(f"*/{ASSIGNMENT}"), key=lambda f: -f.stat().st_mtime):
        kept = Assignment.model_validate_json(file.read_bytes())
        wanted = seed is None or seed == kept.seed
        if wanted and kept.same_but_seed(asked) and not (file.parent / RESULT).is_file():
            return claim(file.parent), kept
    folder = claim(root / f"{asked.tuned.name}-{asked.sampler}-{asked.seed}")
    write_atomically(folder / ASSIGNMENT, asked.model_dump_json(indent=1))
    return folder, asked


def close_tuning(
    folder: Path, asked: Assignment, result: TuningResult, apply_command: str
) -> Summary:
    """Write the result and, if a set was chosen, its options in every form; return the summary."""
    default = asked.tuned.scenario.options
    options_file = None
    if result.chosen != DEFAULT:
        for name, form in FILES.items():
            text = handover(default, result.chosen_changes, form, apply_command)
            write_atomically(folder / name, text)
        options_file = str(folder / "OPTIONS")
    write_atomically(folder / RESULT, result.model_dump_json())
    return summarise(asked, result, str(folder), options_file)


def summarise(
    asked: Assignment, result: TuningResult, folder: str, options_file: str | None
) -> Summary:
    """Condense a tuning."""
    comparison, search = result.comparison, result.search
    ratio = comparison.rate_ratio if comparison else None
    held = comparison.held_ratio if comparison else None
    whole = ratio is not None and ratio.low is not None and ratio.high is not None
    return Summary(
        scenario=asked.tuned.name,
        sampler=asked.sampler,
        seed=asked.seed,
        chosen=result.chosen,
        chosen_changes=result.chosen_changes,
        gain=ratio.value if ratio else None,
        gain_interval_95=(ratio.low, ratio.high) if ratio and whole else None,
        held_gain=held.value if held else None,
        effect=comparison.effect if comparison else "none",
        memtable_bytes_ratio=comparison.memtable_bytes_ratio if comparison else None,
        pairs=comparison.pairs if comparison else 0,
        evaluations=len(search.evaluations) if search else 0,
        rejected=len(search.rejected) if search else 0,
        guards_broken=search.guards_broken if search else 0,
        default=side(result.trials, DEFAULT),
        tuned=side(result.trials, comparison.option_set) if comparison else None,
        s_max_ops_per_s={name: s.s_max_ops_per_s for name, s in result.sustained.items()},
        options_file=options_file,
        folder=folder,
    )


def side(trials: tuple[Trial, ...], name: str) -> Side | None:
    """Mean of one option set over its valid runs; None without any."""
    own = [t for t in trials if t.option_set == name and t.verdict.valid]
    if not own:
        return None

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return fmean(known) if known else None

    return Side(
        put_ops_per_s=fmean(t.put_ops_per_s for t in own),
        put_latency_p999_us=mean([t.put_latency_p999_us for t in own]),
        stall_fraction=fmean(t.stall_fraction for t in own),
        write_bytes_per_user_byte=mean([t.write_bytes_per_user_byte for t in own]),
        space_amplification=fmean(t.space_amplification for t in own),
    )
