"""Baseline characteristics: of every column what a first table shows, in all patients and in groups side by side."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from common.analyses._words import short
from common.analyses.mean import Mean
from common.analyses.median import Median
from common.analyses.proportion import Proportion
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Cell, Table
from common.asking.exact_sums import Integers, Total
from common.asking.grouped import Grouped
from common.asking.groups import levels_of, parsed
from common.asking.records import Records
from common.asking.relays import Conversation, parts_for, queries_in, side_by_side
from common.errors import AnalysisError, StudyError

STEP, ALL = "baseline", "all"
Found = Mapping[str, Any] | None
"""An analysis's numbers; None where it has none."""


@dataclass(frozen=True)
class Baseline:
    """columns: of any kind; a column whose levels are named is one of categories. group: they are shown by it too.

    Of two groups standardised differences are shown (Austin 2009; of several levels Yang and Dalton 2012).
    resolution: quartiles are found to within it; 0: exactly.
    """

    discloses: ClassVar[str] = (
        "Of every column, and in every group, how many rows are in each level; or sums of values and of those "
        "squared, and how many lie between cuts that close in on the quartiles, which are values of single patients."
    )
    without_noise: ClassVar[str] = (
        "its rounds close in on single values; private_quantile and quantile_tree take noise."
    )
    compared: ClassVar[str] = "group"
    columns: tuple[str, ...]
    group: str = ""
    levels: tuple[str, ...] = ()
    resolution: float = 0.0

    def __post_init__(self) -> None:
        if not self.columns or len(set(self.columns)) < len(self.columns) or self.group in self.columns:
            raise StudyError(
                f"baseline.columns are different ones, and not the group; they are {list(self.columns)}."
            )

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """All columns in the same rounds, as many as the slowest quartile takes."""
        named = {**public.levels, **dict(parsed(text) for text in self.levels)}
        asked = {name: one.ask(public) for name, one in self._parts(tuple(named)).items()}
        found = yield from side_by_side({name: _settled(one) for name, one in asked.items()}, STEP)
        groups = levels_of(self.group, self.levels, public) if self.group else ()
        each = {level: {name: _of(found, name, level) for name in found} for level in (ALL, *groups)}
        if all(one is None for one in each[ALL].values()):
            raise AnalysisError(f"nothing is known of {', '.join(self.columns)}: there are no two rows with a value.")
        kinds = {name: name in named for name in self.columns}
        return self._answer(each, kinds, groups)

    def _parts(self, named: tuple[str, ...]) -> dict[str, Analysis]:
        """What is asked, by a letter for its kind and the place of its column; g before it in groups."""
        plain: dict[str, Analysis] = {}
        for place, column in enumerate(self.columns):
            if column in named:
                plain[f"p{place}"] = Proportion(column, self.levels)
            else:
                plain |= {f"m{place}": Mean(column), f"q{place}": Median(column, self.resolution)}
        if not self.group:
            return plain
        grouped = {f"g{name}": Grouped(one, self.group, self.levels) for name, one in plain.items()}
        return {**plain, **cast(dict[str, Analysis], grouped)}

    def _answer(
        self, each: Mapping[str, Mapping[str, Found]], kinds: Mapping[str, bool], groups: tuple[str, ...]
    ) -> Answer:
        rows: list[tuple[Cell, ...]] = []
        numbers: dict[str, Any] = {}
        for place, (column, is_category) in enumerate(kinds.items()):
            difference = _difference(each, place, is_category, groups)
            own = {level: _numbers_of(one, place, is_category) for level, one in each.items()}
            numbers[column] = {"groups": own, "standardised_difference": difference}
            rows += _rows(column, own, is_category, difference, len(groups) == 2)
        header = ("", "", *each, *(("standardised difference",) if len(groups) == 2 else ()))
        note = "Mean (standard deviation), median [quartiles]; n (share of those known)."
        title = "Baseline characteristics" + (f" by {self.group}" if self.group else "")
        return Answer({"columns": numbers}, (Table(title, header, tuple(rows), note),))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """What each of the parts that are still asked adds."""
        named = tuple(name for place, name in enumerate(self.columns) if self._is_category(place, query))
        parts = self._parts(named)
        return parts_for({name: parts[name].summarise(records, own) for name, own in queries_in(query).items()})

    def _is_category(self, place: int, query: Query) -> bool:
        names = {str(one).partition(".")[0] for one in query.tells["steps"]}
        return bool(names & {f"p{place}", f"gp{place}"})


def _settled(asked: Conversation[Answer]) -> Conversation[Found]:
    """Its numbers, or None where it has no answer."""
    try:
        return (yield from asked).numbers
    except AnalysisError:
        return None


def _of(found: Mapping[str, Found], name: str, level: str) -> Found:
    """Of one group, or of all."""
    if level == ALL:
        return None if name.startswith("g") else found[name]
    grouped = found.get(f"g{name}")
    groups: Mapping[str, Found] = {} if grouped is None else grouped["groups"]
    return groups.get(level)


def _numbers_of(found: Mapping[str, Found], place: int, is_category: bool) -> dict[str, Any] | None:
    if is_category:
        one = found.get(f"p{place}")
        return None if one is None else {"n": one["n"], "missing": one["missing"], "levels": one["levels"]}
    mean, median = found.get(f"m{place}"), found.get(f"q{place}")
    if median is None:
        return None
    keys = ("n", "missing", "median", "first_quartile", "third_quartile")
    spread = {key: None if mean is None else mean[key] for key in ("mean", "standard_deviation")}
    return {**{key: median[key] for key in keys}, **spread}


def _rows(
    column: str, own: Mapping[str, Any], is_category: bool, difference: float | None, shown: bool
) -> list[tuple[Cell, ...]]:
    last: tuple[Cell, ...] = (difference,) if shown else ()
    empty: tuple[Cell, ...] = ("",) if shown else ()
    missing = tuple(None if one is None else one["missing"] for one in own.values())
    if not is_category:
        said = (("mean (sd)", _mean), ("median [quartiles]", _median))
        rows = [(column, name, *(made(one) for one in own.values()), *last) for name, made in said]
        rows[1] = (*rows[1][: len(own) + 2], *empty)
    else:
        levels: Mapping[str, Any] = next((one["levels"] for one in own.values() if one is not None), {})
        rows = [(column, level, *(_share(one, level) for one in own.values()), *empty) for level in levels]
        rows[:1] = [(*one[: len(own) + 2], *last) for one in rows[:1]]
    return [*rows, (column, "missing", *missing, *empty)]


def _mean(one: Mapping[str, Any] | None) -> str | None:
    if one is None or one["mean"] is None:
        return None
    return f"{short(one['mean'])} ({short(one['standard_deviation'])})"


def _median(one: Mapping[str, Any] | None) -> str | None:
    if one is None:
        return None
    return f"{short(one['median'])} [{short(one['first_quartile'])}, {short(one['third_quartile'])}]"


def _share(one: Mapping[str, Any] | None, level: str) -> str | None:
    return None if one is None else f"{one['levels'][level]['n']} ({100 * one['levels'][level]['share']:.1f} %)"


def _difference(
    each: Mapping[str, Mapping[str, Found]], place: int, is_category: bool, groups: tuple[str, ...]
) -> float | None:
    """Of the second of two groups from the first; None of others, or where nothing varies."""
    if len(groups) != 2:
        return None
    first, second = (each[level].get(f"{'p' if is_category else 'm'}{place}") for level in groups)
    if first is None or second is None:
        return None
    if not is_category:
        spread = sqrt((first["variance"] + second["variance"]) / 2)
        return float((second["mean"] - first["mean"]) / spread) if spread else None
    return standardised(*([level["share"] for level in one["levels"].values()] for one in (first, second)))


def standardised(first: list[float], second: list[float]) -> float | None:
    """Mahalanobis' distance of two vectors of shares; of two levels with the sign of the second's difference."""
    shares = np.array([first, second])[:, 1:]
    change = shares[1] - shares[0]
    spread = np.mean([np.diag(one) - np.outer(one, one) for one in shares], axis=0)
    kept = np.diag(spread) > 0
    if not kept.any() or not change.any():
        return None if change.any() else 0.0
    squared = float(change[kept] @ np.linalg.lstsq(spread[np.ix_(kept, kept)], change[kept])[0])
    return sqrt(max(squared, 0.0)) * (np.sign(change[0]).item() if len(change) == 1 else 1.0)


analysis: type[Analysis] = Baseline
