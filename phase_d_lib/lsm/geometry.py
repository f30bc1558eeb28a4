"""Sizes that follow from RocksDB's formats: bytes of an entry in memory, in a batch and in a file.

Every function is a derivation from format 9.8, nothing here is fitted; what a codec saves is found
by compressing a sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np

from phase_d_lib.engines.workload import ValuePool, encode_keys
from phase_d_lib.specs import Compression, OptionsSpec, WorkloadSpec
from phase_d_lib.units import KIB, MIB

BLOCK_BYTES = 4 * KIB
"""``block_size`` of the block-based table; our specs leave it at its default."""
_BLOCK_DEVIATION = 0.10
_BLOCK_TRAILER_BYTES = 5
_RESTART_INTERVAL = 16
_RESTART_BYTES = 4
_TAG_BYTES = 8
_BATCH_HEADER_BYTES = 12
_ARENA_ALIGN_BYTES = 16
_ARENA_INLINE_BYTES = 2 * KIB
_ARENA_OVERSHOOT = 0.6
_ARENA_LAST_BLOCK_FREE = 0.25
_POINTER_BYTES = 8
_SKIPLIST_BRANCHING = 4
_SKIPLIST_MAX_HEIGHT = 12
_POOR_COMPRESSION = 7 / 8
_SAMPLED_BLOCKS = 40
_SEQUENCE_STEP = 2_654_435_761  # scatters sequence numbers as random puts do
_CODECS = {"snappy": "snappy", "lz4": "lz4_raw", "zstd": "zstd"}
_FILE_METADATA_BYTES = 1000
"""Properties, metaindex and footer of a table file, measured on 9.8.4."""


def varint_bytes(value: int) -> int:
    """Length of a base-128 varint, bytes."""
    return max(1, -(-value.bit_length() // 7))


def batch_bytes(key_bytes: int, value_bytes: int) -> int:
    """Bytes of a write batch holding one put, which is what the delayed write rate counts.

    Twelve bytes of header (sequence, count), one of record type, then key and value with their
    varint lengths (``db/write_batch.cc``).
    """
    lengths = varint_bytes(key_bytes) + varint_bytes(value_bytes)
    return _BATCH_HEADER_BYTES + 1 + lengths + key_bytes + value_bytes


def memtable_entry_bytes(key_bytes: int, value_bytes: int) -> float:
    """Mean arena bytes of one put in a skip-list memtable.

    The entry (internal key and value, each after its varint length) follows a node of h pointers,
    h geometric with branching 4 and at most 12. The concurrent arena rounds the node up to a
    pointer and the arena starts each at a multiple of 16 (``memtable/inlineskiplist.h``,
    ``memory/arena.cc``). One writer is assumed: more fill per-core shards first.
    """
    internal_key = key_bytes + _TAG_BYTES
    entry = varint_bytes(internal_key) + internal_key + varint_bytes(value_bytes) + value_bytes
    mean, reaching = 0.0, 1.0
    for height in range(1, _SKIPLIST_MAX_HEIGHT + 1):
        taller = reaching / _SKIPLIST_BRANCHING if height < _SKIPLIST_MAX_HEIGHT else 0.0
        node = _POINTER_BYTES * height + entry
        mean += (reaching - taller) * _ARENA_ALIGN_BYTES * math.ceil(node / _ARENA_ALIGN_BYTES)
        reaching = taller
    return mean


def arena_block_bytes(write_buffer_size: int) -> int:
    """Arena block RocksDB derives from the buffer: an eighth, at most 1 MiB, whole 4 KiB pages."""
    page = 4 * KIB
    return -(-min(MIB, write_buffer_size // 8) // page) * page


def memtable_entries(write_buffer_size: int, key_bytes: int, value_bytes: int) -> float:
    """Puts after which a memtable asks to be flushed (``MemTable::ShouldFlushNow``).

    The arena adds blocks while one more stays below the buffer plus 0.6 block; then the last block
    is filled to three quarters. Half an entry is lost at the end of each block.
    """
    block = arena_block_bytes(write_buffer_size)
    entry = memtable_entry_bytes(key_bytes, value_bytes)
    allowed = write_buffer_size + _ARENA_OVERSHOOT * block - _ARENA_INLINE_BYTES
    if entry > block / 4:  # such an entry gets a block of its own
        return max(1.0, math.ceil((allowed - block) / entry))
    blocks = max(1, math.ceil(allowed / block) - 1)
    usable = _ARENA_INLINE_BYTES + (blocks - _ARENA_LAST_BLOCK_FREE) * block
    return max(1.0, (usable - blocks * entry / 2) / entry)


def shared_prefix_bytes(gap: float) -> float:
    """Mean prefix two neighbouring keys share, bytes, their numbers `gap` apart.

    Our engines and db_bench write an 8-byte big-endian number and then filler, so the last byte of
    the number always differs and the j-th before it with probability gap/256**j.
    """
    return 7.0 - math.fsum(min(1.0, gap / 256.0**j) for j in range(1, 8))


def entries_per_block(entry_bytes: float) -> int:
    """Whole entries in a data block: cut before the overflow if over 90 % full, else after it."""
    fitting = int(BLOCK_BYTES // entry_bytes)
    if fitting * entry_bytes > (1.0 - _BLOCK_DEVIATION) * BLOCK_BYTES:
        return fitting
    return fitting + 1


def entry_bytes(
    key_bytes: int,
    value_bytes: int,
    *,
    gap: float = 1.0,
    compression: Compression = "none",
    compression_ratio: float = 1.0,
    bottommost: bool = False,
    file_bytes: int = 2 * MIB,
) -> float:
    """Mean table-file bytes of one entry, its share of block, index and file overhead included.

    Parameters
    ----------
    key_bytes, value_bytes : int
    gap : float
        Mean distance of neighbouring key numbers, see :func:`shared_prefix_bytes`.
    compression : str
        Codec of the blocks.
    compression_ratio : float
        Declared compressed/uncompressed size of a value, see :func:`_compressed_fraction`. A block
        that saves under an eighth is stored plain (``max_compressed_bytes_per_kb``).
    bottommost : bool
        Written by a compaction into the last level, which makes sequence numbers zero.
    file_bytes : int
        Size of the table file: the length of an offset in the index, and what shares the metadata.

    Notes
    -----
    A data block of n entries holds for each three varints, the internal key without the prefix it
    shares with the one before (except at a restart, every 16th) and the value; then four bytes per
    restart and four for their number (``table/block_based/block_builder.cc``). The block's trailer
    is five bytes; its index entry two varints, a separator one byte longer than the shared prefix,
    a block handle and a restart offset (``index_builder.cc``). RocksDB 9.8.4 wrote files of values
    of 50 to 1,000 bytes within 0.1 % of this.
    """
    shared = min(float(key_bytes - 1), shared_prefix_bytes(gap))
    full = 2 + varint_bytes(value_bytes) + key_bytes + _TAG_BYTES + value_bytes
    count = entries_per_block(full - shared)
    restarts = -(-count // _RESTART_INTERVAL)
    block = count * full - (count - restarts) * shared + _RESTART_BYTES * (restarts + 1)
    if compression != "none" and compression_ratio < 1.0:
        fraction = _compressed_fraction(
            key_bytes, value_bytes, compression_ratio, compression, count, int(shared), bottommost
        )
        block *= fraction if fraction < _POOR_COMPRESSION else 1.0
    handle = varint_bytes(file_bytes) + varint_bytes(BLOCK_BYTES)
    index_entry = 2 + shared + 1 + handle + _RESTART_BYTES
    entry = (block + _BLOCK_TRAILER_BYTES + index_entry) / count
    return entry * (1.0 + _FILE_METADATA_BYTES / file_bytes)


@lru_cache(maxsize=256)
def _compressed_fraction(
    key_bytes: int,
    value_bytes: int,
    ratio: float,
    codec: str,
    count: int,
    shared_bytes: int,
    bottommost: bool,
) -> float:
    """Compressed over plain size of data blocks, by compressing some with the codec itself.

    The blocks hold `count` records of consecutive keys and of the values our engines write for the
    declared ratio; a coder pays for each repeat it finds, so less is saved than is declared.
    """
    import pyarrow  # a third of a second, and only compressed tables need it

    pool = ValuePool(
        WorkloadSpec(key_bytes=key_bytes, value_bytes=value_bytes, value_compression_ratio=ratio),
        seed=0,
    )
    numbers = np.arange(_SAMPLED_BLOCKS * count)
    keys, offsets = encode_keys(numbers, key_bytes), pool.offsets(len(numbers))
    plain = compressed = 0
    for start in range(0, len(numbers), count):
        block = bytearray()
        for place in range(start, start + count):
            shared = 0 if (place - start) % _RESTART_INTERVAL == 0 else shared_bytes
            # Sequence numbers differ in their low bytes; a bottommost compaction makes them zero.
            sequence = 0 if bottommost else place * _SEQUENCE_STEP % 2**24
            tag = (sequence << 8 | 1).to_bytes(_TAG_BYTES, "little")
            value = pool.pool[offsets[place] : offsets[place] + value_bytes]
            header = bytes((shared, min(255, key_bytes + _TAG_BYTES - shared)))
            block += header + bytes(varint_bytes(value_bytes)) + keys[place][shared:] + tag + value
        plain += len(block)
        compressed += len(pyarrow.compress(bytes(block), codec=_CODECS[codec], asbytes=True))
    return compressed / plain


@dataclass(frozen=True, slots=True)
class Popularity:
    """Classes of equally popular keys, each class spread evenly over the key space.

    Attributes
    ----------
    keys : tuple of float
        Keys in each class.
    put_probability : tuple of float
        Probability that a put writes one given key of the class.
    """

    keys: tuple[float, ...]
    put_probability: tuple[float, ...]

    def expected_unique(self, puts: float) -> list[float]:
        """Return the expected distinct keys per class among `puts` independent puts."""
        pairs = zip(self.keys, self.put_probability, strict=True)
        return [keys * -math.expm1(-puts * probability) for keys, probability in pairs]

    def spread(self, entries: float) -> list[float]:
        """Return `entries` distinct keys, drawn without repeats, per class."""
        total = math.fsum(self.keys)
        return [entries * keys / total for keys in self.keys]


def popularity(workload: WorkloadSpec) -> Popularity:
    """Return the key classes of a workload: one if uniform, octaves of rank if Zipfian.

    A Zipfian key of rank r is put with probability proportional to r**-s; within an octave the mean
    probability stands for all. Popular ranks are scattered over the key space, as the engines do.
    """
    if workload.distribution == "uniform":
        return Popularity((float(workload.keys),), (1.0 / workload.keys,))
    octaves = range(workload.keys.bit_length())
    bounds = [2**octave for octave in octaves] + [workload.keys + 1]
    weights = [_zipf_weight(a, b, workload.zipf_s) for a, b in pairwise(bounds)]
    counts = [float(b - a) for a, b in pairwise(bounds)]
    total = math.fsum(weights)
    probabilities = tuple(w / total / n for w, n in zip(weights, counts, strict=True))
    return Popularity(tuple(counts), probabilities)


def _zipf_weight(first: int, end: int, s: float) -> float:
    """Sum of r**-s over first <= r < end; past 64 terms by the midpoint integral (within 1e-4)."""
    exact_end = min(end, first + 64)
    weight = math.fsum(rank**-s for rank in range(first, exact_end))
    if exact_end == end:
        return weight
    low, high = exact_end - 0.5, end - 0.5
    if math.isclose(s, 1.0):
        return weight + math.log(high / low)
    return float(weight + (high ** (1.0 - s) - low ** (1.0 - s)) / (1.0 - s))


@dataclass(frozen=True, slots=True)
class Geometry:
    """What the simulation needs to know of one workload's records.

    Attributes
    ----------
    record_bytes, batch_bytes : int
        User bytes and write-batch bytes of one put.
    memtable_entries : float
        Puts that fill a memtable.
    entry_bytes, bottommost_entry_bytes : float
        Table-file bytes of an entry, and of one that a compaction into the last level wrote.
    popularity : Popularity
    """

    record_bytes: int
    batch_bytes: int
    memtable_entries: float
    entry_bytes: float
    bottommost_entry_bytes: float
    popularity: Popularity


def geometry(workload: WorkloadSpec, options: OptionsSpec) -> Geometry:
    """Derive the geometry of a workload under the given options."""
    key, value = workload.key_bytes, workload.value_bytes
    entry = partial(
        entry_bytes,
        key,
        value,
        compression=options.compression,
        compression_ratio=workload.value_compression_ratio,
        file_bytes=options.target_file_size_base,
    )
    return Geometry(
        record_bytes=workload.record_bytes,
        batch_bytes=batch_bytes(key, value),
        memtable_entries=memtable_entries(options.write_buffer_size, key, value),
        entry_bytes=entry(),
        bottommost_entry_bytes=entry(bottommost=True),
        popularity=popularity(workload),
    )
