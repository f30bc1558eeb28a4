"""Tuning: what was changed, what it gained against the default, how the factors moved."""

from __future__ import annotations

from collections.abc import Iterator

from phase_d_lib.report.blocks import Block, Heading, ItemList, Paragraph, items
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.origins import tuned
from phase_d_lib.report.pictures import CONVERGENCE, OPTION_EFFECTS, PAIRS, Gallery
from phase_d_lib.report.quantities import count, seconds, size
from phase_d_lib.report.readings import chosen_comparison, chosen_source, confirmation_source
from phase_d_lib.report.sources import Source, attribute, rule
from phase_d_lib.report.tuning_tables import (
    adjustment_table,
    effect_table,
    evaluation_table,
    factor_table,
    fitted_factor_table,
    option_effect_table,
    sustained_table,
    trial_table,
)
from phase_d_lib.report.wording import Judgement, effect, factor_stability
from phase_d_lib.tuning.comparison import Comparison


def blocks(inputs: ReportInputs, gallery: Gallery) -> Iterator[Block]:
    """Tuned against default, and the factors v5 kept beside it."""
    yield Heading(2, "자동 튜닝 분석 결과")
    yield Heading(3, "튜닝 통계")
    yield _statistics(inputs)
    yield from _searched(inputs, gallery)
    yield Heading(3, "파라미터 변화 분석")
    yield adjustment_table(inputs)
    yield from _each_option(inputs, gallery)
    yield from _fitted(inputs)
    yield from _factors(inputs)
    yield Heading(3, "튜닝 효과성")
    yield effect_table(inputs)
    yield items(("효과성", tuning_effect(inputs)))
    yield gallery.place(PAIRS)
    yield trial_table(inputs.tuning.trials)
    if inputs.validation.trials:
        yield trial_table(inputs.validation.trials, confirming=True)
    if inputs.tuning.sustained:
        yield sustained_table(inputs.tuning)


def tuned_runs(inputs: ReportInputs) -> str:
    """How many runs had changed options."""
    names = {c.option_set for c in inputs.tuning.comparisons}
    runs = sum(trial.option_set in names for trial in inputs.tuning.trials)
    return attribute(f"{count(runs)}회", tuned("trials"))


def tuning_effect(inputs: ReportInputs) -> str:
    """What the chosen option set gained, in tuning and again in validation, with the rule."""
    chosen, again = chosen_comparison(inputs), inputs.validation.tuned
    if chosen is None:
        return "개선한 조합 없음. 기본값을 유지했습니다"
    first = _judged(chosen, chosen_source(inputs))
    found = f"`{chosen.option_set}` 튜닝에서 {first.word}, {first.value}"
    if again is None:
        return f"{found}. 검증에서 다시 재지 않았습니다"
    second = _judged(again, confirmation_source())
    return f"{found}. 검증에서 {second.word}, {second.value}. 규칙: {second.rule}"


def _judged(comparison: Comparison, source: Source) -> Judgement:
    judged = effect(comparison.effect, comparison.rate_ratio)
    return Judgement(judged.word, attribute(judged.value, source), attribute(judged.rule, source))


def _statistics(inputs: ReportInputs) -> ItemList:
    tuning = inputs.tuning
    names = sorted({name for c in tuning.comparisons for name in c.changes})
    listed = ", ".join(f"`{name}`" for name in names)
    sets = f"{count(len(tuning.comparisons))}개, 선택한 조합 `{tuning.chosen}`"
    parameters = f"{count(len(names))}개" + (f"({listed})" if names else "")
    return items(
        ("옵션을 바꾼 실행", tuned_runs(inputs)),
        ("비교한 옵션 조합", attribute(sets, tuned("records"))),
        ("조정된 파라미터", attribute(parameters, tuned("records"))),
    )


def _searched(inputs: ReportInputs, gallery: Gallery) -> Iterator[Block]:
    search = inputs.tuning.search
    if search is None:
        yield Paragraph("정해 둔 후보만 비교했고 옵션 공간을 탐색하지 않았습니다.")
        return
    guards, plan = search.scenario.guards, search.plan

    def planned(text: str) -> str:
        return attribute(text, tuned("search/plan"))

    def bounded(text: str) -> str:
        return attribute(text, tuned("search/scenario/guards"))

    limits = (
        f"멤테이블 메모리 {bounded(size(guards.memtable_bytes))}, 공간 증폭 "
        f"{bounded(f'{guards.space_amplification:g}')}, 백그라운드 작업 "
        f"{bounded(f'{count(guards.background_jobs)}개')}를 넘지 않고 WAL을 끄지 않습니다"
    )
    spent = attribute(f"{count(len(search.evaluations))}회", tuned("search/evaluations"))
    refused = attribute(f"{count(len(search.rejected))}개", tuned("search/rejected"))
    broken = attribute(f"{count(search.guards_broken)}개", tuned("search/evaluations"))
    yield Paragraph(
        f"모델이 먼저 고른 옵션 조합을 {planned(seconds(plan.duration_s))}씩 재고, 가장 좋은 "
        f"조합은 {planned(seconds(plan.finalist_s))} 동안 다시 쟀습니다. 모든 실행은 기본값으로 "
        f"적재한 같은 트리의 복제본에서 시작합니다. 제약: {limits}."
    )
    yield items(
        ("측정한 조합", f"{spent}(기본값과 되풀이 포함)"),
        ("재기 전에 거른 조합", refused),
        ("재어 보니 제약을 어긴 조합", broken),
    )
    yield gallery.place(CONVERGENCE)
    yield evaluation_table(search)


def _each_option(inputs: ReportInputs, gallery: Gallery) -> Iterator[Block]:
    effects = inputs.tuning.effects
    if effects is None:
        return
    yield Paragraph(
        "고른 조합에서 옵션을 하나씩만 기본값으로 되돌려 다시 쟀습니다. 되돌렸을 때 느려진 만큼이 "
        "그 옵션의 효과이며, 같은 조합을 다시 잰 폭보다 작은 효과는 잡음과 구별되지 않습니다."
    )
    yield gallery.place(OPTION_EFFECTS)
    yield option_effect_table(effects)


def _fitted(inputs: ReportInputs) -> Iterator[Block]:
    table = fitted_factor_table(inputs)
    if not table.rows:
        yield Paragraph("모델 계수를 보정하지 않았습니다.")
        return
    yield Paragraph(
        "식에 자리가 있는 계수는 보정 실행에서 잰 입력을 모델이 쓴 입력으로 나누어 구했고, "
        "그 실행을 빼고 예측한 처리율의 오차가 줄 때만 유지합니다. 처리율 자체에 맞추지는 않습니다."
    )
    yield table


def _factors(inputs: ReportInputs) -> Iterator[Block]:
    table = factor_table(inputs)
    if not table.rows:
        yield Paragraph("v5가 따라간 구간이 없어 모델 계수의 변화를 싣지 않았습니다.")
        return
    yield Paragraph(
        "모델 계수는 v5가 모니터링 실행을 따라가며 구간마다 맞춘 값입니다. "
        "`throughput_factor`는 실측을 모델의 처리율로 나눈 값이고, `scaling_factor`는 컴팩션 "
        "슬롯의 속도를 보정 때와 견준 값이며, `accuracy_factor`는 예측구간의 폭을 맞추는 값입니다."
    )
    yield table
    judged = factor_stability(None).rule
    yield Paragraph(f"상태의 규칙: {attribute(judged, rule('monitor', 'STABLE_CV_FRACTION'))}.")
