"""A release of one table: cut, suppressed, and tried by whoever knows more of a person than the release hides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from common.anonymity.criteria import Criteria, rows_for
from common.anonymity.domains import Codes, Domain, NumberDomain, WordDomain
from common.anonymity.linkage import Linked, linked
from common.anonymity.partition import Counts, Group, Parts, Tree, counted, nodes_of, partition
from common.anonymity.release import achieved, information_loss, suppressible, words
from common.errors import StudyError
from experiments.anonymising.hierarchies import Meanings
from experiments.anonymising.table import Table


@dataclass(frozen=True)
class Wanted:
    """What a person asks for.

    quasi: columns by which somebody might be found. sensitive: what nobody is to learn, "" where that is not said.
    drop: columns that are not released. meanings: of columns, groups that stand for words, and orders.
    most_suppressed: share of rows that may be left out to keep the others precise. side: tolerance of each column
    that an adversary knows of a person beside the quasi-identifiers. person: the column that tells whose a row is
    where somebody has several; k is then of persons.
    """

    quasi: tuple[str, ...]
    criteria: Criteria
    sensitive: str = ""
    drop: tuple[str, ...] = ()
    meanings: Meanings = field(default_factory=Meanings)
    most_suppressed: float = 0.0
    side: Mapping[str, float] = field(default_factory=dict)
    person: str = ""

    @property
    def unreleased(self) -> tuple[str, ...]:
        """Columns of which the release has nothing."""
        return (*self.drop, *([self.person] if self.person else ()))


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
    named = (*wanted.quasi, *wanted.unreleased, *wanted.side, *([wanted.sensitive] if wanted.sensitive else ()))
    table.demand((*named, *wanted.meanings.columns))
    if not wanted.quasi:
        raise StudyError("name the columns by which somebody might be found: --quasi age --quasi sex.")
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise StudyError(f"column {twice[0]!r} is named for two purposes; each has one.")
    if wanted.criteria.needs_sensitive and not wanted.sensitive:
        raise StudyError("l-diversity and t-closeness are about a sensitive column: name it with --sensitive.")
    if wanted.criteria.distance == "hierarchical" and wanted.sensitive not in wanted.meanings.groups:
        raise StudyError(f"a hierarchical distance needs groups of {wanted.sensitive!r}: give them with --hierarchy.")
    if not 0 <= wanted.most_suppressed < 1:
        raise StudyError(f"the share of rows left out must be from 0 to below 1; it is {wanted.most_suppressed:g}.")


def release_of(table: Table, wanted: Wanted) -> Release:
    """Cut the table. Raises StudyError where all rows together do not keep the criteria."""
    check(table, wanted)
    domains = [domain_of(table, name, wanted.meanings) for name in wanted.quasi]
    codes = codes_of(table, domains)
    sensitive, values, criteria = _sensitive(table, wanted)
    everybody = np.bincount(sensitive, minlength=values)
    if not criteria.hold(everybody[None], everybody)[0]:
        raise StudyError(
            f"all {len(codes)} rows of {table.name} together do not keep k = {wanted.criteria.k}, "
            f"l = {criteria.l:g}: take less, or more rows."
        )
    tree, groups = partition(domains, criteria, everybody, partial(_counts, codes, sensitive, values))
    kept = suppressible(domains, groups, criteria, wanted.most_suppressed)
    place = {group.node: index for index, group in enumerate(kept)}
    nodes = nodes_of(codes, tree.arrays())
    group = np.array([place.get(node, -1) for node in nodes.tolist()], dtype=np.int64)
    has, loss = dict(achieved(kept, criteria)), information_loss(domains, kept)
    if wanted.person:
        has["k"] = _fewest_persons(table, wanted.person, group)
    return Release(tuple(domains), kept, group, loss, has, linked_in(table, wanted, group))


def rows_of(table: Table, wanted: Wanted, release: Release) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows as they are released, sorted, so that no place in the file tells whose a row is."""
    beside = [name for name in table.columns if name not in (*wanted.quasi, *wanted.unreleased)]
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
    found = []
    for k in ks:
        try:
            found.append((k, release_of(table, replace(wanted, criteria=replace(wanted.criteria, k=k)))))
        except StudyError:
            # So many rows, or persons, that all of them together are too few; whoever asked for one k had it said.
            if k <= wanted.criteria.k:
                raise
    return found


def _counts(codes: Codes, sensitive: Codes, values: int, tree: Tree, parts: Parts) -> Counts:
    return counted(codes, sensitive, values, nodes_of(codes, tree.arrays()), parts)


def domain_of(table: Table, name: str, meanings: Meanings) -> Domain:
    """What a column may hold: what it does hold. Raises StudyError where that is nothing."""
    hierarchy, order = meanings.groups.get(name, {}), meanings.orders.get(name, ())
    values, days = table.records.columns[name], table.days(name)
    if (values.dtype == np.float64 or days is not None) and not hierarchy and not order:
        numbers = table.records.numbers(name) if days is None else days
        known = np.unique(numbers[~np.isnan(numbers)])
        if not len(known):
            raise StudyError(f"column {name!r} of {table.name} holds nothing: drop it.")
        return NumberDomain(name, tuple(known.tolist()), dates=days is not None)
    found = [word for word in np.unique(table.records.words(name)).tolist() if word]
    if not found:
        raise StudyError(f"column {name!r} of {table.name} holds nothing: drop it.")
    for known_words, said in ((hierarchy, "the hierarchy"), (order, "the order")):
        if known_words and (homeless := [word for word in found if word not in known_words]):
            raise StudyError(f"{said} of {name!r} has no place for {homeless[0]!r}, which {table.name} holds.")
    return WordDomain(name, tuple(word for word in order if word in found) or tuple(found), hierarchy)


def codes_of(table: Table, domains: Sequence[Domain]) -> Codes:
    """(N, domains)."""
    return np.stack([_codes(table, domain) for domain in domains], axis=1)


def side_of(table: Table, name: str, tolerance: float) -> NDArray[np.float64]:
    """A column as somebody may know it: numbers, days, or words, which are known or are not."""
    days = table.days(name)
    if days is not None or table.records.columns[name].dtype == np.float64:
        return table.records.numbers(name) if days is None else days
    if tolerance:
        raise StudyError(f"column {name!r} holds words, which are known or are not: say --side {name}.")
    words = table.records.words(name)
    codes = np.unique(words, return_inverse=True)[1].reshape(-1).astype(np.float64)
    return np.where(words == "", np.nan, codes)


def linked_in(table: Table, wanted: Wanted, group: NDArray[np.int64]) -> Linked:
    """Who is found of those whose rows are released."""
    kept = group >= 0
    side = {name: side_of(table, name, tolerance)[kept] for name, tolerance in wanted.side.items()}
    sensitive = table.records.words(wanted.sensitive)[kept] if wanted.sensitive else None
    return linked(group[kept], side, wanted.side, sensitive)


def _codes(table: Table, domain: Domain) -> Codes:
    if isinstance(domain, WordDomain):
        return domain.codes(table.records.words(domain.name))
    days = table.days(domain.name) if domain.dates else None
    return domain.codes(table.records.numbers(domain.name) if days is None else days)


def _sensitive(table: Table, wanted: Wanted) -> tuple[Codes, int, Criteria]:
    """Codes in an order that means something, how many there are, and what groups must keep of them, in rows."""
    criteria = wanted.criteria
    if wanted.person:
        criteria = replace(criteria, k=rows_for(criteria.k, table.rows_of_one(wanted.person)))
    if not wanted.sensitive:
        return np.zeros(len(table.records), np.int64), 1, criteria
    by_tree = criteria.distance == "hierarchical"
    domain = domain_of(table, wanted.sensitive, wanted.meanings if by_tree else Meanings({}, wanted.meanings.orders))
    if isinstance(domain, WordDomain) and by_tree:
        criteria = replace(criteria, branches=domain.branches)
    return _codes(table, domain), len(domain), criteria


def _fewest_persons(table: Table, person: str, group: NDArray[np.int64]) -> float:
    """Of any group; rows that name nobody are of a person each."""
    words = table.records.words(person)
    nameless = np.array([f"row {row}" for row in range(len(words))])
    pairs = np.unique(np.stack([group.astype(np.str_), np.where(words == "", nameless, words)]), axis=1)[0]
    return float(np.unique(pairs[pairs != "-1"], return_counts=True)[1].min())
