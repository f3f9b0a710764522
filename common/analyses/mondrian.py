"""A k-anonymous partition of all hospitals' rows, from counts alone (Mondrian, LeFevre et al. 2006)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from common.anonymity.criteria import Criteria, Distance, Diversity, rows_for
from common.anonymity.domains import Codes, Domain, NumberDomain, WordDomain
from common.anonymity.handed import as_json
from common.anonymity.partition import Group, Ints, Tree, counted, nodes_of, partition_rounds, parts_of
from common.anonymity.release import achieved, information_loss, words
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Cell, Table
from common.asking.exact_sums import Integers, Total, counts
from common.asking.records import Records
from common.errors import AnalysisError, StudyError

MOST_ROWS_SHOWN = 50


@dataclass(frozen=True)
class Mondrian:
    """columns: quasi-identifiers, by which somebody might be found.

    ranges: of each that holds numbers, low, high and step of a public grid. words: of each that holds words, all of
    them. groups: of a column, the group that stands for a word, and of a group its own. sensitive: the column that
    l and t are about, its values in `words`, in their order where they have one. k, l, t, diversity, distance, c:
    what every group keeps. rows_of_one: the most rows that a person has, so that k is of persons; 1: k is of rows.
    """

    discloses: ClassVar[str] = (
        "How many patients of all hospitals hold each value of each column, in every group down to the smallest: "
        "counts of at least k in the end, and of single values within a group."
    )
    without_noise: ClassVar[str] = "its groups hold k rows by counts as they are, and noise would say k of fewer."
    columns: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    sensitive: str = ""
    k: int = 5
    l: float = 1.0  # noqa: E741 - the field's own name
    t: float = 1.0
    diversity: Diversity = "distinct"
    distance: Distance = "equal"
    c: float = 1.0
    rows_of_one: int = 1

    def __post_init__(self) -> None:
        if self._criteria(None).needs_sensitive and not self.sensitive:
            raise StudyError("l-diversity and t-closeness need the name of the sensitive column.")
        if not self.columns or len({*self.columns, self.sensitive}) < len(self.columns) + 1:
            raise StudyError("name one column at least, each once, and the sensitive one not among them.")
        if self.distance == "hierarchical" and self.sensitive not in self.groups:
            raise StudyError(f"a hierarchical distance needs the groups of {self.sensitive!r}: groups.")

    def _criteria(self, sensitive: WordDomain | None) -> Criteria:
        branches = sensitive.branches if sensitive is not None and self.distance == "hierarchical" else ()
        return Criteria(
            rows_for(self.k, self.rows_of_one), self.l, self.t, self.diversity, self.distance, self.c, branches
        )

    def domains(self, levels: Mapping[str, tuple[str, ...]]) -> list[Domain]:
        """Of the quasi-identifiers. Raises StudyError where neither a range nor words of one are known."""
        return [self._domain(name, levels) for name in self.columns]

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round of all rows' sensitive values, then one for every depth of the tree."""
        domains, sensitive = self.domains(public.levels), self._sensitive(public.levels)
        criteria, values = self._criteria(sensitive), 1 if sensitive is None else len(sensitive)
        told = {name: words for name, words in public.levels.items() if name in (*self.columns, self.sensitive)}
        total = yield Query({"rows": counts(values)}, told, "everybody")
        everybody = total.count("rows")
        if not criteria.hold(everybody[None], everybody)[0]:
            raise AnalysisError(
                f"all {int(everybody.sum())} rows together do not keep k = {self.k}, l = {self.l:g}, t = {self.t:g}."
            )
        tree, groups = yield from self._cut(domains, criteria, everybody, told)
        return _answer(self, criteria, domains, tree, groups)

    def _cut(
        self, domains: list[Domain], criteria: Criteria, everybody: Ints, told: Mapping[str, tuple[str, ...]]
    ) -> Generator[Query, Total, tuple[Tree, tuple[Group, ...]]]:
        asked = partition_rounds(domains, criteria, everybody)
        tree, parts = next(asked)
        while True:
            column, cut, child = tree.arrays()
            tells = {"column": column, "cut": cut, "child": child, "node": parts.node}
            shapes = {
                f"column {index}": counts(int(parts.starts(index)[-1]), len(everybody))
                for index in range(len(domains))
            }
            query = Query(shapes, {**told, **{name: one.astype(np.float64) for name, one in tells.items()}}, "parts")
            total = yield query
            try:
                tree, parts = asked.send([total.count(name) for name in shapes])
            except StopIteration as end:
                return cast(tuple[Tree, tuple[Group, ...]], end.value)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """This hospital's counts."""
        levels = {name: told for name, told in query.tells.items() if isinstance(told, tuple)}
        domains, sensitive = self.domains(levels), self._sensitive(levels)
        _check_rows(records, self.rows_of_one)
        values = 1 if sensitive is None else len(sensitive)
        held = np.zeros(len(records), np.int64)
        if sensitive is not None:
            held = sensitive.codes(records.words(self.sensitive))
        if query.step == "everybody":
            return {"rows": np.bincount(held, minlength=values)}
        codes = codes_of(domains, records)
        ints = {name: told.astype(np.int64) for name, told in query.tells.items() if not isinstance(told, tuple)}
        tree = ints["column"], ints["cut"], ints["child"]
        parts = parts_of(domains, tree, ints["node"])
        found = counted(codes, held, values, nodes_of(codes, tree), parts)
        return {f"column {index}": one for index, one in enumerate(found)}

    def _domain(self, name: str, levels: Mapping[str, tuple[str, ...]]) -> Domain:
        if name in self.ranges:
            return NumberDomain.grid(name, *self.ranges[name])
        known = self.words.get(name) or levels.get(name)
        if not known:
            raise StudyError(
                f"nothing is known of what column {name!r} may hold: give its range (low, high, step) in ranges, or "
                "its words in words."
            )
        return WordDomain(name, tuple(known), self.groups.get(name, {}))

    def _sensitive(self, levels: Mapping[str, tuple[str, ...]]) -> WordDomain | None:
        if not self.sensitive:
            return None
        known = self.words.get(self.sensitive) or levels.get(self.sensitive)
        if not known:
            raise StudyError(f"what the sensitive column {self.sensitive!r} may hold must be said in words.")
        tree = self.groups.get(self.sensitive, {}) if self.distance == "hierarchical" else {}
        return WordDomain(self.sensitive, tuple(known), tree)


def _answer(
    analysis: Mondrian, criteria: Criteria, domains: list[Domain], tree: Tree, groups: tuple[Group, ...]
) -> Answer:
    has, loss = achieved(groups, criteria), information_loss(domains, groups)
    released: list[tuple[Cell, ...]] = [(*words(domains, group), group.rows) for group in groups]
    numbers: dict[str, Any] = {
        "rows": sum(group.rows for group in groups),
        "groups": [dict(zip((*analysis.columns, "rows"), row, strict=True)) for row in released],
        "information_loss": loss,
        "achieved": has,
        "partition": as_json(domains, tree, groups),
    }
    shown = tuple(sorted(released, key=lambda row: -cast(int, row[-1]))[:MOST_ROWS_SHOWN])
    note = f"The {len(shown)} largest of {len(groups)} groups." if len(shown) < len(groups) else ""
    table = Table("Groups that are released alike", (*analysis.columns, "rows"), shown, note)
    sentence = (
        f"{numbers['rows']} rows in {len(groups)} groups of at least {has['k']:g}: on average a released value spans "
        f"{loss:.1%} of what its column may hold."
    )
    return Answer(numbers, (table,), words=(sentence,))


def _check_rows(records: Records, most: int) -> None:
    """Where more than one row a person is foreseen at all."""
    if most > 1 and len(records) and int(np.unique(records.persons, return_counts=True)[1].max()) > most:
        raise StudyError(f"a person has more rows than rows_of_one = {most} foresees.")


def codes_of(domains: list[Domain], records: Records) -> Codes:
    """(N, columns) of all rows."""
    columns = [
        one.codes(records.numbers(one.name)) if isinstance(one, NumberDomain) else one.codes(records.words(one.name))
        for one in domains
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(records), 0), np.int64)


analysis: type[Analysis] = Mondrian
