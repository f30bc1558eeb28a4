"""A comparison of two reports as Korean Markdown or as a page that needs nothing from outside."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from phase_d_lib.bundle.comparison import ALPHA, Absent, Basis, Comparison, Contrast
from phase_d_lib.errors import InputError
from phase_d_lib.report.blocks import (
    Block,
    Box,
    Document,
    Heading,
    Item,
    ItemList,
    Paragraph,
    Table,
)
from phase_d_lib.report.document_types import PhaseDReport
from phase_d_lib.report.html_page import html_report
from phase_d_lib.report.markup import markdown
from phase_d_lib.report.quantities import (
    ABSENT,
    byte_rate,
    count,
    duration_us,
    factor,
    moment,
    number,
    option_value,
    p_value,
    percent,
    puts_per_s,
    size,
)
from phase_d_lib.workspace import write_atomically

_NAMES = {
    "rate": "포화 처리율",
    "p999": "put 지연시간 p99.9",
    "stall": "쓰기 정체 시간의 비율",
    "wa": "쓰기 증폭(WA)",
    "s_max": "지속 가능 처리율(S_max)",
    "gain": "튜닝의 이득(기본값 대비)",
}
_BASES: dict[Basis, str] = {
    "runs": "기본값 실행",
    "blocks": "한 실행의 블록",
    "trials": "도착률 시험",
    "pairs": "쌍",
    "cases": "검증용 구성",
}
_ABSENT: dict[Absent, str] = {
    "too_few": "값이 둘 미만인 쪽이 있음",
    "no_spread": "되풀이한 값이 모두 같음",
    "shared_runs": "두 보고서가 같은 실행을 씀",
    "not_measured": "한쪽이 재지 않음",
    "no_samples": "원시 표본이 없거나 블록이 모자람",
}
_HOST = {
    "rocksdb_version": "RocksDB",
    "engine_build": "엔진 빌드",
    "cpu_model": "CPU",
    "cores": "코어",
    "memory_bytes": "메모리",
    "kernel": "커널",
    "filesystem": "파일 시스템",
    "device": "디바이스",
    "git_sha": "커밋",
}


def comparison_document(found: Comparison) -> Document:
    """Write a comparison as blocks."""
    return Document(
        title="보고서 비교",
        subtitle="Comparison of two Phase-D reports",
        notice=_notice(found),
        summary=Box(Table.of("무엇 | 결과", list(_answers(found)))),
        facts=(
            Item(f"`{found.first.report_id}`({moment(found.first.generated_at)})", "A"),
            Item(f"`{found.second.report_id}`({moment(found.second.generated_at)})", "B"),
        ),
        blocks=tuple(_blocks(found)),
    )


def write_comparison(found: Comparison, out: Path | None) -> str:
    """Render a comparison and, with `out`, write it: Markdown, or a page for ``.html``.

    Raises
    ------
    InputError
        When `out` exists, cannot be written or has another ending.
    """
    document = comparison_document(found)
    if out is None or out.suffix == ".md":
        text = markdown(document)
    elif out.suffix == ".html":
        text = html_report(document, {})
    else:
        raise InputError(f"--out {out}: give a name that ends in .md or .html")
    if out is not None:
        if out.exists():
            raise InputError(f"--out {out}: exists and was left untouched; name a new file")
        try:
            write_atomically(out, text)
        except OSError as error:
            raise InputError(f"--out {out}: cannot be written ({error.strerror})") from None
    return text


def _notice(found: Comparison) -> tuple[str, str]:
    if found.same_load:
        return "", ""
    return (
        "두 보고서의 부하, 옵션 또는 속도 제한이 다릅니다.",
        "처리율의 차이는 이 차이에서도 올 수 있으므로 원인을 가릴 수 없습니다.",
    )


def _answers(found: Comparison) -> Iterator[tuple[str, str]]:
    versions = [h.host.rocksdb_version or "알 수 없음" for h in (found.first, found.second)]
    same = "같음" if versions[0] == versions[1] else "다름"
    yield "RocksDB", f"A {versions[0]}, B {versions[1]}({same})"
    for one in found.tested:
        if one.name in ("rate", "gain") and one.basis != "blocks":
            yield _NAMES[one.name], f"{_change(one)}. {_verdict(one)}"
    certain = [_full_name(one) for one in found.tested if one.differs]
    yield "확인한 차이", ", ".join(certain) if certain else "없음"


def _blocks(found: Comparison) -> Iterator[Block]:
    yield Heading(2, "측정값")
    yield _table(
        [t for t in found.tested if not t.name.startswith("error/")], "처리율, 지연시간, 정체, 튜닝"
    )
    sets = [f"`{name}`" if name else "기본값 유지" for name in found.option_sets]
    yield Paragraph(f"튜닝의 이득을 견준 조합: A {sets[0]}, B {sets[1]}.")
    yield Heading(2, "모델의 오차")
    yield _table(
        [t for t in found.tested if t.name.startswith("error/")], "검증용 구성의 평균 로그 오차"
    )
    yield Heading(2, "환경과 구성")
    differing, same = _environment(found)
    yield Table.of("항목 | A | B", differing, "서로 다른 항목")
    yield Paragraph(f"같은 항목: {', '.join(same) if same else '없음'}.")
    yield Heading(2, "검정 방법")
    yield ItemList(tuple(map(Item, _method())))


def _table(tested: list[Contrast], caption: str) -> Table:
    rows = [
        (
            _full_name(one),
            _value(one, one.first),
            _value(one, one.second),
            _change(one),
            ABSENT if one.test is None else p_value(one.test.p_value),
            ABSENT if one.p_adjusted is None else p_value(one.p_adjusted),
            _verdict(one),
        )
        for one in tested
    ]
    columns = "지표 | A> | B> | B의 변화(95 % 신뢰구간)> | p> | 보정한 p> | 판정"
    return Table.of(columns, rows, caption)


def _full_name(one: Contrast) -> str:
    kind, _, model = one.name.partition("/")
    name = f"`{model}`" if kind == "error" else _NAMES[kind]
    sizes = f"{count(one.parts[0])}개와 {count(one.parts[1])}개"
    return f"{name}({_BASES[one.basis]} {sizes})"


def _value(one: Contrast, value: float | None) -> str:
    if value is None:
        return ABSENT
    kind = one.name.partition("/")[0]
    if kind in ("rate", "s_max"):
        return puts_per_s(value)
    if kind == "p999":
        return duration_us(value)
    if kind == "error":
        return percent(math.expm1(value))
    return percent(value) if kind == "stall" else f"{factor(value)}{'배' if kind == 'gain' else ''}"


def _change(one: Contrast) -> str:
    if one.first is None or one.second is None:
        return ABSENT
    if one.relative:
        ratio = f"{factor(one.second / one.first)}배" if one.first > 0 else ABSENT
        if one.test is None:
            return ratio
        return f"{ratio}({factor(math.exp(one.test.low))}-{factor(math.exp(one.test.high))})"
    points = f"{_points(one.second - one.first)} %p"
    if one.test is None:
        return points
    return f"{points}({_points(one.test.low)}에서 {_points(one.test.high)})"


def _points(fraction: float) -> str:
    text = number(100 * fraction, 0.1)
    return text if text.startswith("-") or float(text.replace(",", "")) == 0 else f"+{text}"


def _verdict(one: Contrast) -> str:
    if one.differs is None:
        return f"판단할 수 없음({_ABSENT[one.absent or 'too_few']})"
    if not one.differs:
        return "차이를 확인하지 못함"
    return "B가 큼" if one.test is not None and one.test.difference > 0 else "B가 작음"


def _environment(found: Comparison) -> tuple[list[tuple[str, str, str]], list[str]]:
    differing, same = [], []
    first, second = dict(_described(found.first)), dict(_described(found.second))
    for name in dict.fromkeys([*first, *second]):
        one, other = first.get(name, ABSENT), second.get(name, ABSENT)
        if one == other:
            same.append(name)
        else:
            differing.append((name, one, other))
    return differing, same


def _described(header: PhaseDReport) -> Iterator[tuple[str, str]]:
    host, scenario = header.host.model_dump(), header.profile.scenario
    for name, title in _HOST.items():
        value = host[name]
        yield title, size(value) if name == "memory_bytes" else str(value or "기록 없음")
    yield "Python", header.environment.python
    for package, version in header.environment.packages.items():
        yield f"`{package}`", version
    yield "프로필", f"`{header.profile.name}`"
    yield "엔진", f"`{scenario.engine}`"
    limit = scenario.limiter_bytes_per_s
    yield "속도 제한", "없음" if limit is None else byte_rate(limit)
    for name, value in scenario.workload.model_dump(exclude={"arrival"}).items():
        yield f"부하 `{name}`", str(value)
    for name, value in scenario.options.model_dump().items():
        yield f"`{name}`", option_value(name, value)


def _method() -> Iterator[str]:
    yield (
        "모든 검정은 두 독립 표본의 평균을 견주는 Welch 검정입니다. "
        "비율로 견주는 값(처리율, p99.9, WA, 이득)은 로그에서 계산했습니다"
    )
    yield (
        "기본값 실행: 튜닝과 검증에서 기본 옵션으로 되풀이한 유효한 실행을 하나씩 셉니다. "
        "실행 사이의 흔들림까지 담으므로 두 RocksDB나 두 호스트의 차이는 "
        "이 줄로 판단합니다"
    )
    yield (
        "한 실행의 블록: 관찰한 실행을 정체 주기보다 긴 블록으로 나누어 견줍니다. "
        "그 두 실행의 차이만 말하며, 다시 재면 달라지는 정도는 담지 않습니다. "
        "WA는 블록 합의 비율, p99.9는 블록마다 구한 값의 흩어짐(sectioning)을 씁니다"
    )
    yield (
        "쌍: 튜닝한 조합과 기본값을 한 쌍에서 잰 처리율의 비율입니다. "
        "검증용 구성: 모델마다 |log(예측/실측)|의 평균입니다. "
        "같은 시드로 뽑은 구성이면 독립 검정은 보수적입니다"
    )
    yield (
        f"검정이 여럿이므로 p는 Holm의 방법으로 보정했고, 보정한 p가 {ALPHA:g}보다 "
        "작을 때만 다르다고 판정합니다. 값이 둘 미만이거나 두 보고서가 같은 실행을 "
        "쓰면 판단하지 않습니다"
    )
