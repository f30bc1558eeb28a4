"""Title block, first screen and the four objectives."""

from __future__ import annotations

from collections.abc import Iterator

from phase_d_lib.report.blocks import Block, Box, Heading, Item, ItemList, Table, row
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.objectives import Objective
from phase_d_lib.report.origins import monitored, reported
from phase_d_lib.report.particles import with_particle
from phase_d_lib.report.quantities import count, moment, percent, rate
from phase_d_lib.report.readings import (
    binding,
    chosen_comparison,
    run_verdict,
    s_max_sentence,
    stall_sentence,
)
from phase_d_lib.report.recommendations import not_shown, recommendations
from phase_d_lib.report.sources import attribute
from phase_d_lib.report.tuning_tables import objective_table
from phase_d_lib.report.wording import binding as binding_name


def notice(inputs: ReportInputs) -> tuple[str, str]:
    """Warn that the profile is too small for firm statements: emphasized words and the rest."""
    if not inputs.profile.indicative:
        return "", ""
    return (
        f"참고용 프로필 `{inputs.profile.name}`로 만든 보고서입니다.",
        "짧은 실행과 적은 반복에서 얻은 값이므로 결론의 근거로 쓰지 않습니다.",
    )


def summary(inputs: ReportInputs, judged: tuple[Objective, ...]) -> Box:
    """The first screen: the rate, what binds, what to change, what is not shown."""
    result, resource = inputs.monitoring.result, binding(inputs)
    shown = rate(result.put_rate_ops_per_s)
    if not result.validity.valid:
        shown += f". {run_verdict(inputs)}. 채점하지 않았습니다"
    met = [o.title_ko.partition("(")[0] for o in judged if o.met]
    named = f"({', '.join(met)})" if met else ""
    goals = f"{count(len(judged))}개 가운데 {count(len(met))}개 달성{named}"
    rows = [
        row(monitored(inputs, "put_rate_ops_per_s"), "포화 처리율", shown),
        ("지속 가능 처리율(S_max)", s_max_sentence(inputs)),
        ("제약 자원", f"{binding_name(resource[0])}. 근거: {resource[1]}"),
        row(monitored(inputs, "stall_fraction"), "쓰기 정체", _stall_sentence(inputs)),
        ("바꿀 것", _change_sentence(inputs)),
        row(reported("objectives"), "목표", goals),
        ("이 보고서가 다루지 않는 것", ". ".join(not_shown(inputs))),
    ]
    return Box(Table.of("요약 | 결과", rows))


def facts(inputs: ReportInputs, judged: tuple[Objective, ...]) -> tuple[Item, ...]:
    """Time, status and names, for the title block."""
    described = inputs.profile.description_ko.rstrip(".")
    return (
        Item(attribute(moment(inputs.generated_at), reported("generated_at")), "실행 일시"),
        Item(status(judged), "상태"),
        Item("쓰기 처리율 모델의 통합, 실시간 모니터링, 자동 튜닝, 성능 검증", "목표"),
        Item(f"`{inputs.report_id}`", "보고서 ID"),
        Item(
            attribute(f"`{inputs.profile.name}`({described})", reported("profile")),
            "프로필",
        ),
    )


def status(judged: tuple[Objective, ...]) -> str:
    """How many objectives were met."""
    met = sum(objective.met for objective in judged)
    shown = f"네 단계 완료, 목표 {count(len(judged))}개 가운데 {count(met)}개 달성"
    return attribute(shown, reported("objectives"))


def blocks(judged: tuple[Objective, ...]) -> Iterator[Block]:
    """The objectives: criterion, value, met or not."""
    yield Heading(2, "Phase-D 목표 달성 현황")
    yield objective_table(judged)
    yield Heading(3, "완료된 목표들")
    yield ItemList(
        tuple(Item(o.evidence_ko, o.title_ko) for o in judged if o.met),
        numbered=True,
        empty="달성한 목표가 없습니다.",
    )
    yield Heading(3, "달성하지 못한 목표")
    yield ItemList(
        tuple(Item(f"목표 미달. {o.evidence_ko}", o.title_ko) for o in judged if not o.met),
        numbered=True,
        empty="달성하지 못한 목표가 없습니다.",
    )


def _stall_sentence(inputs: ReportInputs) -> str:
    share = inputs.monitoring.result.stall_fraction
    return ". ".join(filter(None, (f"시간의 {percent(share)}", stall_sentence(inputs))))


def _change_sentence(inputs: ReportInputs) -> str:
    advice = recommendations(inputs)
    apply = next((a for a in advice if a.rule_id == "apply_tuned_options"), None)
    if apply is not None:
        return apply.statement_ko
    bound = next((a for a in advice if a.rule_id.startswith("binding_")), None)
    chosen = chosen_comparison(inputs)
    kept = "확인한 개선이 없어 옵션은 기본값을 유지합니다"
    if chosen is not None:
        gain = with_particle(f"`{chosen.option_set}`", "은/는")
        kept = f"{gain} 튜닝의 이득을 검증에서 확인하지 못해 기본값을 유지합니다"
    return f"{kept}. {bound.statement_ko}" if bound else kept
