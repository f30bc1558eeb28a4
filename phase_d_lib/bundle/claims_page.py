"""The claims of a report as Markdown and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from phase_d_lib.bundle.claims import LIVE_PROFILE, Claim, report_command
from phase_d_lib.bundle.layout import INDEX, PROFILE
from phase_d_lib.bundle.tolerance import MIN_REPEATS
from phase_d_lib.report.blocks import Box, Document, Heading, Item, ItemList, Paragraph, Table
from phase_d_lib.report.html_page import html_report
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.markup import markdown
from phase_d_lib.report.origins import reported
from phase_d_lib.report.particles import with_particle
from phase_d_lib.report.quantities import number
from phase_d_lib.report.sources import attribute, rule

_BREAKING = "td code { white-space: normal; overflow-wrap: anywhere; }"
_CONTENTS = '<nav aria-label="차례">'


def claims_document(inputs: ReportInputs, found: Sequence[Claim]) -> Document:
    """Set the claims in a table, with how to read it."""
    rows = [
        (
            claim.title,
            claim.value,
            f"`{claim.command}`",
            _minutes(claim.minutes),
            claim.tolerance,
        )
        for claim in found
    ]
    return Document(
        title="주장과 다시 재는 방법",
        subtitle="Claims of this report, and how to measure each one again",
        notice=_notice(inputs),
        summary=Box(
            Table.of(
                "무엇 | 어떻게",
                [
                    ("측정 없이 다시 계산", "`make verify BUNDLE=묶음.zip`"),
                    ("전부 다시 측정", f"`{report_command(inputs)}`"),
                    ("두 결과 비교", "`make compare A=묶음.zip B=reports/latest`"),
                ],
            )
        ),
        facts=(Item(f"`{inputs.report_id}`", "보고서 ID"),),
        blocks=(
            Heading(2, "주장"),
            Table.of(
                "주장 | 값 | 다시 재는 명령 | 시간> | 같다고 볼 범위",
                rows,
                "주장, 명령, 시간, 허용 범위",
            ),
            Heading(2, "읽는 법"),
            ItemList(tuple(map(Item, _reading()))),
            Paragraph(_profile_hint(inputs)),
        ),
    )


def claims_files(document: Document) -> dict[str, str]:
    """Render the claims as Markdown and as a page: ending -> text."""
    page = html_report(document, {})
    # A command may be longer than a column is wide, so it has to break.
    page = page.replace("</style>", f"{_BREAKING}\n</style>", 1)
    page = page.replace(_CONTENTS, f'{_CONTENTS}<a href="{INDEX}">묶음의 첫 화면</a>', 1)
    return {"md": markdown(document), "html": page}


def _notice(inputs: ReportInputs) -> tuple[str, str]:
    if not inputs.profile.recorded:
        return "", ""
    return (
        "기록된 실행으로 만든 보고서입니다.",
        f"다시 잴 때는 같은 시나리오를 실제로 재는 `{LIVE_PROFILE}` 프로필을 쓰며, "
        "후보와 구성의 수는 다를 수 있습니다.",
    )


def _profile_hint(inputs: ReportInputs) -> str:
    name = f"{PROFILE}/{inputs.profile.name}.yaml"
    return (
        f"프로필의 모든 값은 `{name}`에 있습니다. 저장소에 같은 이름의 프로필이 없으면 이 파일을 "
        "`data/profiles/`에 복사한 뒤 명령을 실행합니다."
    )


def _reading() -> Iterator[str]:
    yield "명령은 저장소의 최상위 폴더에서 실행하고, 먼저 `make setup`을 한 번 실행합니다"
    yield (
        "시간은 이 보고서의 실행이 시작된 때부터 끝난 때까지이며, 첫 트리를 적재하는 시간은 빠져 "
        "있습니다"
    )
    share = attribute("95 %", rule("rates", "Estimate"))
    runs = attribute(f"{MIN_REPEATS}번", rule("bundle.tolerance", "MIN_REPEATS"))
    yield (
        "처리율, p99.9, 정체 시간, WA의 범위는 같은 호스트에서 같은 길이로 한 번 더 잴 때 "
        f"{with_particle(share, '이/가')} 들어올 폭입니다. 실행 안의 블록에서 구한 폭과, "
        f"기본값을 {runs} 이상 되풀이한 실행에서 구한 폭 가운데 넓은 쪽입니다"
    )
    yield (
        "다른 호스트에서는 제약 자원이 속도 제한기일 때만 처리율의 절댓값을 비교할 수 있습니다. "
        "그 밖에는 비율과 판정을 비교합니다"
    )


def _minutes(value: float | None) -> str:
    if value is None:
        return "-"
    return attribute(f"{number(value, 0.1)}분", reported("measured_at"))
