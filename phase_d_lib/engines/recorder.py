"""The rows of a run under way: one line a sample, one a second and operation for latencies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

import numpy as np

from phase_d_lib.engines.sampling import Sampler, latency_row
from phase_d_lib.engines.writer import Writer
from phase_d_lib.specs import RunSpec


class Recorder:
    """Writes sample and latency rows as they come; what is written survives a kill."""

    def __init__(
        self, folder: Path, spec: RunSpec, sampler: Sampler, writers: list[Writer]
    ) -> None:
        self._samples: TextIO = (folder / "samples.jsonl").open("a", buffering=1)
        self._latency: TextIO = (folder / "latency.jsonl").open("a", buffering=1)
        self._sampler, self._writers = sampler, writers
        self._rate = spec.workload.arrival.rate_ops_per_s or 0.0
        self._puts = self._gets = 0

    def record(self, now_s: float) -> None:
        """Take and store one sample and its latency histograms."""
        taken = [writer.take_latencies() for writer in self._writers]
        puts = np.concatenate([np.frombuffer(p, dtype=np.int64) for p, _ in taken]) / 1e3
        gets = np.concatenate([np.frombuffer(g, dtype=np.int64) for _, g in taken]) / 1e3
        self._puts, self._gets = self._puts + len(puts), self._gets + len(gets)
        backlog = int(self._rate * max(writer.late_s(now_s) for writer in self._writers))
        row = self._sampler.sample(self._puts, self._gets, backlog, puts)
        self._samples.write(json.dumps(row) + "\n")
        for operation, latencies in (("put", puts), ("get", gets)):
            if len(latencies):
                self._latency.write(
                    json.dumps(latency_row(int(now_s), operation, latencies)) + "\n"
                )

    def close(self) -> None:
        """Close the row files."""
        self._samples.close()
        self._latency.close()
