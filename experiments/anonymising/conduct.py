"""A release of one table: cut, suppressed, and tried by whoever knows more of a person than the release hides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from common.anonymity.criteria import Criteria
from common.anonymity.domains import Codes, Domain, NumberDomain, WordDomain
from common.anonymity.linkage import Linked, linked
from common.anonymity.partition import Counts, Group, Parts, Tree, counted, nodes_of, partition
from common.anonymity.release import achieved, information_loss, suppressible, words
from common.errors import StudyError
from experiments.anonymising.table import Table


@dataclass(frozen=True)
class Wanted:
    """What a person asks for.

    quasi: columns by which somebody might be found. sensitive: what nobody is to learn, "" where that is not said.
    drop: columns that are not released. hierarchies: of columns, groups that stand for words. most_suppressed: share
    of rows that may be left out to keep the others precise. side: tolerance of each column that an adversary knows of
    a person beside the quasi-identifiers.
    """

    quasi: tuple[str, ...]
    criteria: Criteria
    sensitive: str = ""
    drop: tuple[str, ...] = ()
    hierarchies: Mapping[str, Mapping[str, str]] | None = None
    most_suppressed: float = 0.0
    side: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Release:
    """group: (N,) of each row, -1 where it is left out. has: k, l, t that it keeps. linked: who is found."""

    domains: tuple[Domain, ...]
    groups: tuple[Group, ...]
    group: NDArray[np.int64]
    loss: float
    has: Mapping[str, float]
    linked: Linked

    @property
    def suppressed(self) -> int:
        """Rows left out."""
        return int((self.group < 0).sum())


def check(table: Table, wanted: Wanted) -> None:
    """Raise StudyError or UnknownNameError where a column is none, or is asked for in two ways."""
    named = (*wanted.quasi, *wanted.drop, *(wanted.side or {}), *([wanted.sensitive] if wanted.sensitive else ()))
    table.demand((*named, *(wanted.hierarchies or {})))
    if not wanted.quasi:
        raise StudyError("name the columns by which somebody might be found: --quasi age --quasi sex.")
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise StudyError(f"column {twice[0]!r} is named for two purposes; each has one.")
    if wanted.criteria.needs_sensitive and not wanted.sensitive:
        raise StudyError("l-diversity and t-closeness are about a sensitive column: name it with --sensitive.")
    if not 0 <= wanted.most_suppressed < 1:
        raise StudyError(f"the share of rows left out must be from 0 to below 1; it is {wanted.most_suppressed:g}.")


def release_of(table: Table, wanted: Wanted) -> Release:
    """Cut the table. Raises StudyError where all rows together do not keep the criteria."""
    check(table, wanted)
    domains = [_domain(table, name, (wanted.hierarchies or {}).get(name, {})) for name in wanted.quasi]
    codes = np.stack([_codes(table, domain) for domain in domains], axis=1)
    sensitive, values = _sensitive(table, wanted.sensitive)
    everybody = np.bincount(sensitive, minlength=values)
    if not wanted.criteria.hold(everybody[None], everybody)[0]:
        raise StudyError(
            f"all {len(codes)} rows of {table.name} together do not keep k = {wanted.criteria.k}, "
            f"l = {wanted.criteria.l:g}: take less, or more rows."
        )
    tree, groups = partition(domains, wanted.criteria, everybody, partial(_counts, codes, sensitive, values))
    kept = suppressible(domains, groups, wanted.criteria, wanted.most_suppressed)
    place = {group.node: index for index, group in enumerate(kept)}
    nodes = nodes_of(codes, tree.arrays())
    group = np.array([place.get(node, -1) for node in nodes.tolist()], dtype=np.int64)
    has, loss = achieved(kept, wanted.criteria), information_loss(domains, kept)
    return Release(tuple(domains), kept, group, loss, has, _linked(table, wanted, group))


def rows_of(table: Table, wanted: Wanted, release: Release) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows as they are released, sorted, so that no place in the file tells whose a row is."""
    beside = [name for name in table.columns if name not in (*wanted.quasi, *wanted.drop)]
    shown = {name: table.records.words(name).tolist() for name in beside}
    said = [words(release.domains, group) for group in release.groups]
    rows = [
        (*said[group], *(shown[name][row] for name in beside))
        for row, group in enumerate(release.group.tolist())
        if group >= 0
    ]
    return (*wanted.quasi, *beside), sorted(rows)


def trade_off(table: Table, wanted: Wanted, ks: Sequence[int]) -> list[tuple[int, Release]]:
    """The same release with other k, as far as the table's rows go."""
    tried = [k for k in ks if k <= len(table.records)]
    return [(k, release_of(table, replace(wanted, criteria=replace(wanted.criteria, k=k)))) for k in tried]


def _counts(codes: Codes, sensitive: Codes, values: int, tree: Tree, parts: Parts) -> Counts:
    return counted(codes, sensitive, values, nodes_of(codes, tree.arrays()), parts)


def _domain(table: Table, name: str, hierarchy: Mapping[str, str]) -> Domain:
    values = table.records.columns[name]
    if values.dtype == np.float64 and not hierarchy:
        numbers = table.records.numbers(name)
        known = np.unique(numbers[~np.isnan(numbers)])
        if not len(known):
            raise StudyError(f"column {name!r} of {table.name} holds nothing: drop it.")
        return NumberDomain(name, tuple(known.tolist()))
    found = [word for word in np.unique(table.records.words(name)).tolist() if word]
    if not found:
        raise StudyError(f"column {name!r} of {table.name} holds nothing: drop it.")
    if hierarchy and (homeless := [word for word in found if word not in hierarchy]):
        raise StudyError(f"the hierarchy of {name!r} has no group for {homeless[0]!r}, which {table.name} holds.")
    return WordDomain(name, tuple(found), hierarchy)


def _codes(table: Table, domain: Domain) -> Codes:
    if isinstance(domain, NumberDomain):
        return domain.codes(table.records.numbers(domain.name))
    return domain.codes(table.records.words(domain.name))


def _sensitive(table: Table, name: str) -> tuple[Codes, int]:
    """Codes in an order that means something where values are numbers, and how many there are."""
    if not name:
        return np.zeros(len(table.records), np.int64), 1
    codes = _codes(table, _domain(table, name, {}))
    return codes, int(codes.max()) + 1


def _linked(table: Table, wanted: Wanted, group: NDArray[np.int64]) -> Linked:
    """Of those whose rows are released."""
    kept = group >= 0
    side = {name: table.records.numbers(name)[kept] for name in wanted.side or {}}
    sensitive = table.records.words(wanted.sensitive)[kept] if wanted.sensitive else None
    return linked(group[kept], side, wanted.side or {}, sensitive)
