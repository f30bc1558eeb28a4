"""RocksDB metrics for Prometheus: served from the samples of a run, read from a range query.

`catalog` says which metric is which sample column; `exporter` serves them; `range_query` reads what
a Prometheus server has kept of any RocksDB.
"""

from phase_d_lib.metrics.catalog import METRICS, Metric
from phase_d_lib.metrics.exporter import LOOPBACK, Exporter, serve
from phase_d_lib.metrics.range_query import read_range_query

__all__ = ["LOOPBACK", "METRICS", "Exporter", "Metric", "read_range_query", "serve"]
