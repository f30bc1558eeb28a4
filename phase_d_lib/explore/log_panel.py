"""A path and a button over the analysis of a LOG."""

from __future__ import annotations

from pathlib import Path

from phase_d_lib.errors import PhaseDError
from phase_d_lib.explore import controls
from phase_d_lib.explore.desk import Desk
from phase_d_lib.explore.logs import failure_html, log_html, open_log
from phase_d_lib.explore.place import Place, show_controls

_HINT = "LOG 파일이나 데이터베이스 디렉터리의 경로"


class LogPanel:
    """Shows itself when made.

    Parameters
    ----------
    desk : Desk
    path : str
        LOG file, gzip of one, or a database directory; empty takes the recorded run's.
    """

    def __init__(self, desk: Desk, path: str = "") -> None:
        self._root = desk.workspace.root
        recorded = next(desk.example.path.glob("LOG*")).relative_to(self._root)
        self.path = controls.text("LOG", path or str(recorded), _HINT)
        show_controls(controls.row(self.path, controls.button("분석", self.read, "primary")))
        self.place = Place()
        self.read()

    def read(self) -> None:
        """Read the file of the path; a path that is not absolute begins at the project."""
        self.place.show("<p>읽고 있습니다.</p>")
        try:
            self.place.show(log_html(open_log(self._root / Path(self.path.value).expanduser())))
        except (PhaseDError, OSError) as error:
            self.place.show(failure_html(error))
