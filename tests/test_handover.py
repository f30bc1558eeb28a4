"""A tuned option set as OPTIONS file, diff, code and commands."""

from __future__ import annotations

import shlex

import pytest

from phase_d_lib.errors import InputError
from phase_d_lib.optionsfile import differences, parse_options
from phase_d_lib.profiles import OptionChanges
from phase_d_lib.specs import OptionsSpec
from phase_d_lib.tuning.handover import differing, handover

CHANGES: OptionChanges = {
    "write_buffer_size": 8_388_608,
    "max_bytes_for_level_multiplier": 7.5,
    "level_compaction_dynamic_level_bytes": True,
    "compression": "lz4",
    "max_background_jobs": 4,
    "max_write_buffer_number": OptionsSpec().max_write_buffer_number,  # no change at all
}


def test_only_what_differs_is_told_and_what_needs_a_restart() -> None:
    found = {c.name: c for c in differing(OptionsSpec(), CHANGES)}
    assert "max_write_buffer_number" not in found
    assert found["write_buffer_size"].live
    assert not found["max_background_jobs"].live
    with pytest.raises(InputError, match="no_such_option"):
        differing(OptionsSpec(), {"no_such_option": 1})


def test_the_options_file_reads_back_as_the_tuned_spec() -> None:
    text = handover(OptionsSpec(), CHANGES, "options_file")
    tuned = OptionsSpec(**{**OptionsSpec().model_dump(), **CHANGES})  # type: ignore[arg-type]
    assert differences(tuned, parse_options(text)) == {}


def test_each_form_names_every_change_in_its_own_words() -> None:
    own = OptionsSpec()
    cpp = handover(own, CHANGES, "cpp")
    assert "options.compression = rocksdb::kLZ4Compression;" in cpp
    assert "options.level_compaction_dynamic_level_bytes = true;" in cpp
    java = handover(own, CHANGES, "java")
    assert "options.setWriteBufferSize(8388608L);" in java
    assert "options.setCompressionType(CompressionType.LZ4_COMPRESSION);" in java
    assert "options.setMaxBytesForLevelMultiplier(7.5);" in java
    ini = handover(own, CHANGES, "ini")
    parsed = parse_options(ini)
    assert parsed.db == {"max_background_jobs": "4"}
    assert parsed.cf["default"]["compression"] == "kLZ4Compression"
    assert "-write_buffer_size=2097152\n+write_buffer_size=8388608\n" in handover(
        own, CHANGES, "diff"
    )


def test_commands_are_filled_in_quoted_and_a_wrong_template_is_refused() -> None:
    text = handover(OptionsSpec(), CHANGES, "commands", "ctl --db 'my db' {name} {value}")
    assert len(text.splitlines()) == 5
    assert shlex.split(text.splitlines()[0])[:3] == ["ctl", "--db", "my db"]
    for bad in ("x {other}", "x {name.__class__.foo}", "x {", "x {0}"):
        with pytest.raises(InputError, match="nothing else in braces"):
            handover(OptionsSpec(), CHANGES, "commands", bad)


def test_no_change_gives_empty_snippets() -> None:
    for form in ("diff", "cpp", "java", "ini", "commands"):
        assert handover(OptionsSpec(), {}, form) == ""  # type: ignore[arg-type]
