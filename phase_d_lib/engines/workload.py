"""Keys, values and arrival times of a run, all from the spec's recorded seed.

Keys follow db_bench: a big-endian 64-bit number, then ASCII zeros up to ``key_bytes``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from phase_d_lib.errors import InputError
from phase_d_lib.specs import ArrivalSpec, RunSpec, WorkloadSpec
from phase_d_lib.units import MIB

_MAX_ZIPF_KEYS = 50_000_000
_POOL_BYTES = 16 * MIB
_PIECE_BYTES = 100
DRAWN_AT_ONCE = 2048


def encode_keys(numbers: np.ndarray, key_bytes: int) -> list[bytes]:
    """Encode key numbers as byte strings, shape (n,) -> list of n."""
    table = np.full((len(numbers), key_bytes), ord("0"), dtype=np.uint8)
    table[:, :8] = numbers.astype(">u8").view(np.uint8).reshape(-1, 8)
    joined = table.tobytes()
    return [joined[i : i + key_bytes] for i in range(0, len(joined), key_bytes)]


class KeyStream:
    """An endless sequence of keys, drawn a block at a time.

    Parameters
    ----------
    workload : WorkloadSpec
    seed : int
    thread : int
        Threads draw from independent streams; sequential threads interleave.

    Raises
    ------
    InputError
        For a Zipfian key space too large for an exact table.
    """

    def __init__(self, workload: WorkloadSpec, seed: int, thread: int = 0) -> None:
        self._workload = workload
        self._rng = np.random.default_rng([seed, thread, 1])
        self._next = thread
        self._cdf: np.ndarray | None = None
        if workload.distribution == "zipfian":
            if workload.keys > _MAX_ZIPF_KEYS:
                raise InputError(
                    f"keys = {workload.keys}: a Zipfian key space is limited to {_MAX_ZIPF_KEYS}; "
                    "use fewer keys or distribution: uniform"
                )
            weights = np.arange(1, workload.keys + 1, dtype=float) ** -workload.zipf_s
            self._cdf = np.cumsum(weights) / weights.sum()
            self._spread = _coprime_multiplier(workload.keys)

    def numbers(self, count: int) -> np.ndarray:
        """Draw the next `count` key numbers, each in [0, keys)."""
        keys = self._workload.keys
        if self._workload.distribution == "sequential":
            step = self._workload.threads
            drawn = (self._next + step * np.arange(count)) % keys
            self._next = (self._next + step * count) % keys
            return drawn
        if self._cdf is None:
            return self._rng.integers(0, keys, size=count)
        ranks = np.minimum(np.searchsorted(self._cdf, self._rng.random(count)), keys - 1)
        # Popular ranks are spread over the key space, as YCSB does, so they share no data block.
        return (ranks * self._spread) % keys

    def keys(self, count: int) -> list[bytes]:
        """Draw the next `count` keys as byte strings."""
        return encode_keys(self.numbers(count), self._workload.key_bytes)


def load_order(workload: WorkloadSpec, seed: int) -> np.ndarray:
    """Order in which a preload writes each key once, shape (keys,)."""
    if workload.distribution == "sequential":
        return np.arange(workload.keys)
    return np.random.default_rng([seed, 2]).permutation(workload.keys)


class ValuePool:
    """Values of the declared compression ratio, cut at random offsets from a large pool.

    Of each 100-byte piece the declared share is random and the rest zeros, so a block compresses
    to about the declared ratio; the pool is far larger than a block, so values do not repeat in it.
    """

    def __init__(self, workload: WorkloadSpec, seed: int, thread: int = 0) -> None:
        self._rng = np.random.default_rng([seed, thread, 3])
        self._value_bytes = workload.value_bytes
        size = max(_POOL_BYTES, 2 * workload.value_bytes)
        self.pool = _compressible(size, workload.value_compression_ratio, self._rng)

    def offsets(self, count: int) -> list[int]:
        """Draw the next `count` offsets; a value is ``pool[offset : offset + value_bytes]``."""
        limit = len(self.pool) - self._value_bytes
        drawn: list[int] = self._rng.integers(0, limit, size=count).tolist()
        return drawn


def operations(spec: RunSpec, thread: int, values: ValuePool) -> Iterator[tuple[bytes, int, bool]]:
    """Yield what one thread does: key, offset of the value in the pool, whether it reads instead.

    Endless; keys, values and the choice between read and put come from streams of their own.
    """
    keys = KeyStream(spec.workload, spec.seed, thread)
    coin = np.random.default_rng([spec.seed, thread, 5])
    share = spec.workload.read_fraction
    while True:
        reads = [False] * DRAWN_AT_ONCE
        drawn, offsets = keys.keys(DRAWN_AT_ONCE), values.offsets(DRAWN_AT_ONCE)
        if share:
            reads = (coin.random(DRAWN_AT_ONCE) < share).tolist()
        yield from zip(drawn, offsets, reads, strict=True)


def _compressible(size: int, ratio: float, rng: np.random.Generator) -> bytes:
    pieces = np.zeros((-(-size // _PIECE_BYTES), _PIECE_BYTES), dtype=np.uint8)
    fresh = max(1, round(_PIECE_BYTES * ratio))
    pieces[:, :fresh] = rng.integers(0, 256, size=(len(pieces), fresh), dtype=np.uint8)
    return pieces.tobytes()[:size]


def _coprime_multiplier(modulus: int) -> int:
    candidate = max(1, int(modulus * 0.6180339887))
    while math.gcd(candidate, modulus) != 1:
        candidate += 1
    return candidate


def arrival_times(
    arrival: ArrivalSpec, duration_s: float, seed: int, thread: int = 0, threads: int = 1
) -> Iterator[np.ndarray]:
    """Yield ascending intended start times of one thread, seconds, in chunks until `duration_s`.

    Each of `threads` threads carries an equal share of the rate.

    Raises
    ------
    InputError
        For a closed loop, which has no arrival times.
    """
    if arrival.kind == "trace":
        times = np.asarray(arrival.trace_s)[thread::threads]
        yield times[times < duration_s]
        return
    if arrival.rate_ops_per_s is None:
        raise InputError("a closed loop has no arrival times")
    rng = np.random.default_rng([seed, thread, 4])
    share = 1.0 / threads
    # Unit-rate arrivals are mapped through the inverse of the cumulative rate, so every shape
    # is a Poisson or constant process in operational time.
    done, chunk = 0.0, 65_536
    while True:
        gaps = rng.exponential(size=chunk) if arrival.kind != "constant" else np.ones(chunk)
        operational = done + np.cumsum(gaps)
        done = float(operational[-1])
        # Constant arrivals of several threads take turns instead of coming together.
        offset = thread if arrival.kind == "constant" else 0
        times = _inverse_cumulative_rate(arrival, operational / share - offset, duration_s)
        inside = times[times < duration_s]
        if len(inside):
            yield inside
        if len(inside) < chunk:
            return


def _inverse_cumulative_rate(
    arrival: ArrivalSpec, count: np.ndarray, duration_s: float
) -> np.ndarray:
    """Time at which `count` arrivals are due under the arrival's rate curve, seconds."""
    rate = arrival.rate_ops_per_s or 0.0
    if arrival.kind == "ramp":
        end = arrival.end_rate_ops_per_s or rate
        slope = (end - rate) / duration_s
        if abs(slope) < 1e-12:
            return count / rate
        inside = np.maximum(rate * rate + 2.0 * slope * count, 0.0)
        times = (np.sqrt(inside) - rate) / slope
        return np.where(rate * rate + 2.0 * slope * count < 0, np.inf, times)
    if arrival.kind == "bursts":
        # The first 1/burst_factor of a cycle carries every arrival of it.
        cycle_count = rate * arrival.burst_period_s
        cycles = np.floor(count / cycle_count)
        within = (count - cycles * cycle_count) / (rate * arrival.burst_factor)
        return cycles * arrival.burst_period_s + within
    return count / rate
