"""A partition as it is handed to hospitals, so that each releases its own rows by it: JSON, hostile until checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.anonymity.domains import Codes, Domain, NumberDomain, WordDomain
from common.anonymity.partition import Group, Ints, Tree, nodes_of, parts_of
from common.anonymity.release import words
from common.errors import StudyError, WardroundError


@dataclass(frozen=True)
class Handed:
    """domains: of the quasi-identifiers. said: of each group, what is released in the place of them.

    nodes: (groups,) ends of the tree, in ascending order. low, high: (groups, columns) codes that rows may have.
    rows: (groups,) of all hospitals together.
    """

    domains: tuple[Domain, ...]
    tree: tuple[Ints, Ints, Ints]
    nodes: Ints
    low: Ints
    high: Ints
    rows: Ints

    @property
    def said(self) -> list[tuple[str, ...]]:
        """Of each group, what is released in the place of quasi-identifiers."""
        spans = zip(self.nodes.tolist(), self.low.tolist(), self.high.tolist(), strict=True)
        return [words(self.domains, Group(node, tuple(low), tuple(high), ())) for node, low, high in spans]

    def groups_of(self, codes: Codes) -> Ints:
        """(N,) the group of each of (N, columns) rows; -1 of a row that was in none when the partition was made."""
        node = nodes_of(codes, self.tree)
        group = np.clip(np.searchsorted(self.nodes, node), 0, len(self.nodes) - 1)
        inside = ((self.low[group] <= codes) & (codes <= self.high[group])).all(axis=1)
        return np.where((self.nodes[group] == node) & inside, group, -1)


def as_json(domains: Sequence[Domain], tree: Tree, groups: Sequence[Group]) -> dict[str, Any]:
    """All that `of_json` needs."""
    column, cut, child = tree.arrays()
    ordered = sorted(groups, key=lambda group: group.node)
    return {
        "columns": [_said(domain) for domain in domains],
        "tree": {"column": column.tolist(), "cut": cut.tolist(), "child": child.tolist()},
        "ends": [[group.node, list(group.low), list(group.high), group.rows] for group in ordered],
    }


def of_json(found: Any) -> Handed:
    """Raises StudyError where it is no partition."""
    try:
        domains = tuple(_domain(one) for one in found["columns"])
        tree = _ints(found["tree"]["column"]), _ints(found["tree"]["cut"]), _ints(found["tree"]["child"])
        nodes, rows = _ints([end[0] for end in found["ends"]]), _ints([end[3] for end in found["ends"]])
        low = _ints([end[1] for end in found["ends"]]).reshape(len(nodes), len(domains))
        high = _ints([end[2] for end in found["ends"]]).reshape(len(nodes), len(domains))
        covered = parts_of(domains, tree, nodes)
        if not len(nodes) or not domains or (np.diff(nodes) <= 0).any() or (rows < 1).any():
            raise ValueError
        if (low < covered.low).any() or (high > covered.high).any() or (low > high).any():
            raise ValueError
    except (WardroundError, TypeError, ValueError, KeyError, IndexError, OverflowError):
        raise StudyError(
            "it holds no partition of quasi-identifiers, as `wardround ask STUDY mondrian` gives."
        ) from None
    return Handed(domains, tree, nodes, low, high, rows)


def _ints(values: Any) -> Ints:
    found = np.array(values)
    if len(found) and found.dtype.kind != "i":
        raise ValueError
    return found.astype(np.int64)


def _said(domain: Domain) -> dict[str, Any]:
    if isinstance(domain, NumberDomain):
        return {"name": domain.name, "values": list(domain.values), "step": domain.step}
    return {"name": domain.name, "words": list(domain.words), "groups": dict(domain.hierarchy)}


def _domain(said: Any) -> Domain:
    name = said["name"]
    if "values" in said:
        values = tuple(float(value) for value in said["values"])
        fine = all(math.isfinite(value) for value in values)
        domain: Domain = NumberDomain(name, values, float(said["step"]))
    else:
        known, groups = said["words"], said["groups"]
        fine = isinstance(groups, Mapping) and all(
            isinstance(one, str) for one in (*known, *groups, *groups.values())
        )
        domain = WordDomain(name, tuple(known), groups)
    if not fine or not isinstance(name, str):
        raise ValueError
    return domain
