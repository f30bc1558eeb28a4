"""One spec on several engines: order, pairing, ratios, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from phase_d_lib.calibration import DEFAULT
from phase_d_lib.errors import InputError
from phase_d_lib.laboratory import Laboratory
from phase_d_lib.tuning.comparison import Trial
from phase_d_lib.tuning.sweep import Sweep, ratio, sweep, table
from phase_d_lib.validity import Verdict
from tests.support import small_spec, workspace_at
from tests.test_cli import phase_d


def trials_of(**rates: list[float | None]) -> list[Trial]:
    """One trial a rate; None is a run that was not valid."""
    return [
        Trial.model_construct(
            option_set=place,
            pair=pair,
            put_ops_per_s=1.0 if rate is None else rate,
            stall_fraction=0.0,
            write_bytes_per_user_byte=None if rate is None else 4.0 * rate,
            verdict=Verdict(valid=rate is not None),
        )
        for place, own in rates.items()
        for pair, rate in enumerate(own)
    ]


def test_ratios_are_taken_inside_pairs() -> None:
    trials = trials_of(default=[10.0, 20.0, 40.0], b=[11.0, 24.0, 46.0])
    found = ratio(trials, "b", lambda trial: trial.put_ops_per_s)
    assert found is not None
    assert found.value == pytest.approx((1.1 * 1.2 * 1.15) ** (1 / 3))
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert found.blocks == 3
    written = ratio(trials, "b", lambda trial: trial.write_bytes_per_user_byte)
    assert written is not None
    # The same ratios of another measure: same estimate.
    expected = (found.value, found.low, found.high)
    assert (written.value, written.low, written.high) == pytest.approx(expected)
    assert ratio(trials, DEFAULT, lambda trial: trial.put_ops_per_s) is None


def test_two_pairs_give_no_interval() -> None:
    found = ratio(
        trials_of(default=[10.0, 20.0, 30.0], b=[11.0, None, 33.0]),
        "b",
        lambda trial: trial.put_ops_per_s,
    )
    assert found is not None
    assert (found.value, found.blocks) == (pytest.approx(1.1), 2)
    assert (found.low, found.high) == (None, None)


def test_a_measure_that_is_zero_or_unknown_has_no_ratio() -> None:
    trials = trials_of(default=[10.0, None], b=[None, 12.0])
    assert ratio(trials, "b", lambda trial: trial.put_ops_per_s) is None
    assert ratio(trials, "b", lambda trial: trial.stall_fraction) is None


def test_fewer_than_two_engines_are_refused(tmp_path: Path) -> None:
    laboratory = Laboratory(workspace_at(tmp_path))
    with pytest.raises(InputError, match="give two or more"):
        sweep(laboratory, small_spec(), ["embedded"], 3)
    with pytest.raises(InputError, match="'rocks' is unknown"):
        sweep(laboratory, small_spec(), ["embedded", "rocks"], 3)
    assert not list(tmp_path.iterdir())


def test_the_verb_refuses_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    engines = ("--engine", "embedded", "--engine", "embedded")
    for text, expected in (("{", "not JSON"), ('{"duratoin_s": 1}', "unknown key 'duratoin_s'")):
        file.write_text(text)
        done = phase_d("sweep", str(file), *engines)
        assert done.returncode == 2
        assert expected in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.rocksdb
def test_engines_take_turns_on_one_spec(tmp_path: Path) -> None:
    said: list[str] = []
    spec = small_spec(duration_s=0.6, warmup_s=0.1)
    laboratory = Laboratory(workspace_at(tmp_path), announce=said.append)
    found = sweep(laboratory, spec, ["embedded", "embedded"], 2)
    assert [t.option_set for t in found.trials] == [DEFAULT, "1", "1", DEFAULT]
    assert [t.pair for t in found.trials] == [0, 0, 1, 1]
    ran = {run.spec.run_id: run.spec for run in laboratory.used}
    seeds = [ran[trial.run_id].seed for trial in found.trials]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]
    assert len(ran) == 4
    # Too short to be valid: shown with the reason, and nothing is computed from it.
    assert [row.valid_runs for row in found.engines] == [0, 0]
    assert found.engines[1].rate_ratio is None
    assert all("shorter than" in why for row in found.engines for why in row.refused)
    assert "not valid" in table(found)
    again = Sweep.model_validate(json.loads(found.model_dump_json()))
    assert again == found
