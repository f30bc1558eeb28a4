"""Method, environment and validity."""

from __future__ import annotations

from collections.abc import Iterator

from phase_d_lib.report.blocks import Block, Heading, Paragraph, items
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.origins import run_file
from phase_d_lib.report.provenance import (
    device_sentence,
    device_table,
    environment_table,
    host_speed_table,
    option_table,
    validity_table,
    workload_sentence,
)
from phase_d_lib.report.quantities import seconds
from phase_d_lib.report.sources import attribute


def blocks(inputs: ReportInputs) -> Iterator[Block]:
    """How it was measured, on what, and which runs count."""
    yield Heading(2, "측정 방법과 환경")
    yield Heading(3, "방법")
    yield Paragraph(
        "모든 측정값은 실제 RocksDB를 돌려 쟀고, 디바이스 대역폭만 O_DIRECT 입출력으로 따로 "
        "쟀습니다. 예측은 실행 전에 시각과 보정 해시와 함께 파일로 적었고, 예측에 쓴 증폭은 그 "
        "실행의 값이 아니라 다른 구성의 측정이나 구조 계산에서 얻었습니다. 신뢰구간은 정체 "
        "주기보다 긴 시간 블록을 다시 뽑아(이동 블록 부트스트랩) 구했고, 튜닝은 같은 트리에서 "
        "시작한 쌍을 순서를 바꾸어 비교했습니다. 정체 시간의 원인은 RocksDB의 LOG에서 읽었습니다."
    )
    yield items(
        ("작업 부하", workload_sentence(inputs)),
        ("모니터링 실행", _run_sentence(inputs)),
    )
    yield Heading(3, "환경")
    yield environment_table(inputs)
    yield Heading(3, "RocksDB 옵션")
    yield option_table(inputs)
    yield Heading(3, "호스트 속도")
    yield host_speed_table(inputs)
    yield Heading(3, "디바이스 대역폭")
    yield from _device(inputs)
    yield Heading(3, "실행의 유효성")
    yield Paragraph(
        "유효성은 길이, 다른 부하, 데이터 변동, 장부 같은 조건만 보고 정하며 오차는 보지 않습니다. "
        "유효하지 않은 실행은 사유와 함께 표시하되 채점하지 않습니다."
    )
    yield validity_table(inputs)


def _run_sentence(inputs: ReportInputs) -> str:
    spec = inputs.monitoring.spec
    parts = (
        ("길이 {}", spec.duration_s, "duration_s"),
        ("예열 {} 제외", spec.warmup_s, "warmup_s"),
        ("표본 간격 {}", spec.sample_period_s, "sample_period_s"),
    )
    said = [
        attribute(form.format(seconds(value)), run_file(inputs, "spec.json", field))
        for form, value, field in parts
    ]
    return ", ".join([f"`{inputs.monitoring.run_id}`", *said])


def _device(inputs: ReportInputs) -> Iterator[Block]:
    measured = device_table(inputs)
    if not measured.rows:
        yield Paragraph("이 프로필은 디바이스 대역폭을 재지 않습니다.")
        return
    yield Paragraph(
        "데이터베이스와 같은 파일 시스템에 O_DIRECT로 읽고 써서 쟀습니다. "
        f"{device_sentence(inputs)}."
    )
    yield measured
