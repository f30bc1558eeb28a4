"""Profiles: those we ship load; a wrong key, type, range or combination is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from phase_d_lib.design import draw_cases
from phase_d_lib.errors import InputError
from phase_d_lib.profiles import load_profile
from phase_d_lib.workspace import find_workspace

SHIPPED = find_workspace().profiles
QUICK = yaml.safe_load((SHIPPED / "quick.yaml").read_text())


@pytest.mark.parametrize("name", ["replay", "smoke", "quick", "standard", "full"])
def test_every_shipped_profile_loads_within_its_budget(name: str) -> None:
    profile = load_profile(SHIPPED, name)
    assert profile.planned_s() <= profile.budget_s
    assert profile.scenario.options.level_compaction_dynamic_level_bytes is False


def test_budgets_and_sizes_are_those_promised() -> None:
    budgets = {
        name: load_profile(SHIPPED, name).budget_s for name in ("smoke", "quick", "standard")
    }
    assert budgets == {"smoke": 90, "quick": 360, "standard": 5400}
    assert load_profile(SHIPPED, "standard").validation.held_out >= 12
    assert load_profile(SHIPPED, "replay").recorded


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"monitorin": {}}, "unknown key 'monitorin'"),
        ({"monitoring": {**QUICK["monitoring"], "duration_s": "long"}}, "monitoring.duration_s"),
        ({"monitoring": {**QUICK["monitoring"], "warmup_s": 99}}, "warmup_s 99.0 must be below"),
        ({"tuning": {**QUICK["tuning"], "pairs": 0}}, "tuning.pairs = 0"),
        ({"budget_s": 10}, "more than budget_s = 10"),
        ({"recorded": True}, "needs the seed"),
        (
            {"tuning": {**QUICK["tuning"], "candidates": {"x": {"write_buffer": 1}}}},
            "x: option changes: unknown key 'write_buffer'",
        ),
        ({"extends": "nothing"}, "profile = 'nothing' is unknown; there are:"),
    ],
)
def test_a_bad_profile_is_one_line(
    tmp_path: Path, change: dict[str, object], expected: str
) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**QUICK, **change}))
    with pytest.raises(InputError) as caught:
        load_profile(tmp_path, "mine")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: [1", "just words", "!!python/object/apply:os.system [ls]"])
def test_text_that_is_no_profile_is_refused_and_runs_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=r"mine\.yaml"):
        load_profile(tmp_path, "mine")


def test_held_out_cases_differ_from_each_other_and_from_the_scenario() -> None:
    profile = load_profile(SHIPPED, "standard")
    cases = draw_cases(profile.scenario, 12, seed=3)
    assert cases == draw_cases(profile.scenario, 12, seed=3)
    assert cases != draw_cases(profile.scenario, 12, seed=4)
    own = profile.scenario.options
    specs = {profile.scenario.spec(changes).configuration_id() for changes in cases.values()}
    assert len(specs) == 12
    assert profile.scenario.spec().configuration_id() not in specs
    for changes in cases.values():
        options = profile.scenario.spec(changes).options
        assert options.level0_stop_writes_trigger - options.level0_slowdown_writes_trigger == (
            own.level0_stop_writes_trigger - own.level0_slowdown_writes_trigger
        )
