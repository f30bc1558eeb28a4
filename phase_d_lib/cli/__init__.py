"""The command line: ``phase-d VERB``, the same as ``python -m phase_d_lib VERB``."""

from __future__ import annotations

import sys

import typer

from phase_d_lib.cli import (
    advising,
    imports,
    logs,
    measuring,
    predicting,
    reports,
    sharing,
    tuning,
    watching,
)
from phase_d_lib.cli.console import tell
from phase_d_lib.errors import PhaseDError

app = typer.Typer(
    help="Predict, measure, watch, tune and validate how fast a RocksDB can keep writing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for verb in (
    reports.report,
    reports.profiles,
    reports.runs,
    sharing.share,
    sharing.verify,
    sharing.compare,
    measuring.calibrate,
    measuring.smax,
    measuring.adapt,
    measuring.sweep,
    predicting.predict,
    predicting.deploy,
    tuning.tune,
    tuning.online,
    tuning.landscape,
    tuning.tuners,
    logs.log,
    advising.advise,
    advising.back_test,
    watching.watch,
    watching.attach,
    watching.early_warning,
    measuring.record,
    measuring.pool,
    measuring.bench,
    reports.clean,
):
    app.command()(verb)
app.command("import")(imports.import_files)  # `import` is no name a function can have


def main() -> None:
    """Run the command line; every known error is one line and its exit code."""
    try:
        app()
    except PhaseDError as error:
        tell(f"phase-d: {error}")
        sys.exit(error.exit_code)
