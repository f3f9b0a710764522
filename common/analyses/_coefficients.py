"""Coefficients of a regression as they are answered: estimate, standard error, test, interval, ratio, forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._design import INTERCEPT
from common.asking.answer import Cell, Figure, Series, Table
from common.errors import StudyError

LARGEST_EXPONENT = 700.0


@dataclass(frozen=True)
class Coefficients:
    """degrees: of freedom of Student's t; None: the normal distribution. ratio: what exp of one is called, or ""."""

    names: tuple[str, ...]
    estimates: NDArray[np.float64]
    covariance: NDArray[np.float64]
    confidence: float
    degrees: int | None = None
    ratio: str = ""

    @property
    def errors(self) -> NDArray[np.float64]:
        """Standard errors."""
        return np.sqrt(np.diag(self.covariance))

    def numbers(self) -> dict[str, Any]:
        """By name."""
        return {
            name: dict(zip(self._keys(), row, strict=True))
            for name, row in zip(self.names, self._rows(), strict=True)
        }

    def table(self, title: str, note: str = "") -> Table:
        """One row a coefficient."""
        statistic, per_cent = "t" if self.degrees is not None else "z", f"{100 * self.confidence:g} %"
        header: tuple[str, ...] = ("", "coefficient", "standard error", statistic, "p", f"{per_cent} from", "to")
        if self.ratio:
            header += (self.ratio, f"{per_cent} from", "to")
        rows: list[tuple[Cell, ...]] = [(name, *row) for name, row in zip(self.names, self._rows(), strict=True)]
        return Table(title, header, tuple(rows), note)

    def forest(self, title: str) -> Figure:
        """All but the intercept, each with its interval: ratios where there are, else coefficients."""
        chosen = [i for i, name in enumerate(self.names) if name != INTERCEPT]
        rows, first = self._rows(), 6 if self.ratio else 0
        places = (6, 7, 8) if first else (0, 4, 5)
        y, low, high = (tuple(rows[i][place] for i in chosen) for place in places)
        series = Series(self.ratio or "coefficient", tuple(self.names[i] for i in chosen), y, low, high)
        return Figure("points", title, "", self.ratio or "coefficient", (series,))

    def _keys(self) -> tuple[str, ...]:
        keys = ("estimate", "standard_error", "t" if self.degrees is not None else "z", "p", "low", "high")
        return (*keys, "ratio", "ratio_low", "ratio_high") if self.ratio else keys

    def _rows(self) -> list[tuple[float, ...]]:
        return [self._row(float(b), float(se)) for b, se in zip(self.estimates, self.errors, strict=True)]

    def _row(self, estimate: float, error: float) -> tuple[float, ...]:
        half = self._quantile() * error
        statistic = estimate / error if error > 0 else inf
        row = (estimate, error, statistic, self._p(statistic), estimate - half, estimate + half)
        return (*row, *(ratio_of(value) for value in (row[0], row[4], row[5]))) if self.ratio else row

    def _quantile(self) -> float:
        upper = 0.5 + self.confidence / 2
        return float(stats.norm.ppf(upper) if self.degrees is None else stats.t.ppf(upper, self.degrees))

    def _p(self, statistic: float) -> float:
        size = abs(statistic)
        return float(2 * (stats.norm.sf(size) if self.degrees is None else stats.t.sf(size, self.degrees)))


def ratio_of(coefficient: float) -> float:
    """exp, at most what a double holds."""
    return exp(min(coefficient, LARGEST_EXPONENT))


def most_notable(coefficients: Coefficients, unit: str) -> tuple[str, ...]:
    """A sentence for each coefficient whose interval holds no 0, as a reader wants it."""
    said = []
    for name, row in coefficients.numbers().items():
        if name == INTERCEPT or row["low"] <= 0 <= row["high"]:
            continue
        keys = ("ratio", "ratio_low", "ratio_high") if coefficients.ratio else ("estimate", "low", "high")
        value, low, high = (row[key] for key in keys)
        said.append(
            f"{name}: {unit} {value:.3g} ({100 * coefficients.confidence:g} % interval {low:.3g} to {high:.3g})."
        )
    return tuple(said)


def demand_confidence(confidence: float) -> None:
    """Raise StudyError for what is no level of confidence."""
    if not 0 < confidence < 1:
        raise StudyError(f"confidence must lie between 0 and 1, such as 0.95; not {confidence:g}.")


def p_text(p: float) -> str:
    """As papers print it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def wald(estimates: Sequence[float], covariance: NDArray[np.float64]) -> float:
    """The statistic that all of these are 0."""
    values = np.asarray(estimates, dtype=np.float64)
    return float(values @ np.linalg.solve(covariance, values))
