"""`phase-d log` on real LOGs of every version there is one of: no crash, every event counted."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from phase_d_lib.cli import app
from phase_d_lib.redaction import Redactor

DATA = Path(__file__).parent / "data"
SHARED = Path(os.environ.get("PHASE_D_SHARED") or Path(__file__).parents[2] / "shared")
COMMITTED = [
    *sorted((DATA / "logs").glob("*.gz")),
    *sorted((DATA / "recorded").glob("*/LOG.gz"))[:1],
]
FAMILIES = sorted((DATA / "logs").glob("*.LOG.gz"))
"""LOGs of two column families, redacted by our own redaction."""


def content_of(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def event_lines(content: bytes) -> int:
    """What ``grep -c EVENT_LOG_v1`` says."""
    return sum(b"EVENT_LOG_v1" in line for line in content.split(b"\n"))


def logged(path: Path) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["log", str(path), "--json"])
    assert done.exit_code == 0, done.exception
    record: dict[str, Any] = json.loads(done.stdout)
    return record


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_event_line_is_counted(path: Path) -> None:
    content, record = content_of(path), logged(path)
    assert sum(record["events"].values()) == event_lines(content) > 0
    assert (record["skipped_lines"], record["foreign_lines"]) == (0, 0)
    assert record["version"] in content.split(b"\n", 1)[0].decode()
    stalls = record["stalls"].values()
    warned = sum(stall["slowdown"] + stall["stop"] for stall in stalls)
    assert warned == content.count(b" writes because ")


def test_the_shared_logs_too() -> None:
    paths = sorted((SHARED / "data" / "logs").glob("LOG*"))
    if not paths:
        pytest.skip(f"no shared real data below {SHARED}; set PHASE_D_SHARED")
    for path in paths:
        record = logged(path)
        assert sum(record["events"].values()) == event_lines(content_of(path))
        assert record["version"] == path.name.rpartition("-")[2]


def test_there_are_ten_versions() -> None:
    first_lines = [content_of(path).split(b"\n", 1)[0] for path in COMMITTED]
    versions = {line.rpartition(b"version: ")[2] for line in first_lines}
    assert len(versions) >= 10, versions


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: str(path.name))
def test_both_families_are_read_and_nothing_is_left_to_redact(path: Path) -> None:
    content, record = content_of(path), logged(path)
    assert set(record["column_families"]) == {"default", "cf-1"}
    assert len(record["column_families"]["cf-1"]) > 60
    if content.count(b"** DB Stats **"):  # the dumps of 6.14.6 are titles without values
        assert {row["column_family"] for row in record["levels"]} == {"default", "cf-1"}
    text = content.decode()
    assert Redactor().text(text) == text
