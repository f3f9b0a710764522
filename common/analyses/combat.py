"""Harmonisation of features over scanners (ComBat): each hospital corrects its own, from what all of them share."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses import _preparation as preparing
from common.analyses._design import Design, array_of, numbers_of
from common.analyses._exact_algebra import (
    SingularError,
    exact_fractions,
    exact_product,
    from_upper,
    residuals,
    solved,
)
from common.analyses._group_sums import means_by
from common.analyses._harmonising import (
    Corrections,
    Standard,
    corrections,
    harmonised,
    scanner_of,
    standard_rows,
)
from common.analyses._preparation import Prepared
from common.asking.analysis import Analysis, Public, Query, Told
from common.asking.answer import Answer, Cell, Figure, Series, Table
from common.asking.exact_sums import Exact, Integers, Total, counts, exact_sum, reals
from common.asking.records import Records
from common.errors import AnalysisError, StudyError

SIZES, WITHIN, CHECK = "sizes of features", "within scanners", "check"
CONFOUNDED = 1e-10
"""Of a covariate's square: less varies within scanners."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Combat:
    """features: columns of numbers. covariates: whose effect is kept, columns or two joined as `age:sex`; levels: of
    a column of words, as `sex=female|male`, the reference first. scanner: a column of words, whose scanners each
    stand in one hospital; where none is named, each hospital is one. empirical_bayes: whether a scanner's features
    lend strength to each other.

    The answer tells each hospital what it needs to correct its features itself, `corrected`: what the covariates do,
    and the mean and spread of all together. A hospital's own shift and scale stay there.
    """

    discloses: ClassVar[str] = (
        "Sums over all hospitals of each feature and of products within scanners, of which the covariates' effects "
        "and each feature's spread follow, and how much scanners differ before and after. No scanner's own shift or "
        "scale."
    )
    least_hospitals: ClassVar[int] = 2
    whole_hospitals: ClassVar[bool] = True
    features: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    scanner: str = ""
    empirical_bayes: bool = True
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.features:
            raise StudyError("a harmonisation needs a feature.")
        twice = {*self.features} & {*self.covariates}
        if twice or len(set(self.features)) < len(self.features):
            raise StudyError("a feature is named once, and is no covariate.")

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """Five rounds: two of covariates, one of features, one within scanners, and one that looks at what it did."""
        prepared = yield from preparing.preparation(
            Design.of(self.covariates, public, self.levels), 0, most_by_one=None
        )
        preparing.demand_independent(prepared, rounded=True)
        standard, scanners, small = yield from self._standard(prepared)
        size = len(self.features)
        told = {**prepared.tells(), **standard.tells()}
        total = yield Query({"between": reals(2, 2, size), "squares": reals(2, size)}, told, CHECK)
        return self._answer(prepared, standard, scanners, small, total)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Sizes, products, sums within this hospital's scanners, and what its own correction changed."""
        design = Design.told(self.covariates, query.tells)
        kept, groups, scanners, missing, small = self._usable(records, design)
        if query.step in preparing.STEPS:
            return preparing.preparation_sums(query, design, kept, np.zeros((len(kept), 0)), missing + small)
        values = preparing.stacked([kept.numbers(name) for name in self.features], len(kept))
        if query.step == SIZES:
            sizes = exact_sum(np.stack([values, np.abs(values)], axis=1))
            return {"scanners": np.array(len(scanners)), "small": np.array(small), "sizes": sizes}
        if query.step == WITHIN:
            return self._within(
                query, preparing.standardised(design, query.tells, kept), values, groups, len(scanners)
            )
        standard = Standard.told(query.tells)
        expected = standard_rows(kept, design, query.tells, standard)
        own = corrections((values - expected) / standard.spreads, groups, len(scanners), self.empirical_bayes)
        after = harmonised(values, expected, standard, groups, own)
        both = [(one - expected) / standard.spreads for one in (values, after)]
        return {
            "between": exact_sum(np.stack([_between(one, groups, len(scanners)) for one in both], axis=1)),
            "squares": exact_sum(np.stack([one**2 for one in both], axis=1)),
        }

    def corrected(self, records: Records, numbers: Mapping[str, Any]) -> Records:
        """At the hospital: its features harmonised, by the numbers of an answer. Other rows stay as they are."""
        kept, values, _, _, usable = self._own(records, numbers)
        columns = dict(kept.columns)
        for place, name in enumerate(self.features):
            column = records.numbers(name).copy()
            column[usable] = values[:, place]
            columns[name] = column
        return replace(records, columns={**records.columns, **{name: columns[name] for name in self.features}})

    def own_corrections(
        self, records: Records, numbers: Mapping[str, Any]
    ) -> Mapping[str, Mapping[str, tuple[float, float]]]:
        """At the hospital: of each of its scanners, each feature's shift and scale in units of the pooled spread."""
        _, _, own, scanners, _ = self._own(records, numbers)
        return {
            scanner: {
                name: (float(own.shifts[g, place]), float(own.scales[g, place]))
                for place, name in enumerate(self.features)
            }
            for g, scanner in enumerate(scanners)
        }

    def _own(
        self, records: Records, numbers: Mapping[str, Any]
    ) -> tuple[Records, Values, Corrections, tuple[str, ...], NDArray[np.bool_]]:
        tells = _told_again(numbers["model"])
        design = Design.told(self.covariates, tells)
        kept, groups, scanners, _, _ = self._usable(records, design)
        values = preparing.stacked([kept.numbers(name) for name in self.features], len(kept))
        standard = Standard.told(tells)
        expected = standard_rows(kept, design, tells, standard)
        own = corrections((values - expected) / standard.spreads, groups, len(scanners), self.empirical_bayes)
        return (
            kept,
            harmonised(values, expected, standard, groups, own),
            own,
            scanners,
            self._mask(records, design)[0],
        )

    def _mask(self, records: Records, design: Design) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Rows of which all is known and whose scanner has two of them; rows of which all is known."""
        known = design.known(records)
        for name in self.features:
            known &= np.isfinite(numbers_of(records, name))
        if self.scanner:
            known &= records.words(self.scanner) != ""
        groups, _ = scanner_of(records.take(known), self.scanner)
        usable = known.copy()
        usable[known] = np.bincount(groups, minlength=1)[groups] > 1
        return usable, known

    def _usable(
        self, records: Records, design: Design
    ) -> tuple[Records, NDArray[np.int64], tuple[str, ...], int, int]:
        """Usable rows, their scanners, these by name, and how many rows are missing, or alone with their scanner."""
        usable, known = self._mask(records, design)
        kept = records.take(usable)
        groups, scanners = scanner_of(kept, self.scanner)
        missing = len(records) - int(np.count_nonzero(known))
        return kept, groups, scanners, missing, int(np.count_nonzero(known)) - len(kept)

    def _within(
        self, query: Query, rows: Values, values: Values, groups: NDArray[np.int64], size: int
    ) -> preparing.Sums:
        scaled = (values - array_of(query.tells, "centres of features")) / array_of(query.tells, "scales of features")
        scaled = scaled - means_by(groups, scaled, size)[groups] if size else scaled
        inner = (
            rows[:, 1:] - means_by(groups, rows[:, 1:], size)[groups] if size and rows.shape[1] > 1 else rows[:, 1:]
        )
        width = inner.shape[1]
        crossed = [exact_sum(inner[:, j : j + 1] * scaled) for j in range(width)]
        return {
            "covariates": preparing.upper_products(inner) if width else np.zeros(0, dtype=object),
            "crossed": np.stack(crossed) if width else np.zeros((0, scaled.shape[1]), dtype=object),
            "squares": exact_sum(scaled**2),
        }

    def _standard(self, prepared: Prepared) -> Generator[Query, Total, tuple[Standard, int, int]]:
        size, width = len(self.features), len(prepared.names) - 1
        count = counts(most_by_one=None)
        parts = {"scanners": count, "small": count, "sizes": reals(2, size)}
        total = yield Query(parts, prepared.tells(), SIZES)
        scanners, small = int(total.count("scanners")), int(total.count("small"))
        if scanners < 2:
            raise AnalysisError(
                f"a harmonisation needs two scanners with two complete rows each; there are {scanners}."
            )
        sums = total.exact("sizes")
        centres = (sums[0] / prepared.rows).astype(np.float64)
        scales = np.array([preparing.power_of_two(float(one / prepared.rows)) for one in sums[1]])
        told: dict[str, Told] = {"centres of features": centres, "scales of features": scales}
        parts = {"covariates": reals(width * (width + 1) // 2), "crossed": reals(width, size), "squares": reals(size)}
        total = yield Query(parts, {**prepared.tells(), **told}, WITHIN)
        inner = from_upper(total.exact("covariates"), width)
        self._demand_told_apart(prepared, inner)
        slopes = _slopes(inner, total.exact("crossed"))
        left = [
            square - exact_product(slopes[:, f], total.exact("crossed")[:, f])[()] if width else square
            for f, square in enumerate(total.exact("squares"))
        ]
        spreads = np.sqrt([max(float(one / prepared.rows), 0.0) for one in left]) * scales
        for name, spread, centre in zip(self.features, spreads.tolist(), centres.tolist(), strict=True):
            if spread <= 1e-12 * abs(centre) or spread == 0:
                raise AnalysisError(f"feature {name!r} does not vary within any scanner: leave it out.")
        return Standard(centres, spreads, slopes.astype(np.float64).reshape(width, size) * scales), scanners, small

    def _demand_told_apart(self, prepared: Prepared, inner: Exact) -> None:
        left = residuals(inner)
        for j in range(len(inner)):
            if j >= len(left) or float(left[j]) <= CONFOUNDED * prepared.rows:
                raise AnalysisError(
                    f"covariate {prepared.names[1 + j]!r} hardly varies within scanners, given the others: its "
                    "effect cannot be told from theirs; leave it out."
                )

    def _answer(self, prepared: Prepared, standard: Standard, scanners: int, small: int, total: Total) -> Answer:
        before, after = (_shares(total["between"][k], total["squares"][k]) for k in range(2))
        unequal = [np.sqrt(total["between"][k][1] / prepared.rows) for k in range(2)]
        slopes = standard.slopes / (prepared.spreads[1:] * np.array(prepared.design.column_scales[1:]))[:, None]
        numbers: dict[str, Any] = {
            "n": prepared.rows,
            "missing": prepared.missing,
            "alone_with_scanner": small,
            "scanners": scanners,
            "features": {
                name: {
                    "mean": float(standard.centres[f]),
                    "spread": float(standard.spreads[f]),
                    "effects": dict(zip(prepared.names[1:], slopes[:, f].tolist(), strict=True)),
                    "scanner_share_before": float(before[f]),
                    "scanner_share_after": float(after[f]),
                    "scanner_spread_before": float(unequal[0][f]),
                    "scanner_spread_after": float(unequal[1][f]),
                }
                for f, name in enumerate(self.features)
            },
            "model": _as_json({**prepared.tells(), **standard.tells()}),
        }
        header = (
            "feature",
            "mean",
            "spread",
            "scanners' share before",
            "after",
            "log spreads differ by before",
            "after",
        )
        columns = (standard.centres, standard.spreads, before, after, *unequal)
        rows: list[tuple[Cell, ...]] = [
            (name, *(float(values[f]) for values in columns)) for f, name in enumerate(self.features)
        ]
        series = tuple(
            Series(word, self.features, tuple(values.tolist()))
            for word, values in (("before", before), ("after", after))
        )
        figure = Figure("bars", "Share of variance between scanners", "feature", "share", series)
        words = (
            f"Scanners made up {100 * float(np.mean(before)):.1f} % of the features' variance on average; "
            f"{100 * float(np.mean(after)):.1f} % after harmonisation.",
            "Each hospital corrects its own features by these numbers; no hospital's shift or scale was told.",
            *([f"{small} rows are left as they are: alone with their scanner."] if small else []),
            *prepared.words(),
        )
        return Answer(
            numbers, (Table(f"Harmonisation over {scanners} scanners", header, tuple(rows)),), (figure,), words
        )


def _between(values: Values, groups: NDArray[np.int64], size: int) -> Values:
    """(G, 2, F) of each scanner: rows times its squared mean, and rows times the squared logarithm of its spread."""
    counted = np.bincount(groups, minlength=size).astype(np.float64)[:, None]
    if not size:
        return np.zeros((0, 2, values.shape[1]))
    means = means_by(groups, values, size)
    spreads = np.sqrt(means_by(groups, (values - means[groups]) ** 2, size))
    logs = np.log(np.where(spreads > 0, spreads, 1))
    return np.stack([counted * means**2, counted * logs**2], axis=1)


def _shares(between: Values, squares: Values) -> Values:
    return np.asarray(between[0] / np.where(squares > 0, squares, 1))


def _slopes(inner: Exact, crossed: Exact) -> Exact:
    if not len(inner):
        return exact_fractions(np.zeros((0, crossed.shape[1])))
    try:
        return solved(inner, crossed)
    except SingularError as error:
        raise AnalysisError("the covariates' effects cannot be told from the scanners'.") from error


def _as_json(tells: Mapping[str, Told]) -> dict[str, Any]:
    return {name: list(told) if isinstance(told, tuple) else told.tolist() for name, told in tells.items()}


def _told_again(model: Mapping[str, Any]) -> dict[str, Told]:
    return {
        name: tuple(values) if values and isinstance(values[0], str) else np.array(values, dtype=np.float64)
        for name, values in model.items()
    }


analysis: type[Analysis] = Combat
