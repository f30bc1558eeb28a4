"""Which series of a range query belong to one database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from phase_d_lib.errors import InputError
from phase_d_lib.importers.prometheus_names import (
    Form,
    Meaning,
    database_of,
    meaning_of,
)
from phase_d_lib.importers.prometheus_text import Series

_FORMS: tuple[Form, ...] = ("counter", "rate")
"""How a flow may be told, the exact form first."""


@dataclass
class Instance:
    """The series of one database.

    Attributes
    ----------
    labels : dict of str to str
        What tells it from the others.
    flows : dict of str to list of (Meaning, Series)
        By role: what grows, or is told per second.
    gauges : dict of str to list of Series
        By role.
    """

    labels: dict[str, str]
    flows: dict[str, list[tuple[Meaning, Series]]] = field(default_factory=dict)
    gauges: dict[str, list[Series]] = field(default_factory=dict)

    def add(self, meaning: Meaning, series: Series) -> None:
        """Take a series in."""
        if meaning.form == "gauge":
            self.gauges.setdefault(meaning.role, []).append(series)
        else:
            self.flows.setdefault(meaning.role, []).append((meaning, series))

    def take(self, other: Instance) -> None:
        """Take in every series of another one."""
        for role, told in other.flows.items():
            self.flows.setdefault(role, []).extend(told)
        for role, gauges in other.gauges.items():
            self.gauges.setdefault(role, []).extend(gauges)

    def __str__(self) -> str:
        labels = (f'{label}="{value}"' for label, value in sorted(self.labels.items()))
        return ", ".join(labels) or "without a label"


def instances_of(series: Iterable[Series], source: str) -> list[Instance]:
    """Return the databases, each with its series.

    Series whose labels are some of those of exactly one other database belong to it: an exporter
    may label its properties more finely than its counters.

    Raises
    ------
    InputError
        If two metrics of one database tell the same, or a series comes twice.
    """
    known = [
        (meaning, one)
        for one in series
        if (meaning := meaning_of(one)) is not None and np.isfinite(one.values).any()
    ]
    groups: dict[tuple[tuple[str, str], ...], Instance] = {}
    for meaning, one in known:
        labels = database_of(one)
        group = groups.setdefault(tuple(sorted(labels.items())), Instance(labels))
        group.add(meaning, one)
    split = [part for group in _merged(list(groups.values())) for part in _by_prefix(group)]
    for instance in split:
        _refuse_twice(instance, source)
    return _told_apart(split)


def _merged(groups: list[Instance]) -> list[Instance]:
    kept: list[Instance] = []
    for group in groups:
        wider = [o for o in groups if group.labels.items() < o.labels.items()]
        widest = [o for o in wider if not any(o.labels.items() < w.labels.items() for w in wider)]
        if len(widest) == 1:
            widest[0].take(group)
        else:
            kept.append(group)
    return kept


def _by_prefix(group: Instance) -> list[Instance]:
    """Return a group as one database a prefix, where a counter comes under several prefixes."""
    prefixes = {role: {meaning.prefix for meaning, _ in told} for role, told in group.flows.items()}
    if all(len(found) == 1 for found in prefixes.values()):
        return [group]
    parts: dict[str, Instance] = {}
    for told in group.flows.values():
        for meaning, one in told:
            labels = {**group.labels, "prefix": meaning.prefix}
            parts.setdefault(meaning.prefix, Instance(labels)).add(meaning, one)
    for gauges in group.gauges.values():
        for one in gauges:
            found = meaning_of(one)
            if found is not None and found.prefix in parts:
                parts[found.prefix].add(found, one)
    return list(parts.values())


def _refuse_twice(instance: Instance, source: str) -> None:
    """Keep the exact form of a flow; refuse two metrics, or a whole beside its parts, for one."""
    for role, told in instance.flows.items():
        form = next(form for form in _FORMS if any(meaning.form == form for meaning, _ in told))
        instance.flows[role] = told = [pair for pair in told if pair[0].form == form]
        first, seen = told[0][1], set()
        for _, one in told:
            key = tuple(sorted(one.labels.items()))
            if (one.name, set(one.labels)) != (first.name, set(first.labels)) or key in seen:
                raise InputError(f"{source}: {first} and {one} tell the same; leave one out")
            seen.add(key)


def _told_apart(instances: list[Instance]) -> list[Instance]:
    """Return instances with only the labels in which they differ."""
    if len(instances) < 2:
        return instances
    shared = set.intersection(*(set(one.labels.items()) for one in instances))
    for one in instances:
        one.labels = {k: v for k, v in one.labels.items() if (k, v) not in shared}
    return instances
