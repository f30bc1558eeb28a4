"""Tables of the report about where numbers come from: runs, validity, environment, times, files."""

from __future__ import annotations

from collections.abc import Iterator

from phase_d_lib.report.blocks import Table, row
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.origins import (
    confirmed_by,
    host_of,
    integrated,
    monitored,
    reported,
    run_file,
    tuned,
    validated,
)
from phase_d_lib.report.quantities import (
    ABSENT,
    byte_rate,
    count,
    factor,
    moment,
    number,
    option_value,
    percent,
    rate,
    size,
)
from phase_d_lib.report.readings import calibration_source
from phase_d_lib.report.sources import Source, attribute
from phase_d_lib.report.wording import STAGES, verdict
from phase_d_lib.specs import RunSpec
from phase_d_lib.tuning.comparison import Trial
from phase_d_lib.units import KIB, MIB
from phase_d_lib.validity import Verdict

JSON_FILES = {
    "phase_d_report": "목표와 판정, 실행 환경",
    "integration_results": "루프별 측정과 예측",
    "performance_report": "처리율·지연시간 통계, 검증용 구성의 오차",
    "auto_tuning_records": "모든 옵션 조정과 그 효과",
    "real_time_metrics": "표본 시계열과 빠진 표본",
    "dashboard_data": "마지막 상태와 추세",
    "alerts": "경보",
    "model_deployment": "모델의 배포 상태와 보정",
    "phase_d_comprehensive_report": "발견사항과 권장사항, 그 규칙과 수치",
}
"""File name without ``.json`` -> what it holds."""
_DISTRIBUTIONS = {"uniform": "균등 분포", "zipfian": "지프 분포", "sequential": "순차"}
_ARRIVALS = {"closed": "폐쇄형 부하"}


def validity_table(inputs: ReportInputs) -> Table:
    """Every judged run with its verdict and every reason."""
    rows = [
        row(
            source,
            name,
            f"`{source.run_id}`",
            verdict(judged),
            percent(judged.foreign_cpu_fraction),
            ABSENT if judged.write_closure is None else f"{judged.write_closure:.3f}",
        )
        for name, source, judged in judged_runs(inputs)
    ]
    columns = "실행|실행 ID|유효성과 사유|다른 프로세스의 CPU>|쓰기 장부의 비율>"
    return Table.of(columns, rows, "모든 실행의 유효성")


def judged_runs(inputs: ReportInputs) -> Iterator[tuple[str, Source, Verdict]]:
    """Yield (what the run was for, where it is written, verdict) in the order of the stages."""
    for place, calibrated in enumerate(inputs.integration.calibration.rows):
        source = calibration_source(inputs, place)
        yield f"보정 `{calibrated.name}`", source, calibrated.verdict
    yield "모니터링", monitored(inputs, "validity"), inputs.monitoring.result.validity
    for place, trial in enumerate(inputs.tuning.trials):
        yield _trial_name("튜닝", trial), tuned(f"trials/{place}", trial.run_id), trial.verdict
    for place, case in enumerate(inputs.validation.cases):
        source = validated(f"held_out_cases/{place}", case.run_id)
        yield f"검증용 구성 `{case.name}`", source, case.verdict
    for place, trial in enumerate(inputs.validation.trials):
        source = confirmed_by(f"confirmation_trials/{place}", trial.run_id)
        yield _trial_name("재확인", trial), source, trial.verdict


def _trial_name(stage: str, trial: Trial) -> str:
    return f"{stage} `{trial.option_set}` 쌍 {count(trial.pair + 1)}"


def environment_table(inputs: ReportInputs) -> Table:
    """Machine, engine and software."""
    host, environment = inputs.integration.host, inputs.environment
    commit = f"`{host.git_sha}`" if host.git_sha else "기록 없음"
    packages = ", ".join(f"{name} {found}" for name, found in environment.packages.items())
    rows = [
        ("RocksDB", host.rocksdb_version or "기록 없음"),
        ("엔진 빌드", host.engine_build),
        ("CPU", f"{host.cpu_model}, 코어 {count(host.cores)}개"),
        ("메모리", size(host.memory_bytes)),
        ("커널", host.kernel),
        ("파일 시스템과 디바이스", f"{host.filesystem}, `{host.device}`"),
        ("커밋", commit + (", 커밋하지 않은 변경 있음" if host.git_dirty else "")),
        ("시작할 때의 부하(1분 평균)", number(host.load_1m_start)),
        ("Python", environment.python),
        ("패키지", packages or "기록 없음"),
    ]
    sourced = [row(host_of("host"), *cells) for cells in rows[:-2]]
    sourced += [row(reported("environment"), *cells) for cells in rows[-2:]]
    return Table.of("항목 | 값", sourced, "호스트와 소프트웨어")


def workload_sentence(inputs: ReportInputs) -> str:
    """Describe keys, values, load and limiter of the monitored run in one line."""
    spec = inputs.monitoring.spec
    return attribute(_workload(spec), run_file(inputs, "spec.json", "workload"))


def _workload(spec: RunSpec) -> str:
    workload = spec.workload
    limit = spec.limiter_bytes_per_s
    limiter = "속도 제한 없음" if limit is None else f"속도 제한 {byte_rate(limit)}"
    threads = f"쓰기 스레드 {count(workload.threads)}개"
    return (
        f"키 {count(workload.keys)}개(키 {size(workload.key_bytes)}, "
        f"값 {size(workload.value_bytes)}), {_DISTRIBUTIONS[workload.distribution]}, "
        f"{_ARRIVALS.get(workload.arrival.kind, '개방형 부하')}, {threads}, {limiter}"
    )


def option_table(inputs: ReportInputs) -> Table:
    """Every pinned RocksDB option of the monitored run, two options a line."""
    options = inputs.monitoring.spec.options.model_dump()
    cells = [
        row(run_file(inputs, "spec.json", f"options/{k}"), f"`{k}`", option_value(k, v))
        for k, v in options.items()
    ]
    half = (len(cells) + 1) // 2
    right = [*cells[half:], *[("", "")] * (2 * half - len(cells))]
    rows = [first + second for first, second in zip(cells[:half], right, strict=True)]
    return Table.of("옵션|값>|옵션|값>", rows, "고정한 RocksDB 옵션")


def host_speed_table(inputs: ReportInputs) -> Table:
    """Measured speeds of the host, each with the run it was measured in."""
    calibration = inputs.integration.calibration
    host, sources = calibration.host, calibration.sources
    put_us = None if host.cpu_s_per_put is None else host.cpu_s_per_put * 1e6
    byte_ns = None if host.cpu_s_per_compacted_byte is None else host.cpu_s_per_compacted_byte * 1e9
    named = [
        ("정체 없는 put 속도(U)", "foreground_ops_per_s", host.foreground_ops_per_s, "puts/s"),
        ("put 하나의 CPU 시간", "cpu_s_per_put", put_us, "µs"),
        ("컴팩션 1바이트의 CPU 시간", "cpu_s_per_compacted_byte", byte_ns, "ns"),
    ]
    missing = "측정하지 못했습니다"
    slot = host.slot_write_bytes_per_s
    shown = [
        (name, key, missing if value is None else f"{number(value)} {unit}")
        for name, key, value, unit in named
    ]
    shown.insert(
        1,
        (
            "컴팩션 슬롯 하나의 쓰기 속도(µ)",
            "slot_write_bytes_per_s",
            missing if slot is None else byte_rate(slot),
        ),
    )
    rows = [
        row(
            integrated(f"host_speeds/{key}", sources.get(key, "")),
            name,
            value,
            f"`{sources.get(key, ABSENT)}`",
        )
        for name, key, value in shown
    ]
    return Table.of("값|측정값>|실행", rows, "호스트에서 잰 속도")


def device_sentence(inputs: ReportInputs) -> str:
    """Say with what, on what and in what state the device was measured; empty when it was not."""
    device = inputs.integration.calibration.device
    if device is None:
        return ""
    state, tool = device.state, device.tool
    name = "fio" if tool.kind == "fio" else "내장 측정기"
    said = (
        f"도구는 {name}(판 {tool.version}), 디바이스는 `{state.device or '알 수 없음'}`, "
        f"파일 시스템 사용률은 {percent(state.filled_fraction)}이고, 같은 점을 "
        f"{count(device.plan.repeats)}번 잰 값의 차이는 최대 {percent(max(device.spread))}입니다"
    )
    return attribute(said, integrated("device"))


def device_table(inputs: ReportInputs) -> Table:
    """Measured points of the device."""
    device = inputs.integration.calibration.device
    rows = [
        row(
            integrated("device/measured"),
            f"{100 * point.read_fraction:.0f} %",
            count(point.iodepth),
            count(point.numjobs),
            size(point.block_kib * KIB),
            byte_rate(point.read_mib_s * MIB or None),
            byte_rate(point.write_mib_s * MIB or None),
        )
        for point in (device.grid.points if device else ())
    ]
    return Table.of("읽기 비율>|깊이>|작업 수>|블록>|읽기>|쓰기>", rows, "디바이스 대역폭")


def calibration_table(inputs: ReportInputs) -> Table:
    """Configurations the models were calibrated on."""
    rows = [
        row(
            calibration_source(inputs, place),
            f"`{calibrated.name}`",
            rate(calibrated.measured_ops_per_s),
            factor(
                calibrated.case.amplification.background_bytes_per_user_byte
                if calibrated.case.amplification
                else None
            ),
            percent(calibrated.stall_fraction),
            verdict(calibrated.verdict),
        )
        for place, calibrated in enumerate(inputs.integration.calibration.rows)
    ]
    return Table.of("구성|포화 처리율|WA>|정체 시간>|유효성", rows, "보정에 쓴 구성")


def time_table(inputs: ReportInputs) -> Table:
    """When each stage's data were measured and where they were read from."""
    rows = [
        row(
            reported(f"measured_at/{stage}"),
            STAGES.get(stage, stage),
            moment(at),
            inputs.sources.get(stage, "이 보고서"),
        )
        for stage, at in inputs.measured_at.items()
    ]
    return Table.of("단계 | 측정 시각 | 읽은 곳", rows, "단계별 측정 시각")


def file_table() -> Table:
    """JSON files of the report."""
    rows = [(f"`{n}.json`", what) for n, what in JSON_FILES.items()]
    return Table.of("파일 | 내용", rows, "JSON 파일")
