"""The same run on several engines, builds or versions of RocksDB, interleaved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from phase_d_lib.calibration import DEFAULT
from phase_d_lib.engines import find_engine
from phase_d_lib.errors import InputError
from phase_d_lib.laboratory import Laboratory, derived_seed
from phase_d_lib.rates import Estimate
from phase_d_lib.specs import Frozen, RunSpec
from phase_d_lib.tuning.comparison import Trial, block_ratio
from phase_d_lib.tuning.outcome import outcome

MIN_PAIRS = 3
"""Fewer pairs give a ratio without an interval."""


class SweptEngine(Frozen):
    """One engine over its valid runs; ratios are to the first engine, inside pairs."""

    engine: str
    build: str
    rocksdb_version: str | None
    """As the LOG of its last run says."""
    valid_runs: int
    put_ops_per_s: float | None
    """Mean of the valid runs, as the two below; None without one."""
    stall_fraction: float | None
    write_bytes_per_user_byte: float | None
    """Flush plus compaction writes."""
    rate_ratio: Estimate | None = None
    """None for the first engine, and without a pair whose two runs are valid."""
    stall_ratio: Estimate | None = None
    write_amplification_ratio: Estimate | None = None
    refused: tuple[str, ...] = ()
    """Why runs were not valid, one text each."""


class Sweep(Frozen):
    """The whole sweep."""

    spec: RunSpec
    """As given; each pair of runs has a seed derived from its seed."""
    repeats: int
    trials: tuple[Trial, ...]
    """In the order they ran; ``option_set`` is ``default`` for the first engine, else its place."""
    engines: tuple[SweptEngine, ...]


def sweep(laboratory: Laboratory, spec: RunSpec, engines: Sequence[str], repeats: int) -> Sweep:
    """Run `spec` on every engine once a repeat, every second repeat in reversed order.

    The runs of a repeat share keys and arrivals where the engines draw the same; each engine starts
    from a tree that it loaded itself. An engine named twice is a control: both are the same.

    Raises
    ------
    InputError
        For fewer than two engines, and before anything runs when one can't do what the spec asks.
    """
    if len(engines) < 2:
        raise InputError("--engine: give two or more to compare, for example embedded, librocksdb")
    for name in engines:
        find_engine(name).check(spec)
    places = [DEFAULT, *map(str, range(1, len(engines)))]
    trials: list[Trial] = []
    versions: dict[str, str | None] = {}
    for repeat in range(repeats):
        order = list(zip(places, engines, strict=True))
        for place, name in order if repeat % 2 == 0 else reversed(order):
            run = laboratory.run(
                spec.model_copy(
                    update={
                        "engine": name,
                        "seed": derived_seed(spec.seed, "sweep", repeat),
                        "repeat": repeat,
                        "block": f"sweep/{place}",
                    }
                )
            )
            versions[place] = run.host.rocksdb_version
            trials.append(Trial(option_set=place, pair=repeat, order=len(trials), **outcome(run)))
    return Sweep(
        spec=spec,
        repeats=repeats,
        trials=tuple(trials),
        engines=tuple(
            _row(place, name, versions[place], trials)
            for place, name in zip(places, engines, strict=True)
        ),
    )


def _row(place: str, name: str, version: str | None, trials: Sequence[Trial]) -> SweptEngine:
    own = [trial for trial in trials if trial.option_set == place]
    valid = [trial for trial in own if trial.verdict.valid]
    written = [
        t.write_bytes_per_user_byte for t in valid if t.write_bytes_per_user_byte is not None
    ]
    return SweptEngine(
        engine=name,
        build=find_engine(name).build(),
        rocksdb_version=version,
        valid_runs=len(valid),
        put_ops_per_s=fmean(t.put_ops_per_s for t in valid) if valid else None,
        stall_fraction=fmean(t.stall_fraction for t in valid) if valid else None,
        write_bytes_per_user_byte=fmean(written) if written else None,
        rate_ratio=ratio(trials, place, lambda trial: trial.put_ops_per_s),
        stall_ratio=ratio(trials, place, lambda trial: trial.stall_fraction),
        write_amplification_ratio=ratio(
            trials, place, lambda trial: trial.write_bytes_per_user_byte
        ),
        refused=tuple(
            "; ".join(map(str, trial.verdict.reasons)) for trial in own if not trial.verdict.valid
        ),
    )


def ratio(
    trials: Sequence[Trial], place: str, measure: Callable[[Trial], float | None]
) -> Estimate | None:
    """Geometric mean of a measure over the first engine's inside pairs (:func:`block_ratio`).

    None for the first engine, and where no pair has two valid runs with a measure above 0; no
    interval from fewer than three pairs.
    """
    if place == DEFAULT:
        return None
    # The ratio is one of rates; any other positive measure takes the rate's place in it.
    measured = [
        trial.model_copy(update={"put_ops_per_s": value})
        for trial in trials
        if (value := measure(trial)) is not None and value > 0
    ]
    found = block_ratio(measured, place)
    if found is None or found.blocks >= MIN_PAIRS:
        return found
    return Estimate(value=found.value, blocks=found.blocks)


def table(result: Sweep) -> str:
    """Return the engines and their ratios as plain text for the command line."""
    width = max(len(row.engine) for row in result.engines)
    lines = [
        f"{'engine':<{width}}  version  valid   puts/s  stalled    WA  rate, stall, WA / first"
    ]
    for row in result.engines:
        ratios = (row.rate_ratio, row.stall_ratio, row.write_amplification_ratio)
        lines.append(
            f"{row.engine:<{width}}  {row.rocksdb_version or '?':>7}  "
            f"{row.valid_runs:>2}/{result.repeats:<2} "
            f"{_cell(row.put_ops_per_s, ',.0f'):>8} {_cell(row.stall_fraction, '.1%'):>8} "
            f"{_cell(row.write_bytes_per_user_byte, '.2f'):>5}  "
            + ("-" if row is result.engines[0] else "  ".join(map(_interval, ratios)))
        )
    lines += [f"{row.engine}: {row.build}" for row in result.engines]
    lines += [f"{row.engine}: not valid: {why}" for row in result.engines for why in row.refused]
    return "\n".join(lines)


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _interval(found: Estimate | None) -> str:
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
