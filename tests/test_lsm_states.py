"""Steady states: how blocks are grouped, and the states of configurations that were measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phase_d_lib.errors import InputError, ModelRefusal
from phase_d_lib.lsm.states import split, steady_states
from phase_d_lib.specs import OptionsSpec, WorkloadSpec
from phase_d_lib.units import MIB

TWO_STATES = OptionsSpec(level0_slowdown_writes_trigger=20, level0_stop_writes_trigger=36)
HOST = {
    "limiter_bytes_per_s": 30 * MIB,
    "foreground_ops_per_s": 160e3,
    "slot_write_bytes_per_s": 160e6,
}


def noise(seed: int, memory: float = 0.0, runs: int = 12, blocks: int = 10) -> np.ndarray:
    """Return rows of standard normal noise, correlated from block to block by `memory`."""
    rows = np.random.default_rng(seed).normal(size=(runs, blocks))
    for block in range(1, blocks):
        fresh = math.sqrt(1.0 - memory**2) * rows[:, block]
        rows[:, block] = memory * rows[:, block - 1] + fresh
    return rows


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_noise_is_one_state(memory: float) -> None:
    split_up = [bool(split(20.0 + noise(seed, memory)).any()) for seed in range(100)]
    assert sum(split_up) <= 1


@pytest.mark.parametrize("apart", [6.0, 12.0])
def test_two_levels_are_two_states(apart: float) -> None:
    for seed in range(20):
        high = np.zeros((12, 10), dtype=bool)
        high[:4] = True
        high[4:6, :5] = True  # two runs move from one to the other
        assert (split(16.0 + apart * high + noise(seed)) == high).mean() > 0.98


def test_levels_that_runs_do_not_stay_in_are_one_state() -> None:
    flicker = np.indices((12, 10)).sum(axis=0) % 2
    assert not split(16.0 + 12.0 * flicker + noise(1)).any()


def test_a_few_blocks_or_equal_ones_are_one_state() -> None:
    assert not split(np.array([[1.0, 1.0, 9.0, 9.0]])).any()
    assert not split(np.full((6, 10), 7.0)).any()


def test_exact_levels_are_two_states() -> None:
    levels = np.repeat([[1.0], [3.0]], 5, axis=1)
    assert split(levels).tolist() == [[False] * 5, [True] * 5]


def test_both_states_where_rocksdb_has_two() -> None:
    # Measured on workload S with triggers 4/20/36 (RocksDB 7.8.3): level 0 near 17 files at
    # 23.5 k puts/s, or near 29-37 at 27.8 k.
    low, high = steady_states(WorkloadSpec(), TWO_STATES, **HOST)
    assert low.saturation_ops_per_s == pytest.approx(23_500, rel=0.04)
    assert high.saturation_ops_per_s == pytest.approx(27_800, rel=0.04)
    assert low.mean_l0_files == pytest.approx(16.0, abs=1.5)
    assert high.mean_l0_files == pytest.approx(29.0, abs=1.5)
    # The delayed rate is what remembers: at its ceiling in one state, far below in the other.
    assert high.delayed_rate_bytes_per_s == TWO_STATES.delayed_write_rate
    assert low.delayed_rate_bytes_per_s < 0.1 * TWO_STATES.delayed_write_rate
    # A fresh open leads to either, a low delayed rate to the lower only, which nothing leaves.
    assert 0.2 < high.fresh_fraction < 0.95
    assert high.throttled_fraction == 0.0
    assert low.throttled_fraction == 1.0
    assert low.stay_s == math.inf
    assert low.fresh_fraction + high.fresh_fraction == pytest.approx(1.0)
    assert high.stall_fraction < low.stall_fraction < 1.0


def test_workload_s_has_one_state() -> None:
    (only,) = steady_states(WorkloadSpec(), OptionsSpec(), **HOST)
    assert only.saturation_ops_per_s == pytest.approx(17_800, rel=0.04)
    assert (only.fresh_fraction, only.throttled_fraction) == (1.0, 1.0)


def test_an_unstalled_writer_has_one_state() -> None:
    slow = {**HOST, "foreground_ops_per_s": 3000.0}
    (only,) = steady_states(
        WorkloadSpec(), OptionsSpec(), **slow, seeds=[1, 2], window_s=(5, 25), block_s=5
    )
    assert only.saturation_ops_per_s == pytest.approx(3000, rel=0.02)
    assert only.stall_fraction == 0.0


@pytest.mark.parametrize(
    "wrong",
    [{"window_s": (5.0, 20.0)}, {"window_s": (-1.0, 50.0)}, {"block_s": 0.0}, {"seeds": []}],
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        steady_states(WorkloadSpec(), OptionsSpec(), **{**HOST, **wrong})


def test_what_is_not_covered_is_refused() -> None:
    with pytest.raises(ModelRefusal):
        steady_states(WorkloadSpec(read_fraction=0.5), OptionsSpec(), **HOST)
