"""Controls over the what-if: move an option, see what v3 predicts for it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from phase_d_lib.explore import controls
from phase_d_lib.explore.desk import Desk
from phase_d_lib.explore.html import notice
from phase_d_lib.explore.place import Place, show_controls
from phase_d_lib.explore.whatif import Answer, WhatIf
from phase_d_lib.explore.whatif_view import answer_html, changed_value
from phase_d_lib.profiles import OptionChanges, Scenario
from phase_d_lib.units import KIB, MIB

_SETTLE_S = 0.15
"""A control must rest this long before its value is asked about."""


@dataclass(frozen=True)
class Control:
    """One thing that can be changed.

    Attributes
    ----------
    name : str
        RocksDB option, workload field or limit.
    values : tuple
        Values offered; the scenario's own is always among them.
    meaning : str
        Tooltip.
    """

    name: str
    values: tuple[Any, ...]
    meaning: str


_MIB_SIZES = tuple(n * MIB for n in (1, 2, 4, 8, 16, 32))
_LIMITS = (*(n * MIB for n in (10, 20, 30, 40, 60, 90, 120)), None)
CONTROLS = (
    Control("write_buffer_size", _MIB_SIZES, "멤테이블 하나의 크기"),
    Control("max_write_buffer_number", (2, 3, 4, 6, 8), "멤테이블의 최대 수"),
    Control("max_bytes_for_level_base", (*_MIB_SIZES[2:], 64 * MIB), "L1의 목표 크기"),
    Control("target_file_size_base", _MIB_SIZES[:5], "SST 파일의 목표 크기"),
    Control("level0_file_num_compaction_trigger", (2, 4, 6, 8), "L0 컴팩션을 시작하는 파일 수"),
    Control("level0_slowdown_writes_trigger", (4, 8, 12, 20, 32), "쓰기를 늦추는 L0 파일 수"),
    Control("level0_stop_writes_trigger", (8, 12, 20, 36, 48), "쓰기를 멈추는 L0 파일 수"),
    Control("max_background_jobs", (2, 4, 6, 8), "플러시와 컴팩션의 동시 작업 수"),
    Control("compression", ("none", "snappy", "lz4", "zstd"), "SST 파일의 압축"),
    Control("value_compression_ratio", (0.25, 0.5, 0.75, 1.0), "값의 압축비. 1이면 압축되지 않음"),
    Control("value_bytes", (100, 200, 400, KIB, 4 * KIB), "값의 크기"),
    Control("limiter_bytes_per_s", _LIMITS, "플러시와 컴팩션 쓰기의 속도 제한"),
)


class WhatIfPanel:
    """The controls, and the answer below them; shows itself when made.

    Made without a front end it shows the answer for `changes` and stays as it is.

    Parameters
    ----------
    desk : Desk
    changes : dict, optional
        What the controls begin with beside the scenario's own values.
    """

    def __init__(self, desk: Desk, changes: OptionChanges | None = None) -> None:
        self.whatif = WhatIf(desk)
        self.scenario = desk.profile.scenario
        self._own = own_values(self.scenario)
        start = {**self._own, **(changes or {})}
        self._values = {
            control.name: _offered(control, self._own[control.name], start[control.name])
            for control in CONTROLS
        }
        self.widgets = {control.name: self._widget(control) for control in CONTROLS}
        for name in self.widgets:
            self.move(name, start[name])
        self._asked = 0
        self._timer: threading.Timer | None = None
        self._turn = threading.Lock()
        show_controls(self._box())
        self.place = Place("<p>v3의 모의실험을 시작합니다.</p>")
        for answer in self.whatif.ask({}):
            self._base = answer
            self._show(self._asked, answer)
        if self.changes:
            self._answer(self._asked)
        for widget in self.widgets.values():
            widget.observe(lambda _: self.ask_soon(), names="value")

    @property
    def changes(self) -> OptionChanges:
        """What the controls make different from the scenario."""
        now = {name: self._values[name][w.value] for name, w in self.widgets.items()}
        return {name: value for name, value in now.items() if value != self._own[name]}

    def ask_soon(self) -> None:
        """Ask once the controls rest; an answer that is under way is then not shown any more."""
        with self._turn:
            self._asked += 1
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(_SETTLE_S, self._answer, (self._asked,))
            self._timer.daemon = True
            self._timer.start()

    def reset(self) -> None:
        """Put every control back to the scenario's own value."""
        for name, value in self._own.items():
            self.move(name, value)

    def move(self, name: str, value: Any) -> None:
        """Move one control to a value it offers."""
        self.widgets[name].value = self._values[name].index(value)

    def _answer(self, number: int) -> None:
        try:
            for answer in self.whatif.ask(self.changes):
                if not self._show(number, answer):
                    return
        except Exception as error:  # a thread's traceback would reach nobody
            self.place.show(notice(f"예측하지 못했습니다: {type(error).__name__}: {error}"))

    def _show(self, number: int, answer: Answer) -> bool:
        """Show an answer unless the controls have moved on; return whether it was shown."""
        with self._turn:
            if number != self._asked:
                return False
            self.place.show(answer_html(self._base, answer, self.scenario))
            return True

    def _widget(self, control: Control) -> controls.Widget:
        values, own = self._values[control.name], self._own[control.name]
        labels = [changed_value(control.name, value) for value in values]
        make = controls.dropdown if isinstance(own, str) else controls.choice
        return make(control.name, labels, values.index(own), control.meaning)

    def _box(self) -> controls.Widget:
        made = list(self.widgets.values())
        half = (len(made) + 1) // 2
        return controls.column(
            controls.row(controls.column(*made[:half]), controls.column(*made[half:])),
            controls.button("기본값으로", self.reset),
        )


def own_values(scenario: Scenario) -> dict[str, Any]:
    """Value of every control in the scenario itself."""
    spec = scenario.spec()
    homes = {**spec.model_dump(), **spec.workload.model_dump(), **spec.options.model_dump()}
    return {control.name: homes[control.name] for control in CONTROLS}


def _offered(control: Control, *more: Any) -> list[Any]:
    """Values of a control and others that must be among them: numbers ascending, none last."""
    values = list(dict.fromkeys([*control.values, *more]))
    if all(isinstance(value, str) for value in values):
        return values
    return sorted(values, key=lambda value: float("inf") if value is None else float(value))
