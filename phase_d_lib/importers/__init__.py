"""Finished measurements of other tools as typed, checked results.

One kind of input a module; ``phase-d import KIND`` finds them through
:mod:`phase_d_lib.importers.registry`, where third parties add their own.
"""

from phase_d_lib.importers.db_bench_text import DbBenchResult, read_db_bench
from phase_d_lib.importers.grid import GRID_COLUMNS, read_device_grid

__all__ = ["GRID_COLUMNS", "DbBenchResult", "read_db_bench", "read_device_grid"]
