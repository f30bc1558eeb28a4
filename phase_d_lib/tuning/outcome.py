"""What one run of one option set came to, as every part of tuning reads it."""

from __future__ import annotations

from typing import Any

from phase_d_lib.guards import Breach, Guards
from phase_d_lib.latency import histogram_quantiles_us
from phase_d_lib.rates import outer_thirds
from phase_d_lib.runs import Run
from phase_d_lib.specs import Frozen
from phase_d_lib.validity import Verdict

_WINDOW_PER_CENTRES = 1.5
"""The centres of the outer thirds of a window lie two thirds of it apart."""


class Outcome(Frozen):
    """One finished run of one option set; means over its window."""

    run_id: str
    put_ops_per_s: float
    held_ops_per_s: float
    """The rate without borrowed debt (:func:`held_ops_per_s`): what tuners maximise."""
    put_latency_p999_us: float | None
    stall_fraction: float
    write_bytes_per_user_byte: float | None
    space_amplification: float
    verdict: Verdict

    @property
    def borrowed_fraction(self) -> float:
        """Share of the put rate that left compaction debt behind; negative: debt was repaid."""
        return 1.0 - self.held_ops_per_s / self.put_ops_per_s if self.put_ops_per_s else 0.0


def outcome(run: Run) -> dict[str, Any]:
    """Condense a finished run to the fields of :class:`Outcome`.

    Raises
    ------
    ValueError
        When it is not finished.
    """
    result = run.result
    if result is None:
        raise ValueError(f"run {run.spec.run_id} is not finished")
    return {
        "run_id": run.spec.run_id,
        "put_ops_per_s": result.put_rate_ops_per_s.value,
        "held_ops_per_s": held_ops_per_s(run),
        "put_latency_p999_us": result.put_latency_us["p999"],
        "stall_fraction": result.stall_fraction,
        "write_bytes_per_user_byte": result.write_bytes_per_user_byte,
        "space_amplification": space_amplification(run),
        "verdict": result.validity,
    }


def held_ops_per_s(run: Run) -> float:
    """Put rate of a run without borrowed debt, ops/s; see :func:`without_debt`."""
    rate = run.result.put_rate_ops_per_s.value if run.result else 0.0
    inside = run.window
    written = inside[["flush_write_bytes_total", "compact_write_bytes_total"]].sum(axis=1)
    first, last = outer_thirds(inside["pending_compaction_bytes"].to_numpy(dtype=float))
    return without_debt(
        rate, float(written.iloc[-1] - written.iloc[0]), float(last.mean() - first.mean())
    )


def without_debt(put_ops_per_s: float, written_bytes: float, risen_bytes: float) -> float:
    r"""Put rate that the same background writes would hold without changing the debt, ops/s.

    .. math:: S_{held} = S \, W / (W + \Delta P)

    with the flush and compaction bytes *W* written in the window and the change of RocksDB's
    estimate of pending compaction bytes over it. A window that ends with more debt than it began
    with has put faster than the tree can take; one that repays is the other way round.

    Parameters
    ----------
    risen_bytes : float
        Pending compaction bytes, mean of the last third of the window less that of the first.
    """
    owed_bytes = _WINDOW_PER_CENTRES * risen_bytes
    # A tree that repaid as much as it wrote tells nothing of what it could hold.
    due_bytes = max(written_bytes + owed_bytes, written_bytes / 2)
    return put_ops_per_s * written_bytes / due_bytes if due_bytes > 0 else put_ops_per_s


def space_amplification(run: Run) -> float:
    """Mean bytes of live table files in the window, over the user bytes of all keys."""
    workload = run.spec.workload
    return float(run.window["live_sst_bytes"].mean()) / (workload.keys * workload.record_bytes)


def breaches_of(guards: Guards, run: Run) -> tuple[Breach, ...]:
    """Guards that a finished run broke, as measured."""
    reads = run.latency[run.latency["operation"] == "get"]
    read_p999_us = histogram_quantiles_us(reads)["p999"] if len(reads) else None
    return guards.breaches_measured(space_amplification(run), read_p999_us)
