"""Advice from a LOG: what it takes from the file, the back-test, the refusals, the page."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from phase_d_lib.advice.advise import Advice, advice_of, advise
from phase_d_lib.advice.changes import moves, outlook
from phase_d_lib.advice.facts import Facts, facts_of
from phase_d_lib.advice.page import as_html, as_text, sections
from phase_d_lib.advice.twin import Twin, twin_of
from phase_d_lib.advice.words import WORDS, language_of_locale
from phase_d_lib.cli import app
from phase_d_lib.errors import ModelRefusal
from phase_d_lib.logfile import read_log
from phase_d_lib.optionsfile import LIVE_OPTIONS, spec_of
from phase_d_lib.runs import Run, find_runs
from phase_d_lib.specs import OptionsSpec
from phase_d_lib.workspace import find_workspace


@pytest.fixture(scope="module")
def run() -> Run:
    """The longest recorded run."""
    return max(find_runs(find_workspace().recorded_runs), key=lambda run: run.spec.duration_s)


@pytest.fixture(scope="module")
def text(run: Run) -> bytes:
    plain = run.path / "LOG"
    return (
        plain.read_bytes()
        if plain.exists()
        else gzip.decompress((run.path / "LOG.gz").read_bytes())
    )


@pytest.fixture(scope="module")
def facts(run: Run) -> Facts:
    return facts_of(run.log)


@pytest.fixture(scope="module")
def twin(facts: Facts) -> Twin:
    return twin_of(facts)


@pytest.fixture(scope="module")
def told(run: Run) -> Advice:
    return advice_of(run.log)


def from_text(tmp_path: Path, text: bytes):  # type: ignore[no-untyped-def]
    file = tmp_path / "LOG"
    file.write_bytes(text)
    return read_log(file)


def test_the_facts_are_those_of_the_run(run: Run, facts: Facts) -> None:
    workload = run.spec.workload
    assert (facts.key_bytes, facts.value_bytes) == (workload.key_bytes, workload.value_bytes)
    assert facts.options == run.spec.options
    assert facts.limited
    assert facts.column_family == "default"
    puts = float(run.samples["puts_total"].iloc[-1])
    # What is in memtables at the end was put and not flushed.
    assert facts.first.puts + facts.second.puts == pytest.approx(puts, rel=0.05)
    assert facts.busy_fraction > 0.85


def test_the_twin_finds_the_keys_and_the_limiter_it_was_not_told(run: Run, twin: Twin) -> None:
    assert twin.workload.preload
    assert twin.workload.keys == pytest.approx(run.spec.workload.keys, rel=0.1)
    assert twin.limiter_bytes_per_s == pytest.approx(run.spec.limiter_bytes_per_s, rel=0.1)
    assert twin.arrival_ops_per_s is None


def test_the_back_test_stays_within_its_bounds(told: Advice) -> None:
    assert told.refused is None
    assert told.back_test is not None
    assert abs(told.back_test.stall_error_points) <= 10
    assert abs(told.back_test.bytes_error_fraction) <= 0.15
    assert told.trusted
    assert told.binding == "limiter"


def test_useful_changes_come_first_and_name_their_price(told: Advice) -> None:
    assert told.outlook is not None
    effects = told.outlook.effects
    assert 1 <= len(effects) <= 3
    assert [e.rate_ratio for e in effects] == sorted((e.rate_ratio for e in effects), reverse=True)
    for effect in effects:
        assert effect.rate_ratio > 1
        buffer = effect.changes.get("write_buffer_size")
        if buffer is not None:
            assert effect.memtable_bytes_added > 0
        assert effect.live == LIVE_OPTIONS.issuperset(effect.changes)
    # Stalled for most of the time, the instance is beyond what it can serve without stalls.
    assert told.outlook.headroom_fraction is not None
    assert told.outlook.headroom_fraction < 0


def test_an_instance_that_never_stalls_gets_no_guess_of_its_writers_speed(facts: Facts) -> None:
    calm = facts.first.model_copy(update={"stall_s": {}, "puts": facts.first.puts / 50})
    idle = facts.model_copy(update={"first": calm, "second": calm})
    twin = twin_of(idle)
    assert twin.arrival_ops_per_s == pytest.approx(calm.put_ops_per_s)
    with pytest.raises(ModelRefusal) as refused:
        outlook(twin, calm.put_ops_per_s)
    assert refused.value.field == "foreground_ops_per_s"


def test_a_refused_outlook_keeps_the_back_test(told: Advice) -> None:
    bare = told.model_copy(update={"outlook": None, "refused": "not in the LOG"})
    shown = sections(bare, "en")
    assert shown[0].rows
    assert "not in the LOG" in shown[-1].sentences[0]


def test_every_move_is_one_change_of_the_options() -> None:
    for changes in moves(OptionsSpec()):
        own = OptionsSpec().model_dump()
        assert all(own[name] != value for name, value in changes.items())


def test_a_change_that_the_spec_refuses_is_left_out(twin: Twin) -> None:
    from dataclasses import replace

    tight = replace(twin, options=twin.options.model_copy(update={"max_background_jobs": 256}))
    assert all("max_background_jobs" not in e.changes for e in outlook(tight, 1000.0).effects)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (rb"kCompactionStyleLevel", rb"kCompactionStyleUniversal", "compaction_style"),
        (rb"Options\.max_write_buffer_number: \d+", rb"Options.nothing: 1", "options"),
        (rb"flush_finished", rb"flush_vanished", "flush_finished"),
    ],
)
def test_what_is_not_covered_is_refused_by_name(
    tmp_path: Path, text: bytes, old: bytes, new: bytes, field: str
) -> None:
    log = from_text(tmp_path, re.sub(old, new, text))
    with pytest.raises(ModelRefusal) as refused:
        facts_of(log)
    assert refused.value.field == field
    # The rest is still told.
    assert advice_of(log).stalls
    assert field in (advice_of(log).refused or "")


def test_a_short_log_and_competing_families_are_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(ModelRefusal, match="are needed"):
        facts_of(from_text(tmp_path, text[: len(text) // 5]))
    half = len(text) // 2
    two = text[:half] + text[half:].replace(b'"cf_name": "default"', b'"cf_name": "other"')
    with pytest.raises(ModelRefusal, match="several compete"):
        facts_of(from_text(tmp_path, two))


def test_option_texts_of_a_log_and_of_an_options_file_read_alike() -> None:
    own = {name: str(value) for name, value in OptionsSpec().model_dump().items()}
    for word in ("Snappy", "kSnappyCompression"):
        spec, missing = spec_of({**own, "compression": word})
        assert spec.compression == "snappy"
        assert missing == ()
    assert spec_of({**own, "compression": "NoCompression"})[0].compression == "none"
    del own["write_buffer_size"]
    assert spec_of(own)[1] == ("write_buffer_size",)


def test_the_back_test_is_said_first_in_both_languages(told: Advice) -> None:
    for language, first in (("ko", "복제 모형"), ("en", "Back-test")):
        assert sections(told, language)[0].title.startswith(first)  # type: ignore[arg-type]
        assert as_text(told, language).index(first) < 200  # type: ignore[arg-type]
    assert all(korean and english for korean, english in WORDS.values())
    refused = told.model_copy(update={"back_test": None, "outlook": None, "refused": "too short"})
    assert "too short" in sections(refused, "en")[0].sentences[0]


def test_the_page_opens_offline_and_escapes_what_the_log_says(told: Advice) -> None:
    hostile = told.model_copy(update={"version": "<script>alert(1)</script>"})
    page = as_html(hostile, "ko")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"https?://|src=|@import", page)
    assert 'lang="ko"' in page


def test_the_verb_prints_json_and_never_overwrites(run: Run, tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "LOG"
    file.write_bytes(text)
    page = tmp_path / "page.html"
    runner = CliRunner()
    done = runner.invoke(app, ["advise", str(file), "--json", "--html", str(page)])
    assert done.exit_code == 0
    assert Advice.model_validate_json(done.stdout).back_test is not None
    before = page.read_bytes()
    again = runner.invoke(app, ["advise", str(file), "--html", str(page)])
    assert again.exit_code != 0
    assert "exists" in str(again.exception)
    assert page.read_bytes() == before
    assert "ko or en" in str(runner.invoke(app, ["advise", str(file), "--lang", "fr"]).exception)


def test_the_language_follows_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    for named, expected in (("ko_KR.UTF-8", "ko"), ("en_US.UTF-8", "en"), ("C", "en")):
        monkeypatch.setenv("LANG", named)
        assert language_of_locale() == expected


def test_several_files_are_one_log(tmp_path: Path, text: bytes, told: Advice) -> None:
    lines = text.splitlines(keepends=True)
    old, new = tmp_path / "LOG.old.1", tmp_path / "LOG"
    old.write_bytes(b"".join(lines[: len(lines) // 2]))
    new.write_bytes(b"".join(lines[len(lines) // 2 :]))
    both = advise([new, old])
    assert both.stall_fraction == pytest.approx(told.stall_fraction, abs=0.02)
    assert both.facts is not None
