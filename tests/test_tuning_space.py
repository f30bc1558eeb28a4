"""The search space and the guards."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase_d_lib.errors import InputError
from phase_d_lib.guards import memtable_bytes
from phase_d_lib.specs import WorkloadSpec
from phase_d_lib.tuning.scenarios import load_scenario, scenario_names
from phase_d_lib.tuning.space import changes_of, point_of, search_space
from phase_d_lib.workspace import find_workspace

FOLDER = find_workspace().scenarios
NAMES = scenario_names(FOLDER)


def test_both_documented_scenarios_are_there() -> None:
    assert {"equal-budget", "more-memory"} <= set(NAMES)
    tight, wide = (load_scenario(FOLDER, name) for name in ("equal-budget", "more-memory"))
    assert tight.scenario == wide.scenario
    assert memtable_bytes(tight.scenario.options) == tight.guards.memtable_bytes
    assert wide.guards.memtable_bytes == 4 * tight.guards.memtable_bytes


def test_an_unknown_scenario_and_a_wrong_key_are_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="equal-budget"):
        load_scenario(FOLDER, "nothing")
    (tmp_path / "mine.yaml").write_text("description_ko: x\nguards: {memory: 3}\n")
    with pytest.raises(InputError, match=r"mine\.yaml"):
        load_scenario(tmp_path, "mine")


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_point_is_a_spec_within_the_guards(name: str, data: st.DataObject) -> None:
    tuned = load_scenario(FOLDER, name)
    space = search_space(tuned.guards)
    shares = [data.draw(st.floats(0, 1)) for _ in space.dimensions]
    point = space.point(shares)  # type: ignore[arg-type]
    changes = changes_of(point, tuned.scenario)
    spec = tuned.scenario.spec(changes)
    assert tuned.guards.breaches(spec, tuned.scenario.workload) == ()
    # Going back and forth reaches a fixed point: the same options again.
    assert changes_of(point_of(tuned.scenario, changes), tuned.scenario) == changes


def test_the_default_is_a_point_that_changes_nothing() -> None:
    for name in NAMES:
        tuned = load_scenario(FOLDER, name)
        assert changes_of(point_of(tuned.scenario), tuned.scenario) == {}


def test_points_fill_the_space_and_follow_from_the_seed() -> None:
    tuned = load_scenario(FOLDER, "equal-budget")
    space = search_space(tuned.guards)
    points = list(islice(space.fill(3), 64))
    assert points == list(islice(space.fill(3), 64))
    assert points != list(islice(space.fill(4), 64))
    for dimension in space.dimensions:
        shares = sorted(space.shares(point)[space.dimensions.index(dimension)] for point in points)
        assert shares[0] < 0.3
        assert shares[-1] > 0.7


def test_each_guard_is_named_with_value_and_bound() -> None:
    tuned = load_scenario(FOLDER, "equal-budget")

    def broken(changes: dict[str, object], space: float | None = None) -> list[str]:
        spec = tuned.scenario.spec(changes)  # type: ignore[arg-type]
        found = tuned.guards.breaches(spec, tuned.scenario.workload, space)
        return [f"{breach.guard}: {breach}" for breach in found]

    assert broken({}) == []
    assert "8.389e+06" in broken({"write_buffer_size": 4 << 20})[0]
    assert broken({"max_background_jobs": 5})[0].startswith("background_jobs")
    assert broken({}, space=2.6)[0].startswith("space_amplification")
    assert broken({"wal": False})[0].startswith("durability")
    without = tuned.scenario.model_copy(update={"workload": WorkloadSpec(wal=False)})
    assert tuned.guards.breaches(without.spec(), without.workload) == ()


def test_safety_classes_name_what_needs_a_restart() -> None:
    dimensions = search_space(load_scenario(FOLDER, "equal-budget").guards).dimensions
    safety = {d.name: d.safety for d in dimensions}
    assert safety["memtable_bytes"] == safety["compression"] == "online"
    assert safety["level_compaction_dynamic_level_bytes"] == "restart"
    assert safety["max_background_jobs"] == safety["delayed_write_rate"] == "restart"


def test_neighbours_are_one_bounded_step_inside_the_range() -> None:
    tuned = load_scenario(FOLDER, "equal-budget")
    space = search_space(tuned.guards)
    own = point_of(tuned.scenario)
    found = list(space.neighbours(own, 2.0))
    for name, point in found:
        assert [key for key in own if own[key] != point[key]] == [name]
        spec = tuned.scenario.spec(changes_of(point, tuned.scenario))
        assert tuned.guards.breaches(spec, tuned.scenario.workload) == ()
    triggers = [p for n, p in found if n == "level0_file_num_compaction_trigger"]
    assert sorted(p["level0_file_num_compaction_trigger"] for p in triggers) == [2, 8]
    # The memory bound is the default's: there is no step up.
    assert len([n for n, _ in found if n == "memtable_bytes"]) == 1
    assert len([n for n, _ in found if n == "compression"]) == 3
