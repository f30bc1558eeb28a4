"""Tables of the objectives and of tuning: what was changed, what it gained, every trial."""

from __future__ import annotations

from statistics import mean, stdev

from phase_d_lib.models.factors import FittedFactor
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.report.blocks import Table, row
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.objectives import Objective
from phase_d_lib.report.origins import LOOPS, confirmed_by, monitored, tuned
from phase_d_lib.report.quantities import (
    ABSENT,
    count,
    duration_us,
    factor,
    option_value,
    percent,
    puts_per_s,
    rate,
    ratio,
)
from phase_d_lib.report.readings import confirmation_source, confirmed
from phase_d_lib.report.wording import (
    FACTOR_PLACES,
    FACTOR_STATUSES,
    TUNING_BOUNDS,
    effect,
    factor_stability,
    goal,
)
from phase_d_lib.tuning.comparison import Comparison, Trial
from phase_d_lib.tuning.effects import Effects
from phase_d_lib.tuning.protocol import TuningResult
from phase_d_lib.tuning.search import Evaluation, SearchResult


def objective_table(judged: tuple[Objective, ...]) -> Table:
    """The four objectives."""
    rows = [(o.title_ko, o.criterion_ko, o.evidence_ko, goal(o.met)) for o in judged]
    return Table.of("목표 | 기준 | 측정 결과 | 판정", rows, "네 목표의 기준과 판정")


def adjustment_table(inputs: ReportInputs) -> Table:
    """Every option of every option set: from, to, kept or not."""
    default, tuning = inputs.profile.scenario.options.model_dump(), inputs.tuning
    kept = confirmed(inputs)
    rows = [
        row(
            tuned(f"records/{n}/adjustments/{place}"),
            f"`{c.option_set}`",
            f"`{name}`",
            option_value(name, default[name]),
            option_value(name, value),
            "유지" if c.option_set == tuning.chosen and kept else "채택하지 않음",
        )
        for n, c in enumerate(tuning.comparisons)
        for place, (name, value) in enumerate(c.changes.items())
    ]
    return Table.of("옵션 조합|파라미터|기본값>|바꾼 값>|처리", rows, "시험한 옵션 변경")


def effect_table(inputs: ReportInputs) -> Table:
    """Tuned against default, in tuning and again in validation."""
    again = inputs.validation.tuned
    rows = [
        row(tuned(f"records/{n}"), *_effect_row("튜닝", c))
        for n, c in enumerate(inputs.tuning.comparisons)
    ]
    if again is not None:
        rows.append(row(confirmation_source(), *_effect_row("검증(재확인)", again)))
    return Table.of(
        "단계|옵션 조합|유효한 쌍>|기본값 대비 처리율|판정|규칙|멤테이블 메모리>",
        rows,
        "튜닝한 옵션과 기본값의 비교",
    )


def _effect_row(stage: str, comparison: Comparison) -> tuple[str, ...]:
    judged = effect(comparison.effect, comparison.rate_ratio)
    return (
        stage,
        f"`{comparison.option_set}`",
        count(comparison.pairs),
        ratio(comparison.rate_ratio),
        judged.word,
        judged.rule,
        f"{factor(comparison.memtable_bytes_ratio)}배",
    )


def trial_table(trials: tuple[Trial, ...], *, confirming: bool = False) -> Table:
    """Every trial in the order it ran.

    Parameters
    ----------
    confirming : bool
        The trials are those of the validation stage.
    """
    stage, field = (confirmed_by, "confirmation_trials") if confirming else (tuned, "trials")
    rows = [
        row(
            stage(f"{field}/{n}", t.run_id),
            count(t.order + 1),
            f"`{t.option_set}`",
            count(t.pair + 1),
            puts_per_s(t.put_ops_per_s),
            duration_us(t.put_latency_p999_us),
            percent(t.stall_fraction),
            factor(t.write_bytes_per_user_byte),
            "유효" if t.verdict.valid else "무효",
        )
        for n, t in enumerate(trials)
    ]
    caption = "검증에서 새로 잰 쌍의 실행" if confirming else "튜닝 실행"
    return Table.of("순서>|옵션 조합|쌍>|처리율>|p99.9>|정체 시간>|WA>|유효성", rows, caption)


def evaluation_table(search: SearchResult) -> Table:
    """Every run of the search in the order it ran."""
    base = search.default_ops_per_s
    rows = [
        row(
            tuned(f"search/evaluations/{n}", e.run_id),
            count(e.number + 1),
            _PHASES[e.phase],
            changed_options(e.changes),
            puts_per_s(e.put_ops_per_s),
            factor(e.held_ops_per_s / base if base else None),
            duration_us(e.put_latency_p999_us),
            percent(e.stall_fraction),
            factor(e.write_bytes_per_user_byte),
            _standing(e),
        )
        for n, e in enumerate(search.evaluations)
    ]
    return Table.of(
        "순서>|단계|기본값과 다른 옵션|처리율>|기본값 대비>|p99.9>|정체 시간>|WA>|처리",
        rows,
        "탐색에서 잰 옵션 조합",
    )


_PHASES = {"default": "기본값", "candidate": "프리셋", "screening": "선별", "finalist": "결선"}


def _standing(evaluation: Evaluation) -> str:
    if evaluation.breaches:
        return "제약 위반"
    return "사용" if evaluation.usable else "무효"


def changed_options(changes: OptionChanges) -> str:
    """Options of a set and their values, the names as code."""
    return ", ".join(f"`{name}` {option_value(name, value)}" for name, value in changes.items())


def option_effect_table(effects: Effects) -> Table:
    """The chosen set without each of its dimensions: effect, amplification, what bound."""
    own = effects.tuned[0]
    rows = [
        row(
            tuned(f"effects/reverted/{n}", r.run_id),
            f"`{r.dimension}`",
            option_value(_unit_of(r.dimension), r.default),
            option_value(_unit_of(r.dimension), r.tuned),
            f"{factor(r.rate_ratio)}배" if r.rate_ratio else ABSENT,
            f"{factor(r.write_bytes_per_user_byte)} → {factor(own.write_bytes_per_user_byte)}",
            f"{percent(r.stall_fraction)} → {percent(own.stall_fraction)}",
            f"{TUNING_BOUNDS[r.bound]} → {TUNING_BOUNDS[effects.tuned_bound]}",
        )
        for n, r in enumerate(effects.reverted)
    ]
    return Table.of(
        "차원|기본값>|튜닝값>|효과>|WA>|정체 시간>|막은 것", rows, "옵션 하나하나의 측정한 효과"
    )


def _unit_of(dimension: str) -> str:
    return "write_buffer_size" if dimension == "memtable_bytes" else dimension


def sustained_table(tuning: TuningResult) -> Table:
    """S_max of the default and of the chosen set."""
    rows = [
        row(
            tuned(f"sustained/{name}"),
            f"`{name}`",
            rate(found.s_max_ops_per_s),
            puts_per_s(found.highest_held_ops_per_s),
            puts_per_s(found.lowest_failed_ops_per_s),
            count(len(found.trials)),
        )
        for name, found in tuning.sustained.items()
    ]
    return Table.of(
        "옵션 조합|S_max>|버틴 최고>|버티지 못한 최저>|시험>", rows, "개방형 부하로 잰 S_max"
    )


def fitted_factor_table(inputs: ReportInputs) -> Table:
    """Factors fitted on the calibration: value, what they did to the error, kept or not."""
    rows = [
        row(
            tuned(f"factors/fitted/{number}"),
            f"`{found.factor.model}`",
            f"`{found.factor.name}`",
            FACTOR_PLACES[found.factor.name],
            ABSENT if found.value is None else f"{found.value:.3f}",
            ABSENT
            if found.interval_95 is None
            else "-".join(f"{end:.3f}" for end in found.interval_95),
            ABSENT if found.spread_log is None else percent(found.spread_log),
            count(found.rows),
            _error_change(found),
            FACTOR_STATUSES[found.status],
        )
        for number, found in enumerate(inputs.tuning.factors.fitted)
    ]
    return Table.of(
        "모델|계수|뜻|값>|95 % 신뢰구간>|변동성>|실행>|오차>|판정", rows, "보정한 모델 계수"
    )


def _error_change(found: FittedFactor) -> str:
    if found.error_before is None or found.error_after is None:
        return ABSENT
    return f"{percent(found.error_before)} → {percent(found.error_after)}"


def factor_table(inputs: ReportInputs) -> Table:
    """Mean, deviation and variability of the factors v5 kept while it followed the run."""
    followed = inputs.monitoring.followed
    rows = [
        row(
            monitored(inputs, "followed", LOOPS),
            f"`{name}`",
            *_factor_cells([getattr(seen.factors, name) for seen in followed]),
        )
        for name in ("throughput_factor", "latency_factor", "accuracy_factor", "scaling_factor")
        if followed
    ]
    return Table.of("파라미터|구간>|평균값>|표준편차>|변동성>|상태", rows, "v5 모델 계수의 변화")


def _factor_cells(found: list[float | None]) -> tuple[str, ...]:
    """Cells of one factor; it has none where the windows carry nothing to fit it on."""
    known = [value for value in found if value is not None]
    if not known:
        return (count(0), ABSENT, ABSENT, ABSENT, "구간에 잰 값이 없어 구하지 않음")
    middle = mean(known)
    deviation = stdev(known) if len(known) > 1 else None
    variation = None if deviation is None or not middle else deviation / abs(middle)
    return (
        count(len(known)),
        f"{middle:.3f}",
        ABSENT if deviation is None else f"{deviation:.3f}",
        percent(variation),
        factor_stability(variation).word,
    )
