"""The words of an advice page, Korean and English, side by side."""

from __future__ import annotations

import locale
import os
from typing import Literal

Language = Literal["ko", "en"]

WORDS: dict[str, tuple[str, str]] = {
    "title": ("RocksDB LOG 진단", "Advice from a RocksDB LOG"),
    "back_test": ("복제 모형(twin)의 사후 검증", "Back-test of the twin"),
    "back_test_how": (
        "LOG의 앞 절반에 맞춘 모형이 뒤 절반을 예측한 결과입니다.",
        "Fitted on the first half of this LOG, the twin predicted the second half.",
    ),
    "measured": ("측정", "measured"),
    "predicted": ("예측", "predicted"),
    "persistence": ("앞 절반 그대로", "first half repeated"),
    "error": ("오차", "error"),
    "stall_share": ("쓰기 정체 비율", "share of time stalled"),
    "background_bytes": ("플러시와 컴팩션 쓰기", "flush and compaction writes"),
    "put_rate": ("처리율", "put rate"),
    "trusted": (
        "판정: 기준(10점, 15 %) 이내이므로 아래 예측을 참고할 수 있습니다.",
        "Verdict: within the bounds (10 points, 15 %); the predictions below can be used.",
    ),
    "not_trusted": (
        "판정: 기준(10점, 15 %)을 벗어났으므로 아래 예측은 믿을 수 없습니다.",
        "Verdict: outside the bounds (10 points, 15 %); do not trust the predictions below.",
    ),
    "refused": ("모형을 적용하지 않은 이유", "No twin, because"),
    "no_outlook": ("여유를 예측하지 않은 이유", "No outlook, because"),
    "when": ("구간", "time range"),
    "version": ("RocksDB 버전", "RocksDB version"),
    "other_version": (
        "모형은 RocksDB {simulated}의 규칙을 따릅니다. 이 LOG의 버전과 다릅니다.",
        "The twin follows the rules of RocksDB {simulated}, another version than this LOG's.",
    ),
    "stalls": ("정체 시간과 원인", "Time stalled, by cause"),
    "no_stalls": ("쓰기 정체가 없습니다.", "No write stalls."),
    "cause": ("원인", "cause"),
    "state": ("상태", "state"),
    "time": ("시간", "time"),
    "share": ("비율", "share"),
    "warnings": ("경고", "warnings"),
    "delay": ("지연(slowdown)", "slowdown"),
    "stop": ("정지(stop)", "stop"),
    "memtable_limit": ("멤테이블 수 한계", "memtable limit"),
    "l0_file_limit": ("L0 파일 수 한계", "level-0 file limit"),
    "pending_bytes": ("컴팩션 대기량 한계", "pending compaction bytes"),
    "timeline": ("정체의 시간 분포", "Stalls over time"),
    "binding": ("제약 자원", "Binding resource"),
    "limiter": ("속도 제한기(rate limiter)", "rate limiter"),
    "compaction_slots": ("컴팩션 슬롯", "compaction slots"),
    "foreground": ("쓰기 스레드 자신(정체 없음)", "the writers themselves (no stalls)"),
    "controller": (
        "쓰기 제어기(백그라운드 작업은 쉬는 때가 있음)",
        "the write controller (background jobs are idle at times)",
    ),
    "ledger": ("쓰기 장부", "Write ledger"),
    "user": ("사용자 데이터", "user data"),
    "flush": ("플러시", "flush"),
    "compaction_write": ("컴팩션 쓰기", "compaction writes"),
    "compaction_read": ("컴팩션 읽기", "compaction reads"),
    "wa": ("쓰기 증폭(WA)", "write amplification"),
    "levels": ("레벨 모양(마지막 통계)", "Level shape (last statistics)"),
    "level": ("레벨", "level"),
    "files": ("파일", "files"),
    "size": ("크기", "size"),
    "outlook": ("여유와 개선안", "Headroom and changes"),
    "saturation": ("포화 처리율(예측)", "saturation rate (predicted)"),
    "cliff": ("정체 없이 감당하는 처리율(예측)", "rate served without stalls (predicted)"),
    "present": ("현재 처리율", "present rate"),
    "headroom": ("여유", "headroom"),
    "beyond": ("이미 한계를 넘었습니다.", "already beyond the limit"),
    "no_cliff": (
        "포화 처리율의 20 %에서도 정체가 남습니다.",
        "stalls remain even at 20 % of the saturation rate",
    ),
    "interval": ("90 % 예측구간", "90 % interval"),
    "change": ("바꿀 옵션", "change"),
    "effect": ("포화 처리율", "saturation rate"),
    "stall_then": ("바꾼 뒤 정체 비율", "stalled then"),
    "memory": ("멤테이블 메모리", "memtable memory"),
    "how": ("적용", "applies"),
    "live": ("실행 중(SetOptions)", "live (SetOptions)"),
    "restart": ("재시작", "restart"),
    "no_change": (
        "3 % 넘게 나아지는 단일 변경을 찾지 못했습니다.",
        "No single change promises more than 3 %.",
    ),
    "limits": (
        "한계: 키가 고르게 쓰인다고 가정합니다. 읽기 부하, 여러 컬럼 패밀리의 경쟁, "
        "universal 컴팩션은 다루지 않습니다. 한 번에 옵션 하나만 바꾼 예측입니다.",
        "Limits: keys are assumed to be written evenly; reads, competing column families and "
        "universal compaction are not covered; each prediction changes one thing.",
    ),
}
"""Key -> Korean, English."""


def word(key: str, language: Language) -> str:
    """Return a word or sentence; a key that has none is shown as it is."""
    found = WORDS.get(key)
    return key if found is None else found[0 if language == "ko" else 1]


def language_of_locale() -> Language:
    """Korean where the locale says so, else English."""
    named = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG")
    return "ko" if (named or locale.getlocale()[0] or "").lower().startswith("ko") else "en"
