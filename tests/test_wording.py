"""Particles by the sound of the word before them, numbers by their interval, words by rules."""

from __future__ import annotations

from typing import get_args

import pytest

from phase_d_lib.models import v1, v2_1
from phase_d_lib.monitor import Alert, AlertKind, Trend
from phase_d_lib.rates import Estimate
from phase_d_lib.report import quantities, wording
from phase_d_lib.report.blocks import Table
from phase_d_lib.report.markup import code, markdown_table, prose
from phase_d_lib.report.sources import Source, attribute, pieces, plain, unattributed
from phase_d_lib.report.wording import with_particle
from phase_d_lib.tuning.comparison import Effect
from phase_d_lib.validity import Code, Reason, Verdict

PARTICLES = [
    # Korean syllables
    ("처리율", "은/는", "처리율은"),
    ("포화", "을/를", "포화를"),
    ("처리율", "으로/로", "처리율로"),
    ("증폭", "으로/로", "증폭으로"),
    ("컴팩션", "과/와", "컴팩션과"),
    ("멤테이블", "이/가", "멤테이블이"),
    # whole numbers: the last digit, or the place of the trailing zeros
    ("17,140", "을/를", "17,140을"),
    ("0", "을/를", "0을"),
    ("1", "을/를", "1을"),
    ("2", "을/를", "2를"),
    ("3", "이/가", "3이"),
    ("4", "이/가", "4가"),
    ("5", "을/를", "5를"),
    ("6", "으로/로", "6으로"),
    ("7", "으로/로", "7로"),
    ("8", "으로/로", "8로"),
    ("9", "과/와", "9와"),
    ("100", "으로/로", "100으로"),
    ("20,000", "이/가", "20,000이"),
    ("100,000,000", "을/를", "100,000,000을"),
    ("3,000,000,000,000", "을/를", "3,000,000,000,000를"),
    # decimals and versions: the last digit alone
    ("2.4", "이/가", "2.4가"),
    ("1.0", "을/를", "1.0을"),
    ("0.50", "은/는", "0.50은"),
    ("9.8.4", "을/를", "9.8.4를"),
    # units
    ("2.4 %", "이/가", "2.4 %가"),
    ("2.4%", "이/가", "2.4%가"),
    ("30 MiB", "을/를", "30 MiB를"),
    ("30 MiB/s", "으로/로", "30 MiB/s로"),
    ("12 µs", "은/는", "12 µs는"),
    ("12 ms", "을/를", "12 ms를"),
    ("5 min", "이/가", "5 min이"),
    ("3 h", "을/를", "3 h을"),
    ("17,140 ops/s", "을/를", "17,140 ops/s를"),
    ("17,140 puts/s", "이/가", "17,140 puts/s가"),
    # a single digit after letters is read in English, more digits are not
    ("v3", "이/가", "v3가"),
    ("v1", "을/를", "v1을"),
    ("v2_1", "이/가", "v2_1이"),
    ("LZ4", "을/를", "LZ4를"),
    ("L0", "은/는", "L0는"),
    ("ext4", "을/를", "ext4를"),
    ("p50", "은/는", "p50은"),
    ("p99", "은/는", "p99는"),
    ("p99.9", "이/가", "p99.9가"),
    ("case-01", "을/를", "case-01을"),
    # acronyms letter by letter, words by their transcription
    ("RocksDB", "은/는", "RocksDB는"),
    ("CPU", "을/를", "CPU를"),
    ("WAL", "으로/로", "WAL로"),
    ("QPS", "이/가", "QPS가"),
    ("LSM", "을/를", "LSM을"),
    ("NVMe", "을/를", "NVMe를"),
    ("S_max", "을/를", "S_max를"),
    ("Linux", "은/는", "Linux는"),
    ("Snappy", "와/과", "Snappy와"),
    ("memtable", "을/를", "memtable을"),
    ("block", "을/를", "block을"),
    ("disk", "을/를", "disk를"),
    ("put", "이/가", "put이"),
    ("`write_buffer_size`", "을/를", "`write_buffer_size`를"),
    ("`level0_slowdown_writes_trigger`", "은/는", "`level0_slowdown_writes_trigger`는"),
    ("`phase_d_report.json`", "을/를", "`phase_d_report.json`을"),
    # a parenthesis is not read
    ("쓰기 증폭(WA)", "은/는", "쓰기 증폭(WA)은"),
    ("지속 가능 처리율(S_max)", "을/를", "지속 가능 처리율(S_max)을"),
    (
        "17,140 puts/s(95 % 신뢰구간 16,800-17,480)",
        "이고/고",
        "17,140 puts/s(95 % 신뢰구간 16,800-17,480)고",
    ),
    ("**v4**", "을/를", "**v4**를"),
]


@pytest.mark.parametrize(("word", "pair", "expected"), PARTICLES)
def test_particles_follow_the_sound_of_the_word(word: str, pair: str, expected: str) -> None:
    assert with_particle(word, pair) == expected


def test_an_unknown_pair_of_particles_is_refused() -> None:
    with pytest.raises(ValueError, match="을/를"):
        with_particle("말", "에서/서")


def test_the_interval_decides_the_digits() -> None:
    wide = Estimate(value=17_143.2, low=16_803.9, high=17_481.1)
    narrow = Estimate(value=17_143.2, low=17_140.1, high=17_146.3)
    assert quantities.rate(wide) == "17,140 puts/s(95 % 신뢰구간 16,800-17,480)"
    assert quantities.rate(narrow) == "17,143.2 puts/s(95 % 신뢰구간 17,140.1-17,146.3)"
    assert quantities.rate(Estimate(value=17_143.2)) == "17,100 puts/s(신뢰구간 없음)"
    assert quantities.rate(None) == "-"
    assert quantities.ratio(Estimate(value=1.524, low=1.401, high=1.652)) == (
        "1.52배(95 % 신뢰구간 1.40-1.65)"
    )


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (quantities.percent(0.0243), "2.4 %"),
        (quantities.percent(-0.00001, signed=True), "0.0 %"),
        (quantities.percent(0.181, signed=True), "+18.1 %"),
        (quantities.percent(None), "-"),
        (quantities.percent(float("nan")), "-"),
        (quantities.size(8 << 20), "8 MiB"),
        (quantities.size(16), "16 B"),
        (quantities.size(1.5 * (1 << 30)), "1.50 GiB"),
        (quantities.byte_rate(31_457_280), "30 MiB/s"),
        (quantities.duration_us(4.967), "4.97 µs"),
        (quantities.duration_us(1_116.7), "1.12 ms"),
        (quantities.duration_us(1_920_000), "1.92 s"),
        (quantities.seconds(0.25), "0.25 s"),
        (quantities.seconds(36), "36.0 s"),
        (quantities.seconds(3_600), "3,600 s"),
        (quantities.number(0), "0"),
        (quantities.number(999.6), "1,000"),
        (quantities.p_value(0.0001), "p < 0.001"),
        (quantities.p_value(0.7), "p = 0.70"),
        (quantities.option_value("write_buffer_size", 8 << 20), "8 MiB"),
        (quantities.option_value("delayed_write_rate", 30 << 20), "30 MiB/s"),
        (quantities.option_value("max_bytes_for_level_multiplier", 10.0), "10"),
        (quantities.option_value("use_direct_reads", False), "false"),
        (quantities.moment("2025-09-17T04:16:09+00:00"), "2025-09-17 04:16:09 UTC"),
        (quantities.moment("어제"), "어제"),
    ],
)
def test_numbers_carry_their_units(shown: str, expected: str) -> None:
    assert shown == expected


def trend(**changes: object) -> Trend:
    values = {
        "metric": "put_ops_per_s",
        "slope_per_min": 0.0,
        "p_value": 0.41,
        "significant": False,
        "cv_fraction": 0.024,
        "stable": True,
    }
    return Trend.model_validate({**values, **changes})


def test_a_judgement_comes_with_its_value_and_rule() -> None:
    stable = wording.stability(trend())
    assert stable.word == "안정적"
    assert str(stable) == (
        "안정적(루프 평균의 변동계수 2.4 %, 추세 p = 0.41, "
        "기준: 변동계수 5 % 이하이고 추세 p ≥ 0.05)"
    )
    assert wording.stability(trend(cv_fraction=0.06, stable=False)).word == "불안정"
    assert wording.unscored(stable).word == "판정하지 않음"
    assert wording.accuracy(0.1).word == "높음"
    assert wording.accuracy(0.101).word == "낮음"
    assert wording.accuracy(None).word == "판정 불가"
    assert wording.agreement([100.0, 105.0]).word == "높음"
    assert wording.agreement([100.0, 150.0]).word == "낮음"
    assert wording.agreement([100.0]).word == "판정 불가"
    assert wording.goal(True) == "목표 달성"
    assert wording.goal(False) == "목표 미달"


def test_every_effect_has_its_word() -> None:
    high = Estimate(value=1.4, low=1.2, high=1.6, blocks=6)
    low = Estimate(value=1.2, low=1.05, high=1.35, blocks=6)
    words = {code: wording.effect(code, high).word for code in get_args(Effect)}
    assert wording.effect("improved", low).word == "낮음"
    assert words == {
        "improved": "높음",
        "none": "효과 없음",
        "worse": "악화",
        "unknown": "판정 불가",
    }


def test_every_code_of_the_library_has_a_korean_sentence() -> None:
    for reason in get_args(Code):
        sentence = wording.reason_sentence(Reason(code=reason, value=0.5, limit=0.25))
        assert sentence.endswith("니다") or sentence.endswith(")"), sentence
        assert sentence != str(Reason(code=reason, value=0.5, limit=0.25))
    assert set(wording.ALERT_KINDS) >= set(get_args(AlertKind))
    for kind in get_args(AlertKind):
        alert = Alert(
            kind=kind, severity="warning", cause="l0", start_s=1, end_s=None, value=8, limit=6.4
        )
        assert "기준" in wording.alert_value(alert)
        assert wording.alert_action(kind) != wording.alert_action("other")
    for resource in ("device_write", "device_read", "limiter", "compaction_slots", "foreground",
                     "cpu", "mixed_device", "controller"):  # fmt: skip
        assert wording.binding(resource) != resource
    assert wording.binding(None) == "판정 불가"
    assert {v1.V1.name, v2_1.V21.name} == {"v1", "v2_1"}


def test_a_verdict_names_every_reason() -> None:
    reasons = (
        Reason(code="short", value=2.9, limit=5.0),
        Reason(code="foreign", value=0.5, limit=0.25),
    )
    text = wording.verdict(Verdict(valid=False, reasons=reasons))
    assert text == (
        "무효: 측정 구간이 2.9 s로 기준 5.0 s보다 짧습니다. "
        "다른 프로세스가 CPU의 50.0 %를 썼습니다(기준 25 % 이하)"
    )
    assert wording.verdict(Verdict(valid=True)) == "유효"


def test_names_never_become_markup() -> None:
    assert prose("a|b *c* [d](http://e) <script> `x|y`") == (
        r"a\|b \*c\* \[d\](http://e) \<script> `x\|y`"
    )
    assert prose("지속 가능 처리율(S_max)은\n측정") == "지속 가능 처리율(S_max)은 측정"
    assert code("a`b\nc") == "`a'b c`"
    table = markdown_table(Table.of("이름 | 값>", [("a|b", "1")]))
    assert table.splitlines() == ["| 이름 | 값 |", "| --- | ---: |", r"| a\|b | 1 |"]
    assert markdown_table(Table.of("이름", [])) == "해당하는 값이 없습니다."


SOURCE = Source("monitoring", "performance_report.json", "put_rate_ops_per_s", "a" * 16)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (
            "17,140 puts/s(95 % 신뢰구간 16,800-17,480)",
            ["17,140 puts/s(95 % 신뢰구간 16,800-17,480)"],
        ),
        ("시간의 86.1 %, 최대 77.9 ms", ["86.1 %", "77.9 ms"]),
        ("추세 p = 0.34, p < 0.001", ["p = 0.34", "p < 0.001"]),
        ("구성 2/3, 변동 +7.6 %", ["2/3", "+7.6 %"]),
        ("2026-11-24 14:47:53 UTC에 시작", ["2026-11-24 14:47:53 UTC"]),
        ("v3와 L0, p99.9, case-01, `write-buffer-8m`", []),
    ],
)
def test_numbers_are_told_from_names(text: str, numbers: list[str]) -> None:
    assert unattributed(text) == numbers
    marked = attribute(text, SOURCE)
    assert unattributed(marked) == []
    assert [piece.text for piece in pieces(marked) if piece.source] == numbers
    assert all(piece.source in (None, SOURCE) for piece in pieces(marked))
    assert plain(marked) == text


def test_a_source_stays_and_nothing_of_it_shows() -> None:
    inner = attribute("1.8배", SOURCE)
    other = Source("tuning", "auto_tuning_records.json", "records/0")
    outer = attribute(f"튜닝 {inner}, 쌍 3개", other)
    assert [p.source for p in pieces(outer) if p.source] == [SOURCE, other]
    assert prose(outer) == "튜닝 1.8배, 쌍 3개"
    assert with_particle(attribute("17,140", SOURCE), "을/를").endswith("을")
    assert wording.source_sentence(SOURCE) == (
        f"단계 모니터링(scrap monitoring), 실행 {'a' * 16}, "
        "파일 performance_report.json, 항목 put_rate_ops_per_s"
    )
