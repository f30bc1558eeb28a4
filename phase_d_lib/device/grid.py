"""Device bandwidth over read share, queue depth, jobs and block size, as measured points."""

from __future__ import annotations

from functools import cached_property
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from scipy.interpolate import RegularGridInterpolator

from phase_d_lib.errors import InputError
from phase_d_lib.importers import GRID_COLUMNS
from phase_d_lib.specs import Fraction, Frozen, Positive, parse
from phase_d_lib.units import MIB

FACTORS = GRID_COLUMNS[:4]
MIN_DEPTH = 16
"""iodepth from which a point counts as deep."""
MIN_BLOCK_KIB = 64
"""Block size from which a point counts as sequential-like, KiB."""
OUTLIER_SIGMAS = 2.5
"""Robust standard deviations of the log residual beyond which a point is an outlier."""
OUTLIER_FLOOR = 1.25
"""A point within this ratio of its neighbours is never an outlier, however smooth the grid."""
_MIN_JUDGED_AXES = 3
_SIGMA_OF_MAD = 1.4826
_ZERO_MIB_S = 1e-6  # stands for 0 where a logarithm is taken

Cube = NDArray[np.float64]


class GridPoint(Frozen):
    """One measured point; the columns of `importers.GRID_COLUMNS` in the same units."""

    read_fraction: Fraction
    """Share of reads in the bytes asked for."""
    iodepth: Positive
    """Requests in flight per job."""
    numjobs: Positive
    block_kib: float = Field(gt=0)
    read_mib_s: float = Field(ge=0)
    write_mib_s: float = Field(ge=0)

    @property
    def factors(self) -> tuple[float, ...]:
        """read_fraction, iodepth, numjobs, block_kib."""
        return (self.read_fraction, self.iodepth, self.numjobs, self.block_kib)

    @property
    def total_mib_s(self) -> float:
        """Read plus write rate, MiB/s."""
        return self.read_mib_s + self.write_mib_s


class GridAnswer(Frozen):
    """An interpolated bandwidth, bytes/s, and the dimensions that lay outside the grid."""

    bytes_per_s: float
    clamped: tuple[str, ...] = ()


class DeviceGrid(Frozen):
    """Measured points of one device.

    `bandwidth`, `outliers` and `cleaned` need a full factorial grid: every combination of the
    levels that occur, once. Another grid is refused by them, not cut down to a sub-grid, because
    which sub-grid is largest is ambiguous and dropping measured points should be seen to be done.
    `sequential` and `table` take any grid.

    Parameters
    ----------
    points : tuple of GridPoint
        At least one, in any order.
    """

    points: tuple[GridPoint, ...] = Field(min_length=1)

    # pydantic's own would compare the arrays cached below.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeviceGrid) and self.points == other.points

    def __hash__(self) -> int:
        return hash(self.points)

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> DeviceGrid:
        """Build a grid from a table with the columns `importers.GRID_COLUMNS`.

        Raises
        ------
        InputError
            When a column is missing or a value is out of range.
        """
        missing = [name for name in GRID_COLUMNS if name not in table.columns]
        if missing:
            raise InputError(f"device grid: column {', '.join(missing)} missing")
        rows = table[list(GRID_COLUMNS)].to_dict("records")
        return parse(cls, {"points": rows}, "device grid")

    def table(self) -> pd.DataFrame:
        """One row a point, columns `importers.GRID_COLUMNS`, in the order of `points`."""
        rows = [point.model_dump() for point in self.points]
        return pd.DataFrame(rows, columns=list(GRID_COLUMNS))

    @cached_property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """Ascending levels of read_fraction, iodepth, numjobs and block_kib."""
        columns = zip(*(point.factors for point in self.points), strict=True)
        return tuple(tuple(sorted(set(column))) for column in columns)

    @cached_property
    def cube(self) -> Cube:
        """Total bandwidth in MiB/s, one axis a factor, in the order of `levels`.

        Raises
        ------
        InputError
            When the grid is not full factorial.
        """
        totals = {point.factors: point.total_mib_s for point in self.points}
        wanted = list(product(*self.levels))
        absent = [factors for factors in wanted if factors not in totals]
        if absent or len(self.points) != len(wanted):
            what = (
                f"{len(absent)} of {len(wanted)} combinations are missing, as {_say(absent[0])}"
                if absent
                else f"{len(self.points)} points for {len(wanted)} combinations, so some twice"
            )
            raise InputError(
                f"device grid is not full factorial: {what}; measure every combination of its "
                "levels once, or leave the incomplete levels out"
            )
        shape = [len(axis) for axis in self.levels]
        return np.array([totals[factors] for factors in wanted]).reshape(shape)

    @property
    def is_factorial(self) -> bool:
        """Whether every combination of the levels that occur is there once."""
        wanted = set(product(*self.levels))
        return len(self.points) == len(wanted) == len({point.factors for point in self.points})

    @cached_property
    def interpolator(self) -> RegularGridInterpolator | None:
        """Linear interpolation of `cube` on the axes with several levels; None if none has."""
        axes = [axis for axis in self._coordinates() if len(axis) > 1]
        return RegularGridInterpolator(axes, self.cube.squeeze()) if axes else None

    def bandwidth(
        self, read_fraction: float, iodepth: float, numjobs: float, block_kib: float
    ) -> GridAnswer:
        """Total (read plus write) bandwidth, interpolated and never extrapolated.

        Linear in read_fraction and in log2 of depth, jobs and block. A value outside the grid is
        taken at the edge and its dimension named; a factor with one level has only that edge. The
        answer is not limited by the pure read and write rates: mixed I/O of a real device may
        exceed the smaller of them.

        Raises
        ------
        InputError
            When the grid is not full factorial, or a value is not positive (read_fraction: < 0).
        """
        asked = (read_fraction, iodepth, numjobs, block_kib)
        bad = next(
            (f"{name} = {x:g}" for name, x in zip(FACTORS, asked, strict=True) if not x >= 0), None
        )
        if bad or min(asked[1:]) <= 0:
            raise InputError(
                f"device grid asked for {bad or _say(asked)}; depth, jobs and block must be > 0, "
                "read_fraction >= 0"
            )
        inside = [
            min(max(x, axis[0]), axis[-1]) for x, axis in zip(asked, self.levels, strict=True)
        ]
        clamped = tuple(name for name, x, y in zip(FACTORS, asked, inside, strict=True) if x != y)
        place = [inside[0], *np.log2(inside[1:])]
        used = [x for x, axis in zip(place, self.levels, strict=True) if len(axis) > 1]
        total = (
            self.cube.item() if self.interpolator is None else float(self.interpolator(used).item())
        )
        return GridAnswer(bytes_per_s=total * MIB, clamped=clamped)

    def outliers(self) -> tuple[GridPoint, ...]:
        """Points that lie far from what their neighbours predict.

        Along each axis with three or more levels the neighbours predict a band of log bandwidth:
        between two neighbours, their values and the interpolation; at an end, the next value and
        the extrapolation of the next two, so that growth and saturation are both expected. A
        point's excess is how far it lies outside the band on the same side along all axes but at
        most one (the smallest but one): a steep surface leaves the band along one axis, an
        artefact along all. It is an outlier where the excess is above both log `OUTLIER_FLOOR` and
        `OUTLIER_SIGMAS` times 1.4826 MAD of the interior interpolation residuals, which says how
        curved and noisy this grid is. With fewer than three such axes nothing can be told and
        nothing is reported; nor is an artefact found that lies between its neighbours along two
        axes, as on a steep slope of the surface: the price of no false alarm at the knee.

        On the shared NVMe grid of 2025-09-09 the limit is 0.43; the two known artefacts lie at
        0.72 (0.25, 16, 4, 64) and 0.54 (0, 1, 1, 1024), the next point at 0.29 (0, 1, 2, 64), so
        exactly the two are found. The constant was chosen with that grid in view.

        Raises
        ------
        InputError
            When the grid is not full factorial.
        """
        flagged = self._flagged()
        return tuple(point for point in self.points if flagged[self._index(point)])

    def cleaned(self) -> DeviceGrid:
        """Return the grid with each outlier's total replaced by its neighbours' interpolation.

        The replacement is the median over the axes of the interpolation of log bandwidth between
        the two neighbours (at an end: the one neighbour), leaving out neighbours that are outliers
        themselves; the point keeps its ratio of reads to writes.
        """
        flagged = self._flagged()
        logs = np.where(flagged, np.nan, self._logs())
        points = []
        for point in self.points:
            index = self._index(point)
            expected = _between_neighbours(logs, self._coordinates(), index)
            if not flagged[index] or expected is None:
                points.append(point)
                continue
            share = (
                point.read_mib_s / point.total_mib_s if point.total_mib_s else point.read_fraction
            )
            total = float(np.exp(expected))
            rates = {"read_mib_s": total * share, "write_mib_s": total * (1.0 - share)}
            points.append(point.model_copy(update=rates))
        return DeviceGrid(points=tuple(points))

    def sequential(self) -> tuple[float, float]:
        """Sequential-like write and read bandwidth, bytes/s.

        The median over the points of one direction only (read_fraction 0, then 1) of iodepth
        `MIN_DEPTH` and more and blocks of `MIN_BLOCK_KIB` and more. A grid that is nowhere that
        deep is read at its deepest level.

        Raises
        ------
        InputError
            When a direction has no such point with a rate above zero.
        """
        depth = min(MIN_DEPTH, max(point.iodepth for point in self.points))
        deep = [p for p in self.points if p.iodepth >= depth and p.block_kib >= MIN_BLOCK_KIB]

        def median(read_fraction: float, column: str) -> float:
            rates = [getattr(p, column) for p in deep if p.read_fraction == read_fraction]
            rate = float(np.median(rates)) if rates else 0.0
            if rate <= 0:
                raise InputError(
                    f"no {column} at read_fraction {read_fraction:g}, iodepth >= {depth} and "
                    f"block_kib >= {MIN_BLOCK_KIB}; give write_bytes_per_s and read_bytes_per_s"
                )
            return rate * MIB

        return median(0.0, "write_mib_s"), median(1.0, "read_mib_s")

    def _coordinates(self) -> list[Cube]:
        """Levels as they are interpolated: read_fraction, then log2 of depth, jobs and block."""
        first, *rest = self.levels
        return [np.array(first), *(np.log2(axis) for axis in rest)]

    def _index(self, point: GridPoint) -> tuple[int, ...]:
        return tuple(axis.index(x) for axis, x in zip(self.levels, point.factors, strict=True))

    def _logs(self) -> Cube:
        return np.log(np.maximum(self.cube, _ZERO_MIB_S))

    def _flagged(self) -> NDArray[np.bool_]:
        logs = self._logs()
        axes = [i for i, axis in enumerate(self.levels) if len(axis) >= 3]
        if len(axes) < _MIN_JUDGED_AXES:
            return np.zeros(logs.shape, dtype=bool)
        beyond, curvature = [], []
        for axis in axes:
            excess, interior = _axis_residuals(
                np.moveaxis(logs, axis, 0), self._coordinates()[axis]
            )
            beyond.append(np.moveaxis(excess, 0, axis))
            curvature.append(interior.ravel())
        ordered = np.sort(np.stack(beyond), axis=0)
        excess = np.maximum(ordered[1], -ordered[-2])
        residuals = np.concatenate(curvature)
        scale = _SIGMA_OF_MAD * np.median(np.abs(residuals - np.median(residuals)))
        limit: float = max(float(np.log(OUTLIER_FLOOR)), OUTLIER_SIGMAS * float(scale))
        return np.asarray(excess > limit)


def _axis_residuals(logs: Cube, x: Cube) -> tuple[Cube, Cube]:
    """Excess of each point over the band its neighbours on axis 0 predict; interior residuals."""
    last = len(x) - 1
    excess, interior = np.zeros_like(logs), []
    for i in range(last + 1):
        near, far = (i - 1, i + 1) if 0 < i < last else (1, 2) if i == 0 else (last - 1, last - 2)
        slope = (logs[far] - logs[near]) / (x[far] - x[near])
        line = logs[near] + slope * (x[i] - x[near])
        band = [logs[near], line]
        if 0 < i < last:
            band.append(logs[far])
            interior.append(logs[i] - line)
        excess[i] = logs[i] - np.clip(logs[i], np.min(band, axis=0), np.max(band, axis=0))
    return excess, np.stack(interior)


def _between_neighbours(logs: Cube, axes: list[Cube], index: tuple[int, ...]) -> float | None:
    """Median over the axes of the interpolation at `index`; None without a known neighbour."""
    expected = []
    for axis, x in enumerate(axes):
        i = index[axis]
        line = np.moveaxis(logs, axis, -1)[(*index[:axis], *index[axis + 1 :])]
        known = [j for j in (i - 1, i + 1) if 0 <= j < len(x) and not np.isnan(line[j])]
        if known:
            expected.append(float(np.interp(x[i], x[known], line[known])))
    return float(np.median(expected)) if expected else None


def _say(factors: tuple[float, ...]) -> str:
    return ", ".join(f"{name} {x:g}" for name, x in zip(FACTORS, factors, strict=True))
