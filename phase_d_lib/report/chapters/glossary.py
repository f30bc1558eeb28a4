"""Glossary, English and Korean."""

from __future__ import annotations

from collections.abc import Iterator

from phase_d_lib.report.blocks import Block, Heading, Table, row
from phase_d_lib.report.sources import rule

TERMS = (
    ("saturation rate", "포화 처리율", "쓰기 스레드가 쉬지 않을 때 자리 잡는 put 처리율"),
    (
        "sustainable put rate(S_max)",
        "지속 가능 처리율(S_max)",
        "쓰기 정지 없이 유지할 수 있는 최대 도착률",
    ),
    ("open loop, closed loop", "개방형 부하, 폐쇄형 부하", "정해진 시각에 도착, 응답 뒤에 도착"),
    ("write stall", "쓰기 정체", "RocksDB가 쓰기를 늦추거나 멈춘 상태"),
    ("slowdown, stop", "지연(slowdown), 정지(stop)", "정체의 두 단계"),
    ("level 0(L0)", "레벨 0(L0)", "플러시한 파일이 처음 놓이는 레벨"),
    ("write-ahead log(WAL)", "쓰기 선행 로그(WAL)", "멤테이블과 함께 쓰는 복구용 로그"),
    ("memtable, flush, compaction", "멤테이블, 플러시, 컴팩션", "LSM 트리의 쓰기 경로"),
    ("compression", "압축", "값을 줄여 저장하는 것"),
    ("pending compaction bytes", "컴팩션 대기량", "컴팩션이 아직 처리하지 못한 양"),
    ("write amplification", "쓰기 증폭(WA)", "사용자 1바이트당 플러시와 컴팩션이 쓰는 바이트"),
    ("binding resource", "제약 자원", "상한이 가장 낮은 자원"),
    ("rate limiter", "속도 제한기", "플러시와 컴팩션의 쓰기를 묶는 RocksDB 기능"),
    ("held-out case", "검증용 구성(학습·보정에 쓰지 않음)", "예측을 적은 뒤에 재는 구성"),
    ("prediction, confidence interval", "예측구간, 신뢰구간", "새 측정이 들 구간, 평균이 들 구간"),
    ("calibration", "보정", "모델에 필요한 값을 재는 것"),
    ("baseline", "기준선", "비교의 출발점"),
    ("guard, rollback", "안전 조건, 되돌리기(rollback)", "나빠지면 원래 값으로 돌리는 규칙"),
    ("twin", "복제 모형(twin)", "실제 트리를 따라 도는 모형"),
)  # fmt: skip
"""English term, Korean term, meaning."""


def blocks() -> Iterator[Block]:
    """The terms of the report."""
    yield Heading(2, "용어")
    meant = rule("report.chapters.glossary", "TERMS")
    yield Table.of(
        "영어 | 한국어 | 뜻", [row(meant, *term) for term in TERMS], "용어(영어, 한국어)"
    )
