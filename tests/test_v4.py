"""v4: the grid point RocksDB's traffic maps to, what lies outside it, and the ledger's say."""

from __future__ import annotations

import math

import pytest

from phase_d_lib.device import DeviceGrid, GridPoint
from phase_d_lib.errors import ModelRefusal
from phase_d_lib.models.base import Case, DeviceEnvelope, LedgerClosure, MeasuredCase, answer
from phase_d_lib.models.v2_1 import V21
from phase_d_lib.models.v4 import V4
from phase_d_lib.specs import OptionsSpec
from tests.test_models import AMPLIFICATION, MB, case

MIB = 1 << 20


def grid(jobs: tuple[int, ...] = (1, 2, 4)) -> DeviceGrid:
    """Bandwidth 100 MiB/s a job at depth 1, writes only; reads add a tenth of their share."""
    return DeviceGrid(
        points=tuple(
            GridPoint(
                read_fraction=share, iodepth=depth, numjobs=job, block_kib=block,
                read_mib_s=share * 100 * job * depth * (1 + share / 10),
                write_mib_s=(1 - share) * 100 * job * depth * (1 + share / 10),
            )
            for share in (0.0, 0.5, 1.0)
            for depth in (1, 16)
            for job in jobs
            for block in (64, 1024, 2048)
        )
    )  # fmt: skip


def gridded(**changes: object) -> Case:
    return case(device=DeviceEnvelope(grid=grid()), limiter_bytes_per_s=None, **changes)


def test_the_device_bound_is_the_grid_at_rocksdb_s_own_point() -> None:
    # Four jobs are three slots; a_w = 5 and a_r = 2 give rho = 2/7; depth 1.
    prediction = V4().estimate(gridded())
    rho = 2 / 7
    per_job = 100 * (1 + (rho / 0.5 * 0.05))
    assert prediction.bounds_ops_per_s["device"] is not None
    # Linear in log2 of the jobs between 2 and 4, as the grid is asked.
    jobs = 2 + (4 - 2) * (math.log2(3) - 1)
    expected = per_job * jobs * MIB / (7 * 1000)
    assert prediction.bounds_ops_per_s["device"] == pytest.approx(expected, rel=1e-3)
    assert prediction.binding == "device"
    assert prediction.outside == ()


def test_jobs_beyond_the_grid_are_clamped_and_named() -> None:
    prediction = V4().estimate(gridded(options=OptionsSpec(max_background_jobs=12)))
    assert "numjobs" in prediction.outside


def test_without_known_reads_the_page_cache_is_assumed_and_named() -> None:
    unknown = AMPLIFICATION.model_copy(update={"device_read_bytes_per_user_byte": None})
    prediction = V4().estimate(gridded(amplification=unknown))
    assert prediction.outside == ("device_reads",)
    direct = OptionsSpec(max_background_jobs=4, use_direct_io_for_flush_and_compaction=True)
    refused = answer(V4(), gridded(amplification=unknown, options=direct))
    assert refused.refused is not None
    assert refused.refused.startswith("a_r:")


def test_a_cap_on_each_direction_holds_the_mix_back() -> None:
    device = DeviceEnvelope(grid=grid()).capped(40 * MIB)
    prediction = V4().estimate(case(device=device, limiter_bytes_per_s=None))
    rho = 2 / 7
    assert prediction.bounds_ops_per_s["device"] == pytest.approx(40 * MIB / (1 - rho) / (7 * 1000))


def test_no_grid_is_a_refusal_by_name() -> None:
    with pytest.raises(ModelRefusal, match="grid_csv"):
        V4().estimate(case())


@pytest.mark.parametrize(
    ("closure", "told"),
    [
        (LedgerClosure(write=0.90, device=1.0), "write closure is 0.900"),
        (LedgerClosure(write=1.0, device=1.30), "device closure is 1.300"),
    ],
)
def test_a_ledger_that_does_not_close_is_refused_with_its_numbers(
    closure: LedgerClosure, told: str
) -> None:
    refused = answer(V4(), gridded(closure=closure))
    assert refused.refused is not None
    assert told in refused.refused
    measured = MeasuredCase(case=gridded(), saturation_ops_per_s=1000.0, closure=closure)
    fitted = V4().fit([measured] * 3)
    later = answer(fitted, gridded())
    assert later.refused is not None
    assert told in later.refused


def test_a_closed_or_unseen_ledger_lets_it_speak() -> None:
    for closure in (None, LedgerClosure(write=None, device=None), LedgerClosure(write=1, device=1)):
        assert answer(V4(), gridded(closure=closure)).refused is None


def test_slots_are_as_busy_as_the_rate_makes_them() -> None:
    prediction = V4().estimate(gridded())
    rate, slots = prediction.saturation_ops_per_s, prediction.bounds_ops_per_s["compaction_slots"]
    assert rate is not None
    assert slots == pytest.approx(3 * 60 * MB / 3 / 1000)
    assert prediction.busy_slots_fraction == pytest.approx(rate / slots)


def test_under_a_cap_v2_1_lets_reads_take_nothing_from_writes() -> None:
    device = DeviceEnvelope(write_bytes_per_s=500 * MB, read_bytes_per_s=300 * MB)
    capped = case(device=device.capped(40 * MB), limiter_bytes_per_s=None)
    bound = V21().bounds_ops_per_s(capped)["mixed_device"]
    assert bound == pytest.approx(40 * MB / (5 * 1000))
