"""Estimating equations solved by rounds of sums over hospitals, with the spread of what they give."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import shake_256
from math import prod

import numpy as np
from numpy.typing import NDArray

from common.asking.analysis import Query, Told
from common.asking.exact_sums import (
    LARGEST_REAL,
    Integers,
    Part,
    Total,
    added_integers,
    exact_products,
    exact_sum,
    reals,
)
from common.causality.equations import Block, Floats, Rows, by_block, flat, shares, slopes
from common.causality.regressions import predictor
from common.errors import AnalysisError

MOST_ROUNDS = 30
NEAR = 1e-11
"""Of the last step, relative to the parameters: Newton's steps are then right to the rounding."""
LEAST_PART = 2.0**-6
NEAR_IN_A_REPLICATE = 1e-7
MOST_SHARE, MOST_OF_A_FOURTH = 2.0**55, 2.0**29
NUMBERS_AT_A_TIME = 1 << 21
WEIGHT_STEPS = 1 << 10

Tells = Mapping[str, Told]


@dataclass(frozen=True)
class Estimate:
    """What the equations give.

    theta: parameters by block. covariance: of the last block's. tails: of the contrast asked for, the sum of persons'
    shares to the fourth power by the square of that of their squares; 0 where none was asked for.
    replicates: (R, size of the last block) by the bootstrap, or none.
    """

    theta: Mapping[str, Floats]
    covariance: Floats
    replicates: Floats
    tails: float = 0.0


def estimated(
    blocks: Sequence[Block], tells: Tells, replicates: int = 0, seed: int = 0, contrast: Floats | None = None
) -> Generator[Query, Total, Estimate]:
    """The server's half: Newton's steps, then the spread over persons, then replicates if there are to be some."""
    theta = yield from solved(blocks, tells)
    covariance, tails = yield from _spread(blocks, tells, theta, contrast)
    repeated = np.zeros((0, blocks[-1].size))
    if replicates:
        repeated = yield from _replicated(blocks, tells, theta, replicates, seed)
    return Estimate(theta, covariance, repeated, tails)


def sums(
    blocks: Sequence[Block], rows: Rows, persons: NDArray[np.str_], query: Query
) -> dict[str, NDArray[np.integer] | Integers]:
    """The hospital's half of these rounds. persons: the name of every row's."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if query.step == "replicate":
            return _weighted(blocks, rows, persons, query)
        theta = by_block(blocks, np.asarray(query.tells["theta"], dtype=np.float64))
        if query.step == "spread":
            return _shared(blocks, rows, theta, persons, query)
        return _summed(blocks, rows, theta, query)


@dataclass(frozen=True)
class _Point:
    """Where a block's parameters are, from where they came there, and which part of Newton's step that was."""

    theta: Floats
    before: Floats
    inverse: Floats | None = None
    step: Floats | None = None
    part: float = 1.0

    @property
    def arrived(self) -> bool:
        """Whether a whole step led here that was next to nothing."""
        return self.step is not None and self.part == 1.0 and _length(self.step) <= NEAR * _size(self.theta)


def solved(blocks: Sequence[Block], tells: Tells) -> Generator[Query, Total, dict[str, Floats]]:
    """Newton's steps in every block by itself: those that read others follow them."""
    points = {block.name: _Point(np.zeros(block.size), np.zeros(block.size)) for block in blocks}
    for _ in range(MOST_ROUNDS):
        theta = {name: point.theta for name, point in points.items()}
        if all(point.arrived for point in points.values()):
            return theta
        total = yield Query(_score_parts(blocks, False), {**tells, "theta": flat(blocks, theta)}, "solve")
        points = {block.name: _next(block, total, points[block.name]) for block in blocks}
    raise AnalysisError(
        "the models have no best fit: in some group the outcome or the treatment is always the same. "
        "Name fewer covariates, or set ridge = 1."
    )


def _next(block: Block, total: Total, point: _Point) -> _Point:
    """A step on; or half of the last one where it went too far.

    Too far: from where it led to, the same slopes would take a longer step (Deuflhard 2011, "Newton Methods for
    Nonlinear Problems", the natural monotonicity test). Blocks that read others are not held: what they read moves.
    """
    scores = total[f"scores of {block.name}"] - block.pulls * point.theta
    if point.inverse is not None and point.step is not None and not block.reads and point.part > LEAST_PART:
        again = _length(point.inverse @ scores)
        if again > _length(point.step) and again > NEAR * _size(point.theta):
            half = point.part / 2
            return _Point(point.before + half * point.step, point.before, point.inverse, point.step, half)
    inverse = _inverse(block, total[f"slopes of {block.name} in {block.name}"] - np.diag(block.pulls))
    step = -inverse @ scores
    return _Point(point.theta + step, point.theta, inverse, step)


def _inverse(block: Block, slope: Floats) -> Floats:
    """Raises AnalysisError in words where the equations do not determine their parameters."""
    scale = np.sqrt(np.abs(np.diag(slope)))
    if np.all(scale > 0) and np.all(np.isfinite(slope)):
        scaled = slope / np.outer(scale, scale)
        if np.linalg.cond(scaled) < 1e13:
            return np.asarray(np.linalg.inv(scaled) / np.outer(scale, scale))
    raise AnalysisError(
        f"the model of {block.name} cannot be told from these rows: a covariate follows from others, has one value "
        "only, or a group is empty. Leave one out, or set ridge = 1."
    )


def _length(step: Floats) -> float:
    return float(np.sqrt((step * step).sum()))


def _size(theta: Floats) -> float:
    return 1.0 + float(np.abs(theta).max())


def _pairs(blocks: Sequence[Block], across: bool) -> list[tuple[Block, Block]]:
    """Which block's slopes by which block's parameters."""
    named = {block.name: block for block in blocks}
    return [
        (block, other)
        for block in blocks
        for other in (block, *([named[name] for name in block.reads] if across else ()))
    ]


def _score_parts(blocks: Sequence[Block], across: bool) -> dict[str, Part]:
    parts = {f"scores of {block.name}": reals(block.size) for block in blocks}
    return parts | {
        f"slopes of {one.name} in {other.name}": reals(one.size, other.size) for one, other in _pairs(blocks, across)
    }


def _summed(
    blocks: Sequence[Block], rows: Rows, theta: Mapping[str, Floats], query: Query
) -> dict[str, NDArray[np.integer] | Integers]:
    pairs = _pairs(blocks, query.step == "slopes")
    total: Integers | None = None
    widest = max(one.size * other.size for one, other in pairs)
    for chunk in _chunks(rows, widest):
        more = exact_sum(_held(_beside(blocks, chunk, theta, pairs)))
        total = more if total is None else added_integers(total, more)
    assert total is not None
    return _named(total, {name: part.shape for name, part in query.parts.items()})


def _held(values: Floats, most: float = LARGEST_REAL) -> Floats:
    """What a sum can hold. Rows that a query was made from are far within; of others it must not stop a hospital."""
    return np.clip(np.nan_to_num(values), -most, most)


def _chunks(rows: Rows, width: int) -> list[Rows]:
    """Some rows at a time, so that slopes fit into memory."""
    count = len(next(iter(rows.values())))
    step = max(1, NUMBERS_AT_A_TIME // width)
    starts = range(0, max(count, 1), step)
    return [{name: values[start : start + step] for name, values in rows.items()} for start in starts]


def _add(found: dict[str, NDArray[np.integer] | Integers], name: str, more: Integers) -> None:
    found[name] = added_integers(np.asarray(found[name]), more) if name in found else more


def _spread(
    blocks: Sequence[Block], tells: Tells, theta: Mapping[str, Floats], contrast: Floats | None
) -> Generator[Query, Total, tuple[Floats, float]]:
    """Covariance of the last block's parameters, in two rounds: the slopes, then persons' shares of the error."""
    theta_told = {**tells, "theta": flat(blocks, theta)}
    total = yield Query(_score_parts(blocks, True), theta_told, "slopes")
    slopes_told = np.concatenate([_pulled(one, other, total).ravel() for one, other in _pairs(blocks, True)])
    size = blocks[-1].size
    weights = np.zeros(size) if contrast is None else contrast
    told = {**theta_told, "slopes": slopes_told, "contrast": weights}
    spread = yield Query({"products": reals(size, size), "fourths": reals()}, told, "spread")
    covariance = spread["products"]
    variance = float(weights @ covariance @ weights)
    return covariance, float(spread["fourths"]) / variance**2 if variance > 0 else 0.0


def _pulled(one: Block, other: Block, total: Total) -> Floats:
    slope = total[f"slopes of {one.name} in {other.name}"]
    return slope - np.diag(one.pulls) if one is other else slope


def _shared(
    blocks: Sequence[Block], rows: Rows, theta: Mapping[str, Floats], persons: NDArray[np.str_], query: Query
) -> dict[str, NDArray[np.integer] | Integers]:
    pairs = _pairs(blocks, True)
    sizes = [one.size * other.size for one, other in pairs]
    told = np.split(np.asarray(query.tells["slopes"], dtype=np.float64), np.cumsum(sizes)[:-1])
    summed = {
        (one.name, other.name): values.reshape(one.size, other.size)
        for (one, other), values in zip(pairs, told, strict=True)
    }
    found: dict[str, NDArray[np.integer] | Integers] = {}
    for chunk, numbers in _by_person(rows, persons, max(sizes)):
        share = _held(shares(blocks, chunk, theta, summed, numbers), MOST_SHARE)
        wide = np.broadcast_to(share[:, :, None], (*share.shape, share.shape[1]))
        products = exact_products(np.ascontiguousarray(wide), np.ascontiguousarray(wide.swapaxes(1, 2)))
        _add(found, "products", products)
        contrast = np.asarray(query.tells["contrast"], dtype=np.float64)
        _add(found, "fourths", exact_sum(_held(predictor(share, contrast), MOST_OF_A_FOURTH) ** 4))
    return found


def _by_person(rows: Rows, persons: NDArray[np.str_], width: int) -> list[tuple[Rows, NDArray[np.intp]]]:
    """Chunks in which a person's rows are together, with the number of every row's person in its chunk."""
    _, numbers = np.unique(persons, return_inverse=True)
    # A person's rows are ordered by what they hold, so that their rounded sum does not depend on how they came.
    keys = [column for values in rows.values() for column in _wide(values).T]
    order = np.lexsort((*keys, numbers)) if len(numbers) else np.zeros(0, dtype=np.intp)
    step = max(1, NUMBERS_AT_A_TIME // width)
    found: list[tuple[Rows, NDArray[np.intp]]] = []
    sorted_numbers = numbers[order]
    most = int(sorted_numbers[-1]) + 1 if len(order) else 0
    for start in range(0, max(most, 1), step):
        first, last = np.searchsorted(sorted_numbers, (start, start + step))
        chosen = order[first:last]
        found.append(({name: values[chosen] for name, values in rows.items()}, sorted_numbers[first:last] - start))
    return found


def _wide(values: Floats) -> Floats:
    """(N, all other axes as one)."""
    return values.reshape(len(values), prod(values.shape[1:]))


def _replicated(
    blocks: Sequence[Block], tells: Tells, theta: Mapping[str, Floats], replicates: int, seed: int
) -> Generator[Query, Total, Floats]:
    """All replicates' Newton steps in the same rounds, from the estimate on."""
    found = [{name: values.copy() for name, values in theta.items()} for _ in range(replicates)]
    parts = {name: reals(replicates, *part.shape) for name, part in _score_parts(blocks, False).items()}
    for _ in range(MOST_ROUNDS):
        told = np.concatenate([flat(blocks, one) for one in found])
        total = yield Query(parts, {**tells, "theta": told, "seed": np.array([float(seed)])}, "replicate")
        furthest = 0.0
        for block in blocks:
            scores = total[f"scores of {block.name}"]
            slope = total[f"slopes of {block.name} in {block.name}"]
            for index, one in enumerate(found):
                pulled = slope[index] - np.diag(block.pulls)
                step = -_inverse(block, pulled) @ (scores[index] - block.pulls * one[block.name])
                one[block.name] = one[block.name] + step
                furthest = max(furthest, _length(step) / _size(one[block.name]))
        if furthest <= NEAR_IN_A_REPLICATE:
            return np.array([one[blocks[-1].name] for one in found])
    raise AnalysisError("a replicate of the bootstrap has no best fit; set bootstrap = 0 or ridge = 1.")


def _weighted(
    blocks: Sequence[Block], rows: Rows, persons: NDArray[np.str_], query: Query
) -> dict[str, NDArray[np.integer] | Integers]:
    replicates = query.parts[f"scores of {blocks[0].name}"].shape[0]
    thetas = np.asarray(query.tells["theta"], dtype=np.float64).reshape(replicates, -1)
    weights = bootstrap_weights(persons, int(np.asarray(query.tells["seed"], dtype=np.float64)[0]), replicates)
    shapes = {name: part.shape[1:] for name, part in query.parts.items()}
    width = sum(prod(shape) for shape in shapes.values())
    together = max(1, NUMBERS_AT_A_TIME // max(1, width * len(persons)))
    pieces = []
    for start in range(0, replicates, together):
        wide = []
        for index in range(start, min(start + together, replicates)):
            theta = by_block(blocks, thetas[index])
            wide.append(_beside(blocks, rows, theta, _pairs(blocks, False)) * weights[:, index, None])
        # A sum costs little more for many columns than for one.
        pieces.append(exact_sum(_held(np.concatenate(wide, axis=1))).reshape(len(wide), width))
    return _named(np.concatenate(pieces), shapes)


def _beside(
    blocks: Sequence[Block], rows: Rows, theta: Mapping[str, Floats], pairs: Sequence[tuple[Block, Block]]
) -> Floats:
    """(N, all scores and slopes) of every row, in the order of their parts."""
    arrays = [block.scores(rows, theta) for block in blocks]
    arrays += [slopes(one, rows, theta, other.name) for one, other in pairs]
    return np.concatenate([_wide(array) for array in arrays], axis=1)


def _named(total: Integers, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.integer] | Integers]:
    """(..., all) as the parts that it is made of."""
    borders = np.cumsum([prod(shape) for shape in shapes.values()])[:-1]
    pieces = zip(shapes.items(), np.split(total, borders, axis=-1), strict=True)
    return {name: piece.reshape(*total.shape[:-1], *shape) for (name, shape), piece in pieces}


def bootstrap_weights(persons: NDArray[np.str_], seed: int, replicates: int) -> Floats:
    """(N, replicates) weights of the Bayesian bootstrap, exponential of mean 1 (Rubin 1981), by person.

    They follow from the public seed and the person's name alone, so that nobody needs to send them.
    """
    drawn = np.empty((len(persons), replicates))
    for index, person in enumerate(persons.tolist()):
        bits = np.frombuffer(shake_256(f"{seed}|{person}".encode()).digest(4 * replicates), dtype="<u4")
        drawn[index] = -np.log((bits + 0.5) / 2.0**32)
    return np.asarray(np.round(drawn * WEIGHT_STEPS) / WEIGHT_STEPS)
