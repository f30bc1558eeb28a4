"""Files, reproduction and summary."""

from __future__ import annotations

from collections.abc import Iterator

from phase_d_lib.report.blocks import Block, CodeBlock, Heading, Item, ItemList, Paragraph, items
from phase_d_lib.report.chapters.opening import status
from phase_d_lib.report.chapters.performance import (
    deployed_count,
    loop_count,
    saturation,
    stability_of,
)
from phase_d_lib.report.chapters.tuning import tuned_runs, tuning_effect
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.objectives import Objective
from phase_d_lib.report.origins import ALERTS, monitored
from phase_d_lib.report.pictures import Gallery
from phase_d_lib.report.provenance import file_table, time_table
from phase_d_lib.report.quantities import count
from phase_d_lib.report.recommendations import outlook, recommendations
from phase_d_lib.report.sources import attribute


def blocks(
    inputs: ReportInputs, judged: tuple[Objective, ...], gallery: Gallery
) -> Iterator[Block]:
    """What was written, how to make it again, what was reached."""
    yield Heading(2, "생성된 결과 파일들")
    yield Paragraph(
        "이 보고서는 `phase_d_report.md`, `phase_d_report.html`, `phase_d_report.pdf`의 세 "
        "형식으로 있고 내용은 같습니다. HTML에서는 숫자에 커서를 올리거나 누르면 출처가 보입니다."
    )
    yield Heading(3, "JSON 데이터 파일들")
    yield file_table()
    yield Heading(3, "시각화 파일")
    yield ItemList(
        tuple(Item(f"`{p.name}.png`, `{p.name}.pdf`. {p.alt}") for p in gallery.pictures.values())
    )
    yield Heading(2, "측정 시각과 재현")
    yield time_table(inputs)
    yield Paragraph(
        "첫째 줄은 보고서 전체를, 둘째 줄은 통합 단계 하나를 같은 시드로 다시 만듭니다."
    )
    yield CodeBlock(_reproduction(inputs))
    yield Paragraph(
        f"시드: 통합 `{inputs.integration.seed}`, 튜닝 `{inputs.tuning.seed}`, "
        f"검증 `{inputs.validation.seed}`"
    )
    yield Heading(2, "Phase-D 성과 요약")
    yield Heading(3, "달성한 성과")
    yield ItemList(
        tuple(Item(o.criterion_ko, o.title_ko) for o in judged if o.met),
        numbered=True,
        empty="기준을 만족한 목표가 없습니다.",
    )
    yield Heading(3, "핵심 지표")
    yield _key_figures(inputs, judged)
    yield Heading(3, "향후 전망")
    yield ItemList(tuple(Item(f"{line}.") for line in outlook(inputs)))
    yield Paragraph(f"{_next_step(inputs)}.", "다음 단계")


def _key_figures(inputs: ReportInputs, judged: tuple[Objective, ...]) -> ItemList:
    raised = f"{count(len(inputs.monitoring.alerts))}건"
    alerts = attribute(raised, monitored(inputs, "alerts", ALERTS))
    return items(
        ("목표", status(judged)),
        ("모델 배포", deployed_count(inputs)),
        ("모니터링", f"루프 {loop_count(inputs)}, 경보 {alerts}"),
        ("튜닝", f"조정 {tuned_runs(inputs)}, {tuning_effect(inputs)}"),
        ("성능", f"{saturation(inputs)}, {stability_of(inputs, 'put_ops_per_s')}"),
    )


def _next_step(inputs: ReportInputs) -> str:
    advice = recommendations(inputs)
    return advice[0].statement_ko if advice else "같은 구성을 다시 재어 결과를 확인합니다"


def _reproduction(inputs: ReportInputs) -> str:
    name, seed = inputs.profile.name, inputs.integration.seed
    alone = ".venv/bin/papermill notebooks/01_integration.ipynb out.ipynb"
    return f"make report PROFILE={name}\n{alone} -p profile {name} -p seed {seed}"
