"""Whether treated and untreated can be compared: chances of treatment, weights, and covariates before and after."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.asking.analysis import Query, Told
from common.asking.answer import Figure, Series, Table
from common.asking.exact_sums import Integers, Total, counts, exact_products, exact_sum, reals
from common.causality.effects import Plan, chance, treatment_name, weights_of
from common.causality.equations import Floats, Rows, Theta

BINS = 20
EDGES = np.linspace(0.0, 1.0, BINS + 1)
LEAST, MOST = 0.05, 0.95
FAR_APART = 0.1
"""A standardised difference beyond it is called imbalance (Austin 2009)."""


@dataclass(frozen=True)
class Overlap:
    """histogram: (untreated and treated, bins) of chances. before, after: standardised differences by covariate."""

    histogram: NDArray[np.int64]
    beyond: NDArray[np.int64]
    effective: tuple[float, float]
    names: tuple[str, ...]
    before: Floats
    after: Floats

    @property
    def share_beyond(self) -> float:
        """Of rows with a chance below .05 or above .95."""
        return float(self.beyond.sum() / self.histogram.sum())

    def as_numbers(self) -> dict[str, Any]:
        """For an answer."""
        differences = zip(self.names, self.before.tolist(), self.after.tolist(), strict=True)
        return {
            "chance_edges": EDGES.tolist(),
            "chance_untreated": self.histogram[0].tolist(),
            "chance_treated": self.histogram[1].tolist(),
            "share_beyond": self.share_beyond,
            "effective_untreated": self.effective[0],
            "effective_treated": self.effective[1],
            "standardised_differences": {name: {"before": one, "after": two} for name, one, two in differences},
        }

    def table(self) -> Table:
        """Balance by covariate."""
        rows = tuple(zip(self.names, self.before.tolist(), self.after.tolist(), strict=True))
        note = f"in standard deviations; beyond {FAR_APART} is imbalance"
        return Table("Difference of treated and untreated", ("covariate", "before", "after weighting"), rows, note)

    def figures(self) -> tuple[Figure, ...]:
        """Chances of treatment by arm, and the love plot."""
        used = np.flatnonzero(self.histogram.any(axis=0))
        shown = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0)
        bins = tuple(f"{low:.2f} to {high:.2f}" for low, high in pairwise(EDGES))[shown]
        arms = tuple(
            Series(name, bins, tuple(map(float, values[shown])), persons=tuple(map(int, values[shown])))
            for name, values in zip(("untreated", "treated"), self.histogram, strict=True)
        )
        sides = tuple(
            Series(name, self.names, tuple(abs(float(value)) for value in values))
            for name, values in (("before", self.before), ("after weighting", self.after))
        )
        return (
            Figure("bars", "Chance of treatment", "chance by the covariates", "rows", arms),
            Figure("points", "Balance", "covariate", "absolute standardised difference", sides),
        )

    def words(self) -> tuple[str, ...]:
        """What a reader must know before believing the effect."""
        said = []
        if self.share_beyond > 0:
            said.append(
                f"{self.share_beyond:.1%} of rows had a chance of treatment below {LEAST} or above {MOST}: for them "
                "there is hardly anybody to compare with."
            )
        left = [name for name, value in zip(self.names, self.after, strict=True) if abs(value) > FAR_APART]
        if left:
            said.append(f"After weighting the arms still differ in {', '.join(left)}.")
        return tuple(said)


def overlap(
    plan: Plan, tells: Mapping[str, Told], theta: Theta, names: tuple[str, ...]
) -> Generator[Query, Total, Overlap]:
    """One round."""
    told = np.concatenate([theta[treatment_name(fold)] for fold in range(plan.folds)])
    parts = {
        "histogram": counts(2, BINS),
        "beyond": counts(2, 2),
        "weights": reals(2, 2),
        "plain": reals(2, 2, len(names)),
        "weighted": reals(2, len(names)),
        "arms": counts(2),
    }
    total = yield Query(parts, {**tells, "theta": told}, "overlap")
    first, second = total["weights"]
    arms = total.count("arms").astype(np.float64)[:, None]
    sums, squares = total["plain"]
    averages = sums / arms
    variances = squares / arms - averages**2
    deviation = np.sqrt(variances.mean(axis=0))
    scale = np.where(deviation > 0, deviation, 1.0)[1:]
    weighted = total["weighted"] / first[:, None]
    return Overlap(
        total.count("histogram"),
        total.count("beyond"),
        (float(first[0] ** 2 / second[0]), float(first[1] ** 2 / second[1])),
        names[1:],
        (averages[1] - averages[0])[1:] / scale,
        (weighted[1] - weighted[0])[1:] / scale,
    )


def overlap_sums(plan: Plan, rows: Rows, query: Query) -> dict[str, NDArray[np.integer] | Integers]:
    """The hospital's half."""
    vectors = np.asarray(query.tells["theta"], dtype=np.float64).reshape(plan.folds, -1)
    theta = {treatment_name(fold): vector for fold, vector in enumerate(vectors)}
    e = np.asarray(chance(plan, rows, theta), dtype=np.float64)
    a, x = rows["treatment"], rows["x"]
    _, w1, w0 = weights_of(plan, e, a)
    arms = [np.asarray(a == arm, dtype=np.float64) for arm in (0, 1)]
    weights = np.stack([w0, w1], axis=1)
    bins = np.clip(np.searchsorted(EDGES, e, side="right") - 1, 0, BINS - 1)
    return {
        "histogram": np.stack([np.bincount(bins[arm == 1], minlength=BINS) for arm in arms]),
        "beyond": np.array([[int((e[arm == 1] < LEAST).sum()), int((e[arm == 1] > MOST).sum())] for arm in arms]),
        "weights": np.stack([exact_sum(weights), exact_products(weights, weights)]),
        "plain": np.stack(
            [
                np.stack([exact_sum(x * arm[:, None]) for arm in arms]),
                np.stack([exact_sum(x * x * arm[:, None]) for arm in arms]),
            ]
        ),
        "weighted": np.stack([exact_sum(x * weight[:, None]) for weight in (w0, w1)]),
        "arms": np.array([int(arm.sum()) for arm in arms]),
    }
