"""The report room: documents, figure, Markdown and HTML from small hand-made inputs.

Everything in :func:`make_inputs` is test input with round numbers; none of it is ever shipped.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import matplotlib.pyplot as plt
import orjson
import pytest

from phase_d_lib import runs
from phase_d_lib.calibration import Calibration, CalibrationRow, measured_amplification
from phase_d_lib.deployment import Deployment, DeploymentRecord, IntegrationResult
from phase_d_lib.guards import Breach
from phase_d_lib.host import Host
from phase_d_lib.ledger import ledger_of
from phase_d_lib.models.base import Case, HostSpeeds, Prediction
from phase_d_lib.models.factors import fit_factors
from phase_d_lib.models.registry import load_models
from phase_d_lib.monitor import describe
from phase_d_lib.profiles import OptionChanges, Profile, SearchPlan, load_profile
from phase_d_lib.rates import Estimate
from phase_d_lib.report import figures, wording
from phase_d_lib.report.documents import build_documents, schema_texts, write_schemas
from phase_d_lib.report.findings import findings
from phase_d_lib.report.inputs import ReportInputs, current_environment
from phase_d_lib.report.objectives import objectives, samples_fraction
from phase_d_lib.report.panels import FIGURE_NAME, six_panels
from phase_d_lib.report.pictures import (
    BOUNDS,
    CONVERGENCE,
    LATENCY,
    LEVELS,
    OPTION_EFFECTS,
    PAIRS,
    PREDICTIONS,
    SIX_PANELS,
    STALLS,
)
from phase_d_lib.report.recommendations import recommendations
from phase_d_lib.report.render import write_index, write_manifest, write_report
from phase_d_lib.runs import Run
from phase_d_lib.specs import RunSpec
from phase_d_lib.tuning.comparison import Comparison, Trial
from phase_d_lib.tuning.effects import Effects, Reverted
from phase_d_lib.tuning.outcome import Outcome
from phase_d_lib.tuning.protocol import TuningResult
from phase_d_lib.tuning.scenarios import TuningScenario
from phase_d_lib.tuning.search import Evaluation, Phase, Rejection, SearchResult
from phase_d_lib.tuning.space import point_of
from phase_d_lib.validation import CaseScore, ValidationResult
from phase_d_lib.validation.behaviour import Behaviour
from phase_d_lib.validation.scores import score_model, split_error
from phase_d_lib.validity import Reason, Verdict
from phase_d_lib.workspace import find_workspace

REPOSITORY = find_workspace(Path(__file__).parent)
PICTURES = (
    LATENCY,
    STALLS,
    LEVELS,
    BOUNDS,
    PREDICTIONS,
    CONVERGENCE,
    OPTION_EFFECTS,
    PAIRS,
    SIX_PANELS,
)
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VALID = Verdict(valid=True, write_closure=1.0, foreign_cpu_fraction=0.01)
SHORT = Verdict(valid=False, reasons=(Reason(code="short", value=2.0, limit=5.0),))
SEED_HEADINGS = (
    "Phase-D 목표 달성 현황", "완료된 목표들", "성능 분석 결과", "시스템 성능 메트릭",
    "QPS (Queries Per Second) 분석", "지연시간 (Latency) 분석", "모델 예측 정확도",
    "자동 튜닝 분석 결과", "튜닝 통계", "파라미터 변화 분석", "튜닝 효과성", "주요 발견사항",
    "긍정적 결과", "개선 필요사항", "시각화 결과", "생성된 시각화", "권장사항",
    "즉시 실행 가능한 개선사항", "향후 연구 방향", "생성된 결과 파일들", "JSON 데이터 파일들",
    "시각화 파일", "Phase-D 성과 요약", "달성한 성과", "핵심 지표", "향후 전망",
)  # fmt: skip


def sample(number: int, period_s: float) -> dict[str, Any]:
    """One raw sample of a run that writes 20,000 puts/s in bursts of two samples."""
    time_s = number * period_s
    puts = int(20_000 * time_s) + (3_000 if number % 2 else 0)
    user = puts * 416.0
    return {
        "time_s": time_s, "gap_s": period_s, "unix_time_s": START.timestamp() + time_s,
        "puts_total": puts, "gets_total": 0, "backlog_ops": 0,
        "batch_bytes_total": 1.04 * user, "wal_bytes_total": 1.04 * user,
        "flush_write_bytes_total": user, "compact_read_bytes_total": 3.5 * user,
        "compact_write_bytes_total": 2.6 * user, "compressed_to_bytes_total": 0,
        "compression_bypassed_bytes_total": 3.6 * user, "compression_rejected_bytes_total": 0,
        "stall_us_total": 0.8e6 * time_s, "l0_files": 6 + number % 5,
        "pending_compaction_bytes": 1e8 + 1e6 * (number % 7),
        "delayed_write_rate_bytes_per_s": 0, "write_stopped": 0, "memtable_bytes": 2e6,
        "immutable_memtables": 1, "running_flushes": 0, "running_compactions": 1,
        "live_sst_bytes": 1.2e8, "memtable_delays_total": 0, "memtable_stops_total": number // 9,
        "l0_delays_total": number // 3, "l0_stops_total": number // 8,
        "pending_delays_total": 0, "pending_stops_total": 0,
        "put_latency_p50_us": 5.0, "put_latency_p95_us": 12.0, "put_latency_p99_us": 20.0,
        "put_latency_p999_us": 1100.0, "put_latency_max_us": 90_000.0 + 1000 * (number % 9),
        "process_cpu_s_total": 0.3 * time_s, "machine_busy_s_total": 0.31 * time_s,
        "machine_steal_s_total": 0.0, "machine_cpu_s_total": 2 * time_s, "rss_bytes": 9e7,
        "io_read_bytes_total": 1e6 * time_s, "io_write_bytes_total": 4.7 * user,
        "sampler_cpu_s_total": 0.002 * time_s,
    }  # fmt: skip


def log_text() -> str:
    """A LOG with one flush and one stop, dated inside the run."""

    def line(second: float, text: str) -> str:
        at = datetime.fromtimestamp(START.timestamp() + second, UTC)
        return f"{at:%Y/%m/%d-%H:%M:%S.%f} 140 {text}"

    def event(second: float, **fields: object) -> str:
        payload = {"time_micros": int((START.timestamp() + second) * 1e6), **fields}
        return line(second, f"EVENT_LOG_v1 {json.dumps(payload)}")

    stop = "[WARN] [db/column_family.cc:987] [default] Stopping writes because we have 12 level-0"
    return "\n".join([
        line(0.0, "RocksDB version: 9.8.4"),
        event(8.0, job=3, event="flush_started", num_memtables=1, num_entries=4522,
              total_data_size=1930894, flush_reason="Write Buffer Full"),
        event(8.1, cf_name="default", job=3, event="table_file_creation", file_number=244,
              file_size=1908003),
        event(8.2, job=3, event="flush_finished", lsm_state=[2, 3, 46, 0, 0, 0, 0],
              immutable_memtables=0),
        line(9.0, f"{stop} files rate 0"),
        event(10.0, job=4, event="flush_started", num_memtables=1, num_entries=4522,
              total_data_size=1930894, flush_reason="Write Buffer Full"),
        event(10.2, job=4, event="flush_finished", lsm_state=[3, 3, 46, 0, 0, 0, 0],
              immutable_memtables=0),
        "",
    ])  # fmt: skip


def make_run(folder: Path, spec: RunSpec, predictions: list[Prediction]) -> Run:
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(spec.model_dump_json())
    frozen = [p.model_dump(mode="json") for p in predictions]
    payload = {"written_at": "2026-01-02T03:04:00.000+00:00", "predictions": frozen}
    (folder / "prediction.json").write_bytes(orjson.dumps(payload))
    count = round(spec.duration_s / spec.sample_period_s) + 1
    rows = [orjson.dumps(sample(n, spec.sample_period_s)) for n in range(count)]
    (folder / "samples.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    counts = {"37": 15_000, "69": 4_700, "162": 25, "262": 4}
    seconds = [
        orjson.dumps({"second": s, "operation": "put", "counts": counts})
        for s in range(int(spec.duration_s))
    ]
    (folder / "latency.jsonl").write_bytes(b"\n".join(seconds) + b"\n")
    (folder / "LOG").write_text(log_text())
    return runs.finish(folder, "complete", None)


def predict(model: str, rate: float) -> Prediction:
    return Prediction(
        model=model,
        saturation_ops_per_s=rate,
        interval_90_ops_per_s=(0.85 * rate, 1.15 * rate),
        interval_source="residual_pool",
        binding="limiter",
        bounds_ops_per_s={"limiter": rate, "device_write": None},
        amplification_source="calibration",
        write_bytes_per_user_byte=3.6,
    )


def make_integration(spec: RunSpec, run: Run, host_name: str) -> IntegrationResult:
    speeds = HostSpeeds(cores=2, foreground_ops_per_s=150_000.0, cpu_s_per_put=1e-5)
    row = CalibrationRow(
        name="write-buffer-4m",
        run_id="a" * 16,
        changes={"write_buffer_size": 4 << 20},
        case=Case.of(spec, speeds, measured_amplification(ledger_of(run))),
        measured_ops_per_s=Estimate(value=25_000, low=24_000, high=26_000, blocks=8),
        stall_fraction=0.8,
        verdict=VALID,
    )
    calibration = Calibration(
        measured_at=START.isoformat(), seed=1, rocksdb_version="9.8.4", host=speeds,
        sources={"foreground_ops_per_s": "b" * 16}, rows=(row,),
    )  # fmt: skip
    known: dict[str, Any] = {
        "version": "1.0", "reason": "calibrated", "calibration_hash": calibration.hash,
        "deployed_at": START.isoformat(),
    }  # fmt: skip
    refused = {
        **known, "reason": "refused", "cross_validated_error_fraction": None,
        "refusal": "grid_csv: v4 interpolates a measured device grid; none is given",
    }  # fmt: skip
    models = (
        Deployment(model="v1", status="deployed", cross_validated_error_fraction=0.06, **known),
        Deployment(model="v2_1", status="active", cross_validated_error_fraction=0.04, **known),
        Deployment(model="v4", status="deployed", **refused),
    )
    host = Host(
        cpu_model=host_name, cores=2, memory_bytes=8 << 30, kernel="6.1", filesystem="ext4",
        device="vda", python="3.11.7", engine_build="rocksdict 0.3.29 wheel, release build",
        rocksdb_version="9.8.4", load_1m_start=0.1,
    )  # fmt: skip
    record = DeploymentRecord(
        models=models, active="v2_1", active_reason="lowest_cross_validated_error",
        active_since=START.isoformat(), regime="limiter",
    )  # fmt: skip
    return IntegrationResult(
        seed=1,
        scenario=load_profile(REPOSITORY.profiles, "quick").scenario,
        host=host,
        calibration=calibration,
        record=record,
    )


def make_trials(name: str) -> tuple[Trial, ...]:
    rates = [("default", 17_000), (name, 34_000), (name, 35_000), ("default", 17_500)]
    return tuple(
        Trial(
            option_set=option_set, pair=order // 2, order=order, run_id=f"{order:016x}",
            verdict=VALID, **measured(rate),
        )
        for order, (option_set, rate) in enumerate(rates)
    )  # fmt: skip


def measured(rate: float) -> dict[str, float]:
    return {
        "put_ops_per_s": rate, "held_ops_per_s": 0.99 * rate, "put_latency_p999_us": 1100.0,
        "stall_fraction": 0.7, "write_bytes_per_user_byte": 3.0, "space_amplification": 1.3,
    }  # fmt: skip


def make_search(profile: Profile) -> SearchResult:
    """A search of four runs, the last of which broke a guard."""
    scenario = TuningScenario(
        name=profile.name, description_ko="시험", scenario=profile.scenario,
        guards=profile.tuning.guards,
    )  # fmt: skip
    point = point_of(profile.scenario)
    sets: tuple[tuple[Phase, OptionChanges, float], ...] = (
        ("default", {}, 15_000.0),
        ("screening", {"write_buffer_size": 4 << 20}, 22_000.0),
        ("finalist", {"write_buffer_size": 8 << 20}, 30_000.0),
        ("screening", {"target_file_size_base": 16 << 20}, 31_000.0),
    )
    breach = Breach(guard="space_amplification", value=2.7, allowed=2.5)
    return SearchResult(
        scenario=scenario, plan=SearchPlan(evaluations=4, finalists=1), sampler="guided", seed=3,
        evaluations=tuple(
            Evaluation(
                number=n, phase=phase, point=point, changes=changes, usable=True, verdict=VALID,
                breaches=(breach,) if n == 3 else (), run_id=f"{n + 40:016x}", **measured(rate),
            )
            for n, (phase, changes, rate) in enumerate(sets)
        ),
        rejected=(
            Rejection(
                name="rocksdb-defaults", changes={"write_buffer_size": 64 << 20},
                breaches=(Breach(guard="memtable_bytes", value=2.0**27, allowed=2.0**24),),
            ),
        ),
        chosen={"write_buffer_size": 8 << 20}, chosen_point=point,
    )  # fmt: skip


def make_effects() -> Effects:
    own = Outcome(run_id="e" * 16, verdict=VALID, **measured(30_000.0))
    again = own.model_copy(update={"held_ops_per_s": 29_000.0})
    return Effects(
        tuned=(own, again, own),
        tuned_bound="limiter",
        reverted=(
            Reverted(
                run_id="f" * 16, verdict=VALID, dimension="memtable_bytes", tuned=8.0 * 2**20,
                default=4.0 * 2**20, bound="limiter", rate_ratio=1.7, **measured(17_000.0),
            ),
            Reverted(
                run_id="d" * 16, verdict=VALID, dimension="compression", tuned="lz4",
                default="none", bound="controller", rate_ratio=0.97, **measured(30_500.0),
            ),
        ),
    )  # fmt: skip


def make_comparison(name: str, low: float) -> Comparison:
    return Comparison(
        option_set=name, changes={"write_buffer_size": 8 << 20}, pairs=2,
        rate_ratio=Estimate(value=2.0, low=low, high=2.2, blocks=2),
        effect="improved" if low > 1 else "none", memtable_bytes_ratio=4.0,
    )  # fmt: skip


BEHAVIOUR = Behaviour(
    put_ops_per_s=15_000, write_bytes_per_user_byte=5.0, stall_fraction=0.9,
    stall_regime="delayed:l0_files", regime="limiter", slot_write_bytes_per_s=20e6, busy_slots=0.9,
)  # fmt: skip


def make_validation(name: str, verdict: Verdict, low: float) -> ValidationResult:
    predictions = (predict("v1", 16_200), predict("v2_1", 15_300))
    case = CaseScore(
        name="case-01", run_id="c" * 16, changes={"write_buffer_size": 1 << 20}, drawn_for=None,
        measured_ops_per_s=Estimate(value=15_000, low=14_500, high=15_600, blocks=6),
        behaviour=BEHAVIOUR, verdict=verdict, predicted_at=START.isoformat(),
        predictions=predictions, baselines=(predict("nearest_run", 20_000),),
        closures=(predict("v1", 15_050), predict("v2_1", 15_050)),
        splits={p.model: split for p in predictions if verdict.valid
                and (split := split_error(p, BEHAVIOUR, 30e6)) is not None},
    )  # fmt: skip
    models, rows = ("v1", "v2_1"), ("nearest_run",)
    return ValidationResult(
        seed=1,
        cases=(case,),
        regimes_absent=("controller", "slots", "cpu", "device"),
        scores=tuple(score_model(model, (case,)) for model in models),
        baselines=tuple(score_model(row, (case,)) for row in rows),
        every_score=tuple(score_model(row, (case,)) for row in (*models, *rows)),
        trials=make_trials(name),
        tuned=make_comparison(name, low),
    )


def make_inputs(
    folder: Path,
    *,
    name: str = "write-buffer-8m",
    host_name: str = "Test CPU",
    case_verdict: Verdict = VALID,
    duration_s: float = 30.0,
    confirmed_low: float = 1.8,
    search: bool = True,
) -> ReportInputs:
    profile = load_profile(REPOSITORY.profiles, "quick")
    spec = profile.scenario.spec(
        duration_s=duration_s, warmup_s=2.0, sample_period_s=0.5, block="monitoring/live"
    )
    run = make_run(folder / "run", spec, [predict("v1", 21_500), predict("v2_1", 20_500)])
    comparison = make_comparison(name, 1.8)
    return ReportInputs(
        report_id="test-report",
        generated_at="2026-01-02T04:00:00.123+00:00",
        profile=profile,
        integration=make_integration(spec, run, host_name),
        monitoring=describe(run, "v2_1", 5.0),
        tuning=TuningResult(
            factors=fit_factors(load_models(), []),
            seed=1, trials=make_trials(name), comparisons=(comparison,), chosen=name,
            chosen_changes=comparison.changes, search=make_search(profile) if search else None,
            effects=make_effects() if search else None,
        ),
        validation=make_validation(name, case_verdict, confirmed_low),
        monitored_run=run.path,
        environment=current_environment(),
        measured_at=dict.fromkeys(wording.STAGES, START.isoformat()),
    )  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def report(inputs: ReportInputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    files = write_report(inputs, folder)
    assert sorted(files) == sorted(f for f in folder.rglob("*") if f.is_file())
    return folder


def test_schemas_in_the_repository_are_those_of_the_types(tmp_path: Path) -> None:
    published = REPOSITORY.root / "data" / "schemas"
    for file in write_schemas(tmp_path):
        assert (published / file.name).read_text() == file.read_text(), (
            f"{file.name} drifted; write_schemas(Path('data/schemas')) brings it up to date"
        )


def test_documents_fit_their_schemas(report: Path) -> None:
    for name, text in schema_texts().items():
        schema = json.loads(text)
        jsonschema.Draft202012Validator.check_schema(schema)
        document = json.loads((report / name.replace(".schema", "")).read_text())
        jsonschema.validate(document, schema)
        assert document["schema_version"] == 1


def test_no_field_stands_in_two_files(inputs: ReportInputs) -> None:
    seen: dict[str, str] = {}
    for name, document in build_documents(inputs, inputs.run()).items():
        for field in type(document).model_fields:
            if field == "schema_version":
                continue
            assert field not in seen, f"{field} is in {seen.get(field)} and {name}"
            seen[field] = name


def test_what_is_not_built_or_refused_is_shown_as_absent(report: Path) -> None:
    deployment = json.loads((report / "model_deployment.json").read_text())
    states = {m["model"]: m["refusal"] for m in deployment["models"]}
    assert states["v4"].startswith("grid_csv")
    assert deployment["device"] is None
    tuning = json.loads((report / "auto_tuning_records.json").read_text())
    fitted = {f["factor"]["name"]: f for f in tuning["factors"]["fitted"]}
    assert fitted["B_write"]["status"] == "not_observed"
    assert fitted["B_write"]["value"] is None
    performance = json.loads((report / "performance_report.json").read_text())
    assert performance["s_max"] is None
    text = (report / "phase_d_report.md").read_text()
    assert "지속 가능 처리율(S_max)은 이 보고서에서 측정하지 않았습니다" in text
    assert "이 프로필은 디바이스 대역폭을 재지 않습니다" in text
    assert "쓰기 제어기, 컴팩션 슬롯, CPU와 쓰기 경로, 디바이스가 제약인 것은 없습니다" in text


def test_the_parts_of_an_error_add_up(report: Path) -> None:
    performance = json.loads((report / "performance_report.json").read_text())
    splits = performance["held_out_cases"][0]["splits"]
    assert set(splits) == {"v1", "v2_1"}
    for part in splits.values():
        total = part.pop("total_log")
        assert sum(part.values()) == pytest.approx(total)


def test_all_objectives_can_be_met(inputs: ReportInputs) -> None:
    judged = {o.name: o for o in objectives(inputs, inputs.run().samples)}
    assert {name: o.met for name, o in judged.items()} == dict.fromkeys(judged, True)
    assert judged["validation"].value == pytest.approx(0.02)


def test_a_failed_goal_is_reported_as_failed(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path, case_verdict=SHORT, confirmed_low=0.9)
    judged = {o.name: o.met for o in objectives(inputs, inputs.run().samples)}
    assert judged == {
        "integration": True, "monitoring": True, "tuning": False, "validation": False
    }  # fmt: skip
    write_report(inputs, tmp_path / "report")
    text = (tmp_path / "report" / "phase_d_report.md").read_text()
    assert "목표 미달" in text
    assert "채점하지 않음" in text
    assert "측정 구간이 2.0 s로 기준 5.0 s보다 짧습니다" in text
    assert not [r for r in recommendations(inputs) if r.rule_id == "apply_tuned_options"]
    tuning = json.loads((tmp_path / "report" / "auto_tuning_records.json").read_text())
    assert [record["kept"] for record in tuning["records"]] == [False]


def test_an_invalid_monitored_run_is_shown_but_not_judged(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path, duration_s=6.0)
    found = {f.rule_id for f in findings(inputs)}
    assert "monitored_run_invalid" in found
    assert not found & {"rate_stability", "stall_share", "longest_put", "write_ledger"}
    write_report(inputs, tmp_path / "report")
    text = (tmp_path / "report" / "phase_d_report.md").read_text()
    assert "판정하지 않음" in text
    assert "무효: 측정 구간이" in text


def test_missing_samples_are_counted_by_slot(inputs: ReportInputs) -> None:
    samples, spec = inputs.run().samples, inputs.monitoring.spec
    assert samples_fraction(samples, spec) == 1.0
    assert samples_fraction(samples.iloc[::2], spec) == pytest.approx(0.5)


def test_the_markdown_keeps_every_section_of_the_seed(report: Path) -> None:
    text = (report / "phase_d_report.md").read_text()
    headings = {line.lstrip("# ") for line in text.splitlines() if line.startswith("#")}
    assert not [h for h in SEED_HEADINGS if h not in headings]
    assert "지속 가능 처리율(S_max)은 이 보고서에서 측정하지 않았습니다" in text
    assert "참고용 프로필 `quick`" in text
    assert "nan" not in text.lower()
    assert "None" not in text
    assert not re.search(r"[\U0001F300-\U0001FAFF\u2600-\u27BF]", text)


def test_the_first_screen_says_rate_binding_change_and_limits(report: Path) -> None:
    head = (report / "phase_d_report.md").read_text().split("## ")[0]
    assert re.search(r"포화 처리율 \| 20,\d{3}(\.\d+)? puts/s\(95 % 신뢰구간 ", head)
    assert "제약 자원 | 속도 제한기" in head
    assert "`write_buffer_size` 2 MiB → 8 MiB" in head
    assert "이 보고서가 다루지 않는 것" in head


def test_closure_is_never_called_accuracy(report: Path) -> None:
    text = (report / "phase_d_report.md").read_text()
    assert "장부 항등식" in text
    header = next(line for line in text.splitlines() if "장부 항등식 차이" in line)
    assert "교차검증 오차" in header
    assert "정확도" not in header


def test_the_html_stands_alone(report: Path) -> None:
    text = (report / "phase_d_report.html").read_text()
    assert text.startswith('<!DOCTYPE html>\n<html lang="ko">')
    assert "<script" not in text
    assert not re.findall(r"https?://", text)
    assert text.count("<img ") == len(PICTURES)
    assert 'src="data:image/png;base64,' in text
    assert "<link" not in text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    hostile = '<script>alert(1)</script> ![x](http://evil/x.png) [y](javascript:z) "q" | `w` &amp;'
    inputs = make_inputs(tmp_path, name=hostile, host_name=hostile)
    write_report(inputs, tmp_path / "report")
    text = (tmp_path / "report" / "phase_d_report.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert text.count("<img ") == len(PICTURES)
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:image/png)""", text)
    rows = re.findall(r"<tr>.*?</tr>", text, flags=re.S)
    assert all(row.count("<td") in (0, *range(2, 12)) for row in rows)


def test_the_six_panels_draw_without_a_warning(inputs: ReportInputs, tmp_path: Path) -> None:
    # Warnings are errors here, a glyph missing from the fonts included.
    figure = six_panels(inputs, inputs.run())
    figure.savefig(tmp_path / "figure.png", dpi=40)
    figure.savefig(tmp_path / "figure.pdf")
    plt.close(figure)
    assert plt.rcParams["font.family"][0] == "NanumGothic"
    assert plt.rcParams["pdf.fonttype"] == 42
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_small_figures_draw(inputs: ReportInputs, tmp_path: Path) -> None:
    run = inputs.run()
    drawn = (
        figures.rate_timeline(run.samples, 20_000.0),
        figures.stall_timeline(run),
        figures.predicted_vs_measured(inputs.validation.cases),
        figures.predicted_vs_measured(()),
        figures.paired_rates(inputs.tuning.trials),
        figures.paired_rates(()),
    )
    for number, figure in enumerate(drawn):
        figure.savefig(tmp_path / f"{number}.png", dpi=40)
        plt.close(figure)


def test_stalls_come_from_the_log(inputs: ReportInputs) -> None:
    spans = figures.controller_spans(inputs.run(), START.timestamp())
    assert [(kind, cause) for _, _, kind, cause in spans] == [("stop", "l0_file_limit")]
    assert spans[0][:2] == (pytest.approx(9.0, abs=0.01), pytest.approx(1.2, abs=0.01))


def test_index_and_manifest_cover_every_file(report: Path, tmp_path: Path) -> None:
    (report / "notebooks").mkdir(exist_ok=True)
    (report / "notebooks" / "01_integration.html").write_text("<html></html>")
    (report / ".phase-d").write_text("marker")
    source = tmp_path / "requirements.lock"
    source.write_text("lock")
    index = write_index(report).read_text()
    for name in (
        "phase_d_report.html", "phase_d_report.pdf", "notebooks/01_integration.html",
        "alerts.json", "stall_timeline.pdf",
    ):  # fmt: skip
        assert f'href="{name}"' in index
    assert FIGURE_NAME in index
    manifest = json.loads(write_manifest(report, [source]).read_text())
    outputs = {entry["path"]: entry["sha256"] for entry in manifest["outputs"]}
    present = {
        f.relative_to(report).as_posix()
        for f in report.rglob("*")
        if f.is_file() and f.name not in (".phase-d", "manifest.json")
    }
    assert set(outputs) == present
    for name, digest in outputs.items():
        assert digest == hashlib.sha256((report / name).read_bytes()).hexdigest()
    assert [entry["path"] for entry in manifest["inputs"]] == ["requirements.lock"]
