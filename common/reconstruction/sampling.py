"""Which lines or points of Cartesian k-space are measured."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

DENSITY_POWER = 3.0
"""Of the distance from the edge of k-space, for which points are drawn with variable density."""
HALVINGS = 12


def middle_of(side: int, many: int) -> slice:
    """So many about the zero frequency, which lies at side // 2."""
    start = (side - many + 1) // 2
    return slice(start, start + many)


def random_lines(rng: np.random.Generator, lines: int, total: int, middle: int) -> NDArray[np.bool_]:
    """The middle ones, the others drawn evenly."""
    chosen = np.zeros(lines, bool)
    chosen[middle_of(lines, middle)] = True
    chosen[rng.choice(np.flatnonzero(~chosen), total - middle, replace=False)] = True
    return chosen


def equispaced_lines(rng: np.random.Generator, lines: int, total: int, middle: int) -> NDArray[np.bool_]:
    """The middle ones, the others as evenly spaced as can be from a drawn one."""
    chosen = np.zeros(lines, bool)
    chosen[middle_of(lines, middle)] = True
    others, many = np.flatnonzero(~chosen), total - middle
    places = np.floor((rng.random() + np.arange(many)) * len(others) / max(many, 1)).astype(int)
    chosen[others[places]] = True
    return chosen


def variable_density_lines(rng: np.random.Generator, lines: int, total: int, middle: int) -> NDArray[np.bool_]:
    """The middle ones, the others the more likely the nearer to it (Lustig et al. 2007)."""
    chosen = np.zeros(lines, bool)
    chosen[middle_of(lines, middle)] = True
    others = np.flatnonzero(~chosen)
    density = (1 - np.abs(others - lines // 2) / (lines / 2 + 1)) ** DENSITY_POWER
    chosen[rng.choice(others, total - middle, replace=False, p=density / density.sum() if len(others) else None)] = (
        True
    )
    return chosen


def poisson_disc(
    rng: np.random.Generator, size: tuple[int, int], total: int, middle: tuple[int, int]
) -> NDArray[np.bool_]:
    """Points of a plane: a whole rectangle in the middle; others apart from one another, farther where they are
    farther from it (Bridson 2007, with the variable density of Vasanawala et al. 2011).

    The distance is halved until as many points find room; then as many as are too many are left out.
    """
    centre = np.zeros(size, bool)
    centre[middle_of(size[0], middle[0]), middle_of(size[1], middle[1])] = True
    order = rng.permutation(np.flatnonzero(~centre))
    more = max(0, total - int(centre.sum()))
    low, high = 0.0, float(max(size))
    for _ in range(HALVINGS):
        scale = (low + high) / 2
        low, high = (scale, high) if len(_apart(order, size, scale, more)) >= more else (low, scale)
    found = _apart(order, size, low, more)
    chosen = centre.reshape(-1)
    chosen[found] = True
    return chosen.reshape(size)


def _apart(order: NDArray[np.int64], size: tuple[int, int], scale: float, most: int) -> list[int]:
    """In their order the points that have no other nearer than `scale` times the distance of the density there."""
    free = np.ones(size, bool)
    rows, columns = np.divmod(order, size[1])
    far = np.hypot((rows - size[0] // 2) / (size[0] / 2), (columns - size[1] // 2) / (size[1] / 2))
    radii = scale * (0.1 + far)
    found: list[int] = []
    for point, row, column, radius in zip(
        order.tolist(), rows.tolist(), columns.tolist(), radii.tolist(), strict=True
    ):
        if not free[row, column]:
            continue
        found.append(point)
        if len(found) >= most:
            break
        _take(free, row, column, radius)
    return found[:most]


def _take(free: NDArray[np.bool_], row: int, column: int, radius: float) -> None:
    """All that is nearer than the radius."""
    reach = int(radius)
    top, left = max(0, row - reach), max(0, column - reach)
    near = free[top : row + reach + 1, left : column + reach + 1]
    down = np.arange(top, top + near.shape[0])[:, None] - row
    right = np.arange(left, left + near.shape[1]) - column
    near[down**2 + right**2 < max(radius, 0.5) ** 2] = False


LINES = {"random": random_lines, "equispaced": equispaced_lines, "variable_density": variable_density_lines}


def points_of(size: tuple[int, ...], acceleration: float) -> int:
    """How many of k-space are measured: one or more."""
    return max(1, round(prod(size) / acceleration))
