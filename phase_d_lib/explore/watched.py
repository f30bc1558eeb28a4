"""What is known of a run while it goes and when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from phase_d_lib.explore.desk import Desk
from phase_d_lib.models.base import Prediction
from phase_d_lib.monitor import AlertBook, Expectations
from phase_d_lib.monitor.signals import Row
from phase_d_lib.runs import Run
from phase_d_lib.specs import RunSpec


@dataclass
class Watched:
    """A run as seen from outside.

    Attributes
    ----------
    spec : RunSpec
    prediction : Prediction or None
        The active model's, made before the run.
    rows : list of mapping
        Samples, oldest first.
    expected : Expectations
        What the alert rules hold it against.
    book : AlertBook
    phase : str
        What happens now, or how it ended; Korean.
    reason : str
        Why it failed, one line.
    over : bool
        Whether nothing more comes.
    run : Run or None
        The finished run.
    """

    spec: RunSpec
    prediction: Prediction | None = None
    rows: list[Row] = field(default_factory=list)
    phase: str = "실행을 준비합니다"
    reason: str = ""
    over: bool = False
    run: Run | None = None

    def __post_init__(self) -> None:
        self.expect((), None)

    def expect(self, predictions: Sequence[Prediction], active: str | None) -> None:
        """Hold the run against the active model's prediction; before the first sample."""
        self.prediction = next((p for p in predictions if p.model == active), None)
        self.expected = Expectations.of(self.spec, self.prediction)
        self.book = AlertBook(self.expected)

    def take(self, row: Row) -> None:
        """Take the next sample."""
        self.rows.append(row)
        self.book.observe(row)

    def end(self, phase: str, reason: str = "") -> None:
        """Note how it ended."""
        self.phase, self.reason, self.over = phase, reason, True


def recorded(desk: Desk) -> Watched:
    """Return the recorded run as if it had just ended."""
    run = desk.example
    frozen = (run.predictions or {"predictions": []})["predictions"]
    watched = Watched(run.spec)
    watched.expect([Prediction.model_validate(p) for p in frozen], desk.fleet.record.active)
    for row in run.samples.to_dict("records"):
        watched.take({str(key): value for key, value in row.items()})
    watched.run = run
    watched.end("기록된 예제 실행입니다")
    return watched
