"""The chapters of the report: what stands in each, in the order of reading."""

from __future__ import annotations

from phase_d_lib.report.blocks import Document
from phase_d_lib.report.chapters import (
    closing,
    findings,
    glossary,
    method,
    models,
    opening,
    performance,
    tuning,
)
from phase_d_lib.report.inputs import ReportInputs
from phase_d_lib.report.objectives import Objective
from phase_d_lib.report.pictures import Gallery


def report_document(
    inputs: ReportInputs, judged: tuple[Objective, ...], gallery: Gallery
) -> Document:
    """Write the whole report as blocks.

    Parameters
    ----------
    judged : tuple of Objective
        The four objectives of this report.
    gallery : Gallery
        The figures that were drawn for it.
    """
    return Document(
        title="Phase-D 최종 보고서",
        subtitle="Enhanced Models Production Integration & Real-time Optimization",
        notice=opening.notice(inputs),
        summary=opening.summary(inputs, judged),
        facts=opening.facts(inputs, judged),
        blocks=(
            *opening.blocks(judged),
            *method.blocks(inputs),
            *performance.blocks(inputs, gallery),
            *models.blocks(inputs, gallery),
            *tuning.blocks(inputs, gallery),
            *findings.blocks(inputs, gallery),
            *closing.blocks(inputs, judged, gallery),
            *glossary.blocks(),
        ),
    )
