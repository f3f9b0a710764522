"""Stacked estimating equations: every parameter of an effect is where a sum over rows of known functions is zero.

A block is some of these equations. Blocks stand in the order in which they read one another: those of the models
first, that of the effect last (Stefanski and Boos 2002, "The calculus of M-estimation"). Hospitals add up the
equations and their slopes; derivatives are those of the complex step, which rounds nothing away (Squire and Trapp
1998).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = Mapping[str, Floats]
"""(N, ...) arrays by name: what the equations take of every row."""
Theta = Mapping[str, NDArray[Any]]
"""Parameters by block; complex where a slope is wanted."""

TINY_STEP = 2.0**-70
EASED = 1 / 16
"""Enough that an arm with one outcome only has a best fit: at ridge = 1 a log odds ratio of 4 is not unusual."""
MOST_LEVERAGE = 0.9
"""Of a person on the equations: beyond it what leaving the person out would do is not followed any further."""


@dataclass(frozen=True)
class Block:
    """size equations in as many parameters of its own, and in those of the blocks that it reads.

    scores: (N, size), one row's share of every equation. own_slopes: (N, size, size), their derivatives by the
    block's own parameters, where they are known better than by complex steps. ridge: pulls parameters after the first
    to 0, and those that `eased` numbers by EASED of it: a treatment's, because that would pull the effect to none.
    """

    name: str
    size: int
    scores: Callable[[Rows, Theta], NDArray[Any]]
    reads: tuple[str, ...] = ()
    own_slopes: Callable[[Rows, Theta], Floats] | None = None
    ridge: float = 0.0
    eased: tuple[int, ...] = ()

    @property
    def pulls(self) -> Floats:
        """The ridge on every parameter."""
        pulls = np.full(self.size, float(self.ridge))
        pulls[list(self.eased)] *= EASED
        pulls[0] = 0.0
        return pulls


def flat(blocks: Sequence[Block], theta: Theta) -> Floats:
    """All parameters as one vector, in the blocks' order."""
    return np.concatenate([np.asarray(theta[block.name], dtype=np.float64) for block in blocks])


def by_block(blocks: Sequence[Block], vector: Floats) -> dict[str, Floats]:
    """The parameters of every block from that vector."""
    borders = np.cumsum([block.size for block in blocks])[:-1]
    return dict(zip([block.name for block in blocks], np.split(vector, borders), strict=True))


def slopes(block: Block, rows: Rows, theta: Theta, by: str) -> Floats:
    """(N, size, parameters of `by`): derivatives of every row's scores."""
    if by == block.name and block.own_slopes is not None:
        return block.own_slopes(rows, theta)
    columns = []
    for index in range(len(theta[by])):
        moved = np.array(theta[by], dtype=np.complex128)
        moved[index] += 1j * TINY_STEP
        columns.append(block.scores(rows, {**theta, by: moved}).imag / TINY_STEP)
    return np.ascontiguousarray(np.stack(columns, axis=2))


def shares(
    blocks: Sequence[Block],
    rows: Rows,
    theta: Theta,
    summed: Mapping[tuple[str, str], Floats],
    persons: NDArray[np.intp],
) -> Floats:
    """(persons, size of the last block): a person's share of its parameters, for sums of squares.

    summed: the slopes of every block in itself and in those it reads, added up over all hospitals' rows. persons: the
    number of every row's person. It is half-way between what the sandwich takes, a Newton step without the person's
    scores, and what the jackknife takes, one without the person's slopes as well. Of few patients the first is too
    narrow, because models fit those best that they are fitted to, the second too wide. For a linear model with
    leverage h the squares are residuals' by (1 + h / 2 + ...)^2, which is HC2 to first order (MacKinnon and White
    1985).
    """
    moved: dict[str, Floats] = {}
    plain: dict[str, Floats] = {}
    for block in blocks:
        scores = _of_persons(block.scores(rows, theta), persons)
        own = _of_persons(slopes(block, rows, theta, block.name), persons)
        target, target_plain = scores, scores
        for other in block.reads:
            across, total = _of_persons(slopes(block, rows, theta, other), persons), summed[block.name, other]
            target = target - _applied(total - across, moved[other])
            target_plain = target_plain - _applied(np.broadcast_to(total, across.shape), plain[other])
        total = summed[block.name, block.name]
        plain[block.name] = _applied(np.broadcast_to(np.linalg.inv(total), own.shape), target_plain)
        moved[block.name] = _solved(total, own, target)
    last = blocks[-1].name
    return (_held(moved[last], plain[last]) + plain[last]) / 2


def _solved(total: Floats, own: Floats, target: Floats) -> Floats:
    """(total - own)^-1 target for every person, without the person's own slopes where that has no answer."""
    try:
        return np.asarray(np.linalg.solve(total - own, target[:, :, None])[:, :, 0], dtype=np.float64)
    except np.linalg.LinAlgError:
        steps = []
        for mine, aim in zip(own, target, strict=True):
            try:
                steps.append(np.linalg.solve(total - mine, aim))
            except np.linalg.LinAlgError:
                steps.append(np.linalg.solve(total, aim))
        return np.array(steps).reshape(target.shape)


def _held(moved: Floats, plain: Floats) -> Floats:
    """No further than a leverage of MOST_LEVERAGE would take the plain step."""
    length, short = (np.sqrt((values * values).sum(axis=1)) for values in (moved, plain))
    most = short / (1 - MOST_LEVERAGE)
    far = ~(length <= most)
    ways = np.where(np.isfinite(length) & (length > 0), length, 1.0)
    return np.where(far[:, None], np.nan_to_num(moved) * (most / ways)[:, None], moved)


def _of_persons(values: Floats, persons: NDArray[np.intp]) -> Floats:
    """Rows' values added up by person; as they are where everybody has one row."""
    count = int(persons.max()) + 1 if len(persons) else 0
    if count == len(persons):
        return values
    summed = np.zeros((count, *values.shape[1:]))
    np.add.at(summed, persons, values)
    return summed


def _applied(matrices: Floats, vectors: Floats) -> Floats:
    """(N, p, q) on (N, q), column by column, so that a row's result does not depend on how many there are."""
    result = np.zeros(matrices.shape[:2])
    for column in range(matrices.shape[2]):
        result = result + matrices[:, :, column] * vectors[:, column, None]
    return result
