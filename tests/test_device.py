from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phase_d_lib.device import (
    DeviceGrid,
    DeviceProbe,
    DeviceState,
    GridPoint,
    MeasuredPoint,
    ProbeTool,
    compare,
    probe,
    read_state,
    within,
)
from phase_d_lib.device.tools import Load, drive_builtin, drive_fio, fill, parse_fio
from phase_d_lib.errors import InputError
from phase_d_lib.importers import GRID_COLUMNS, read_device_grid
from phase_d_lib.profiles import ProbePlan
from phase_d_lib.units import GIB, KIB, MIB

SHARED = Path(os.environ.get("PHASE_D_SHARED") or Path(__file__).parents[2] / "shared")


def shared(name: str) -> Path:
    path = SHARED / "data" / name
    if not path.is_file():
        pytest.skip(f"no shared real data at {path}; set PHASE_D_SHARED")
    return path


def surface(read_fraction: float, depth: float, jobs: float, block: float) -> float:
    """A saturating surface in MiB/s: grows with concurrency and block, reads are faster."""
    return min(60.0 * (depth * jobs) ** 0.7 * (block / 4) ** 0.3, 2000.0) * (1 + read_fraction)


def synthetic(artefacts: dict[tuple[float, ...], float] | None = None) -> DeviceGrid:
    points = []
    for f in product((0.0, 0.25, 0.5, 0.75, 1.0), (1, 4, 16, 64), (1, 2, 4), (4, 64, 1024)):
        total = surface(*f) * (artefacts or {}).get(f, 1.0)
        row = (*f, total * f[0], total * (1 - f[0]))
        points.append(dict(zip(GRID_COLUMNS, row, strict=True)))
    return DeviceGrid.from_table(pd.DataFrame(points))


def two_level_grid(**changes: tuple[float, ...]) -> DeviceGrid:
    """Total 100 x (1 + log2 of depth) at read_fraction 0, twice that at 1."""
    levels = {"r": (0.0, 1.0), "q": (1, 16), "n": (1,), "b": (64,), **changes}
    rows = [
        (r, q, n, b, r * 200 * (1 + np.log2(q)), (1 - r) * 100 * (1 + np.log2(q)))
        for r, q, n, b in product(*levels.values())
    ]
    return DeviceGrid.from_table(pd.DataFrame(rows, columns=list(GRID_COLUMNS)))


# Grid


def test_a_table_comes_back_as_it_was() -> None:
    grid = synthetic()
    assert DeviceGrid.from_table(grid.table()) == grid
    assert tuple(grid.table().columns) == GRID_COLUMNS


def test_measured_points_are_answered_exactly_and_in_bytes() -> None:
    grid = synthetic()
    for point in grid.points:
        answer = grid.bandwidth(*point.factors)
        assert answer.bytes_per_s == pytest.approx(point.total_mib_s * MIB)
        assert answer.clamped == ()


def test_interpolation_is_linear_in_reads_and_in_log2_of_depth() -> None:
    grid = two_level_grid()
    assert grid.bandwidth(0.5, 1, 1, 64).bytes_per_s == pytest.approx(150 * MIB)
    assert grid.bandwidth(0.0, 4, 1, 64).bytes_per_s == pytest.approx(300 * MIB)
    # The mixed rate is above the pure write rate: nothing limits it to the smaller.
    assert grid.bandwidth(0.25, 4, 1, 64).bytes_per_s == pytest.approx(375 * MIB)


def test_outside_the_grid_the_edge_is_taken_and_named() -> None:
    grid = two_level_grid()
    answer = grid.bandwidth(0.0, 64, 8, 1024)
    assert answer.bytes_per_s == pytest.approx(500 * MIB)
    assert answer.clamped == ("iodepth", "numjobs", "block_kib")
    assert grid.bandwidth(1.5, 1, 1, 64).clamped == ("read_fraction",)
    single = DeviceGrid(points=grid.points[:1])
    assert single.bandwidth(0.0, 1, 1, 64).bytes_per_s == pytest.approx(100 * MIB)
    assert single.bandwidth(1.0, 1, 1, 64).clamped == ("read_fraction",)


@pytest.mark.parametrize(
    "asked", [(-0.1, 1, 1, 64), (0, 0, 1, 64), (0, 1, -1, 64), (0, 1, 1, float("nan"))]
)
def test_impossible_questions_are_refused(asked: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="device grid asked for"):
        two_level_grid().bandwidth(*asked)


def test_a_grid_that_is_not_full_factorial_is_refused_in_one_line() -> None:
    full = two_level_grid().points
    for points, says in ((full[:-1], "1 of 4 combinations"), ((*full, full[0]), "some twice")):
        grid = DeviceGrid(points=points)
        for ask in (lambda g: g.bandwidth(0, 1, 1, 64), DeviceGrid.outliers, DeviceGrid.cleaned):
            with pytest.raises(InputError, match=says) as caught:
                ask(grid)
            assert "\n" not in str(caught.value)


def test_a_wrong_table_is_refused() -> None:
    table = two_level_grid().table()
    with pytest.raises(InputError, match="column numjobs missing"):
        DeviceGrid.from_table(table.drop(columns="numjobs"))
    with pytest.raises(InputError, match="read_fraction"):
        DeviceGrid.from_table(table.assign(read_fraction=2.0))


def test_a_smooth_saturating_grid_has_no_outliers() -> None:
    grid = synthetic()
    assert grid.outliers() == ()
    assert grid.cleaned() == grid


@pytest.mark.parametrize("factor", [0.4, 2.5])
@pytest.mark.parametrize(
    "where", [(0.25, 16, 4, 64), (0.5, 16, 2, 1024), (0.0, 1, 1, 1024), (1.0, 64, 4, 4)]
)
def test_an_artefact_is_found_and_replaced(where: tuple[float, ...], factor: float) -> None:
    grid = synthetic({where: factor})
    assert [point.factors for point in grid.outliers()] == [where]
    cleaned = grid.cleaned()
    assert cleaned.outliers() == ()
    for old, new, true in zip(grid.points, cleaned.points, synthetic().points, strict=True):
        assert new == old if old.factors != where else new != old
        if old.factors == where:
            assert new.total_mib_s == pytest.approx(true.total_mib_s, rel=0.6)
            assert new.read_mib_s * true.write_mib_s == pytest.approx(
                new.write_mib_s * true.read_mib_s
            )


def test_an_artefact_between_its_neighbours_along_two_axes_is_not_claimed() -> None:
    assert synthetic({(0.5, 4, 2, 64): 2.0}).outliers() == ()


def test_a_small_grid_cannot_tell_an_artefact() -> None:
    assert two_level_grid().outliers() == ()


def test_the_shared_grid_has_its_two_known_artefacts() -> None:
    grid = DeviceGrid.from_table(read_device_grid(shared("device_grid_nvme_2025-09-09.csv")))
    found = [point.factors for point in grid.outliers()]
    assert found == [(0.0, 1, 1, 1024), (0.25, 16, 4, 64)]
    cleaned = grid.cleaned()
    assert cleaned.outliers() == ()
    assert 1100 * MIB < cleaned.bandwidth(*found[0]).bytes_per_s < 1800 * MIB
    assert 2000 * MIB < cleaned.bandwidth(*found[1]).bytes_per_s < 2500 * MIB
    # The envelope of cases.grid_envelope, from the same rule.
    table = grid.table()
    deep = table[(table["iodepth"] >= 16) & (table["block_kib"] >= 64)]
    writes = deep.loc[deep["read_fraction"] == 0, "write_mib_s"].median()
    reads = deep.loc[deep["read_fraction"] == 1, "read_mib_s"].median()
    assert grid.sequential() == (writes * MIB, reads * MIB)


def test_sequential_takes_deep_large_pure_points_or_the_deepest() -> None:
    assert two_level_grid().sequential() == (500 * MIB, 1000 * MIB)
    assert two_level_grid(q=(1, 4)).sequential() == (300 * MIB, 600 * MIB)
    with pytest.raises(InputError, match=r"no write_mib_s at read_fraction 0, iodepth >= 16"):
        two_level_grid(b=(4,)).sequential()
    with pytest.raises(InputError, match="no read_mib_s at read_fraction 1"):
        two_level_grid(r=(0.0, 0.5)).sequential()


# Plan and fio


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"iodepths": (64,), "numjobs": (32,)}, "must not exceed 1024"),
        ({"read_fractions": (0.0, 0.0)}, "twice"),
        ({"read_fractions": (0.333,)}, "hundredths"),
        ({"blocks_kib": (2048,), "file_bytes": MIB}, "largest block"),
        ({"blocks_kib": (6,)}, "multiple of 4"),
    ],
)
def test_impossible_plans_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ProbePlan.model_validate(change)


FIO_JOB = {
    "error": 0,
    "read": {"bw_bytes": 3_000_000, "io_bytes": 750_000, "runtime": 250},
    "write": {"bw_bytes": 1_000_000, "io_bytes": 250_000, "runtime": 251},
}


def test_fio_output_is_read_past_its_notes_and_summed_over_jobs() -> None:
    text = "note: both iodepth >= 1\n" + json.dumps(
        {"fio version": "fio-3.36", "jobs": [FIO_JOB] * 2}
    )
    done = parse_fio(text)
    assert (done.read_bytes_per_s, done.write_bytes_per_s) == (6e6, 2e6)
    assert (done.written_bytes, done.seconds, done.cpu_cores) == (500_000, 0.251, None)


@pytest.mark.parametrize(
    "text", ["", "fio: failed", '{"jobs": [{}]}', json.dumps({"jobs": [{**FIO_JOB, "error": 5}]})]
)
def test_broken_fio_output_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="probe with tool 'builtin'") as caught:
        parse_fio(text)
    assert "\n" not in str(caught.value)


def fake_fio(folder: Path, monkeypatch: pytest.MonkeyPatch, result: str) -> Path:
    """Put a program called fio on PATH that keeps its arguments and prints `result`."""
    program = folder / "bin" / "fio"
    program.parent.mkdir()
    said = folder / "arguments"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo fio-3.36 && exit 0\n'
        f'echo "$@" >> "{said}"\ncat <<\'END\'\n{result}\nEND\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return said


def test_fio_is_asked_for_direct_random_io(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = fake_fio(tmp_path, monkeypatch, json.dumps({"jobs": [FIO_JOB]}))
    done = drive_fio(tmp_path / "file", MIB, Load(0.25, 16, 2, 64, 0.25, "1"))
    assert done.read_bytes_per_s == 3e6
    arguments = said.read_text().split()
    for wanted in ("--direct=1", "--rw=randrw", "--rwmixread=25", "--iodepth=16", "--numjobs=2"):
        assert wanted in arguments
    assert {"--bs=64k", "--runtime=250ms", "--ioengine=libaio"} <= set(arguments)
    drive_fio(tmp_path / "file", MIB, Load(0.0, 1, 1, 64, 0.25, "1"))
    assert "--rw=randwrite" in said.read_text()


def test_fio_that_was_asked_for_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no fio is on PATH"):
        probe(tmp_path, ProbePlan(tool="fio"))
    assert not any(tmp_path.iterdir())


# The real disk

TINY = ProbePlan(
    read_fractions=(0.0, 0.5, 1.0),
    iodepths=(1, 4),
    numjobs=(1,),
    blocks_kib=(64,),
    seconds_per_point=0.05,
    repeats=2,
    file_bytes=4 * MIB,
    tool="builtin",
)


@pytest.fixture
def direct_folder(tmp_path: Path) -> Path:
    """A folder whose file system does direct I/O."""
    try:
        fill(tmp_path / "try", MIB, None, 1)
    except InputError as error:
        if "no direct I/O" not in str(error):
            raise
        pytest.skip(f"the file system of {tmp_path} has no direct I/O; set TMPDIR or --basetemp")
    (tmp_path / "try").unlink()
    return tmp_path


def test_the_real_disk_is_probed_and_left_clean(direct_folder: Path) -> None:
    done = probe(direct_folder, TINY)
    assert not any(direct_folder.iterdir())
    assert (done.tool.kind, done.direct, done.plan) == ("builtin", True, TINY)
    first, second = done.measured[:6], done.measured[6:]
    assert [m.round for m in done.measured] == [0] * 6 + [1] * 6
    assert [m.point.factors for m in first] == [m.point.factors for m in second][::-1]
    started = [m.started_s for m in done.measured]
    written = [m.written_bytes_before for m in done.measured]
    assert started == sorted(started)
    assert written == sorted(written)
    assert written[0] == TINY.file_bytes
    for m in done.measured:
        point = m.point
        assert (point.read_mib_s > 0) == (point.read_fraction > 0)
        assert (point.write_mib_s > 0) == (point.read_fraction < 1)
        assert m.seconds >= TINY.seconds_per_point
    assert len(done.grid.points) == len(done.spread) == 6
    assert done.outliers == ()
    assert all(rate > 0 for rate in done.grid.sequential())
    # The medians of two rounds lie between them.
    totals = [m.point.total_mib_s for m in done.measured if m.point.factors == (0.0, 1, 1, 64)]
    assert min(totals) <= done.grid.points[0].total_mib_s <= max(totals)

    saved = done.save(direct_folder / "grid.csv")
    assert read_device_grid(saved).to_numpy().tolist() == done.grid.table().to_numpy().tolist()
    assert DeviceProbe.load(saved) == done
    text = saved.with_suffix(".json").read_text()
    assert str(direct_folder) not in text
    assert os.uname().nodename not in json.loads(text)["state"].values()


def test_the_share_of_reads_is_kept(direct_folder: Path) -> None:
    path = direct_folder / "file"
    fill(path, MIB, None, 1)
    done = drive_builtin(path, MIB, Load(0.25, 4, 1, 4, 0.1, "7"))
    total = done.read_bytes_per_s + done.write_bytes_per_s
    requests = total * done.seconds / (4 * KIB)
    # Each thread's count is within one request of its share.
    assert done.read_bytes_per_s / total == pytest.approx(0.25, abs=4 / requests)


def test_the_directory_goes_when_the_tool_fails(
    direct_folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_fio(tmp_path_factory.mktemp("fio"), monkeypatch, "broken")
    with pytest.raises(InputError, match="fio printed no JSON"):
        probe(direct_folder, TINY.model_copy(update={"tool": "fio"}))
    assert not any(direct_folder.iterdir())


def test_too_little_space_is_said_before_anything_is_written(tmp_path: Path) -> None:
    plan = TINY.model_copy(update={"file_bytes": 1 << 60})
    with pytest.raises(InputError, match="no space for a probe file"):
        probe(tmp_path, plan)
    assert not any(tmp_path.iterdir())


def test_buffered_io_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A flag of no effect: the file is written through the page cache, which the check must see.
    monkeypatch.setattr(os, "O_DIRECT", 0)
    with pytest.raises(InputError, match=r"file system \(.+\) has no direct I/O") as caught:
        probe(tmp_path, TINY)
    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_the_state_of_a_real_folder(tmp_path: Path) -> None:
    state = read_state(tmp_path, look_s=0.05)
    assert state.read_at.tzinfo is not None
    assert state.filled_fraction is None or 0 <= state.filled_fraction <= 1
    assert (state.device is None) == (state.size_bytes is None)
    assert (state.written_bytes_since_boot is None) == (state.recent_write_bytes_per_s is None)
    assert "/" not in (state.device or "")
    assert read_state(tmp_path, look_s=0).recent_write_bytes_per_s is None
    with pytest.raises(InputError, match="not a directory"):
        read_state(tmp_path / "absent")


def test_what_the_kernel_does_not_tell_is_none() -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("no /proc")
    state = read_state(Path("/proc"), look_s=0)  # a file system without a device
    assert (state.device, state.model, state.rotational, state.size_bytes) == (None,) * 4
    assert state.written_bytes_since_boot is None


def test_broken_files_are_refused(tmp_path: Path) -> None:
    saved = constructed().save(tmp_path / "grid.csv")
    saved.write_text(saved.read_text().replace("\n0.0,1,", "\n0.25,1,", 1))
    with pytest.raises(InputError, match=r"grid\.csv: not the medians of grid\.json"):
        DeviceProbe.load(saved)
    for text, says in (("{", "not JSON"), ("{}", "tool: Field required")):
        saved.with_suffix(".json").write_text(text)
        with pytest.raises(InputError, match=says):
            DeviceProbe.load(saved)
    with pytest.raises(InputError, match="cannot be read"):
        DeviceProbe.load(tmp_path / "absent.csv")


# Comparison, on constructed probes

STATE = DeviceState(
    device="nvme0n1",
    model="Constructed",
    rotational=False,
    size_bytes=10**12,
    filesystem="ext4",
    filled_fraction=0.3,
    written_bytes_since_boot=0,
    recent_write_bytes_per_s=0.0,
    read_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def constructed(
    scale: float = 1.0,
    loss_per_gib: float = 0.0,
    noise: float = 0.01,
    plan: ProbePlan | None = None,
    state: DeviceState = STATE,
    kind: str = "builtin",
) -> DeviceProbe:
    """Three rounds of the small plan; each point writes a GiB; rates fall with bytes written."""
    plan = plan or ProbePlan.small().model_copy(update={"repeats": 3})
    points = list(product(plan.read_fractions, plan.iodepths, plan.numjobs, plan.blocks_kib))
    rng, measured, written = np.random.default_rng(5), [], 0
    for number in range(plan.repeats):
        for r, q, n, b in points if number % 2 == 0 else points[::-1]:
            loss = np.exp(-loss_per_gib * written / GIB) if r < 1 else 1.0
            total = 1000 * scale * loss * np.exp(noise * rng.standard_normal())
            point = GridPoint(
                read_fraction=r,
                iodepth=q,
                numjobs=n,
                block_kib=b,
                read_mib_s=total * r,
                write_mib_s=total * (1 - r),
            )
            measured.append(
                MeasuredPoint(
                    round=number,
                    point=point,
                    started_s=float(len(measured)),
                    seconds=1.0,
                    written_bytes_before=written,
                )
            )
            written += GIB
    return DeviceProbe(
        tool=ProbeTool.model_validate({"kind": kind, "version": "1"}),
        plan=plan,
        state=state,
        measured=tuple(measured),
        probed_at=STATE.read_at,
    )


def test_the_grid_of_a_probe_is_the_median_of_its_rounds() -> None:
    done = constructed(noise=0.2)
    for point, spread in zip(done.grid.points, done.spread, strict=True):
        totals = [m.point.total_mib_s for m in done.measured if m.point.factors == point.factors]
        assert point.total_mib_s == pytest.approx(np.median(totals))
        assert spread == pytest.approx((max(totals) - min(totals)) / np.median(totals))


@pytest.mark.parametrize(
    ("scale", "loss_per_gib", "noise", "verdict"),
    [
        (1.0, 0.0, 0.01, "unchanged"),
        (0.97, 0.0, 0.01, "unchanged"),
        (1.0, 0.01, 0.01, "cache_decline"),
        (0.7, 0.0, 0.01, "degraded"),
        (0.7, 0.01, 0.01, "degraded"),
        (1.5, 0.0, 0.01, "improved"),
    ],
)
def test_verdicts(scale: float, loss_per_gib: float, noise: float, verdict: str) -> None:
    before = constructed(loss_per_gib=loss_per_gib)
    found = compare(before, constructed(scale, loss_per_gib, noise))
    assert found.verdict == verdict
    assert found.differs is None
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(scale, rel=0.03)
    assert found.ratio.low is not None
    assert found.ratio.high is not None
    assert found.ratio.low <= found.ratio.value <= found.ratio.high
    assert found.ratio.blocks == 12


def test_noise_gives_no_verdict() -> None:
    assert compare(constructed(), constructed(noise=0.8)).verdict == "inconclusive"


def test_the_decline_inside_a_probe_is_measured_against_bytes_written() -> None:
    found = within(constructed(loss_per_gib=0.02, noise=0.005))
    assert found.declines
    assert found.slope_per_gib == pytest.approx(-0.02, rel=0.05)
    assert found.p_value is not None
    assert found.p_value < 0.01
    assert found.ratio is not None
    assert found.ratio.value < 0.9
    assert not within(constructed(loss_per_gib=0.001)).declines  # significant or not: too small
    assert not within(constructed(noise=0.3)).declines


def test_without_writes_or_a_second_round_nothing_is_told() -> None:
    plan = ProbePlan.small()
    for change in ({"repeats": 1}, {"read_fractions": (1.0,)}):
        found = within(constructed(plan=plan.model_copy(update=change)))
        assert (found.ratio, found.slope_per_gib, found.declines) == (None, None, False)


SMALL = ProbePlan.small()


@pytest.mark.parametrize(
    ("state", "plan", "kind", "names"),
    [
        ({"device": "sda"}, {}, "builtin", "device: nvme0n1 before, sda after"),
        ({"device": None}, {}, "builtin", "device: nvme0n1 before, unknown after"),
        ({"model": "Other"}, {}, "builtin", "model"),
        ({"size_bytes": 1}, {}, "builtin", "size_bytes"),
        ({"filesystem": "xfs"}, {}, "builtin", "filesystem"),
        ({"filled_fraction": 0.41}, {}, "builtin", "filled_fraction: 0.30 before, 0.41 after"),
        ({"filled_fraction": None}, {}, "builtin", "filled_fraction"),
        ({}, {"blocks_kib": (64,)}, "builtin", "blocks_kib"),
        ({}, {"iodepths": (1, 4)}, "builtin", "iodepths"),
        ({}, {"numjobs": (2,)}, "builtin", "numjobs"),
        ({}, {"file_bytes": 128 * MIB}, "builtin", "file_bytes"),
        ({}, {"read_fractions": (0.25, 0.75)}, "builtin", "read_fractions: 0 common"),
        ({}, {}, "fio", "tool: builtin before, fio after"),
    ],
)
def test_unlike_probes_are_not_compared(
    state: dict[str, object], plan: dict[str, object], kind: str, names: str
) -> None:
    after = constructed(
        plan=SMALL.model_copy(update=plan), state=STATE.model_copy(update=state), kind=kind
    )
    found = compare(constructed(plan=SMALL), after)
    assert found.verdict == "not_comparable"
    assert (found.differs or "").startswith(names)
    assert found.ratio is None


def test_ten_points_of_fill_and_other_rounds_still_compare() -> None:
    after = constructed(state=STATE.model_copy(update={"filled_fraction": 0.4}))
    assert compare(constructed(plan=SMALL), after).verdict == "unchanged"
