"""Korean wording of codes and judgements. A judgement word comes with its rule and its value."""

from __future__ import annotations

from dataclasses import dataclass

from phase_d_lib.models.factors import Status
from phase_d_lib.monitor import STABLE_CV_FRACTION, TREND_ALPHA, Alert, StallShare, Trend
from phase_d_lib.rates import Estimate
from phase_d_lib.report.particles import with_particle as with_particle
from phase_d_lib.report.quantities import (
    count,
    duration_us,
    limit_percent,
    number,
    p_value,
    percent,
    ratio,
    seconds,
    size,
)
from phase_d_lib.report.sources import RULE, Source
from phase_d_lib.tuning.comparison import Effect
from phase_d_lib.validity import Reason, Verdict

ACCURACY_LIMIT_FRACTION = 0.10
"""Median error up to which a model's accuracy is called high."""
AGREEMENT_LIMIT_FRACTION = 0.10
"""Spread of the models' predictions up to which their agreement is called high."""
HIGH_GAIN = 1.15
"""Lower end of the interval of tuned over default from which on the effect is called high."""


@dataclass(frozen=True)
class Judgement:
    """A judgement word, the value it was made on and the written rule.

    Attributes
    ----------
    word : str
        For example 안정적.
    value : str
        The number behind it, formatted.
    rule : str
        The criterion, formatted.
    """

    word: str
    value: str
    rule: str

    def __str__(self) -> str:
        return f"{self.word}({self.value}, 기준: {self.rule})"


def stability(trend: Trend) -> Judgement:
    """안정적 when there is no significant trend and the variation stays small, else 불안정."""
    return Judgement(
        {True: "안정적", False: "불안정", None: "판정 불가"}[trend.stable],
        f"루프 평균의 변동계수 {percent(trend.cv_fraction)}, 추세 {p_value(trend.p_value)}",
        f"변동계수 {limit_percent(STABLE_CV_FRACTION)} 이하이고 추세 p ≥ {TREND_ALPHA:g}",
    )


def factor_stability(cv_fraction: float | None) -> Judgement:
    """안정적 when a model factor varied by 5 % or less over the windows, else 변동."""
    rule = f"변동계수 {limit_percent(STABLE_CV_FRACTION)} 이하이면 안정적"
    if cv_fraction is None:
        return Judgement("판정 불가", "구간이 하나", rule)
    word = "안정적" if cv_fraction <= STABLE_CV_FRACTION else "변동"
    return Judgement(word, f"변동계수 {percent(cv_fraction)}", rule)


def unscored(judged: Judgement) -> Judgement:
    """The same value without a judgement: the run behind it is not valid."""
    return Judgement("판정하지 않음", judged.value, "유효한 실행만 판정")


def accuracy(median_error_fraction: float | None) -> Judgement:
    """높음 when the median error is within 10 %, 낮음 beyond, 판정 불가 without a scored case."""
    rule = f"오차 중앙값 {limit_percent(ACCURACY_LIMIT_FRACTION)} 이하이면 높음"
    if median_error_fraction is None:
        return Judgement("판정 불가", "채점한 검증용 구성 없음", rule)
    word = "높음" if median_error_fraction <= ACCURACY_LIMIT_FRACTION else "낮음"
    return Judgement(word, f"오차 중앙값 {percent(median_error_fraction)}", rule)


def agreement(predicted_ops_per_s: list[float]) -> Judgement:
    """높음 when the models' predictions of one run lie within 10 % of their mean."""
    rule = f"(최대 - 최소) / 평균이 {limit_percent(AGREEMENT_LIMIT_FRACTION)} 이하이면 높음"
    if len(predicted_ops_per_s) < 2:
        answered = len(predicted_ops_per_s)
        return Judgement("판정 불가", f"예측한 모델 {answered}개", rule)
    mean = sum(predicted_ops_per_s) / len(predicted_ops_per_s)
    spread = (max(predicted_ops_per_s) - min(predicted_ops_per_s)) / mean
    word = "높음" if spread <= AGREEMENT_LIMIT_FRACTION else "낮음"
    return Judgement(word, f"모델 사이의 차이 {percent(spread)}", rule)


def effect(code: Effect, rate_ratio: Estimate | None) -> Judgement:
    """높음, 낮음, 효과 없음, 악화 by the place of the 95 % interval; 판정 불가 without one."""
    word, rule = _EFFECTS[code]
    if code == "improved" and not is_high(rate_ratio):
        word, rule = "낮음", f"신뢰구간 전체가 1보다 크고 아래 끝이 {HIGH_GAIN:g} 미만"
    return Judgement(word, "유효한 쌍 없음" if rate_ratio is None else ratio(rate_ratio), rule)


def is_high(rate_ratio: Estimate | None) -> bool:
    """Whether the whole interval of a gain lies above what counts as high."""
    return rate_ratio is not None and rate_ratio.low is not None and rate_ratio.low >= HIGH_GAIN


def goal(met: bool) -> str:
    """목표 달성 or 목표 미달."""
    return "목표 달성" if met else "목표 미달"


_EFFECTS = {
    "improved": ("높음", f"신뢰구간의 아래 끝이 {HIGH_GAIN:g} 이상"),
    "none": ("효과 없음", "신뢰구간이 1을 포함"),
    "worse": ("악화", "신뢰구간 전체가 1보다 작음"),
    "unknown": ("판정 불가", "신뢰구간을 구하려면 유효한 쌍이 둘 이상 필요"),
}


def reason_sentence(reason: Reason) -> str:
    """Why a run may not be scored, as a Korean sentence."""
    value, limit = reason.value, reason.limit
    sentences = {
        "incomplete": f"계획한 {seconds(limit)} 가운데 {seconds(value)}에서 끝났습니다",
        "short": f"측정 구간이 {seconds(value)}로 기준 {seconds(limit)}보다 짧습니다",
        "turnover": (
            f"구간 안에서 채운 멤테이블이 {number(value)}개로 기준 {count(limit)}개보다 적습니다"
        ),
        "steal": f"CPU steal이 {percent(value)}로 기준 {limit_percent(limit)}보다 큽니다",
        "foreign": (
            f"다른 프로세스가 CPU의 {with_particle(percent(value), '을/를')} 썼습니다"
            f"(기준 {limit_percent(limit)} 이하)"
        ),
        "drift": (
            f"살아 있는 데이터 크기가 구간 안에서 {percent(value, signed=True)} 변했습니다"
            f"(기준 ±{limit_percent(limit)} 이내)"
        ),
        "closure": (
            f"쓰기 장부의 비율이 {with_particle(f'{value:.3f}', '으로/로')} "
            f"맞지 않습니다(기준 1 ± {limit:g})"
        ),
    }
    return sentences.get(reason.code, str(reason))


def verdict(judged: Verdict) -> str:
    """유효, or 무효 with every reason."""
    if judged.valid:
        return "유효"
    return "무효: " + ". ".join(reason_sentence(reason) for reason in judged.reasons)


S_MAX_ABSENT = "지속 가능 처리율(S_max)은 이 보고서에서 측정하지 않았습니다"
REGIMES: dict[str, str] = {
    "limiter": "속도 제한기",
    "controller": "쓰기 제어기",
    "slots": "컴팩션 슬롯",
    "cpu": "CPU와 쓰기 경로",
    "device": "디바이스",
}
STALL_REGIMES = {
    "normal:none": "정체 없음",
    "delayed:memtables": "멤테이블 수에 따른 지연",
    "stopped:memtables": "멤테이블 수에 따른 정지",
    "delayed:l0_files": "L0 파일 수에 따른 지연",
    "stopped:l0_files": "L0 파일 수에 따른 정지",
    "delayed:pending_bytes": "컴팩션 대기량에 따른 지연",
    "stopped:pending_bytes": "컴팩션 대기량에 따른 정지",
}
TRIAL_REASONS = {
    "stopped": "쓰기 정지",
    "shortfall": "처리율 미달",
    "latency": "p99.9 초과",
    "debt": "컴팩션 대기량 증가",
    "backlog": "대기열 증가",
}
BASELINE_NAMES = {
    "nearest_run": "기준선: 가장 가까운 실행",
    "limiter_over_geometry": "기준선: 쓰기 한도 ÷ 계산한 쓰기 증폭",
}
S_MAX_SOURCES = {"simulated": "모의실험", "ratio": "보정에서 배운 비율"}
OUTSIDE = {
    "device_reads": "디바이스 읽기(페이지 캐시로 가정)",
    "read_fraction": "읽기 비율",
    "iodepth": "깊이",
    "numjobs": "작업 수",
    "block_kib": "블록 크기",
}
INTERVAL_SOURCES = {
    "conformal": "보정 잔차",
    "residual_pool": "기록된 잔차 모음",
    "none": "없음",
}
BINDINGS = {
    "device": "디바이스 대역폭",
    "device_write": "디바이스 쓰기 대역폭",
    "device_read": "디바이스 읽기 대역폭",
    "mixed_device": "디바이스 혼합 입출력 대역폭",
    "limiter": "속도 제한기",
    "compaction_slots": "컴팩션 슬롯",
    "foreground": "포그라운드 쓰기 경로",
    "cpu": "CPU",
    "controller": "쓰기 제어기(write controller)",
}
STALL_CAUSES = {
    "memtable_limit": "멤테이블 수 한도",
    "l0_file_limit": "L0 파일 수 한도",
    "pending_bytes": "컴팩션 대기량 한도",
}
STALL_KINDS = {"delay": "지연(slowdown)", "stop": "정지(stop)"}
ALERT_KINDS = {
    "write_stop": "쓰기 정지",
    "slowdown": "쓰기 지연",
    "l0_near_slowdown": "L0 파일 수가 지연 기준에 근접",
    "pending_near_soft_limit": "컴팩션 대기량이 연성 한도에 근접",
    "cpu_steal": "CPU steal 초과",
    "ledger_open": "쓰기 장부 불일치",
    "latency_objective": "p99.9 지연시간 목표 초과",
    "throughput_below_interval": "처리율이 예측구간보다 낮음",
    "disk_filling": "디스크 여유 공간 부족",
}
ALERT_CAUSES = {
    "memtable": "멤테이블",
    "l0": "L0 파일",
    "pending": "컴팩션 대기량",
    "host": "호스트",
    "prediction": "예측",
    "ledger": "쓰기 장부",
    "put_p999": "put 지연시간",
    "projection": "가득 찰 때까지 남은 시간",
    "free_space": "남은 공간",
}
SEVERITIES = {"warning": "경고", "critical": "심각"}
STATUSES = {"active": "활성", "deployed": "배포됨"}
STAGES = {
    "integration": "통합",
    "monitoring": "모니터링",
    "tuning": "튜닝",
    "validation": "검증",
}
METRICS = {
    "put_ops_per_s": "처리율",
    "put_latency_p99_us": "p99 지연시간",
    "l0_files": "L0 파일 수",
    "pending_compaction_bytes": "컴팩션 대기량",
}
DEPLOYMENT_REASONS = {
    "refused": "보정 구성에 답하지 않았습니다",
    "calibrated": "보정 실행으로 교차검증했습니다",
    "not_cross_validated": "유효한 보정 실행이 모자라 교차검증하지 못했습니다",
    "lowest_cross_validated_error": "교차검증 오차가 가장 작습니다",
    "within_one_standard_error_and_simulates": (
        "교차검증 오차가 가장 작은 모델과 표준오차 안에서 같고, "
        "정체 상태와 S_max까지 모의실험으로 예측합니다"
    ),
    "every_model_refused": "모든 모델이 보정 구성에 답하지 않아 활성 모델이 없습니다",
    "chosen_by_user": "사용자가 지정했습니다",
    "no_valid_calibration_run": "유효한 보정 실행이 없어 활성 모델을 고르지 못했습니다",
}
BINDING_MEANING = {
    "device": "디바이스의 혼합 입출력 대역폭이 처리율을 정합니다",
    "device_write": "디바이스에 쓰는 속도가 처리율을 정합니다",
    "device_read": "컴팩션이 디바이스에서 읽는 속도가 처리율을 정합니다",
    "mixed_device": "읽기와 쓰기가 함께 쓰는 디바이스 대역폭이 처리율을 정합니다",
    "limiter": "플러시와 컴팩션의 쓰기를 묶는 속도 제한기가 처리율을 정합니다",
    "compaction_slots": "동시에 돌 수 있는 컴팩션의 수가 처리율을 정합니다",
    "foreground": "정체가 없을 때의 put 경로가 처리율을 정합니다",
    "cpu": "CPU 시간이 처리율을 정합니다",
    "controller": "쓰기 제어기의 지연과 정지 규칙이 처리율을 정합니다",
}
_REFUSALS = {
    "amplification": "다른 구성에서 잰 증폭이 없어 답하지 않았습니다",
    "bounds": "측정한 상한이 하나도 없어 답하지 않았습니다",
    "foreground_ops_per_s": "정체 없는 put 속도(U)를 재지 못해 답하지 않았습니다",
    "slot_write_bytes_per_s": "컴팩션 슬롯의 속도를 재지 못해 답하지 않았습니다",
    "grid_csv": "디바이스 격자가 없거나 빠진 점이 있어 답하지 않았습니다",
    "ledger": "쓰기 장부가 맞지 않아 답하지 않았습니다",
    "a_r": "디바이스 읽기량을 알 수 없어 답하지 않았습니다",
    "rows": "유효한 보정 실행이 없어 답하지 않았습니다",
    "device": "디바이스 대역폭을 재지 않아 답하지 않았습니다",
    "distribution": "이 키 분포를 다루지 않아 답하지 않았습니다",
    "read_fraction": "읽기가 섞인 부하를 다루지 않아 답하지 않았습니다",
    "keys": "파일이 너무 많아 모의실험할 수 없으므로 답하지 않았습니다",
    "options": "쓰기가 영구히 멈추는 옵션이라 답하지 않았습니다",
}
_ALERT_ACTIONS = {
    "write_stop": "멤테이블 수, L0 정지 기준, 컴팩션 속도를 점검합니다",
    "slowdown": "컴팩션이 따라가지 못한 구간의 유입률을 확인합니다",
    "l0_near_slowdown": "L0 컴팩션이 늦어지는지 확인합니다",
    "pending_near_soft_limit": "컴팩션 대기량이 계속 늘어나는지 확인합니다",
    "cpu_steal": "같은 호스트의 다른 부하를 줄이고 다시 잽니다",
    "ledger_open": "카운터가 서로 맞지 않으므로 이 실행을 보정에 쓰지 않습니다",
    "latency_objective": "같은 시각의 쓰기 정체를 먼저 보고, 없으면 디바이스와 CPU를 확인합니다",
    "throughput_below_interval": "호스트나 부하가 보정할 때와 같은지 확인하고 다시 보정합니다",
    "disk_filling": "컴팩션이 출력을 쓸 공간이 남도록 공간을 비우거나 부하를 줄입니다",
}


def source_sentence(source: Source) -> str:
    """Say where a number came from: scrap, run, file and field."""
    if source.stage == RULE:
        return f"라이브러리에 적은 규칙. 모듈 {source.file}, 이름 {source.field}"
    stage = STAGES.get(source.stage)
    made = f"단계 {stage}(scrap {source.stage})" if stage else "보고서가 결과를 모아 계산"
    run = f", 실행 {source.run_id}" if source.run_id else ""
    return f"{made}{run}, 파일 {source.file}, 항목 {source.field}"


def binding(code: str | None) -> str:
    """Name of a binding resource; an unknown code stays as it is."""
    return "판정 불가" if code is None else BINDINGS.get(code, code)


def refusal(text: str) -> str:
    """Why a model gave no answer; an unknown text stays as it is."""
    return _REFUSALS.get(text.partition(":")[0], text)


def deployment_reason(code: str) -> str:
    """Why a model has its status; an unknown code stays as it is."""
    return DEPLOYMENT_REASONS.get(code, code)


def alert_value(alert: Alert) -> str:
    """Value and limit of an alert in its own unit."""
    formats = {
        "write_stop": lambda v: f"{count(v)}회",
        "slowdown": lambda v: f"{count(v)}회",
        "l0_near_slowdown": lambda v: f"{v:g}개",
        "pending_near_soft_limit": size,
        "cpu_steal": percent,
        "ledger_open": percent,
        "latency_objective": duration_us,
        "throughput_below_interval": lambda v: f"{number(v)} puts/s",
        "disk_filling": percent if alert.cause == "free_space" else seconds,
    }
    show = formats.get(alert.kind, number)
    return f"{show(alert.value)}(기준 {show(alert.limit)})"


def alert_action(kind: str) -> str:
    """What to look at after an alert."""
    return _ALERT_ACTIONS.get(kind, "원인을 확인합니다")


def longest_stall(stall: StallShare | None) -> str:
    """Name what held writes back longest, as a sentence without its full stop; empty for None."""
    if stall is None:
        return ""
    name = f"{STALL_CAUSES.get(stall.cause, stall.cause)}에 따른 {STALL_KINDS[stall.kind]}"
    return f"가장 긴 원인은 {with_particle(name, '으로/로')} {seconds(stall.seconds)}입니다"


TUNING_BOUNDS = {
    "foreground": "쓰기 스레드",
    "limiter": "속도 제한기의 바이트",
    "controller": "쓰기 컨트롤러",
}
"""What held a run of tuning back, as measured."""
FACTOR_PLACES = {
    "wa_factor": "컴팩션 쓰기 증폭",
    "flush_factor": "플러시 쓰기 증폭",
    "memtable_factor": "플러시할 때 멤테이블이 찬 정도",
    "WA": "플러시와 컴팩션을 합친 쓰기 증폭",
    "B_write": "디바이스 쓰기 대역폭",
    "B_read": "디바이스 읽기 대역폭",
    "compaction_factor": "컴팩션 슬롯의 속도",
    "degradation_factor": "보정 때와 견준 디바이스 대역폭",
    "io_contention_factor": "다른 일이 남긴 디바이스 대역폭",
}
"""What a factor with a place in an equation multiplies."""
FACTOR_STATUSES: dict[Status, str] = {
    "kept": "유지",
    "not_better": "나아지지 않아 버림",
    "too_few_rows": "실행이 모자람",
    "out_of_bounds": "허용 한계를 벗어남",
    "not_observed": "잰 값이 없음",
}
