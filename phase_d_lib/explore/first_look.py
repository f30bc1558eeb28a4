"""The recorded run at a glance: its rate, its stalls, what held it back."""

from __future__ import annotations

from phase_d_lib.explore.desk import Desk
from phase_d_lib.explore.html import figure_picture, notice, paragraph, table_html
from phase_d_lib.explore.logs import stalls_html
from phase_d_lib.explore.place import Place
from phase_d_lib.ledger import ledger_of
from phase_d_lib.report import figures
from phase_d_lib.report.quantities import (
    ABSENT,
    byte_rate,
    factor,
    interval,
    moment,
    percent,
    puts_per_s,
    rate,
)
from phase_d_lib.report.wording import REGIMES, verdict
from phase_d_lib.runs import Run
from phase_d_lib.validation.behaviour import behaviour


def first_look(desk: Desk) -> Place:
    """Show the recorded run: one sentence, a table, put rate and stalls over time."""
    return Place(run_html(desk.example, desk))


def run_html(run: Run, desk: Desk) -> str:
    """Render a finished run."""
    from matplotlib import pyplot

    if run.result is None:
        return notice(f"실행 `{run.spec.run_id}`에는 결과가 없습니다.")
    predicted = frozen_rate(run, desk.fleet.record.active)
    parts = [paragraph(_sentence(run, desk), strong=True), _facts(run), window_stalls_html(run)]
    rates = figures.rate_timeline(run.samples, predicted)
    stalls = figures.stall_timeline(run)
    parts += [
        figure_picture(rates, "시간에 따른 처리율과 실행 전에 적어 둔 예측"),
        figure_picture(stalls, "시간에 따른 쓰기 정체의 원인과 L0 파일 수"),
    ]
    pyplot.close(rates)
    pyplot.close(stalls)
    return "".join(parts)


def frozen_rate(run: Run, model: str | None) -> float | None:
    """Saturation rate that a model wrote down before the run, or None."""
    frozen = (run.predictions or {"predictions": []})["predictions"]
    return next((p["saturation_ops_per_s"] for p in frozen if p["model"] == model), None)


def window_stalls_html(run: Run) -> str:
    """Render how long writes were held back in the run's window, by cause."""
    start_s, end_s = (float(run.window["unix_time_s"].iloc[i]) for i in (0, -1))
    return stalls_html(run.log, start_s, end_s)


def _sentence(run: Run, desk: Desk) -> str:
    if run.result is None:
        return ""
    seen = behaviour(run, ledger_of(run), desk.fleet.calibration.envelope)
    bound = REGIMES.get(seen.regime, seen.regime)
    return (
        f"기록된 실행의 포화 처리율은 {rate(run.result.put_rate_ops_per_s)}입니다. "
        f"시간의 {percent(run.result.stall_fraction)} 동안 쓰기가 정체되었고, "
        f"처리율을 정한 것은 {bound}입니다."
    )


def _facts(run: Run) -> str:
    result, ledger = run.result, ledger_of(run)
    if result is None:
        return ""
    written = (ledger.flush_write_bytes + ledger.compaction_write_bytes) / ledger.window_s
    frozen = next((p for p in (run.predictions or {"predictions": []})["predictions"]
                   if p["model"] == "v3"), None)  # fmt: skip
    predicted = ABSENT
    if frozen is not None and frozen["saturation_ops_per_s"]:
        predicted = puts_per_s(frozen["saturation_ops_per_s"])
        if frozen["interval_90_ops_per_s"]:
            low, high = frozen["interval_90_ops_per_s"]
            predicted += f"(90 % 예측구간 {interval((low, high), '')})"
    limit = byte_rate(run.spec.limiter_bytes_per_s)
    rows = [
        ("측정한 포화 처리율", rate(result.put_rate_ops_per_s)),
        ("실행 전에 적은 v3의 예측", predicted),
        ("플러시와 컴팩션의 쓰기", f"{byte_rate(written)}(속도 제한 {limit})"),
        ("쓰기 증폭(WA)", factor(ledger.write_amplification)),
        ("판정", verdict(result.validity)),
        ("측정한 때", f"{moment(result.started_at)}, RocksDB {run.host.rocksdb_version}"),
    ]
    return table_html("항목|값", rows)
