"""The two rounds that every regression begins with: how large columns are, then the products of all pairs of them.

From these alone, without rounding: whether a column is constant or given by others, means and spreads to standardise
by, and all of least squares.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import frexp

import numpy as np
from numpy.typing import NDArray

from common.analyses._design import INTERCEPT, Design, array_of
from common.analyses._exact_algebra import exact_fractions, exact_product, exact_zeros, from_upper, residuals, solved
from common.asking.analysis import Query, Told
from common.asking.exact_sums import Exact, Integers, Total, counts, exact_products, exact_sum, reals
from common.asking.records import Records
from common.errors import AnalysisError

SIZES, PRODUCTS = "sizes", "products"
STEPS = (SIZES, PRODUCTS)
OUTCOME_SCALES = "scales of outcomes"
EXACT_TOLERANCE = (64 * 2.0**-52) ** 2
"""Of a column's square: less is left by rounding the column itself."""
ROUNDED_TOLERANCE = 1e-16
"""Of a column's square about its mean, where rows are rounded once they are standardised."""
FARTHEST = 2.0**20
"""Spreads from the mean: no row of fewer than 2^38 lies beyond, since a spread is at most twice `spreads`."""

Sums = dict[str, NDArray[np.integer] | Integers]


@dataclass(frozen=True)
class Prepared:
    """rows: complete ones; missing: all others. products: (p + q, p + q), of the design's columns and the outcomes'.

    centres, spreads: (p,) by which a later round standardises; spreads are powers of two, the intercept stays 1.
    """

    design: Design
    rows: int
    missing: int
    products: Exact
    outcome_scales: tuple[float, ...]
    centres: NDArray[np.float64]
    spreads: NDArray[np.float64]
    empty_levels: tuple[str, ...] = ()
    also: Mapping[str, Told] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the design's columns."""
        return self.design.names

    def tells(self) -> dict[str, Told]:
        """What a hospital needs for `standardised`."""
        return {
            **self.also,
            **self.design.tells(),
            OUTCOME_SCALES: np.array(self.outcome_scales),
            "centres": self.centres,
            "spreads": self.spreads,
        }

    def words(self) -> tuple[str, ...]:
        """What was left out."""
        said = [f"{self.missing} rows are left out: a value is missing, or not among the levels."] * (
            self.missing > 0
        )
        said += [f"Nobody has {', '.join(self.empty_levels)}: left out of the model."] * bool(self.empty_levels)
        zeros = self.design.left_out
        said += [f"Nobody has {', '.join(zeros)} other than 0: left out of the model."] * bool(zeros)
        return tuple(said)

    def outcome_sum(self, place: int) -> Fraction:
        """Of one of the outcomes' columns over all rows."""
        return Fraction(self.products[0, len(self.names) + place]) * Fraction(self.outcome_scales[place])

    def standard_products(self) -> Exact:
        """`products` of standardised columns and of outcomes about their mean (the doubles that were told)."""
        size, width = len(self.names), len(self.products)
        change = exact_fractions(np.eye(width))
        for j in range(1, size):
            spread = Fraction(float(self.spreads[j]))
            change[j, j] = 1 / spread
            change[j, 0] = -Fraction(float(self.centres[j])) / spread
        for j in range(size, width):
            change[j, 0] = -Fraction(float(self.products[0, j] / self.rows))
        return exact_product(exact_product(change, self.products), change.T)

    def to_raw(self) -> Exact:
        """(p, p) by which coefficients of standardised columns become those of the columns as written.

        In units of the outcome's scale.
        """
        size = len(self.names)
        matrix = exact_zeros(size, size)
        matrix[0, 0] = Fraction(1)
        for j in range(1, size):
            matrix[j, j] = 1 / (Fraction(float(self.spreads[j])) * Fraction(self.design.column_scales[j]))
            matrix[0, j] = -Fraction(float(self.centres[j])) / Fraction(float(self.spreads[j]))
        return matrix


def preparation(
    design: Design,
    outcomes: int,
    also: Mapping[str, Told] | None = None,
    counts_unfit: bool = False,
    most_by_one: float | None = 1.0,
) -> Generator[Query, Total, Prepared]:
    """Both rounds. outcomes: how many further columns, such as the outcome and an exposure. also: told every time.

    counts_unfit: whether hospitals say how many rows say what cannot be, as a part `unfit`.
    most_by_one: by how many one row changes who is complete.

    Raises AnalysisError where there is no row, or a covariate is constant.
    """
    levels = sum(len(words) for words in design.levels.values())
    count = counts(most_by_one=most_by_one)
    of_levels = None if most_by_one is None else most_by_one * len(design.levels)
    sizes = {"rows": count, "missing": count, "levels": counts(levels, most_by_one=of_levels)}
    sizes |= {"unfit": count} if counts_unfit else {}
    size = reals(len(design.numeric) + outcomes)
    told = dict(also or {})
    total = yield Query({**sizes, "sizes": size}, {**told, **design.tells()}, SIZES)
    rows, missing = int(total.count("rows")), int(total.count("missing"))
    if counts_unfit and total.count("unfit"):
        raise AnalysisError(f"{total.count('unfit')} rows have a time below 0, or an event that is neither 0 nor 1.")
    if rows == 0:
        raise AnalysisError(f"of {missing} rows, none has all of {', '.join(design.columns)} and the outcome.")
    design, empty = _without_empty(design, total.count("levels").tolist())
    scales = [power_of_two(value / rows) for value in total["sizes"].tolist()]
    design = replace(design, scales=dict(zip(design.numeric, scales, strict=False)))
    outcome_scales = tuple(scales[len(design.numeric) :])
    width = len(design.names) + outcomes
    total = yield Query(
        {"products": reals(width * (width + 1) // 2)},
        {**told, **design.tells(), OUTCOME_SCALES: np.array(outcome_scales)},
        PRODUCTS,
    )
    products = from_upper(total.exact("products"), width)
    return replace(_prepared(design, rows, missing, products, outcome_scales), empty_levels=empty, also=told)


def preparation_sums(
    query: Query, design: Design, kept: Records, outcomes: NDArray[np.float64], missing: int
) -> Sums:
    """The hospital's half of both rounds. kept: complete rows. outcomes: (N, q) as written. missing: other rows."""
    if query.step == SIZES:
        words = [records_of_level(kept, name, levels) for name, levels in design.levels.items()]
        numbers = [kept.numbers(name) for name in design.numeric]
        return {
            "rows": np.array(len(kept)),
            "missing": np.array(missing),
            "levels": np.concatenate([np.zeros(0, dtype=np.int64), *words]),
            "sizes": exact_sum(np.abs(np.concatenate([stacked(numbers, len(kept)), outcomes], axis=1))),
        }
    scaled = outcomes / array_of(query.tells, OUTCOME_SCALES)
    return {"products": upper_products(np.concatenate([design.rows(kept), scaled], axis=1))}


def demand_independent(prepared: Prepared, rounded: bool = False) -> None:
    """Raise AnalysisError where a column of the design is given by those before it. rounded: nearly is enough."""
    size = len(prepared.names)
    if prepared.rows < size:
        raise AnalysisError(f"{prepared.rows} complete rows cannot tell of {size} coefficients.")
    products = prepared.products[:size, :size]
    left = residuals(products)
    for j in range(1, size):
        square = products[j, j] - products[0, j] ** 2 / prepared.rows
        limit = square * Fraction(ROUNDED_TOLERANCE) if rounded else products[j, j] * Fraction(EXACT_TOLERANCE)
        if j >= len(left) or left[j] <= limit:
            raise AnalysisError(_dependence(prepared, products, j))


def standardised(design: Design, tells: Mapping[str, Told], kept: Records) -> NDArray[np.float64]:
    """(N, p) of a later round, each column's mean near 0 and its spread near 1.

    What is told follows from the same rows, of which none lies beyond FARTHEST; of other rows it may.
    """
    rows = (design.rows(kept) - array_of(tells, "centres")) / array_of(tells, "spreads")
    return np.clip(rows, -FARTHEST, FARTHEST)


def linear_predictor(rows: NDArray[np.float64], coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """rows @ coefficients, term by term: a library's product may round a row by where it stands among others."""
    total = np.zeros(len(rows))
    for j, coefficient in enumerate(coefficients.tolist()):
        total += rows[:, j] * coefficient
    return total


def upper_products(rows: NDArray[np.float64]) -> Integers:
    """The exact sum over rows of products of all pairs of columns, the upper triangle row by row."""
    width = rows.shape[1]
    parts = [exact_products(np.repeat(rows[:, i : i + 1], width - i, axis=1), rows[:, i:]) for i in range(width)]
    return np.concatenate(parts)


def upper_weighted(rows: NDArray[np.float64], weights: NDArray[np.float64]) -> Integers:
    """The exact sum over rows of weighted products, each rounded by itself."""
    weighted = rows * weights[:, None]
    return np.concatenate([exact_sum(weighted[:, i : i + 1] * rows[:, i:]) for i in range(rows.shape[1])])


def upper_of_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, p) to (N, p (p + 1) / 2): products of all pairs of columns, row by row of the upper triangle."""
    i, j = np.triu_indices(rows.shape[1])
    return np.asarray(rows[:, i] * rows[:, j])


def power_of_two(value: float) -> float:
    """The one below a positive number; 1 for 0."""
    return 2.0 ** (frexp(value)[1] - 1) if value > 0 else 1.0


def stacked(columns: list[NDArray[np.float64]], rows: int) -> NDArray[np.float64]:
    """(rows, number of columns), also of none."""
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0))


def records_of_level(records: Records, name: str, levels: tuple[str, ...]) -> NDArray[np.int64]:
    """How many rows hold each level."""
    words = records.words(name)
    return np.array([np.count_nonzero(words == level) for level in levels], dtype=np.int64)


def _without_empty(design: Design, rows: list[int]) -> tuple[Design, tuple[str, ...]]:
    of_column: dict[str, tuple[int, ...]] = {}
    for name, words in design.levels.items():
        of_column[name], rows = tuple(rows[: len(words)]), rows[len(words) :]
    empty = tuple(
        f"{name}={word}"
        for name, words in design.levels.items()
        for word, n in zip(words, of_column[name], strict=True)
        if not n
    )
    smaller = design.without_empty_levels(of_column)
    constant = [name for name, words in smaller.levels.items() if len(words) < 2]
    if constant:
        only = smaller.levels[constant[0]]
        raise AnalysisError(f"covariate {constant[0]!r} is {only[0]!r} in every complete row: leave it out.")
    return smaller, empty


def _prepared(design: Design, rows: int, missing: int, products: Exact, scales: tuple[float, ...]) -> Prepared:
    size, plain = len(design.names), {INTERCEPT, *design.numeric}
    kept = [j for j in range(len(products)) if j >= size or products[j, j] > 0 or design.names[j] in plain]
    zeros = tuple(name for j, name in enumerate(design.names) if j not in kept)
    smaller = replace(design, left_out=zeros)
    products = products[np.ix_(kept, kept)]
    centres, spreads = np.zeros(len(smaller.names)), np.ones(len(smaller.names))
    for j in range(1, len(smaller.names)):
        mean = products[0, j] / rows
        centres[j] = float(mean)
        spreads[j] = power_of_two(float(products[j, j] / rows - mean**2) ** 0.5)
    return Prepared(smaller, rows, missing, products, scales, centres, spreads)


def _dependence(prepared: Prepared, products: Exact, column: int) -> str:
    name, rows = prepared.names[column], prepared.rows
    square = products[column, column] - products[0, column] ** 2 / rows
    if square <= products[column, column] * Fraction(EXACT_TOLERANCE):
        return f"covariate {name!r} is the same in every complete row: leave it out."
    weights = solved(products[:column, :column], products[:column, column : column + 1])[:, 0]
    shares = [
        abs(float(weights[j])) * float(products[j, j] - products[0, j] ** 2 / rows) ** 0.5 for j in range(1, column)
    ]
    others = [
        prepared.names[j + 1] for j, share in enumerate(shares) if share > 1e-6 * max(*shares, float(square) ** 0.5)
    ]
    return f"covariate {name!r} is given by {', '.join(others)}: leave one of them out."
