"""What a report claims, the command that measures each claim again, its minutes and tolerance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from phase_d_lib.bundle.reading import FindRun
from phase_d_lib.bundle.spread import Quantity, over_blocks
from phase_d_lib.bundle.tolerance import repeats_of, second_measurement, two_apart
from phase_d_lib.calibration import DEFAULT
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.objectives import objectives
from phase_d_lib.report.origins import monitored, sustained, validated
from phase_d_lib.report.quantities import (
    count,
    duration_us,
    factor,
    limit_percent,
    percent,
    rate,
    ratio,
)
from phase_d_lib.report.readings import (
    active_score,
    chosen_comparison,
    chosen_source,
    confirmation_source,
    s_max_sentence,
    score_source,
)
from phase_d_lib.report.sources import attribute, rule
from phase_d_lib.report.wording import REGIMES, goal
from phase_d_lib.runs import Run
from phase_d_lib.specs import Frozen
from phase_d_lib.stages import NOTEBOOKS, RECORDED_PROFILE
from phase_d_lib.tuning.comparison import Trial
from phase_d_lib.validation.scores import MISS_PROBABILITY

LIVE_PROFILE = "quick"
"""Profile that measures the scenario of the recorded runs again."""


class Claim(Frozen):
    """One claim; texts carry the sources of their numbers."""

    title: str
    value: str
    command: str
    minutes: float | None
    """From the start of the first to the end of the last run behind it; None: not measured."""
    tolerance: str


def claims(
    inputs: ReportInputs, find_run: FindRun, stage_runs: Mapping[str, Sequence[str]]
) -> tuple[Claim, ...]:
    """List every claim of a report in the order of its stages.

    Parameters
    ----------
    stage_runs : mapping
        Measuring stage -> ids of the runs it used.
    """
    runs = {stage: [find_run(one) for one in ids] for stage, ids in stage_runs.items()}
    minutes = {stage: minutes_of(found) for stage, found in runs.items()}
    return (
        *_monitored(inputs, find_run(inputs.monitoring.run_id), minutes["monitoring"]),
        _sustained(inputs, minutes["integration"]),
        *_tuned(inputs, minutes),
        *_validated(inputs, minutes["validation"]),
        *_objectives(inputs, find_run(inputs.monitoring.run_id), minutes),
    )


def minutes_of(runs: Sequence[Run]) -> float | None:
    """Minutes from the start of the first run to the end of the last, loading between included."""
    done = [run.result for run in runs if run.result is not None]
    if not done:
        return None
    starts = [datetime.fromisoformat(result.started_at).timestamp() for result in done]
    ends = [at + result.duration_s for at, result in zip(starts, done, strict=True)]
    return (max(ends) - min(starts)) / 60


def _monitored(inputs: ReportInputs, run: Run, minutes: float | None) -> Iterator[Claim]:
    result, command = inputs.monitoring.result, stage_command(inputs, "monitoring")
    blocks, trials = over_blocks(run), _default_trials(inputs)
    tail, amplification = (
        result.put_latency_us["p999"],
        inputs.monitoring.ledger.write_amplification,
    )
    saturation = result.put_rate_ops_per_s
    shown: list[tuple[str, Quantity, float | None, str, str]] = [
        ("포화 처리율", "rate", saturation.value, rate(saturation), "put_rate_ops_per_s"),
        ("put 지연시간 p99.9", "p999", tail, duration_us(tail), "put_latency_us"),
        (
            "쓰기 정체 시간의 비율",
            "stall",
            result.stall_fraction,
            percent(result.stall_fraction),
            "stall_fraction",
        ),
        ("쓰기 증폭(WA)", "wa", amplification, factor(amplification), "ledger"),
    ]
    for title, quantity, value, text, field in shown:
        source, repeats = monitored(inputs, field), repeats_of(quantity, trials)
        yield Claim(
            title=title,
            value=attribute(text, source),
            command=command,
            minutes=minutes,
            tolerance=second_measurement(quantity, value, blocks.get(quantity), repeats, source),
        )


def _sustained(inputs: ReportInputs, minutes: float | None) -> Claim:
    found = inputs.integration.calibration.sustained
    estimate = found.s_max_ops_per_s if found else None
    width = "재지 않았으므로 주장하지 않습니다"
    if estimate is not None and estimate.low and estimate.high:
        end = max(estimate.high / estimate.value, estimate.value / estimate.low)
        width = attribute(f"±{percent(two_apart(math.log(end)))} 이내", sustained())
    return Claim(
        title="지속 가능 처리율(S_max)",
        value=s_max_sentence(inputs),
        command=stage_command(inputs, "integration"),
        minutes=minutes if found else None,
        tolerance=width,
    )


def _tuned(inputs: ReportInputs, minutes: Mapping[str, float | None]) -> Iterator[Claim]:
    compared, again = chosen_comparison(inputs), inputs.validation.tuned
    if compared is None:
        yield Claim(
            title="튜닝",
            value="기본값보다 확실히 나은 옵션 조합을 찾지 못해 기본값을 유지",
            command=stage_command(inputs, "tuning"),
            minutes=minutes["tuning"],
            tolerance="다시 재어도 신뢰구간 전체가 1보다 큰 조합이 없어야 합니다",
        )
        return
    within = "신뢰구간 전체가 1보다 크고, 두 구간이 겹쳐야 합니다"
    yield Claim(
        title=f"튜닝의 이득: `{compared.option_set}`",
        value=attribute(ratio(compared.rate_ratio), chosen_source(inputs)),
        command=stage_command(inputs, "tuning"),
        minutes=minutes["tuning"],
        tolerance=attribute(within, rule("rates", "Estimate")),
    )
    yield Claim(
        title="튜닝 이득의 재확인",
        value=attribute(ratio(again.rate_ratio if again else None), confirmation_source()),
        command=stage_command(inputs, "validation"),
        minutes=minutes["validation"],
        tolerance=attribute(within, rule("rates", "Estimate")),
    )


def _validated(inputs: ReportInputs, minutes: float | None) -> Iterator[Claim]:
    score, cases = active_score(inputs), inputs.validation.cases
    command = stage_command(inputs, "validation")
    if score is None or score.median_error_fraction is None:
        yield Claim(
            title="활성 모델의 오차 중앙값", value="채점한 검증용 구성이 없습니다", command=command,
            minutes=minutes, tolerance="주장하지 않습니다",
        )  # fmt: skip
        return
    errors = sorted(_errors(inputs, score.model))
    yield Claim(
        title=f"활성 모델 `{score.model}`의 오차 중앙값",
        value=attribute(
            f"{percent(score.median_error_fraction)}(검증용 구성 {count(score.cases)}개)",
            score_source(inputs),
        ),
        command=command,
        minutes=minutes,
        tolerance=attribute(
            f"새로 뽑은 구성의 중앙값이 {percent(errors[0])}에서 {percent(errors[-1])} 사이",
            validated("held_out_cases"),
        ),
    )
    if score.covered is not None:
        low, high = score.coverage_95 or (0.0, 1.0)
        yield Claim(
            title=attribute(
                f"`{score.model}`의 {limit_percent(1.0 - MISS_PROBABILITY)} 예측구간이 "
                "실측을 담은 횟수",
                rule("validation.scores", "MISS_PROBABILITY"),
            ),
            value=attribute(
                f"{count(score.intervals)}번 가운데 {count(score.covered)}번", score_source(inputs)
            ),
            command=command,
            minutes=minutes,
            tolerance=attribute(
                f"담은 비율이 {percent(low)}에서 {percent(high)} 사이", score_source(inputs)
            ),
        )
    seen = dict.fromkeys(case.behaviour.regime for case in cases if case.verdict.valid)
    yield Claim(
        title="검증용 구성에서 잰 제약 자원",
        value=", ".join(REGIMES.get(regime, regime) for regime in seen) or "없음",
        command=command,
        minutes=minutes,
        tolerance="같은 제약 자원이 다시 나와야 합니다",
    )


def _objectives(
    inputs: ReportInputs, run: Run, minutes: Mapping[str, float | None]
) -> Iterator[Claim]:
    for judged in objectives(inputs, run.samples):
        yield Claim(
            title=f"목표: {judged.title_ko.partition('(')[0]}",
            value=f"{goal(judged.met)}({judged.evidence_ko})",
            command=report_command(inputs)
            if judged.name == "tuning"
            else stage_command(inputs, judged.name),
            minutes=minutes[judged.name],
            tolerance=f"같은 판정. 기준: {judged.criterion_ko}",
        )


def stage_command(inputs: ReportInputs, stage: str) -> str:
    """Return the command that measures one stage again, with a fresh seed."""
    engine = inputs.profile.scenario.engine
    chosen = "" if engine == "embedded" else f" -p engine '{engine}'"
    return (
        f".venv/bin/papermill notebooks/{NOTEBOOKS[stage]} out.ipynb "
        f"-p profile {_profile(inputs)}{chosen}"
    )


def report_command(inputs: ReportInputs) -> str:
    """Return the command that measures everything again."""
    engine = inputs.profile.scenario.engine
    chosen = "" if engine == "embedded" else f" ENGINE='{engine}'"
    return f"make report PROFILE={_profile(inputs)} FORCE=1{chosen}"


def _profile(inputs: ReportInputs) -> str:
    return LIVE_PROFILE if inputs.profile.name == RECORDED_PROFILE else inputs.profile.name


def _errors(inputs: ReportInputs, model: str) -> Iterator[float]:
    for case in inputs.validation.cases:
        said = next((p for p in case.predictions if p.model == model), None)
        if case.drawn_for is None and case.verdict.valid and said and said.saturation_ops_per_s:
            yield abs(said.saturation_ops_per_s / case.measured_ops_per_s.value - 1.0)


def _default_trials(inputs: ReportInputs) -> list[Trial]:
    both = (*inputs.tuning.trials, *inputs.validation.trials)
    return [t for t in both if t.option_set == DEFAULT and t.verdict.valid]
