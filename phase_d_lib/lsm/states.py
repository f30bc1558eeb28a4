"""Which steady states a configuration has: runs from two starts, cut into blocks and grouped.

What remembers the state is the delayed rate. A delay lowers it only from one evaluation to the next
inside the delay. Where each memtable fills before the flush of the one before ends, every delay is
cut short by a memtable stop, the rate stays at its ceiling, and level 0 climbs to the stop trigger.
Once the rate is so low that a memtable outlasts its flush, each delay lowers it about as much as
the recovery raises it, and level 0 stays near the slowdown trigger. Either keeps itself up, and
jitter moves a run from one to the other only rarely: so a mean over seeds, or over a long run,
describes neither.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from phase_d_lib.errors import InputError
from phase_d_lib.lsm.engine import Simulation
from phase_d_lib.lsm.geometry import geometry
from phase_d_lib.lsm.resources import Resources
from phase_d_lib.lsm.simulation import DEFAULT_SEEDS, refuse_uncovered, settled
from phase_d_lib.lsm.state import Counters
from phase_d_lib.specs import OptionsSpec, WorkloadSpec
from phase_d_lib.stalls import MIN_DELAYED_RATE_BYTES_PER_S, StallKind

THROTTLED = 32
"""The second start has the delayed rate at its ceiling divided by this, as after long delays."""
MIN_BLOCKS = 8
"""Fewer blocks are one state."""
MIN_ASHMAN_D = 3.0
"""Least distance of two states, in spreads within them; halves of one normal state have 2.6."""
MAX_BETWEEN = 0.1
"""Most blocks in the middle third between two states, fraction."""
MIN_STAY = 0.7
"""Least probability that a block is followed by one of its own state; halves of noise have 0.5."""


@dataclass(frozen=True, slots=True)
class SteadyState:
    """One state that runs stay in; means over the blocks spent in it.

    Attributes
    ----------
    saturation_ops_per_s : float
        Mean put rate, stalls included.
    mean_l0_files : float
    stall_fraction : float
        Share of time the writer waited for the controller.
    delayed_rate_bytes_per_s : float
        Median of the controller's rate at the ends of blocks.
    fresh_fraction, throttled_fraction : float
        Share of the time of runs that began with the delayed rate at its ceiling, as every open
        does, and far below it.
    stay_s : float
        Mean time from entering to leaving; infinite where no run was seen to leave.
    """

    saturation_ops_per_s: float
    mean_l0_files: float
    stall_fraction: float
    delayed_rate_bytes_per_s: float
    fresh_fraction: float
    throttled_fraction: float
    stay_s: float


@dataclass(frozen=True, slots=True)
class _Block:
    rate_ops_per_s: float
    l0_files: float
    stall_fraction: float
    delayed_rate_bytes_per_s: int


def steady_states(
    workload: WorkloadSpec,
    options: OptionsSpec,
    *,
    limiter_bytes_per_s: float | None,
    foreground_ops_per_s: float,
    window_s: tuple[float, float] = (20.0, 120.0),
    block_s: float = 10.0,
    seeds: Sequence[int] = DEFAULT_SEEDS,
    slot_write_bytes_per_s: float | None = None,
    limiter_refill_s: float = 0.1,
) -> tuple[SteadyState, ...]:
    """Return the one or two steady states of a closed loop, by level-0 files, ascending.

    Each seed runs twice: from a fresh open, and with the delayed rate far below its ceiling. The
    blocks of all runs are split where the spread of level-0 files within the two groups is least.
    They are two states if they are far apart, hardly a block lies between, and runs stay in them;
    otherwise they are one.

    Parameters
    ----------
    workload, options, limiter_bytes_per_s, foreground_ops_per_s, seeds : see `simulate`
    slot_write_bytes_per_s, limiter_refill_s : see `simulate`
    window_s : tuple of float
        Start and end of what counts, seconds since the run's start. A tree that still fills by its
        start would pass for a state.
    block_s : float
        Longer than the stall cycle, far shorter than a stay.

    Raises
    ------
    InputError
        For a window without two whole blocks, or no seeds.
    ModelRefusal
        For a case the simulation does not cover; the error names the field.

    Notes
    -----
    Both starts have level 0 empty but for what the settled tree holds. A state that neither leads
    to is not found.
    """
    if not (0.0 <= window_s[0] < math.inf and 0.0 < 2 * block_s <= window_s[1] - window_s[0]):
        raise InputError(
            f"window_s = {window_s}, block_s = {block_s}: the window must start at 0 s or later and"
            " hold two blocks or more"
        )
    if not seeds:
        raise InputError("seeds is empty: give at least one")
    refuse_uncovered(workload, options, limiter_bytes_per_s, slot_write_bytes_per_s)
    shape = geometry(workload, options)
    resources = Resources(
        limiter_bytes_per_s or math.inf, slot_write_bytes_per_s or math.inf, limiter_refill_s
    )
    low = max(MIN_DELAYED_RATE_BYTES_PER_S, options.delayed_write_rate // THROTTLED)
    runs: list[list[_Block]] = []
    for rate in (options.delayed_write_rate, min(low, options.delayed_write_rate)):
        for seed in seeds:
            simulation = settled(shape, options, workload.preload, random.Random(seed))
            simulation.open(resources, foreground_ops_per_s)
            simulation.controller = replace(
                simulation.controller, delayed_rate_bytes_per_s=max(1, rate)
            )
            runs.append(list(_blocks(simulation, window_s, block_s)))
    high = split(np.array([[block.l0_files for block in run] for run in runs]))
    groups = (~high, high) if high.any() else (~high,)
    return tuple(_state(runs, group, block_s) for group in groups)


def split(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell for each block of each run whether it is in the higher of two states.

    Parameters
    ----------
    values : ndarray of float, shape (runs, blocks)

    Returns
    -------
    ndarray of bool, shape (runs, blocks)
        All False where there is one state.

    Notes
    -----
    Source of the distance D: Ashman, Bird and Zepf (1994), Astronomical Journal 108, 2348.
    """
    one = np.zeros(values.shape, dtype=bool)
    ordered = np.sort(values, axis=None)
    if len(ordered) < MIN_BLOCKS or ordered[0] == ordered[-1]:
        return one
    cuts = range(1, len(ordered))
    within = [n * ordered[:n].var() + (len(ordered) - n) * ordered[n:].var() for n in cuts]
    cut = cuts[int(np.argmin(within))]
    high = values >= ordered[cut]
    if not high.any() or high.all():
        return one
    bottom, top = values[~high].mean(), values[high].mean()
    third = (top - bottom) / 3.0
    # A product, not a quotient: groups without any spread are far apart too.
    spread = math.hypot(values[~high].std(), values[high].std())
    far = math.sqrt(2.0) * (top - bottom) > MIN_ASHMAN_D * spread
    between = float(((values > bottom + third) & (values < top - third)).mean())
    same = high[:, 1:] == high[:, :-1]
    stays = [same[high[:, :-1] == state] for state in (False, True)]
    kept = all(len(stay) > 0 and stay.mean() >= MIN_STAY for stay in stays)
    return high if far and between <= MAX_BETWEEN and kept else one


def _blocks(
    simulation: Simulation, window_s: tuple[float, float], block_s: float
) -> Iterator[_Block]:
    simulation.run_until(window_s[0])
    before = simulation.snapshot()
    for number in range(1, int((window_s[1] - window_s[0]) / block_s + 1e-9) + 1):
        simulation.run_until(window_s[0] + number * block_s)
        after = simulation.snapshot()
        yield _Block(
            rate_ops_per_s=(after.puts - before.puts) / block_s,
            l0_files=(after.l0_file_s - before.l0_file_s) / block_s,
            stall_fraction=(_waiting_s(after) - _waiting_s(before)) / block_s,
            delayed_rate_bytes_per_s=simulation.controller.delayed_rate_bytes_per_s,
        )
        before = after


def _waiting_s(counters: Counters) -> float:
    waiting = counters.waiting_s.items()
    return sum(spent for (kind, _), spent in waiting if kind is not StallKind.NORMAL)


def _state(
    runs: Sequence[Sequence[_Block]], members: npt.NDArray[np.bool_], block_s: float
) -> SteadyState:
    """Describe the state that the blocks marked in `members` are in."""
    pairs = zip(runs, members, strict=True)
    own = [block for run, marks in pairs for block, mark in zip(run, marks, strict=True) if mark]
    left = sum(a and not b for marks in members.tolist() for a, b in pairwise(marks))
    half = len(runs) // 2
    return SteadyState(
        saturation_ops_per_s=float(np.mean([block.rate_ops_per_s for block in own])),
        mean_l0_files=float(np.mean([block.l0_files for block in own])),
        stall_fraction=float(np.mean([block.stall_fraction for block in own])),
        delayed_rate_bytes_per_s=float(
            np.median([block.delayed_rate_bytes_per_s for block in own])
        ),
        fresh_fraction=float(members[:half].mean()),
        throttled_fraction=float(members[half:].mean()),
        stay_s=len(own) * block_s / left if left else math.inf,
    )
