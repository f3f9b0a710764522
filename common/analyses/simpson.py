"""Simpson's paradox: whether a difference between two groups changes its sign within hospitals, or other strata."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from common.analyses._reversal import SUMS, Aggregate, Arm, Within, reversal_of, stratum_difference
from common.analyses._reversal_answer import Compared, Names, Stratum, answer_of
from common.asking.abilities import SITE
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer
from common.asking.exact_sums import Integers, Part, Total, counts, exact_products, exact_sum, reals
from common.asking.groups import codes, levels_of, parsed, two_of
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from common.study.spelling import unknown

ARMS, STRATA, EVENT, WHOLE = "groups", "strata", "event", "aggregate"
CELLS, SIGNS = "cells", "signs"
SIGN_WORDS = ("surely more", "more", "less", "surely less", "not known")
SURE_Z = 1.96


@dataclass(frozen=True)
class Simpson:
    """outcome: a column of numbers, or of words with `event_is`. exposure: a column of two levels; second less first.

    strata: site, or a column of categories. event_is: the word of the outcome that is counted; where levels of the
    outcome are named, the second of two if not given. levels: such as ("sex=female|male",). reveal: every hospital's
    own numbers, or how many hospitals have which sign and nothing of a single one, where strata are hospitals.
    """

    discloses: ClassVar[str] = (
        "For each stratum and group, how many rows there are, their sum and that of their squares: where strata are "
        "hospitals, each hospital's own; with reveal = signs, these of all hospitals together, how many hospitals "
        "have which sign, and the sum of their weighted differences."
    )
    compared: ClassVar[str] = "strata"
    outcome: str
    exposure: str
    strata: str = SITE
    event_is: str = ""
    levels: tuple[str, ...] = ()
    reveal: Literal["hospitals", "signs"] = "hospitals"

    @property
    def of_hospitals(self) -> bool:
        """Where each hospital's own numbers are asked for."""
        return self.strata == SITE and self.reveal == "hospitals"

    @property
    def whole_hospitals(self) -> bool:
        """Where a hospital works its sign out itself."""
        return self.reveal == "signs"

    @property
    def least_hospitals(self) -> int:
        """Of two, how many have which sign tells which one has."""
        return 3 if self.reveal == "signs" else 1

    @property
    def most_rounds(self) -> int:
        """The second where only signs are revealed."""
        return 2 if self.reveal == "signs" else 1

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round; two where only signs are revealed."""
        first, second = two_of(self.exposure, self.levels, public)
        strata = levels_of(self.strata, self.levels, public)
        event = self._event(public)
        names = Names(self.outcome, event[0] if event else "", self.exposure, first, second, self.strata)
        if len(strata) < 2:
            raise StudyError(f"column {self.strata!r} has one level; differences within strata need two or more.")
        if self.reveal == "signs":
            return (yield from self._ask_for_signs(names, event))
        told = {ARMS: (first, second), STRATA: strata, EVENT: event}
        total = yield Query(_cell_parts(len(strata), event), told, CELLS)
        arms = _arms(total)
        aggregate = _aggregate(arms, names)
        within = [Within.of(*pair, aggregate) for pair in arms]
        compared = [
            Stratum(name, *pair, stratum_difference(*pair, aggregate.variance))
            for name, pair in zip(strata, arms, strict=True)
        ]
        reversal = reversal_of(aggregate, Within(*np.sum([one.values for one in within], axis=0).tolist()))
        return answer_of(names, Compared(aggregate, reversal, int(total.count("left_out")), tuple(compared)))

    def _ask_for_signs(self, names: Names, event: tuple[str, ...]) -> Generator[Query, Total, Answer]:
        if self.strata != SITE:
            raise StudyError(f"reveal = 'signs' is of hospitals; strata of {self.strata!r} are sums over them.")
        told = {ARMS: (names.first, names.second), EVENT: event}
        total = yield Query(_cell_parts(1, event), told, CELLS)
        left_out = int(total.count("left_out"))
        aggregate = _aggregate(_arms(total), names)
        whole = np.array(
            [[arm.n, arm.mean, arm.squares] for arm in (aggregate.first, aggregate.second)], dtype=np.float64
        ).ravel()
        parts = {"signs": counts(len(SIGN_WORDS), most_by_one=2.0), "within": reals(SUMS)}
        total = yield Query(parts, {**told, WHOLE: whole}, SIGNS)
        reversal = reversal_of(aggregate, Within(*total["within"].tolist()))
        signs = dict(zip(SIGN_WORDS, total.count("signs").tolist(), strict=True))
        return answer_of(names, Compared(aggregate, reversal, left_out, signs=signs))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Rows, sums and sums of squares of every group in every stratum; or this hospital's sign."""
        words = {name: tuple(map(str, told)) for name, told in query.tells.items() if name != WHOLE}
        strata = codes(records, self.strata, words[STRATA]) if STRATA in words else np.zeros(len(records), np.int64)
        arm = codes(records, self.exposure, words[ARMS])
        values = self._values(records, words[EVENT])
        used = (strata >= 0) & (arm >= 0) & ~np.isnan(values)
        cell, count = (2 * strata + arm)[used], 2 * max(len(words.get(STRATA, ())), 1)
        if query.step == SIGNS:
            return _own_sign(values[used], arm[used], np.asarray(query.tells[WHOLE], dtype=np.float64))
        sums: dict[str, NDArray[np.integer] | Integers] = {
            "n": np.bincount(cell, minlength=count).reshape(-1, 2),
            "left_out": np.array(len(records) - int(used.sum())),
        }
        if words[EVENT]:
            return sums | {"events": np.bincount(cell[values[used] == 1], minlength=count).reshape(-1, 2)}
        powers = [_powers(values[used][cell == index]) for index in range(count)]
        return sums | {"powers": np.stack(powers).reshape(-1, 2, 2)}

    def _event(self, public: Public) -> tuple[str, ...]:
        """The word that is counted, then all that are known where somebody named them; nothing of numbers."""
        named = dict(parsed(text) for text in self.levels)
        levels = named.get(self.outcome) or tuple(public.levels.get(self.outcome, ()))
        if self.event_is and levels and self.event_is not in levels:
            raise unknown(f"level of {self.outcome}", self.event_is, levels)
        if self.event_is:
            return self.event_is, *levels
        return (levels[1], *levels) if len(levels) == 2 else ()

    def _values(self, records: Records, event: tuple[str, ...]) -> NDArray[np.float64]:
        if not event:
            return records.numbers(self.outcome)
        words = records.words(self.outcome)
        known = np.isin(words, event[1:]) if len(event) > 1 else words != ""
        return np.where(known, words == event[0], np.nan)


def _cell_parts(strata: int, event: tuple[str, ...]) -> dict[str, Part]:
    parts = {"n": counts(strata, 2), "left_out": counts()}
    return parts | ({"events": counts(strata, 2)} if event else {"powers": reals(strata, 2, 2)})


def _powers(values: NDArray[np.float64]) -> Integers:
    ones = np.ones_like(values)
    return exact_products(np.stack([ones, values], axis=1), np.stack([values, values], axis=1))


def _arms(total: Total) -> list[tuple[Arm, Arm]]:
    """Of every stratum; counts under noise may be below 0, and there are then none."""
    n = total.count("n").tolist()
    if "events" in total.parts:
        powers = [[[min(max(k, 0), rows)] * 2 for k, rows in zip(*pair, strict=True)] for pair in _zipped(total)]
    else:
        powers = total.exact("powers").tolist()
    return [(_arm(rows[0], *sums[0]), _arm(rows[1], *sums[1])) for rows, sums in zip(n, powers, strict=True)]


def _zipped(total: Total) -> list[tuple[list[int], list[int]]]:
    rows = np.maximum(total.count("n"), 0).tolist()
    return list(zip(total.count("events").tolist(), rows, strict=True))


def _arm(n: int, first: Fraction | int, second: Fraction | int) -> Arm:
    if n <= 0:
        return Arm(0, 0.0, 0.0)
    mean = Fraction(first) / n
    return Arm(n, float(mean), float(second - mean * first))


def _aggregate(arms: list[tuple[Arm, Arm]], names: Names) -> Aggregate:
    whole = []
    for place, level in enumerate((names.first, names.second)):
        n = sum(pair[place].n for pair in arms)
        if not n:
            raise AnalysisError(
                f"nobody has {names.exposure} = {level!r} and a known outcome; there is no difference."
            )
        mean = sum(pair[place].n * pair[place].mean for pair in arms) / n
        squares = sum(pair[place].squares + pair[place].n * (pair[place].mean - mean) ** 2 for pair in arms)
        whole.append(Arm(n, mean, squares))
    return Aggregate(*whole)


def _own_sign(
    values: NDArray[np.float64], arm: NDArray[np.int64], told: NDArray[np.float64]
) -> Mapping[str, NDArray[np.integer] | Integers]:
    """One of SIGN_WORDS, and what `Within` holds of this hospital."""
    first, second = (Arm(int(n), float(mean), float(squares)) for n, mean, squares in told.reshape(2, 3))
    aggregate = Aggregate(first, second)
    own = (_arm_of(values[arm == 0]), _arm_of(values[arm == 1]))
    difference = stratum_difference(*own, aggregate.variance)
    if difference is None or not difference.value:
        place = SIGN_WORDS.index("not known")
    elif difference.value > 0:
        place = 0 if difference.z > SURE_Z else 1
    else:
        place = 3 if difference.z < -SURE_Z else 2
    signs = np.zeros(len(SIGN_WORDS), np.int64)
    signs[place] = 1
    return {"signs": signs, "within": exact_sum(np.array([Within.of(*own, aggregate).values]))}


def _arm_of(values: NDArray[np.float64]) -> Arm:
    if not len(values):
        return Arm(0, 0.0, 0.0)
    mean = float(values.mean())
    return Arm(len(values), mean, float(((values - mean) ** 2).sum()))


analysis: type[Analysis] = Simpson
