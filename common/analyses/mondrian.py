"""A k-anonymous partition of all hospitals' rows, from counts alone (Mondrian, LeFevre et al. 2006)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from common.anonymity.criteria import Criteria, Distance, Diversity
from common.anonymity.domains import Codes, Domain, NumberDomain, WordDomain
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
    l and t are about, its values in `words`. k, l, t, diversity, distance: what every group keeps.
    """

    discloses: ClassVar[str] = (
        "How many patients of all hospitals hold each value of each column, in every group down to the smallest: "
        "counts of at least k in the end, and of single values within a group."
    )
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

    def __post_init__(self) -> None:
        if self.criteria.needs_sensitive and not self.sensitive:
            raise StudyError("l-diversity and t-closeness need the name of the sensitive column.")

    @property
    def criteria(self) -> Criteria:
        """What every group keeps."""
        return Criteria(self.k, self.l, self.t, self.diversity, self.distance)

    def domains(self, levels: Mapping[str, tuple[str, ...]]) -> list[Domain]:
        """Of the quasi-identifiers. Raises StudyError where neither a range nor words of one are known."""
        return [self._domain(name, levels) for name in self.columns]

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round of all rows' sensitive values, then one for every depth of the tree."""
        domains, values = self.domains(public.levels), self._sensitive(public.levels)
        told = {name: words for name, words in public.levels.items() if name in (*self.columns, self.sensitive)}
        total = yield Query({"rows": counts(len(values) + 1)}, told, "everybody")
        everybody = total.count("rows")
        if not self.criteria.hold(everybody[None], everybody)[0]:
            raise AnalysisError(
                f"all {int(everybody.sum())} rows together do not keep k = {self.k}, l = {self.l:g}, t = {self.t:g}."
            )
        tree, groups = yield from self._cut(domains, everybody, told)
        return _answer(self, domains, tree, groups)

    def _cut(
        self, domains: list[Domain], everybody: Ints, told: Mapping[str, tuple[str, ...]]
    ) -> Generator[Query, Total, tuple[Tree, tuple[Group, ...]]]:
        asked = partition_rounds(domains, self.criteria, everybody)
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
        domains, values = self.domains(levels), self._sensitive(levels)
        sensitive = WordDomain(self.sensitive, values, {}).codes(records.words(self.sensitive)) if values else None
        sensitive = np.zeros(len(records), np.int64) if sensitive is None else sensitive
        if query.step == "everybody":
            return {"rows": np.bincount(sensitive, minlength=len(values) + 1)}
        codes = codes_of(domains, records)
        ints = {name: told.astype(np.int64) for name, told in query.tells.items() if not isinstance(told, tuple)}
        tree = ints["column"], ints["cut"], ints["child"]
        parts = parts_of(domains, tree, ints["node"])
        found = counted(codes, sensitive, len(values) + 1, nodes_of(codes, tree), parts)
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

    def _sensitive(self, levels: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        if not self.sensitive:
            return ()
        known = self.words.get(self.sensitive) or levels.get(self.sensitive)
        if not known:
            raise StudyError(f"what the sensitive column {self.sensitive!r} may hold must be said in words.")
        return tuple(known)


def _answer(analysis: Mondrian, domains: list[Domain], tree: Tree, groups: tuple[Group, ...]) -> Answer:
    has, loss = achieved(groups, analysis.criteria), information_loss(domains, groups)
    released: list[tuple[Cell, ...]] = [(*words(domains, group), group.rows) for group in groups]
    column, cut, child = tree.arrays()
    numbers: dict[str, Any] = {
        "rows": sum(group.rows for group in groups),
        "groups": [dict(zip((*analysis.columns, "rows"), row, strict=True)) for row in released],
        "information_loss": loss,
        "achieved": has,
        "tree": {"column": column.tolist(), "cut": cut.tolist(), "child": child.tolist()},
    }
    shown = tuple(sorted(released, key=lambda row: -cast(int, row[-1]))[:MOST_ROWS_SHOWN])
    note = f"The {len(shown)} largest of {len(groups)} groups." if len(shown) < len(groups) else ""
    table = Table("Groups that are released alike", (*analysis.columns, "rows"), shown, note)
    sentence = (
        f"{numbers['rows']} rows in {len(groups)} groups of at least {has['k']:g}: on average a released value spans "
        f"{loss:.1%} of what its column may hold."
    )
    return Answer(numbers, (table,), words=(sentence,))


def codes_of(domains: list[Domain], records: Records) -> Codes:
    """(N, columns) of all rows."""
    columns = [
        one.codes(records.numbers(one.name)) if isinstance(one, NumberDomain) else one.codes(records.words(one.name))
        for one in domains
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(records), 0), np.int64)


analysis: type[Analysis] = Mondrian
