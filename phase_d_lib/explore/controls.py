"""The widgets in use, made one way: name before, no event while a slider is dragged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets  # type: ignore[import-untyped]

Widget = Any
_NAME_WIDTH = "250px"
_WIDTH = "520px"


def choice(name: str, labels: Sequence[str], index: int, meaning: str) -> Widget:
    """Slider over a few written values; its own value is the place of one of them."""
    return ipywidgets.SelectionSlider(
        options=[(label, place) for place, label in enumerate(labels)],
        value=index,
        description=name,
        tooltip=meaning,
        continuous_update=False,
        style={"description_width": _NAME_WIDTH},
        layout={"width": _WIDTH},
    )


def dropdown(name: str, labels: Sequence[str], index: int, meaning: str) -> Widget:
    """List of a few words; its own value is the place of one of them."""
    return ipywidgets.Dropdown(
        options=[(label, place) for place, label in enumerate(labels)],
        value=index,
        description=name,
        tooltip=meaning,
        style={"description_width": _NAME_WIDTH},
        layout={"width": _WIDTH},
    )


def wide_dropdown(name: str, choices: Sequence[tuple[str, Any]], value: Any) -> Widget:
    """List of long names to pick one from."""
    return ipywidgets.Dropdown(
        options=list(choices),
        value=value,
        description=name,
        style={"description_width": "60px"},
        layout={"width": "860px"},
    )


def several(name: str, choices: Sequence[tuple[str, Any]], values: Sequence[Any]) -> Widget:
    """List to pick several from."""
    return ipywidgets.SelectMultiple(
        options=list(choices),
        value=tuple(values),
        description=name,
        rows=min(12, max(4, len(choices))),
        style={"description_width": "60px"},
        layout={"width": "860px"},
    )


def text(name: str, value: str, hint: str) -> Widget:
    """Line of text."""
    return ipywidgets.Text(
        value=value,
        description=name,
        placeholder=hint,
        continuous_update=False,
        style={"description_width": "60px"},
        layout={"width": "700px"},
    )


def number(name: str, value: float, low: float, high: float) -> Widget:
    """Number inside a range."""
    return ipywidgets.BoundedFloatText(
        value=value,
        min=low,
        max=high,
        description=name,
        style={"description_width": "80px"},
        layout={"width": "180px"},
    )


def button(name: str, pressed: Callable[[], None], style: str = "", *, off: bool = False) -> Widget:
    """Button; `style` is one of ipywidgets' names, such as ``danger``."""
    made = ipywidgets.Button(description=name, button_style=style, disabled=off)
    made.on_click(lambda _: pressed())
    return made


def line(content: str = "") -> Widget:
    """Text that the program changes."""
    return ipywidgets.HTML(value=content)


def row(*members: Widget) -> Widget:
    """Widgets beside each other."""
    return ipywidgets.HBox(list(members))


def column(*members: Widget) -> Widget:
    """Widgets below each other."""
    return ipywidgets.VBox(list(members))
