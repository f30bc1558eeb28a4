"""The first page of a bundle: the answer, and where everything lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import jinja2

from phase_d_lib.bundle.layout import CLAIMS, NOTEBOOKS, REPORT, RUNS
from phase_d_lib.bundle.reading import FindRun
from phase_d_lib.report.chapters.opening import notice, summary
from phase_d_lib.report.html_page import inline, page
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.objectives import objectives
from phase_d_lib.report.origins import host_of, run_file
from phase_d_lib.report.panels import FIGURE_NAME
from phase_d_lib.report.pictures import captions
from phase_d_lib.report.provenance import JSON_FILES
from phase_d_lib.report.quantities import count, moment, puts_per_s, size
from phase_d_lib.report.render import REPORT_NAME, TABLES
from phase_d_lib.report.sources import Source, attribute, plain
from phase_d_lib.report.wording import verdict
from phase_d_lib.specs import Frozen
from phase_d_lib.stages import NOTEBOOKS as STAGE_FILES

TITLE = "Phase-D 검토 묶음"
_STAGES = {
    "integration": ("통합", "호스트와 모델이 알아야 할 값, 그리고 활성 모델"),
    "monitoring": ("모니터링", "지금 얼마나 빨리 쓰고 무엇이 쓰기를 멈추게 하는지"),
    "tuning": ("튜닝", "신뢰구간 전체가 1보다 큰 옵션 조합이 있는지"),
    "validation": ("검증", "모델이 본 적 없는 구성에서의 오차"),
    "report": ("보고서", "네 결과로 보고서를 쓰는 과정"),
}


class Link(Frozen):
    """A file of the bundle and what it holds."""

    path: str
    name: str
    note: str = ""

    @property
    def address(self) -> str:
        """The path as a page writes it."""
        return quote(self.path)


class Group(Frozen):
    """Files of one kind under one heading."""

    title: str
    files: tuple[Link, ...]
    folded: bool = False


def index_page(
    folder: Path,
    inputs: ReportInputs,
    find_run: FindRun,
    stage_runs: Mapping[str, Sequence[str]],
    *,
    redacted: bool,
) -> str:
    """Write the first page of a bundle whose other files are there."""
    run = find_run(inputs.monitoring.run_id)
    table = summary(inputs, objectives(inputs, run.samples)).table
    lead, rest = notice(inputs)
    body = _environment().get_template("index.html.j2").render(
        title=TITLE,
        report_id=inputs.report_id,
        notice=(inline(lead), inline(rest)),
        summary=[[inline(cell) for cell in row] for row in table.rows],
        made_of=inline(_made_of(inputs)),
        first=_first(folder),
        groups=_groups(folder, inputs, find_run),
        runs=_runs(find_run, stage_runs),
        figure=f"{REPORT}/{FIGURE_NAME}" if (folder / REPORT / FIGURE_NAME).is_file() else None,
        redacted=redacted,
    )  # fmt: skip
    return page(TITLE, body, [])


def _first(folder: Path) -> list[Link]:
    links = [
        Link(
            path=f"{REPORT}/{REPORT_NAME}.html", name="보고서", note="숫자를 누르면 출처가 보입니다"
        ),
        Link(path=f"{REPORT}/{REPORT_NAME}.pdf", name="보고서(PDF)", note="인쇄용"),
        Link(
            path=f"{CLAIMS}.html",
            name="주장과 다시 재는 방법",
            note="주장마다 명령, 시간, 허용 범위",
        ),
    ]
    return [link for link in links if (folder / link.path).is_file()]


def _groups(folder: Path, inputs: ReportInputs, find_run: FindRun) -> list[Group]:
    run = find_run(inputs.monitoring.run_id)
    told = {picture.name: plain(picture.question) for picture in captions(inputs, run)}
    report = _names(folder, REPORT)
    pages = [
        Link(
            path=f"{NOTEBOOKS}/{Path(file).stem}.html",
            name=f"{number}. {_STAGES[stage][0]}",
            note=_STAGES[stage][1],
        )
        for number, (stage, file) in enumerate(STAGE_FILES.items(), start=1)
    ]
    figures = [name for name in report if name.endswith(".png")]
    texts = [f"{REPORT_NAME}.md", *(n for n in report if n.startswith(f"{TABLES}/"))]
    data = [name for name in report if name.endswith(".json")]
    found = [
        Group(title="실행한 노트북(결과 먼저, 코드는 접힘)", files=tuple(pages)),
        Group(title="그림", files=tuple(_figure(n, told) for n in figures)),
        Group(
            title="데이터 파일",
            files=tuple(_link(n, JSON_FILES.get(Path(n).stem, "")) for n in data),
        ),
        Group(
            title="글과 표의 원본",
            files=tuple(_link(n, "") for n in texts if n in report),
            folded=True,
        ),
        Group(
            title="노트북 원본과 목록",
            files=(
                *(Link(path=f"{NOTEBOOKS}/{file}", name=file) for file in STAGE_FILES.values()),
                Link(path=f"{CLAIMS}.md", name=f"{CLAIMS}.md", note="주장(Markdown)"),
                Link(path="manifest.json", name="manifest.json", note="모든 파일의 SHA-256"),
            ),
            folded=True,
        ),
    ]
    return [group for group in found if group.files]


def _runs(find_run: FindRun, stage_runs: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    rows = []
    for stage, ids in stage_runs.items():
        for run_id in ids:
            run = find_run(run_id)
            result = run.result
            source = Source(stage, f"{RUNS}/{run_id}/result.json", "put_rate_ops_per_s", run_id)
            shown = puts_per_s(result.put_rate_ops_per_s.value) if result else "-"
            judged = verdict(result.validity) if result else "끝나지 않음"
            rows.append(
                {
                    "stage": _STAGES[stage][0],
                    "block": run.spec.block,
                    "run_id": run_id,
                    "address": f"{RUNS}/{quote(run_id)}/result.json",
                    "rate": inline(attribute(shown, source)),
                    "verdict": inline(attribute(judged, source)),
                }
            )
    return rows


def _made_of(inputs: ReportInputs) -> str:
    host, spec = inputs.integration.host, inputs.monitoring.spec
    machine = attribute(
        f"RocksDB {host.rocksdb_version or '판 알 수 없음'}({host.engine_build}), {host.cpu_model} "
        f"코어 {count(host.cores)}개, 메모리 {size(host.memory_bytes)}",
        host_of("host"),
    )
    load = attribute(
        f"키 {count(spec.workload.keys)}개, 값 {size(spec.workload.value_bytes)}",
        run_file(inputs, "spec.json", "workload"),
    )
    at = attribute(moment(inputs.generated_at), host_of("generated_at"))
    return f"{at}에 썼습니다. {machine}. {load}. 프로필 `{inputs.profile.name}`"


def _names(folder: Path, below: str) -> list[str]:
    root = folder / below
    files = (f.relative_to(root).as_posix() for f in root.rglob("*") if f.is_file())
    return sorted(files)


def _figure(name: str, told: Mapping[str, str]) -> Link:
    question = told.get(Path(name).stem)
    return Link(path=f"{REPORT}/{name}", name=question or name, note=name if question else "")


def _link(name: str, note: str) -> Link:
    return Link(path=f"{REPORT}/{name}", name=name, note=note)


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("phase_d_lib.bundle"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
