"""Which weight of a regulariser: by training images, by the discrepancy principle, by the L-curve.

Each asks a `solution`, such as `partial(reconstruct, linear, measured, method="fista", prior="tv")` with the weight
left out, for images at a few weights, from large to small, each begun at the last one's images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from torch import Tensor

from common.errors import StudyError
from common.reconstruction.imaging_operator import LinearMap
from common.reconstruction.inner_products import squares
from common.reconstruction.noise import Supported
from common.reconstruction.problem import Solved

GOLDEN = (math.sqrt(5) - 1) / 2
LEAST_BEND = 0.5
"""Curvature of an L-curve, one over the logarithms of its axes, below which it has no corner: curves of well-posed
operators, where noise is not made larger, wave by less."""
LEAST_APART = 0.05
"""Two points of an L-curve, in logarithms: nearer, they differ by what a solver leaves undone."""
FLAT = 1e-6
"""Share of the largest value of a regulariser below which an image holds nothing any more."""


class Solution(Protocol):
    """Images of a problem at a weight."""

    def __call__(self, *, weight: float, start: Tensor | None) -> Solved:
        """`reconstruct` with everything but these said."""
        ...


@dataclass(frozen=True)
class Tried:
    """One weight. misfit: |A x - y| a datum, root mean square; score: what was judged, the mean over cases."""

    weight: float
    misfit: float
    score: float


@dataclass(frozen=True)
class Chosen:
    """weight: the choice. tried: all that were looked at, the weight rising. how: why it was chosen, in words. found:
    whether there was a reason to choose it.
    """

    weight: float
    tried: tuple[Tried, ...]
    how: str
    found: bool = True


def by_training_images(
    solution: Solution,
    linear: LinearMap,
    measured: Tensor,
    truths: Tensor,
    span: tuple[float, float] = (1e-5, 1.0),
    looks: int = 12,
    score: Callable[[Tensor, Tensor], float] | None = None,
) -> Chosen:
    """The weight whose images come nearest to the truth of training cases, by golden section of its logarithm.

    span: the least and the largest weight. looks: how many weights are tried, four or more. score: larger is better,
    by default the mean over cases of minus the logarithm of the mean squared error, of which PSNR is a multiple.
    """
    _demand_span(span, looks)
    judged = score or nearness
    tries = _Tries(solution, linear, measured, lambda found: judged(found.images, truths))
    low, high = math.log(span[0]), math.log(span[1])
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    values = [tries.at(left), tries.at(right)]
    for _ in range(looks - 2):
        if values[0] >= values[1]:
            high, right = right, left
            left = high - GOLDEN * (high - low)
            values = [tries.at(left), values[0]]
        else:
            low, left = left, right
            right = low + GOLDEN * (high - low)
            values = [values[1], tries.at(right)]
    best = max(tries.rows, key=lambda row: row.score)
    edge = min(abs(math.log(best.weight / end)) for end in span) < 0.05 * math.log(span[1] / span[0])
    return tries.chosen(best.weight, "nearest to the truth" + (", at an end of the span: widen it" if edge else ""))


def by_discrepancy(
    solution: Solution,
    linear: LinearMap,
    measured: Tensor,
    noise: float,
    span: tuple[float, float] = (1e-6, 10.0),
    looks: int = 14,
    factor: float = 1.0,
    measured_numbers: int | None = None,
) -> Chosen:
    """The largest weight whose images fit the data no better than noise allows (Morozov 1966): |A x - y| = f sigma.

    The misfit never falls as the weight grows, so it is halved: `looks` solutions. noise: the standard deviation of a
    datum. factor: of it that the misfit may reach. measured_numbers: data of a case, where some of its shape are not
    measured (a mask's zeros); without it, as many as the map's support has, or are not zero.
    """
    _demand_span(span, looks)
    if not (math.isfinite(noise) and noise > 0):
        raise StudyError(
            f"the discrepancy principle needs the noise's standard deviation, above zero; it is {noise!r}."
        )
    tries = _Tries(solution, linear, measured, lambda found: 0.0, measured_numbers)
    low, high = math.log(span[0]), math.log(span[1])
    tries.at(high)
    if tries.rows[-1].misfit <= factor * noise:
        return tries.chosen(span[1], "the data allow any weight of the span")
    tries.at(low)
    if tries.rows[-1].misfit > factor * noise:
        return tries.chosen(span[0], "no weight of the span fits the data so well")
    for _ in range(looks - 2):
        middle = (low + high) / 2
        tries.at(middle)
        low, high = (middle, high) if tries.rows[-1].misfit <= factor * noise else (low, middle)
    return tries.chosen(math.exp(low), f"the misfit is {factor:g} of the noise")


def by_l_curve(
    solution: Solution,
    linear: LinearMap,
    measured: Tensor,
    value: Callable[[Tensor], Tensor],
    span: tuple[float, float] = (1e-5, 1.0),
    looks: int = 12,
) -> Chosen:
    """The corner of misfit against the regulariser's value on log axes: its largest curvature (Hansen 1992).

    value: R of images, (N,), such as a regulariser's. Needs neither truth nor noise, and has no guarantee: where the
    curve has no corner, `found` is false. Three things make corners that are none, and are left out: weights whose
    images are flat, weights whose images are the same but for the solver's tolerance (a bend of so short a curve is
    rounding), and bends that are gentle.
    """
    _demand_span(span, looks)
    tries = _Tries(solution, linear, measured, lambda found: float(value(found.images).mean()))
    for step in range(looks):
        tries.at(math.log(span[1]) + (math.log(span[0]) - math.log(span[1])) * step / (looks - 1))
    rows = sorted(tries.rows, key=lambda row: row.weight)
    weight, bend = corner(rows)
    if bend >= LEAST_BEND:
        return tries.chosen(weight, "the corner of the L-curve")
    return replace(tries.chosen(weight, "the L-curve has no corner"), found=False)


def corner(rows: Sequence[Tried]) -> tuple[float, float]:
    """The weight where the curve bends most, and how much; of points that are apart, and of images that are not flat.

    rows: the weight rising.
    """
    most = max(row.score for row in rows)
    kept, places = list[Tried](), list[tuple[float, float]]()
    for row in reversed(rows):  # as they were solved: later ones may not have moved
        place = math.log(max(row.misfit, 1e-300)), math.log(max(row.score, 1e-300))
        if row.score >= FLAT * most and (not places or math.dist(place, places[-1]) >= LEAST_APART):
            kept.append(row)
            places.append(place)
    bends = curvatures([x for x, _ in reversed(places)], [y for _, y in reversed(places)])
    if not bends:
        return rows[0].weight, -math.inf
    best = max(range(len(bends)), key=lambda k: bends[k])
    return kept[len(kept) - 1 - best].weight, bends[best]


def curvatures(x: Sequence[float], y: Sequence[float]) -> list[float]:
    """Signed Menger curvature of a curve at each of its points, -inf at both ends; above zero where it turns left."""
    found = [-math.inf] * len(x)
    for k in range(1, len(x) - 1):
        (ax, ay), (bx, by) = (x[k] - x[k - 1], y[k] - y[k - 1]), (x[k + 1] - x[k], y[k + 1] - y[k])
        sides = math.hypot(ax, ay) * math.hypot(bx, by) * math.hypot(ax + bx, ay + by)
        found[k] = 2 * (ax * by - ay * bx) / sides if sides > 0 else -math.inf
    return found


def nearness(images: Tensor, truths: Tensor) -> float:
    """Minus the mean over cases of log10 of the mean squared error."""
    errors = squares(images - truths.to(images)) / images[0].numel()
    return float(-errors.clamp_min(1e-300).log10().mean())


class _Tries:
    """Solutions by weight, each begun at the last one's images."""

    def __init__(
        self,
        solution: Solution,
        linear: LinearMap,
        measured: Tensor,
        score: Callable[[Solved], float],
        numbers: int | None = None,
    ) -> None:
        self._solution, self._linear, self._measured, self._score = solution, linear, measured, score
        self._numbers = numbers or _measured_numbers(linear, measured)
        self._last: Tensor | None = None
        self.rows: list[Tried] = []

    def at(self, logarithm: float) -> float:
        """The score at exp(logarithm)."""
        found = self._solution(weight=math.exp(logarithm), start=self._last)
        self._last = found.images
        squared = squares(self._linear.forward(found.images) - self._measured) / self._numbers
        self.rows.append(Tried(math.exp(logarithm), math.sqrt(float(squared.mean())), self._score(found)))
        return self.rows[-1].score

    def chosen(self, weight: float, how: str) -> Chosen:
        """With all that were tried."""
        return Chosen(weight, tuple(sorted(self.rows, key=lambda row: row.weight)), how)


def _measured_numbers(linear: LinearMap, measured: Tensor) -> int:
    """Data of a case that are measured: as the map says, else those that are not zero; the most of any case."""
    found = linear.support() if isinstance(linear, Supported) else measured != 0
    return max(1, int((found != 0).flatten(1).sum(1).max()))


def _demand_span(span: tuple[float, float], looks: int) -> None:
    if not 0 < span[0] < span[1] < math.inf:
        raise StudyError(f"span must be two rising weights above zero, such as (1e-4, 1); it is {span!r}.")
    if looks < 4:
        raise StudyError(f"looks must be at least 4 weights; it is {looks!r}.")
