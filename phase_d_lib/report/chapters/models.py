"""Comparison of the models: two rates, held-out errors, intervals, where the errors came from."""

from __future__ import annotations

from collections.abc import Iterator

from phase_d_lib.report.blocks import Block, Heading, Paragraph
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.measurement_tables import followed_table
from phase_d_lib.report.model_tables import (
    absent_regimes,
    case_table,
    detail_table,
    model_table,
    rate_table,
    regime_table,
    split_table,
)
from phase_d_lib.report.pictures import PREDICTIONS, Gallery
from phase_d_lib.report.provenance import calibration_table
from phase_d_lib.report.sources import attribute, rule
from phase_d_lib.report.wording import refusal

_NOMINAL = rule("validation.scores", "MISS_PROBABILITY")


def blocks(inputs: ReportInputs, gallery: Gallery) -> Iterator[Block]:
    """Every model beside the measurement and beside the rows to beat."""
    yield Heading(2, "모델 비교와 검증")
    yield Heading(3, "두 처리율의 예측")
    yield Paragraph(
        "모니터링한 구성을 실행하기 전에 모델마다 적은 값입니다. "
        "포화 처리율과 지속 가능 처리율(S_max)을 열로 나누었습니다."
    )
    yield rate_table(inputs)
    yield Heading(3, "모델 비교")
    yield Paragraph(
        "검증용 구성은 학습과 보정에 쓰지 않았고, 예측을 적은 뒤에 쟀습니다. 장부 항등식은 그 "
        "실행에서 잰 증폭을 넣어 처리율을 다시 계산한 값이며, 차이는 측정값과 견준 것입니다. "
        "장부가 맞는지를 볼 뿐 예측 정확도가 아닙니다."
    )
    yield model_table(inputs)
    yield gallery.place(PREDICTIONS)
    yield Paragraph(
        attribute(
            "예측구간 적중은 측정값이 90 % 예측구간 안에 든 구성의 수입니다. 정체 시간 오차는 "
            "예측한 비율과 잰 비율의 차이입니다.",
            _NOMINAL,
        )
    )
    yield detail_table(inputs)
    yield case_table(inputs)
    yield Heading(3, "오차의 출처")
    yield Paragraph(
        "구조는 쓰기 증폭을 잘못 예측한 몫이고, 나머지는 백그라운드 쓰기 속도를 잘못 예측한 몫을 "
        "제약 자원에 따라 나눈 것입니다. 로그 비율이므로 더하면 전체 오차가 됩니다."
    )
    yield split_table(inputs)
    absent = absent_regimes(inputs)
    if absent:
        yield Paragraph(f"이 보고서의 검증용 구성 가운데 {absent} 제약인 것은 없습니다.")
    yield regime_table(inputs)
    yield Heading(3, "보정에 쓴 구성")
    yield calibration_table(inputs)
    yield Heading(3, "실시간 적응(v5)")
    yield from _following(inputs)


def _following(inputs: ReportInputs) -> Iterator[Block]:
    followed = followed_table(inputs)
    refused = inputs.monitoring.followed_refused
    if followed.rows:
        yield Paragraph(
            "v5는 지난 구간에서 본 증폭과 처리율로 다음 구간을 미리 예측합니다. "
            "첫 구간의 예측은 v4의 값입니다."
        )
        yield followed
    elif refused:
        yield Paragraph(f"v5는 이 실행을 따라가지 못했습니다. 까닭: {refusal(refused)}.")
    else:
        yield Paragraph("v5가 따라갈 만큼 긴 구간이 없습니다.")
