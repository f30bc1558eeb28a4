"""The loop around an attached monitor: looks, status lines, an end."""

from __future__ import annotations

from collections.abc import Callable

from phase_d_lib.attach.attachment import POLL_S, Attachment
from phase_d_lib.attach.ending import Ending
from phase_d_lib.attach.result import Line
from phase_d_lib.attach.status import Account, target_of
from phase_d_lib.metrics import Exporter


def follow(
    attachment: Attachment,
    ending: Ending,
    tell: Callable[[Line], None],
    *,
    every_s: float,
    duration_s: float | None = None,
    once: bool = False,
    exporter: Exporter | None = None,
) -> None:
    """Look at a database until a signal comes, and tell.

    Parameters
    ----------
    attachment : Attachment
    ending : Ending
        Entered; says when a signal came.
    tell : callable
        Takes each line.
    every_s : float
        Time between two status lines.
    duration_s : float, optional
        After so long it ends by itself.
    once : bool
        Look once, tell the state, and end.
    exporter : Exporter, optional
        Shown each sample.
    """
    account = Account(attachment, every_s)
    tell(target_of(attachment))
    row_s = due_s = 0.0
    ended = False
    while not ended:
        # Process figures need two samples, so that even the first look comes after a wait.
        asked = ending.wait(POLL_S)
        ended = asked or (duration_s is not None and attachment.attached_s >= duration_s)
        for happening in attachment.look():
            tell(happening)
        if exporter is not None:
            row = attachment.row(row_s)
            row_s = row["time_s"]
            exporter.observe(row)
        if attachment.attached_s >= due_s or ended:
            tell(account.status())
            due_s = attachment.attached_s + every_s
        if once:
            return
    tell(account.summary())
