"""Early warning: risks, spells and scores on runs whose answer is known, and on recorded ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from phase_d_lib.monitor.early_warning import risk, score
from phase_d_lib.runs import Run, find_runs
from phase_d_lib.specs import OptionsSpec, RunSpec

RECORDED = Path(__file__).parent / "data" / "recorded"
COUNTERS = [f"{c}_{k}_total" for c in ("memtable", "l0", "pending") for k in ("stops", "delays")]


def run_of(folder: Path, l0_files: list[float], stalled: list[int], seed: int = 1) -> Run:
    """Make a run directory with a sample every half second."""
    path = folder / f"run-{seed}"
    path.mkdir()
    (path / "spec.json").write_text(RunSpec(seed=seed).model_dump_json())
    rows = pd.DataFrame(
        {
            "time_s": 0.5 * np.arange(len(l0_files)),
            "l0_files": l0_files,
            "pending_compaction_bytes": 0,
            "delayed_write_rate_bytes_per_s": 0,
            "write_stopped": 0,
            **dict.fromkeys(COUNTERS, 0),
            "l0_delays_total": np.cumsum(stalled),
        }
    )
    rows.to_parquet(path / "samples.parquet", index=False)
    return Run(path)


def test_risk_is_the_level_a_straight_line_reaches() -> None:
    times = np.arange(0.0, 5.5, 0.5)
    rising = pd.DataFrame({"time_s": times, "l0_files": 0.5 * times, "pending_compaction_bytes": 0})
    options = OptionsSpec(level0_slowdown_writes_trigger=10, level0_stop_writes_trigger=20)
    assert risk(rising, options, 5.0, "slowdown") == pytest.approx((2.5 + 2.5) / 10)
    assert risk(rising, options, 5.0, "stop") == pytest.approx((2.5 + 2.5) / 20)
    assert np.isnan(risk(rising.head(2), options, 5.0, "slowdown"))
    debt = rising.assign(pending_compaction_bytes=60 << 30)
    assert risk(debt, options, 5.0, "slowdown") == pytest.approx(60 / 64)
    off = OptionsSpec(soft_pending_compaction_bytes_limit=0)
    assert risk(debt, off, 5.0, "slowdown") == pytest.approx(5.0 / 8)


def test_a_level_that_climbs_into_every_stall_is_warned_of(tmp_path: Path) -> None:
    calm, climb = [1.0] * 40, list(np.linspace(1.0, 8.0, 20))
    stalled = [0] * 60 + [1] * 4 + [0] * 60 + [1]
    run = run_of(tmp_path, [*calm, *climb, *[8.0] * 4, *calm, *climb, 8.0], stalled)
    found = score([run], horizon_s=4.0)
    assert (found.runs, found.runs_without, found.transitions) == (1, 0, 2)
    assert found.at_rule is not None
    assert found.at_rule.transitions_warned_fraction == 1.0
    assert found.at_rule.false_alarms_per_h == 0.0
    assert found.at_rule.median_lead_s == pytest.approx(3.5, abs=1.0)
    assert found.auc is not None
    assert found.auc.value > 0.95


def test_a_stall_without_any_sign_is_not_foreseen(tmp_path: Path) -> None:
    run = run_of(tmp_path, [1.0] * 61, [0] * 60 + [1])
    found = score([run], horizon_s=4.0)
    assert found.at_rule is not None
    assert found.at_rule.transitions_warned_fraction == 0.0
    assert found.at_rule.median_lead_s is None
    assert found.auc is not None
    assert found.auc.value == pytest.approx(0.5)


def test_a_run_without_a_transition_counts_only_as_calm_or_not_at_all(tmp_path: Path) -> None:
    calm = run_of(tmp_path, [1.0] * 40 + list(np.linspace(1, 8, 15)) + [1.0] * 40, [0] * 95, 1)
    always = run_of(tmp_path, [9.0] * 60, [1] * 60, 2)
    short_pauses = run_of(tmp_path, [9.0] * 60, [1, 1, 0] * 20, 3)
    found = score([calm, always, short_pauses], horizon_s=4.0)
    assert (found.runs, found.runs_without, found.transitions) == (0, 3, 0)
    assert (found.auc, found.at_rule, found.roc) == (None, None, ())
    assert found.calm_h > 0
    assert found.calm_false_alarms_per_h == pytest.approx(1 / found.calm_h)


def test_the_curve_falls_with_the_threshold(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    runs = [
        run_of(tmp_path, list(rng.integers(0, 8, 80)), [0] * 79 + [1], seed) for seed in range(4)
    ]
    found = score(runs, horizon_s=3.0)
    fractions: list[tuple[float, float]] = [
        (p.true_positive_fraction, p.false_positive_fraction) for p in found.roc
    ]
    assert fractions == sorted(fractions, reverse=True)
    assert found.auc is not None
    assert found.auc.low is not None
    assert found.auc.low <= found.auc.value <= found.auc.high


def test_recorded_runs_are_scored() -> None:
    found: dict[str, Any] = score(find_runs(RECORDED), 5.0).model_dump()
    assert found["runs"] + found["runs_without"] == len(find_runs(RECORDED))
    orjson.dumps(found)
