"""The answer about a changed configuration beside the one about the scenario's own."""

from __future__ import annotations

from phase_d_lib.explore.charts import bars_svg
from phase_d_lib.explore.html import notice, paragraph, svg_picture, table_html
from phase_d_lib.explore.whatif import Answer
from phase_d_lib.models.base import Prediction
from phase_d_lib.profiles import Scenario
from phase_d_lib.report.quantities import (
    ABSENT,
    byte_rate,
    factor,
    interval,
    option_value,
    percent,
    puts_per_s,
    size,
)
from phase_d_lib.report.wording import (
    BINDING_MEANING,
    INTERVAL_SOURCES,
    STALL_REGIMES,
    binding,
    refusal,
    with_particle,
)

_PENDING = "계산 중"


def answer_html(own: Answer, asked: Answer, scenario: Scenario) -> str:
    """Render both answers: what changed, table, chart, and what has to be known about them."""
    head = _changes(asked, scenario)
    if asked.prediction is None:
        return f"{head}{notice(f'이 조합으로는 실행할 수 없습니다. {asked.problem}')}"
    if asked.problem:
        return f"{head}{notice(f'`v3`는 {refusal(asked.problem)}(`{asked.problem}`).')}"
    if own.prediction is None or own.problem:
        return f"{head}{notice(f'시나리오 자체를 예측하지 못했습니다. {own.problem}')}"
    before, after = own.prediction, asked.prediction
    return "".join(
        [
            head,
            paragraph(_sentence(before, after), strong=True),
            _table(own, asked),
            svg_picture(_chart(own, asked), _sentence(before, after)),
            paragraph(_footnote(after, asked)),
        ]
    )


def changed_value(name: str, value: object) -> str:
    """Write the value of an option, a workload field or a limit."""
    if name.endswith("_bytes_per_s"):
        return "없음" if value is None else byte_rate(float(str(value)))
    if name.endswith("_bytes") and isinstance(value, int):
        return size(value)
    return option_value(name, value)


def _changes(asked: Answer, scenario: Scenario) -> str:
    if not asked.changes:
        return paragraph("시나리오의 기본값 그대로입니다. 위의 옵션을 움직이면 비교합니다.")
    spec = scenario.spec()
    own = {**spec.workload.model_dump(), **spec.options.model_dump(), **spec.model_dump()}
    told = [
        f"`{name}` {changed_value(name, own[name])} → {changed_value(name, value)}"
        for name, value in asked.changes.items()
    ]
    return paragraph(f"바꾼 값: {', '.join(told)}")


def _sentence(before: Prediction, after: Prediction) -> str:
    rate, base = after.saturation_ops_per_s or 0.0, before.saturation_ops_per_s or 0.0
    told = f"예측한 포화 처리율은 {puts_per_s(rate)}"
    if after.interval_90_ops_per_s is not None:
        told += f"(90 % 예측구간 {interval(after.interval_90_ops_per_s, '')})"
    if before != after and base > 0:
        told += f", 기본값의 {rate / base:.2f}배"
    bound = binding(after.binding)
    if before.binding != after.binding:
        moved = with_particle(bound, "으로/로")
        return f"{told}입니다. 제약 자원이 {binding(before.binding)}에서 {moved} 바뀝니다."
    return f"{told}입니다. 제약 자원은 {bound}입니다."


def _table(own: Answer, asked: Answer) -> str:
    both = (own, asked) if asked.changes else (own,)
    rows = [
        (name, *(read(answer) for answer in both))
        for name, read in (
            ("포화 처리율", lambda a: puts_per_s(_of(a).saturation_ops_per_s)),
            ("90 % 예측구간", lambda a: interval(_of(a).interval_90_ops_per_s)),
            ("지속 가능 처리율(S_max)", _s_max),
            ("정체 시간의 비율", lambda a: percent(_of(a).stall_fraction)),
            ("가장 긴 정체 상태", lambda a: _regime(_of(a).stall_regime)),
            ("쓰기 증폭(WA)", lambda a: factor(_of(a).write_bytes_per_user_byte)),
            ("제약 자원", lambda a: binding(_of(a).binding)),
        )
    ]
    changed = "|바꾼 구성>" if asked.changes else ""
    return table_html(f"항목|시나리오 기본값>{changed}", rows)


def _of(answer: Answer) -> Prediction:
    return answer.prediction or Prediction(model="v3")


def _s_max(answer: Answer) -> str:
    if not answer.complete:
        return _PENDING
    found = _of(answer).s_max_ops_per_s
    return "찾지 못함" if found is None else puts_per_s(found)


def _regime(code: str | None) -> str:
    return ABSENT if code is None else STALL_REGIMES.get(code, code)


def _chart(own: Answer, asked: Answer) -> str:
    rows = [("기본값", own), ("바꾼 구성", asked)] if asked.changes else [("기본값", own)]
    return bars_svg(
        [
            (
                name,
                _of(answer).saturation_ops_per_s or 0.0,
                _of(answer).interval_90_ops_per_s,
                _of(answer).s_max_ops_per_s,
            )
            for name, answer in rows
        ],
        "puts/s",
        "지속 가능 처리율(S_max)",
    )


def _footnote(after: Prediction, asked: Answer) -> str:
    told = [BINDING_MEANING.get(after.binding or "", "")]
    if after.interval_90_ops_per_s is None:
        told.append("이 제약 자원에서는 예측구간을 낼 만큼 잔차가 모이지 않았습니다")
    else:
        named = INTERVAL_SOURCES.get(after.interval_source, after.interval_source)
        told.append(f"예측구간의 근거는 {named}입니다")
    if after.inside_calibration is False:
        told.append("보정에서 잰 범위를 벗어난 구성이므로 오차가 더 클 수 있습니다")
    if len(after.states_ops_per_s) > 1:
        states = ", ".join(puts_per_s(rate) for rate in after.states_ops_per_s)
        told.append(f"정상 상태가 둘로 예측되며 처리율은 각각 {states}입니다")
    if not asked.complete:
        told.append("S_max와 정상 상태는 계산하고 있습니다")
    return f"{'. '.join(text for text in told if text)}."
