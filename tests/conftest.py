"""Options of the whole suite. `--allowed-skips FILE` fails a run that skips anything else."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--allowed-skips",
        metavar="FILE",
        help="fail when a test is skipped that FILE does not list (a node id or pattern a line)",
    )


def pytest_configure(config: pytest.Config) -> None:
    listed = config.getoption("--allowed-skips")
    if listed:
        config.pluginmanager.register(SkipGate(Path(listed)), "skip-gate")


class SkipGate:
    """Turns a green run red when it skipped a test that is not declared."""

    def __init__(self, listed: Path) -> None:
        self.listed = listed
        lines = (line.partition(" # ")[0].strip() for line in listed.read_text().splitlines())
        self.patterns = [line for line in lines if line and not line.startswith("#")]
        self.undeclared: list[str] = []

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        declared = any(
            report.nodeid == pattern or fnmatchcase(report.nodeid, pattern)
            for pattern in self.patterns
        )
        if report.skipped and not hasattr(report, "wasxfail") and not declared:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self.undeclared.append(f"{report.nodeid}: {reason}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.undeclared and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.undeclared:
            terminalreporter.section(f"skipped, but not declared in {self.listed}", red=True)
            for line in self.undeclared:
                terminalreporter.line(line)
