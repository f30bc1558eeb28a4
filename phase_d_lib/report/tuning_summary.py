"""A tuning in Korean on one page: what it gained, at what price, which options did it."""

from __future__ import annotations

from collections.abc import Callable

from phase_d_lib.report.quantities import (
    ABSENT,
    count,
    duration_us,
    factor,
    option_value,
    percent,
    puts_per_s,
    rate,
)
from phase_d_lib.report.wording import effect
from phase_d_lib.tuning.protocol import TuningResult
from phase_d_lib.tuning.records import Assignment, Side, Summary


def summary_page(asked: Assignment, result: TuningResult, found: Summary) -> str:
    """Write the summary as Markdown."""
    comparison = result.comparison
    judged = effect(found.effect, comparison.rate_ratio if comparison else None)
    lines = [
        f"# 튜닝 결과: {found.scenario}",
        "",
        asked.tuned.description_ko,
        "",
        f"- **효과성**: {judged.word}({judged.value}, 기준: {judged.rule})",
        f"- **유효한 쌍**: {count(found.pairs)}개, 기본값과 순서를 뒤집어 가며 새로 잼",
        f"- **평가 횟수**: {count(found.evaluations)}회(기본값, 되풀이, 결선 포함), "
        f"재기 전에 거른 조합 {count(found.rejected)}개",
        f"- **제약을 어긴 조합**: {count(found.guards_broken)}개",
        f"- **빚을 뺀 이득**: {factor(found.held_gain)}배",
        f"- **멤테이블 메모리**: 기본값의 {factor(found.memtable_bytes_ratio)}배",
        "",
    ]
    if not found.chosen_changes:
        lines += ["확인한 이득이 없어 기본값을 그대로 둡니다.", ""]
    lines += ["| 항목 | 기본값 | 튜닝 |", "|---|---:|---:|", *_sides(found)]
    if found.chosen_changes:
        lines += ["", "| 옵션 | 기본값 | 튜닝값 |", "|---|---:|---:|", *_options(asked, found)]
    if result.effects is not None:
        lines += [
            "",
            "고른 조합에서 하나씩만 기본값으로 되돌려 잰 효과입니다"
            f"(같은 조합을 다시 잰 폭 {percent(result.effects.spread_fraction)}).",
            "",
            "| 차원 | 효과 |",
            "|---|---:|",
            *(f"| `{r.dimension}` | {factor(r.rate_ratio)}배 |" for r in result.effects.reverted),
        ]
    return "\n".join(lines) + "\n"


def _sides(found: Summary) -> list[str]:
    rows: tuple[tuple[str, Callable[[Side], str]], ...] = (
        ("포화 처리율", lambda s: puts_per_s(s.put_ops_per_s)),
        ("p99.9 지연시간", lambda s: duration_us(s.put_latency_p999_us)),
        ("정체 시간", lambda s: percent(s.stall_fraction)),
        ("쓰기 증폭", lambda s: factor(s.write_bytes_per_user_byte)),
        ("공간 증폭", lambda s: factor(s.space_amplification)),
    )

    sides = (found.default, found.tuned)
    lines = [
        f"| {name} | {' | '.join(ABSENT if s is None else write(s) for s in sides)} |"
        for name, write in rows
    ]
    if found.s_max_ops_per_s:
        values = " | ".join(rate(s_max) for s_max in found.s_max_ops_per_s.values())
        lines.append(f"| S_max | {values} |")
    return lines


def _options(asked: Assignment, found: Summary) -> list[str]:
    default = asked.tuned.scenario.options.model_dump()
    return [
        f"| `{name}` | {option_value(name, default[name])} | {option_value(name, value)} |"
        for name, value in found.chosen_changes.items()
    ]
