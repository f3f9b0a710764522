"""Newton's method for penalised logistic regression of many features: doubles solve, exact sums say how far it is."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.analyses._exact_algebra import from_upper
from common.asking.analysis import Query
from common.asking.exact_sums import Total
from common.errors import AnalysisError

MOST_ROUNDS = 60
ENOUGH = 1e-8
"""Of a step beside the coefficients: after it the next one is the square, and below rounding."""
ROUNDING = 1e-13
SEPARATED = (
    "without a penalty coefficients have no end, since classes are told apart without an error, or nearly: set c, "
    "such as 1."
)

Values = NDArray[np.float64]
Asks = Callable[[Values, Values], Query]


@dataclass(frozen=True)
class Optimum:
    """coefficients: (outputs, D) of standardised features. loss: the sum of losses, without the penalty."""

    coefficients: Values
    intercepts: Values
    loss: float
    rounds: int


@dataclass(frozen=True)
class _Point:
    at: Values
    goal: float
    loss: float
    wrong: int
    slope: Values
    curvature: Values


def minimised(
    query: Asks, outputs: int, width: int, cases: Values, penalty: float
) -> Generator[Query, Total, Optimum]:
    """The least loss plus penalty / 2 times all squared coefficients; intercepts are free. cases: of every class.

    Raises AnalysisError where there is none.
    """

    def evaluated(at: Values) -> Generator[Query, Total, _Point]:
        total = yield query(at[:, 1:], at[:, 0])
        return _point(total, at, penalty)

    start = np.zeros((outputs, width + 1))
    shares = np.log(cases / cases.sum())
    start[:, 0] = shares[1] - shares[0] if outputs == 1 else shares - shares.mean()
    point = yield from evaluated(start)
    for rounds in range(1, MOST_ROUNDS):
        step = _step(point, outputs, width + 1)
        largest = float(np.abs(step).max(initial=0.0))
        if largest <= ENOUGH * (1 + float(np.abs(point.at).max(initial=0.0))):
            return _optimum(point, step, rounds)
        if not penalty and not point.wrong:
            raise AnalysisError(SEPARATED)
        following = yield from evaluated(point.at + step)
        while following.goal > point.goal + ROUNDING * (1 + abs(point.goal)) and largest > ENOUGH:
            step, largest = step / 2, largest / 2
            following = yield from evaluated(point.at + step)
        point = following
    raise AnalysisError(
        SEPARATED if not penalty else f"Newton's method did not end in {MOST_ROUNDS} rounds: set a smaller c."
    )


def _point(total: Total, at: Values, penalty: float) -> _Point:
    outputs, width = at.shape
    free = np.ones(width)
    free[0] = 0.0
    blocks = from_upper(total["information"].astype(object), width).astype(np.float64)
    curvature = np.zeros((outputs, width, outputs, width))
    pairs = [(k, m) for k in range(outputs) for m in range(k, outputs)]
    for block, (k, m) in zip(blocks, pairs, strict=True):
        curvature[k, :, m, :] = block
        curvature[m, :, k, :] = block
    for k in range(outputs):
        curvature[k, :, k, :] += penalty * np.diag(free)
    loss = float(total["loss"])
    goal = loss + penalty / 2 * float(np.sum(at[:, 1:] ** 2))
    slope = total["score"] - penalty * at * free
    return _Point(at, goal, loss, int(total.count("wrong")), slope, curvature)


def _step(point: _Point, outputs: int, width: int) -> Values:
    """The shortest of Newton's steps: of several classes all intercepts may move together and change nothing."""
    size = outputs * width
    matrix = point.curvature.reshape(size, size)
    found, *_ = np.linalg.lstsq(matrix, point.slope.reshape(size), rcond=1e-13)
    return np.asarray(found).reshape(outputs, width)


def _optimum(point: _Point, step: Values, rounds: int) -> Optimum:
    at = point.at + step
    if len(at) > 1:
        at[:, 0] -= at[:, 0].mean()
    return Optimum(at[:, 1:], at[:, 0], point.loss, rounds)
