"""Start and stop buttons over the live view."""

from __future__ import annotations

from phase_d_lib.explore import controls
from phase_d_lib.explore.desk import Desk
from phase_d_lib.explore.html import notice
from phase_d_lib.explore.live_run import LiveRun
from phase_d_lib.explore.live_view import live_html
from phase_d_lib.explore.place import Place, show_controls
from phase_d_lib.explore.watched import Watched, recorded

_SHORTEST_S, _LONGEST_S = 5.0, 3600.0
_last: LivePanel | None = None


class LivePanel:
    """Shows itself when made, with the recorded run in place of a live one.

    Parameters
    ----------
    desk : Desk
    duration_s : float, optional
        Length a run begins with; None takes the profile's.
    run_now : bool
        Run at once and return when it is over; else only the button starts a run.
    """

    def __init__(
        self, desk: Desk, duration_s: float | None = None, *, run_now: bool = False
    ) -> None:
        global _last
        if _last is not None:
            _last.stop()  # its buttons are gone when the cell runs again
        _last = self
        self._desk = desk
        self.live: LiveRun | None = None
        planned_s = duration_s or desk.profile.monitoring.duration_s
        self.length = controls.number("길이(s)", planned_s, _SHORTEST_S, _LONGEST_S)
        self.start_button = controls.button("시작", self.start, "primary")
        self.stop_button = controls.button("중지", self.stop, "danger", off=True)
        show_controls(controls.row(self.start_button, self.stop_button, self.length))
        self.place = Place()
        if run_now:
            self.run()
        else:
            self._show(recorded(desk))

    def run(self) -> None:
        """Run to the end; an interrupted cell stops the run."""
        self.start()
        try:
            if self.live is not None:
                self.live.wait()
        except KeyboardInterrupt:
            self.stop()

    def start(self) -> None:
        """Start a run; does nothing while one goes."""
        if self.start_button.disabled:
            return
        self._offer(running=True)
        self.place.show("<p><b>실행 전 예측을 계산합니다.</b></p>")
        self.live = LiveRun(self._desk, self._show, float(self.length.value))
        self.live.start()

    def stop(self) -> None:
        """Stop the run and leave what was measured."""
        self.stop_button.disabled = True
        if self.live is not None:
            self.live.stop()

    def _offer(self, *, running: bool) -> None:
        self.start_button.disabled, self.stop_button.disabled = running, not running

    def _show(self, watched: Watched) -> None:
        try:
            self.place.show(live_html(watched))
        except Exception as error:  # a thread's traceback would reach nobody
            self.place.show(notice(f"화면을 그리지 못했습니다: {type(error).__name__}: {error}"))
        if watched.over:
            self._offer(running=False)
