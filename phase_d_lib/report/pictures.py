"""The figures of a report: drawn once, saved as PNG for the screen and as PDF for print."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from phase_d_lib.report import figures, flow_figures, scatter, search_figures
from phase_d_lib.report.blocks import Picture
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.origins import monitored, run_file, tuned, validated
from phase_d_lib.report.panels import FIGURE_NAME, six_panels
from phase_d_lib.report.quantities import rate
from phase_d_lib.report.readings import binding, bounding_prediction, prediction_source
from phase_d_lib.report.sources import attribute, plain
from phase_d_lib.report.wording import binding as binding_name
from phase_d_lib.runs import Run
from phase_d_lib.tuning.protocol import TuningResult

SIX_PANELS = Path(FIGURE_NAME).stem
STALLS = "stall_timeline"
LATENCY = "latency_heatmap"
LEVELS = "level_write_flow"
BOUNDS = "resource_bounds"
PREDICTIONS = "predicted_vs_measured"
PAIRS = "paired_rates"
CONVERGENCE = "search_convergence"
OPTION_EFFECTS = "option_effects"
_DPI = 120
_PANELS_ALT = "QPS 추세, 지연시간 추세, 시스템 자원, 입출력과 컴팩션, 예측 대 실측, 분포"


@dataclass(frozen=True)
class Gallery:
    """The drawn figures of one report.

    Attributes
    ----------
    pictures : dict
        Name -> caption and description, in order of appearance.
    files : tuple of Path
        PNG and PDF of each.
    """

    pictures: dict[str, Picture]
    files: tuple[Path, ...]

    def place(self, name: str) -> Picture:
        """Return the figure of that name."""
        return self.pictures[name]


def draw(inputs: ReportInputs, run: Run, folder: Path) -> Gallery:
    """Draw every figure of the report into `folder`.

    Parameters
    ----------
    run : Run
        The monitored run.
    """
    shown = {picture.name: picture for picture in captions(inputs, run)}
    cases, trials = inputs.validation.cases, inputs.tuning.trials
    drawings: dict[str, Callable[[], Figure]] = {
        LATENCY: lambda: flow_figures.latency_heatmap(run),
        STALLS: lambda: figures.stall_timeline(run),
        LEVELS: lambda: flow_figures.level_flows(inputs.monitoring.ledger),
        PREDICTIONS: lambda: scatter.predicted_vs_measured(cases, inputs.monitoring),
        PAIRS: lambda: figures.paired_rates(trials),
        SIX_PANELS: lambda: six_panels(inputs, run),
    }
    bounds = bounding_prediction(inputs)
    if bounds is not None:
        measured = inputs.monitoring.result.put_rate_ops_per_s.value
        drawings[BOUNDS] = lambda: flow_figures.bound_chart(bounds, measured)
    search, effects = inputs.tuning.search, inputs.tuning.effects
    if search is not None:
        drawings[CONVERGENCE] = lambda: search_figures.convergence(search)
    if effects is not None:
        drawings[OPTION_EFFECTS] = lambda: search_figures.option_effects(effects)
    files = [file for name in shown for file in _save(drawings[name], folder / name)]
    return Gallery(shown, tuple(files))


def captions(inputs: ReportInputs, run: Run) -> tuple[Picture, ...]:
    """Question, answer and description of every figure, in order of appearance."""
    cases, trials = inputs.validation.cases, inputs.tuning.trials
    predicted = scatter.prediction_answer(cases, inputs.monitoring)
    saturation = rate(inputs.monitoring.result.put_rate_ops_per_s)
    slow = flow_figures.latency_answer(run)
    bound = plain(binding_name(binding(inputs)[0]))
    overall = f"포화 처리율 {saturation}, 제약 자원은 {bound}"
    return (
        Picture(
            LATENCY,
            flow_figures.LATENCY_QUESTION,
            attribute(slow, run_file(inputs, "latency.parquet", "count")),
            "가로축은 시간, 세로축은 put 지연시간(로그), 색은 put의 수입니다. 회색 띠는 예열입니다",
            share=0.9,
        ),
        Picture(
            STALLS,
            figures.STALL_QUESTION,
            attribute(figures.stall_answer(run), run_file(inputs, "LOG", "Stalling, Stopping")),
            "시간에 따른 쓰기 지연과 정지를 원인별 띠로, 그 아래에 L0 파일 수와 지연 기준, 정지 "
            "기준을 선으로 그렸습니다",
            share=0.9,
        ),
        Picture(
            LEVELS,
            flow_figures.LEVEL_QUESTION,
            attribute(
                flow_figures.level_answer(inputs.monitoring.ledger), monitored(inputs, "ledger")
            ),
            "레벨마다 쓰고 읽은 바이트를 사용자 바이트로 나누어 막대로 그렸습니다. 플러시는 L0에 "
            "씁니다",
            share=0.75,
        ),
        *_of_bounds(inputs),
        Picture(
            PREDICTIONS,
            scatter.PREDICTION_QUESTION,
            attribute(predicted, validated("scores")),
            "가로축은 예측한 포화 처리율, 세로축은 측정한 포화 처리율이며 점선 위에 있으면 예측과 "
            "실측이 같습니다",
            share=0.66,
        ),
        *_of_search(inputs.tuning),
        Picture(
            PAIRS,
            figures.PAIR_QUESTION,
            attribute(figures.pair_answer(trials), tuned("trials")),
            "옵션 조합마다 같은 쌍의 기본값과 견준 처리율의 비를 점으로 그렸습니다. 빈 점은 무효한 "
            "실행입니다",
            share=0.75,
        ),
        Picture(
            SIX_PANELS,
            "한 실행을 여섯 면에서 보면 어떻습니까?",
            attribute(overall, monitored(inputs, "put_rate_ops_per_s")),
            _PANELS_ALT,
            turned=True,
        ),
    )  # fmt: skip


def _of_bounds(inputs: ReportInputs) -> Iterator[Picture]:
    prediction = bounding_prediction(inputs)
    if prediction is not None:
        measured = inputs.monitoring.result.put_rate_ops_per_s.value
        yield Picture(
            BOUNDS,
            flow_figures.BOUND_QUESTION,
            attribute(flow_figures.bound_answer(prediction, measured), prediction_source(inputs)),
            "자원마다 그 자원을 다 쓰게 되는 처리율을 막대로, 잰 처리율을 세로선으로 그렸습니다. "
            "가장 짧은 막대가 모델이 말하는 제약 자원입니다",
            share=0.75,
        )


def _of_search(tuning: TuningResult) -> Iterator[Picture]:
    if tuning.search is not None:
        yield Picture(
            CONVERGENCE,
            search_figures.CONVERGENCE_QUESTION,
            attribute(search_figures.convergence_answer(tuning.search), tuned("search")),
            "가로축은 평가의 순서, 세로축은 기본값 대비 처리율이며 계단 선은 그때까지의 "
            "최고입니다. 빈 점은 무효한 실행입니다",
            share=0.75,
        )
    if tuning.effects is not None:
        yield Picture(
            OPTION_EFFECTS,
            search_figures.EFFECT_QUESTION,
            attribute(search_figures.effect_answer(tuning.effects), tuned("effects")),
            "옵션 하나를 기본값으로 되돌린 실행과 견준 처리율의 비를 막대로, 같은 조합을 다시 잰 "
            "폭을 띠로 그렸습니다",
            share=0.75,
        )


def _save(draw_one: Callable[[], Figure], stem: Path) -> list[Path]:
    figure = draw_one()
    png, pdf = stem.with_suffix(".png"), stem.with_suffix(".pdf")
    # The subsetter tells of font tables it drops; nobody reading a notebook needs that.
    logging.getLogger("fontTools.subset").setLevel(logging.ERROR)
    try:
        figure.savefig(png, dpi=_DPI)
        # Without its date the same figure is the same file.
        figure.savefig(pdf, metadata={"CreationDate": None})
    finally:
        plt.close(figure)
    return [png, pdf]
