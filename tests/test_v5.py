"""v5: its prior, what its filter follows and when, known changes, loads, alarms, coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phase_d_lib.errors import ModelRefusal
from phase_d_lib.models.base import (
    Case,
    DeviceEnvelope,
    HostSpeeds,
    LedgerClosure,
    MeasuredCase,
    answer,
)
from phase_d_lib.models.v4 import V4
from phase_d_lib.models.v5 import MAX_GAIN, MIN_GAIN, V5, Tracker, Window
from phase_d_lib.specs import OptionsSpec, WorkloadSpec
from tests.test_models import AMPLIFICATION, HOST, MB, case
from tests.test_v4 import grid

RECORD, PRIOR_A, LIMITER = 1000, 4.0, 100 * MB


def limited(**changes: object) -> Case:
    """A limiter of 100 MB/s over a = 4 and records of 1,000 B: 25,000 puts/s."""
    return case(**{"device": DeviceEnvelope(grid=grid()), **changes})


def window(number: int, rate: float, a: float = PRIOR_A, **changes: object) -> Window:
    values: dict[str, object] = {
        "start_s": 10.0 * number,
        "end_s": 10.0 * number + 10.0,
        "put_ops_per_s": rate,
        "flush_bytes_per_user_byte": 1.0,
        "compaction_write_bytes_per_user_byte": a - 1.0,
        "wal_bytes_per_user_byte": 1.0,
        "compaction_write_bytes_per_s": rate * RECORD * (a - 1.0),
        "stall_fraction": 0.5,
    }
    return Window.model_validate({**values, **changes})


def fed(windows: list[Window], asked: Case | None = None) -> Tracker:
    tracker = V5().track(asked or limited())
    for seen in windows:
        tracker.observe(seen)
    return tracker


def noisy(seed: int, count: int, *, a: float = 4.0, factor: float = 1.0, scale: float = 1.0):
    """Windows of a limited database whose a and use of the limiter scatter as v5 assumes."""
    rng = np.random.default_rng([seed, 7])
    shown = a * np.exp(scale * rng.normal(0, 0.06, count))
    used = factor * np.exp(scale * rng.normal(0, 0.03, count))
    return [
        window(n, u * LIMITER / (x * RECORD), x)
        for n, (x, u) in enumerate(zip(shown, used, strict=True))
    ]


# -- the prior -----------------------------------------------------------------------------------


def test_before_any_window_the_answer_is_v4_s() -> None:
    prior, own = V4().estimate(limited()), V5().estimate(limited())
    assert own == prior.model_copy(update={"model": "v5"})
    first = V5().track(limited()).forecast(10.0)
    assert first.rate_ops_per_s == pytest.approx(prior.saturation_ops_per_s)
    assert first.binding == "limiter"


def test_refusals_of_v4_pass_on() -> None:
    with pytest.raises(ModelRefusal, match="grid_csv"):
        V5().track(case())
    refused = answer(V5(), case(amplification=None))
    assert (refused.model, refused.saturation_ops_per_s) == ("v5", None)
    open_ledger = MeasuredCase(
        case=limited(), saturation_ops_per_s=1e4, closure=LedgerClosure(write=0.9, device=1.0)
    )
    assert "write closure" in str(answer(V5().fit([open_ledger] * 3), limited()).refused)


# -- the filter ----------------------------------------------------------------------------------


def test_it_converges_on_amplification_and_factor() -> None:
    tracker = fed(noisy(1, 40, a=5.0, factor=0.85))
    state = tracker.forecast(10.0).state
    assert state.background_bytes_per_user_byte == pytest.approx(5.0, rel=0.04)
    assert state.throughput_factor == pytest.approx(0.85, rel=0.03)
    assert tracker.factors.throughput_factor == state.throughput_factor
    assert tracker.forecast(10.0).rate_ops_per_s == pytest.approx(17_000, rel=0.04)


def test_the_gain_is_bounded_on_both_sides() -> None:
    first = fed([window(0, 20_000, a=5.0)]).forecast(10.0).state
    moved = math.log(first.background_bytes_per_user_byte / PRIOR_A) / math.log(5.0 / PRIOR_A)
    assert 0.5 < moved <= MAX_GAIN
    long = [window(n, 25_000) for n in range(300)]
    before = fed(long).forecast(10.0).state
    after = fed([*long, window(300, 24_000, a=25 / 6)]).forecast(10.0).state
    ratio = after.background_bytes_per_user_byte / before.background_bytes_per_user_byte
    moved = math.log(ratio) / math.log(25 / 24)
    assert MIN_GAIN <= moved < 0.5


def test_slot_speed_is_followed_only_where_it_can_be_seen() -> None:
    # Without a limiter and with a fast device, three slots at 60 MB/s and a_c = 3 bind: 60,000/s.
    fast = grid()
    points = tuple(
        p.model_copy(update={"read_mib_s": 20 * p.read_mib_s, "write_mib_s": 20 * p.write_mib_s})
        for p in fast.points
    )
    free = limited(
        device=DeviceEnvelope(grid=fast.model_copy(update={"points": points})),
        host=HOST.model_copy(update={"cpu_s_per_put": None}),
        limiter_bytes_per_s=None,
    )
    slow = [window(n, 30_000, busy_slots=3.0) for n in range(20)]
    tracker = fed(slow, free)
    assert tracker.forecast(10.0).binding == "compaction_slots"
    assert tracker.factors.scaling_factor == pytest.approx(0.5, rel=0.02)
    assert tracker.factors.throughput_factor == pytest.approx(1.0, rel=0.02)
    idle = fed([window(n, 30_000, busy_slots=1.0) for n in range(20)], free)
    assert idle.factors.scaling_factor == 1.0
    assert idle.factors.throughput_factor == pytest.approx(0.5, rel=0.02)
    waiting = fed([window(n, 25_000, busy_slots=3.0) for n in range(5)])
    assert waiting.factors.scaling_factor == 1.0
    unknown = HostSpeeds(cores=2, foreground_ops_per_s=1e6)
    assert fed([], limited(host=unknown)).factors.scaling_factor is None


def test_bandwidth_is_followed_only_where_the_device_binds() -> None:
    bound = limited(limiter_bytes_per_s=None)
    interpolated = V5().track(bound).forecast(10.0).state.device_bytes_per_s
    assert interpolated is not None
    rate = 0.9 * interpolated / (7 * RECORD)
    near = [
        window(n, rate, device_bytes_per_s=0.9 * interpolated, device_read_bytes_per_user_byte=2.0)
        for n in range(20)
    ]
    state = fed(near, bound).forecast(10.0).state
    assert state.device_bytes_per_s == pytest.approx(0.9 * interpolated, rel=0.01)
    assert state.throughput_factor == pytest.approx(1.0, rel=0.01)
    far = [window(n, rate / 2, device_bytes_per_s=0.45 * interpolated) for n in range(20)]
    state = fed(far, bound).forecast(10.0).state
    assert state.device_bytes_per_s == pytest.approx(interpolated)
    assert state.throughput_factor < 0.6


def test_windows_come_in_order() -> None:
    with pytest.raises(ValueError, match="starts before"):
        fed([window(1, 25_000), window(0, 25_000)])


def test_a_window_without_puts_tells_nothing() -> None:
    silent = window(0, 0.0, flush_bytes_per_user_byte=0.0, compaction_write_bytes_per_user_byte=0.0)
    assert fed([silent]).forecast(10.0).rate_ops_per_s == pytest.approx(25_000)


# -- intervals and alarms ------------------------------------------------------------------------


def coverage(scale: float) -> float:
    """Share of windows inside the interval, from the ninth of each of 100 series on."""
    hits = []
    for seed in range(100):
        tracker = V5().track(limited())
        for number, seen in enumerate(noisy(seed, 20, scale=scale)):
            low, high = tracker.forecast(10.0).interval_90
            if number >= 8:
                hits.append(low <= seen.put_ops_per_s <= high)
            tracker.observe(seen)
    return float(np.mean(hits))


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.7])
def test_intervals_cover_what_they_say_at_any_noise(scale: float) -> None:
    assert 0.86 <= coverage(scale) <= 0.955


def test_stationary_noise_hardly_ever_alarms() -> None:
    # Two-sided CUSUM with limit 5: one false alarm in 465 windows, so 2.5 % of 12-window series.
    alarmed = sum(bool(fed(noisy(seed, 12)).alarms) for seed in range(200))
    assert alarmed <= 0.05 * 200


@pytest.mark.parametrize(("share", "direction"), [(0.5, "slower"), (2.0, "faster")])
def test_a_step_alarms_and_is_followed_within_two_windows(share: float, direction: str) -> None:
    caught = 0
    for seed in range(50):
        before = noisy(seed, 8)
        after = noisy(seed + 1000, 2, a=4.0 / share)
        moved = [
            w.model_copy(update={"start_s": 80.0 + w.start_s, "end_s": 80.0 + w.end_s})
            for w in after
        ]
        tracker = fed([*before, *moved])
        caught += any(a.at_s > 80.0 and a.direction == direction for a in tracker.alarms)
        assert tracker.forecast(10.0).rate_ops_per_s == pytest.approx(25_000 * share, rel=0.2)
    assert caught >= 48


# -- known changes -------------------------------------------------------------------------------


def test_a_known_change_moves_the_forecast_at_once_and_nothing_else() -> None:
    tracker = fed(noisy(3, 10, factor=0.9))
    more = AMPLIFICATION.model_copy(update={"compaction_write_bytes_per_user_byte": 7.0})
    changed = limited(amplification=more)
    before, asked, again = (tracker.forecast(10.0, c) for c in (None, changed, None))
    assert again == before
    f = tracker.factors.throughput_factor
    assert asked.rate_ops_per_s == pytest.approx(before.rate_ops_per_s / 2 / f * f**0.5)
    assert asked.state.background_bytes_per_user_byte == pytest.approx(
        2 * before.state.background_bytes_per_user_byte
    )
    width, wider = (math.log(f.interval_90[1] / f.interval_90[0]) for f in (before, asked))
    assert wider > 1.5 * width
    tracker.adopt(changed)
    assert tracker.forecast(10.0) == asked
    tracker.adopt(changed)
    assert tracker.forecast(10.0) == asked


def test_an_announced_limiter_halves_the_forecast() -> None:
    tracker = fed([window(n, 25_000) for n in range(5)], limited(window_s=(6.0, 20.0)))
    half = tracker.forecast(10.0, limited(window_s=(6.0, 20.0), limiter_bytes_per_s=50 * MB))
    # Not quite half: the simulated tree merges more files at once the slower it drains.
    assert half.rate_ops_per_s == pytest.approx(12_500, rel=0.1)


def test_without_its_own_amplification_a_change_is_simulated() -> None:
    changes = {
        "workload": WorkloadSpec(),
        "limiter_bytes_per_s": 30 * MB,
        "host": HOST.model_copy(update={"foreground_ops_per_s": 85e3}),
        "window_s": (6.0, 20.0),
    }
    tracker = V5().track(limited(options=OptionsSpec(), **changes))
    doubled = OptionsSpec(write_buffer_size=2 * OptionsSpec().write_buffer_size)
    before = tracker.forecast(10.0)
    after = tracker.forecast(10.0, limited(options=doubled, **changes))
    assert 1.2 < after.rate_ops_per_s / before.rate_ops_per_s < 1.6
    # Where nothing can be simulated, the amplification stays and only the interval widens.
    blind = {**changes, "host": HOST.model_copy(update={"foreground_ops_per_s": None})}
    tracker = V5().track(limited(options=OptionsSpec(), **blind))
    after = tracker.forecast(10.0, limited(options=doubled, **blind))
    assert after.rate_ops_per_s == pytest.approx(tracker.forecast(10.0).rate_ops_per_s)


# -- loads ---------------------------------------------------------------------------------------


def test_a_load_below_capacity_is_the_forecast() -> None:
    tracker = fed([window(n, 10_000, a=9.0, offered_ops_per_s=10_000) for n in range(8)])
    told = tracker.forecast(10.0, offered_ops_per_s=12_000)
    assert (told.rate_ops_per_s, told.binding) == (12_000, "load")
    assert told.interval_90[0] < 12_000 < told.interval_90[1]
    # What was seen below saturation says nothing of saturation.
    assert tracker.forecast(10.0).rate_ops_per_s == pytest.approx(25_000)
    assert tracker.forecast(10.0, offered_ops_per_s=40_000).rate_ops_per_s == pytest.approx(25_000)
    assert tracker.alarms == []


def test_a_load_above_the_modelled_capacity_shows_what_can_be_done() -> None:
    tracker = fed([window(0, 30_000, offered_ops_per_s=30_000)])
    assert tracker.forecast(10.0).rate_ops_per_s == pytest.approx(30_000)


def test_what_waits_is_written_after_what_arrives() -> None:
    over = [window(n, 25_000, offered_ops_per_s=27_000) for n in range(2)]
    tracker = fed(over)
    # 2 x 20,000 puts wait; 10,000/s arrive in the next ten seconds.
    assert tracker.forecast(10.0, offered_ops_per_s=10_000).rate_ops_per_s == pytest.approx(14_000)
    counted = fed([w.model_copy(update={"backlog_ops": 5_000.0}) for w in over])
    assert counted.forecast(10.0, offered_ops_per_s=10_000).rate_ops_per_s == pytest.approx(10_500)
