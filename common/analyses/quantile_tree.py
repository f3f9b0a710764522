"""All quantiles of a column at once, from a tree of counts: what noise can be added to without summing it up."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses._bounds import bounds_of, clamped, missing
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Figure, Series, Table
from common.asking.exact_sums import Integers, Total, counts
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from common.study.checks import between, listed

Floats = NDArray[np.float64]
MOST_LEAVES = 1 << 14
NORMAL_95 = 1.96


@dataclass(frozen=True)
class QuantileTree:
    """column: of numbers; rows in which it is missing are counted and left out. low, high: between which it lies.

    fan: into how many parts each part is divided, levels times over: there are fan ** levels leaves. shares: of
    rows below each quantile. levels: how often parts are divided.
    """

    discloses: ClassVar[str] = "How many rows lie in each of some intervals, and in each of their parts."
    column: str
    low: float | None = None
    high: float | None = None
    fan: int = 16
    levels: int = 2
    shares: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)

    def __post_init__(self) -> None:
        bounds_of("quantile_tree", self.low, self.high)
        between("analysis", 2, 256, fan=self.fan)
        between("analysis", 1, 14, levels=self.levels)
        listed("analysis", shares=self.shares)
        if self.fan**self.levels > MOST_LEAVES:
            raise StudyError(f"analysis.fan ** analysis.levels must be at most {MOST_LEAVES}.")
        if not all(0 < share < 1 for share in self.shares):
            raise StudyError(f"analysis.shares must be above 0 and below 1; they are {list(self.shares)}.")

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round: the counts of every level; the first also has those of whom nothing is known."""
        sizes = [self.fan ** (level + 1) for level in range(self.levels)]
        parts = {f"level {level}": counts(size + (level == 0)) for level, size in enumerate(sizes)}
        total = yield Query(parts)
        tree = [total[name][:size] for name, size in zip(parts, sizes, strict=True)]
        leaves = consistent(tree, self.fan)
        n = float(leaves.sum())
        if n < 1:
            raise AnalysisError(f"column {self.column!r} is known of {max(n, 0):.0f} rows; a quantile needs 1.")
        variance = total.noise_variance("level 0")
        margin = NORMAL_95 * sqrt(variance * self.levels * (self.fan - 1))
        return self._answer(_rising(np.cumsum(leaves)), margin, float(total["level 0"][-1]))

    def _answer(self, below: Floats, margin: float, unknown: float) -> Answer:
        low, high = bounds_of("quantile_tree", self.low, self.high)
        edges = np.linspace(low, high, self.fan**self.levels + 1)
        rows = []
        for share in self.shares:
            ranks = [share * below[-1] + off for off in (0.0, -margin, margin)]
            value, least, most = (_place(edges, below, rank) for rank in ranks)
            rows.append((share, value, least, most))
        n = max(0, round(float(below[-1])))
        numbers: dict[str, Any] = {"n": n, "missing": max(0, round(unknown)), "rank_margin": margin}
        numbers["quantiles"] = [dict(zip(("share", "value", "low", "high"), row, strict=True)) for row in rows]
        note = "Intervals hold quantiles of these rows and count the noise alone." if margin else ""
        table = Table(f"Quantiles of {self.column}", ("share", "value", "95 % from", "to"), tuple(rows), note)
        shown = np.concatenate([[0.0], below]) / below[-1]
        series = Series("share of rows", tuple(edges.tolist()), tuple(shown.tolist()))
        figure = Figure("lines", f"Distribution of {self.column}", self.column, "share of rows below", (series,))
        return Answer(numbers, (table,), (figure,))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """How many rows are in each part of each level."""
        low, high = bounds_of("quantile_tree", self.low, self.high)
        leaves = self.fan**self.levels
        values = clamped(records, self.column, low, high)
        leaf = np.minimum(((values - low) / (high - low) * leaves).astype(np.int64), leaves - 1)
        found = {}
        for level in range(self.levels):
            size = self.fan ** (level + 1)
            found[f"level {level}"] = np.bincount(leaf // (leaves // size), minlength=size + (level == 0))
        found["level 0"][-1] = missing(records, self.column)
        return found


def consistent(levels: Sequence[Floats], fan: int) -> Floats:
    """(leaves,) counts nearest to those of all levels, equally noisy (Hay et al. 2010, theorem 3, without a root)."""
    means = [levels[-1]]
    for height, own in enumerate(reversed(levels[:-1]), 2):
        children = means[0].reshape(-1, fan).sum(axis=1)
        weight = (fan**height - fan ** (height - 1)) / (fan**height - 1)
        means.insert(0, weight * own + (1 - weight) * children)
    best = means[0]
    for below in means[1:]:
        off = (best - below.reshape(-1, fan).sum(axis=1)) / fan
        best = below + np.repeat(off, fan)
    return best


def _rising(below: Floats) -> Floats:
    """The nearest counts that do not fall, none of them below 0."""
    from scipy.optimize import isotonic_regression

    return np.maximum(np.asarray(isotonic_regression(below).x, np.float64), 0.0)


def _place(edges: Floats, below: Floats, rank: float) -> float:
    """Where so many rows are below, evenly spread in every leaf."""
    leaf = int(np.searchsorted(below, rank))
    if leaf >= len(below) or rank <= 0:
        return float(edges[-1] if rank > 0 else edges[0])
    before = float(below[leaf - 1]) if leaf else 0.0
    return float(edges[leaf] + (edges[leaf + 1] - edges[leaf]) * (rank - before) / (float(below[leaf]) - before))


analysis: type[Analysis] = QuantileTree
