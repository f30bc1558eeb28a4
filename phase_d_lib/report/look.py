"""The look that every figure of the report shares: colours, Korean font, headings, axes."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter

from phase_d_lib.errors import InputError

MEASURED, PREDICTED, DELAY, STOP, QUIET, THIRD = (
    "#0173b2", "#d55e00", "#de8f05", "#b3261e", "#5f5f5f", "#029e73"
)  # fmt: skip
"""Colours of seaborn's colour-blind palette, and a dark red for stops."""
KOREAN = "NanumGothic"
_LONGEST_NAME = 28
_CARRIER = "koreanize_matplotlib"


@cache
def register_korean_font() -> str:
    """Register NanumGothic with matplotlib once and return its family name.

    Raises
    ------
    InputError
        When the package that carries the font is not installed.
    """
    for font in korean_fonts():
        font_manager.fontManager.addfont(str(font))
    return KOREAN


def korean_fonts() -> list[Path]:
    """Find the files of NanumGothic.

    Raises
    ------
    InputError
        When the package that carries the font is not installed.
    """
    # Only its files are used: importing it fails on Python 3.12 and later.
    spec = find_spec(_CARRIER)
    fonts = (
        sorted(Path(spec.origin).parent.rglob("NanumGothic*.ttf")) if spec and spec.origin else []
    )
    if not fonts:
        raise InputError("no NanumGothic font found; install koreanize-matplotlib (make setup)")
    return fonts


def use_theme(font_scale: float = 1.0) -> None:
    """Set seaborn's theme with the Korean font and embedded TrueType in PDF."""
    family = [register_korean_font(), "DejaVu Sans"]
    sns.set_theme(
        style="whitegrid",
        palette="colorblind",
        font_scale=font_scale,
        rc={
            "font.family": family,
            "font.sans-serif": family,
            "pdf.fonttype": 42,
            "axes.unicode_minus": False,
            "axes.titlelocation": "left",
            "grid.color": "#e2e2e2",
            "axes.edgecolor": "#888888",
            "legend.frameon": True,
            "legend.framealpha": 0.9,
            "legend.edgecolor": "#dddddd",
        },
    )


def head(axes: Axes, question: str, answer: str) -> None:
    """Title a panel with its question, and its answer below in smaller type."""
    line = float(plt.rcParams["font.size"])
    _above(axes, question, 2.4 * line, fontweight="bold", fontsize="large")
    _above(axes, answer, 0.7 * line, color="#444444", fontsize=0.94 * line)


def _above(axes: Axes, text: str, lift_points: float, **style: Any) -> None:
    axes.annotate(
        text,
        (0.0, 1.0),
        xytext=(0, lift_points),
        xycoords="axes fraction",
        textcoords="offset points",
        va="bottom",
        **style,
    )


def label(name: str) -> str:
    """Write a name on a figure: cut when long, and never read as a formula."""
    shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return shown.replace("$", r"\$")


def thousands(axes: Axes, which: str = "y") -> None:
    """Write the ticks of an axis with thousands separators."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def microseconds(axis: Axis) -> None:
    """Write the ticks of an axis in microseconds as µs, ms or s."""

    def show(value: float, _: object) -> str:
        if value >= 1e6:
            return f"{value / 1e6:g} s"
        return f"{value / 1e3:g} ms" if value >= 1e3 else f"{value:g} µs"

    axis.set_major_formatter(FuncFormatter(show))


def sampled(samples: pd.DataFrame) -> pd.DataFrame:
    """Leave out samples that end an interval too short for a rate (under half the usual)."""
    inside = samples.iloc[1:]
    return inside[inside["gap_s"] >= 0.5 * inside["gap_s"].median()]
