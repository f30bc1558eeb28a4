"""Findings, figures and recommendations, each statement with its rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from phase_d_lib.report.blocks import Block, Heading, Item, ItemList, items
from phase_d_lib.report.findings import Finding, findings
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.pictures import SIX_PANELS, Gallery
from phase_d_lib.report.recommendations import future_work, not_shown, recommendations


def blocks(inputs: ReportInputs, gallery: Gallery) -> Iterator[Block]:
    """What the numbers say, the six panels, and what to do next."""
    found = findings(inputs)
    yield Heading(2, "주요 발견사항")
    yield Heading(3, "긍정적 결과")
    yield _statements([f for f in found if f.kind == "positive"])
    yield Heading(3, "개선 필요사항")
    yield _statements([f for f in found if f.kind == "attention"])
    yield Heading(3, "이 보고서가 보이지 않는 것")
    yield ItemList(tuple(Item(f"{line}.") for line in not_shown(inputs)))
    yield Heading(2, "시각화 결과")
    yield Heading(3, "생성된 시각화")
    yield items(
        ("파일", f"`{SIX_PANELS}.png`, `{SIX_PANELS}.pdf`"),
        ("내용", gallery.place(SIX_PANELS).alt),
    )
    yield gallery.place(SIX_PANELS)
    yield Heading(2, "권장사항")
    yield Heading(3, "즉시 실행 가능한 개선사항")
    yield _statements(recommendations(inputs))
    yield Heading(3, "향후 연구 방향")
    yield _statements(future_work(inputs))


def _statements(found: Sequence[Finding]) -> ItemList:
    return ItemList(
        tuple(Item(f"{f.statement_ko}. (규칙: {f.rule_ko})") for f in found), numbered=True
    )
