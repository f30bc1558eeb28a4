"""Copy a run as small as its numbers allow: what was asked, sampled and logged, compressed."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow.parquet as pq

from phase_d_lib.bundle.privacy import Scrubber
from phase_d_lib.runs import Run, without_statistics_dumps
from phase_d_lib.workspace import write_atomically

TEXTS = ("spec.json", "host.json", "prediction.json", "result.json", "OPTIONS", "commands.jsonl")
TABLES = ("samples.parquet", "latency.parquet")
LOG = "LOG.gz"
_HEAD_BYTES = 1 << 16


def log_bytes(run: Run) -> bytes:
    """Return the LOG of a run, unpacked."""
    plain = run.path / "LOG"
    return plain.read_bytes() if plain.is_file() else gzip.decompress((run.path / LOG).read_bytes())


def log_head(run: Run) -> bytes:
    """Return the beginning of a run's LOG, where RocksDB names the host."""
    plain = run.path / "LOG"
    if plain.is_file():
        with plain.open("rb") as stream:
            return stream.read(_HEAD_BYTES)
    with gzip.open(run.path / LOG) as stream:
        return stream.read(_HEAD_BYTES)


def copy_run(run: Run, target: Path, scrub: Scrubber | None) -> None:
    """Copy a finished run to `target`: texts, both tables and the LOG without statistics dumps.

    Earlier attempts and the alerts seen live stay behind: no number comes from them.

    Parameters
    ----------
    scrub : Scrubber or None
        Takes private words out; None keeps every text as it is.
    """
    target.mkdir(parents=True)
    for name in TEXTS:
        if (run.path / name).is_file():
            text = (run.path / name).read_text(errors="surrogateescape")
            kept = scrub.text(text) if scrub else text
            write_atomically(target / name, kept.encode(errors="surrogateescape"))
    for name in TABLES:
        if (run.path / name).is_file():
            table = pq.read_table(run.path / name)
            pq.write_table(table, target / name, compression="zstd", compression_level=9)
    log = without_statistics_dumps(log_bytes(run))
    if scrub:
        text = log.decode(errors="surrogateescape")
        log = scrub.text(text).encode(errors="surrogateescape")
    write_atomically(target / LOG, gzip.compress(log, mtime=0))
