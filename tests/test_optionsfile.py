from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rocksdict import Options, Rdict

from phase_d_lib.errors import InputError
from phase_d_lib.optionsfile import (
    DB_OPTIONS,
    OptionsFile,
    differences,
    parse_options,
    render_options,
)
from phase_d_lib.specs import OptionsSpec
from phase_d_lib.units import GIB, KIB, MIB

EVERYTHING_MOVED = OptionsSpec(
    write_buffer_size=3 * MIB,
    max_write_buffer_number=5,
    min_write_buffer_number_to_merge=2,
    target_file_size_base=5 * MIB,
    max_bytes_for_level_base=40 * MIB,
    max_bytes_for_level_multiplier=7.25,
    level0_file_num_compaction_trigger=3,
    level0_slowdown_writes_trigger=17,
    level0_stop_writes_trigger=29,
    soft_pending_compaction_bytes_limit=1 * GIB,
    hard_pending_compaction_bytes_limit=2 * GIB,
    max_background_jobs=5,
    max_subcompactions=3,
    delayed_write_rate=12_345_678,
    level_compaction_dynamic_level_bytes=True,
    compression="zstd",
    use_direct_reads=False,
    stats_dump_period_sec=7,
)


@st.composite
def specs(draw: st.DrawFn) -> OptionsSpec:
    size = st.integers(64 * KIB, 64 * GIB)
    triggers = sorted(draw(st.lists(st.integers(1, 1000), min_size=3, max_size=3)))
    buffers = draw(st.integers(2, 64))
    pending = st.integers(0, 2**40)
    return OptionsSpec(
        write_buffer_size=draw(size),
        max_write_buffer_number=buffers,
        min_write_buffer_number_to_merge=draw(st.integers(1, buffers - 1)),
        target_file_size_base=draw(size),
        max_bytes_for_level_base=draw(size),
        max_bytes_for_level_multiplier=draw(st.floats(1.01, 100)),
        level0_file_num_compaction_trigger=triggers[0],
        level0_slowdown_writes_trigger=triggers[1],
        level0_stop_writes_trigger=triggers[2],
        soft_pending_compaction_bytes_limit=draw(pending),
        hard_pending_compaction_bytes_limit=draw(pending),
        max_background_jobs=draw(st.integers(1, 256)),
        max_subcompactions=draw(st.integers(1, 256)),
        delayed_write_rate=draw(size),
        level_compaction_dynamic_level_bytes=draw(st.booleans()),
        compression=draw(st.sampled_from(["none", "snappy", "lz4", "zstd"])),
        use_direct_io_for_flush_and_compaction=draw(st.booleans()),
        use_direct_reads=draw(st.booleans()),
        stats_dump_period_sec=draw(st.integers(0, 10**6)),
    )


def opened_with(spec: OptionsSpec, folder: Path) -> OptionsFile:
    """Open a real database with the rendered file; return what it wrote itself."""
    asked = folder / "asked"
    asked.mkdir()
    (asked / "OPTIONS-000005").write_text(render_options(spec))
    options, families = Options.load_latest(str(asked))
    options.create_if_missing(True)
    database = Rdict(str(folder / "db"), options, column_families=families)
    database.close()
    newest = max((folder / "db").glob("OPTIONS-*"))
    return parse_options(newest.read_text())


@given(specs())
def test_a_spec_comes_back_whole(spec: OptionsSpec) -> None:
    text = render_options(spec)
    parsed = parse_options(text)
    assert differences(spec, parsed) == {}
    assert set(parsed.db) == DB_OPTIONS
    assert set(OptionsSpec.model_fields) == DB_OPTIONS | (
        set(parsed.cf["default"]) - {"compaction_style", "table_factory"}
    )
    assert parsed.version == "9.8.4"
    assert parsed.table == {"default": {}}


@pytest.mark.rocksdb
@pytest.mark.parametrize("spec", [OptionsSpec(), EVERYTHING_MOVED], ids=["stall", "moved"])
def test_rocksdb_takes_every_pinned_option(spec: OptionsSpec, tmp_path: Path) -> None:
    effective = opened_with(spec, tmp_path)
    assert differences(spec, effective) == {}
    assert effective.version is not None
    assert len(effective.db) > 50
    assert effective.table["default"]["format_version"].isdecimal()
    other = OptionsSpec() if spec == EVERYTHING_MOVED else EVERYTHING_MOVED
    moved = {
        name for name in OptionsSpec.model_fields if getattr(spec, name) != getattr(other, name)
    }
    assert set(differences(other, effective)) == moved


@pytest.mark.rocksdb
def test_what_rocksdb_changes_is_found(tmp_path: Path) -> None:
    # RocksDB takes no soft limit to mean the hard one.
    spec = OptionsSpec(soft_pending_compaction_bytes_limit=0)
    hard = spec.hard_pending_compaction_bytes_limit
    assert differences(spec, opened_with(spec, tmp_path)) == {
        "soft_pending_compaction_bytes_limit": (0, hard)
    }


def test_differences_name_what_is_missing_or_unreadable() -> None:
    spec = OptionsSpec()
    text = render_options(spec)
    for old, new in (
        ("  max_background_jobs=2\n", ""),
        ("write_buffer_size=2097152", "write_buffer_size=2M"),
        ("compression=kNoCompression", "compression=kXpressCompression"),
        ("max_bytes_for_level_multiplier=10.0", "max_bytes_for_level_multiplier=8.000000"),
        ("use_direct_reads=false", "use_direct_reads=true"),
    ):
        assert old in text
        text = text.replace(old, new)
    assert differences(spec, parse_options(text)) == {
        "max_background_jobs": (2, None),
        "write_buffer_size": (2 * MIB, "2M"),
        "compression": ("none", "kXpressCompression"),
        "max_bytes_for_level_multiplier": (10.0, 8.0),
        "use_direct_reads": (False, True),
    }


def test_foreign_files_are_read() -> None:
    parsed = parse_options(
        "# comment = no option\n[Version]\n  rocksdb_version=5.18.3\n[DBOptions]\r\n"
        "  max_background_jobs=4\r\n  db_log_dir=\n"
        '[CFOptions "default"]\n  compression_opts={level=3;strategy=0;}\n'
        '[CFOptions "other family"]\n  write_buffer_size=1\n'
        '[TableOptions/PlainTable "other family"]\n  bloom=2\n[Unheard "default"]\n  x=1\nnoise\n'
    )
    assert parsed == OptionsFile(
        version="5.18.3",
        db={"max_background_jobs": "4", "db_log_dir": ""},
        cf={
            "default": {"compression_opts": "{level=3;strategy=0;}"},
            "other family": {"write_buffer_size": "1"},
        },
        table={"other family": {"bloom": "2"}},
    )
    assert parse_options("") == OptionsFile()
    assert set(differences(OptionsSpec(), OptionsFile())) == set(OptionsSpec.model_fields)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    parse_options(text)


def test_a_version_must_be_one() -> None:
    assert "rocksdb_version=7.8.3" in render_options(OptionsSpec(), "7.8.3")
    with pytest.raises(InputError, match=r"'latest': give it as in 9\.8\.4"):
        render_options(OptionsSpec(), "latest")
