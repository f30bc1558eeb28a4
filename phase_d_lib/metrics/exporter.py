"""Serve the newest sample of a run at ``/metrics``; nothing listens unless :func:`serve` is called.

The page is OpenMetrics or Prometheus text, as the scraper asks. It shows what was last observed and
when (``rocksdb_sample_timestamp_seconds``), so that a run that ended does not look alive.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from phase_d_lib.errors import InputError
from phase_d_lib.metrics.catalog import METRICS, Metric, expectation_gauges
from phase_d_lib.monitor import Expectations
from phase_d_lib.monitor.signals import Row

LOOPBACK = "127.0.0.1"
PATIENCE_S = 2.0
"""Longest wait for a client that says nothing, and so for the end of a request."""


class SampleCollector(Collector):
    """Turns the newest raw sample row into metric families.

    Parameters
    ----------
    expected : Expectations, optional
        Limits shown beside the samples, for alert rules.
    """

    def __init__(self, expected: Expectations | None = None) -> None:
        self._row: Row = {}
        self._gauges = expectation_gauges(expected) if expected is not None else {}

    def observe(self, row: Row) -> None:
        """Take the newest row; the next scrape shows it."""
        # One assignment: a scrape in another thread sees the old row or the new one, never both.
        self._row = dict(row)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield every metric that the newest row holds a number for."""
        row, families = self._row, dict[str, CounterMetricFamily | GaugeMetricFamily]()
        for metric in METRICS:
            value = _number(row.get(metric.column))
            # Counters start at -1 where the system did not let them be read.
            if value is None or (metric.kind == "counter" and value < 0):
                continue
            family = families.setdefault(metric.name, _family(metric))
            family.add_metric(list(metric.labels.values()), value * metric.factor)
        yield from families.values()
        for name, (text, value) in self._gauges.items():
            yield GaugeMetricFamily(name, text, value=value)


class Exporter:
    """A running HTTP server; make it with :func:`serve`, end it with :meth:`close` or ``with``.

    Attributes
    ----------
    port : int
        The port it listens on.
    registry : CollectorRegistry
        Holds the collector alone, none of the process's own metrics.
    """

    def __init__(self, port: int, host: str, expected: Expectations | None) -> None:
        self._collector = SampleCollector(expected)
        self.registry = CollectorRegistry()
        self.registry.register(self._collector)
        try:
            self._server = make_server(
                host, port, make_wsgi_app(self.registry), _Server, handler_class=_QuietHandler
            )
        except (OSError, OverflowError) as error:
            raise InputError(
                f"can't serve metrics on {host}:{port}: {error}; port 0 takes a free one"
            ) from None
        self.host, self.port = host, int(self._server.server_port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Address to scrape."""
        return f"http://{self.host}:{self.port}/metrics"

    def observe(self, row: Row) -> None:
        """Take the newest raw sample row; the next scrape shows it."""
        self._collector.observe(row)

    def close(self) -> None:
        """Stop listening and wait until every thread has ended; safe to call again."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def serve(port: int = 0, host: str = LOOPBACK, *, expected: Expectations | None = None) -> Exporter:
    """Start serving ``/metrics``.

    Parameters
    ----------
    port : int
        0 takes a free one; see :attr:`Exporter.port`.
    host : str
        Address to bind; the default is reachable from this machine alone. There is no password.
    expected : Expectations, optional
        Limits shown beside the samples, for alert rules.

    Raises
    ------
    InputError
        When the address can't be bound.
    """
    return Exporter(port, host, expected)


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request, so that a client that hangs delays no other; all are waited for."""

    daemon_threads = False
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that hangs or leaves; any other error is a fault of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _QuietHandler(WSGIRequestHandler):
    timeout = PATIENCE_S

    def log_message(self, *_: Any) -> None:
        """Say nothing: a scrape every few seconds would drown the run's own lines."""


def _family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.help, labels=list(metric.labels), unit=metric.unit)


def _number(value: Any) -> float | None:
    """A finite number, or None: latencies are None in an interval without puts."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)
