"""Centre lines of digits that nobody wrote: ten shapes of arcs and lines, bent and slanted by each writer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from client.sources._strokes import SIDE, Distances, of_curves

Curve = NDArray[np.float64]
POINTS = 10
"""Of an arc."""
HALF_WIDTH, HALF_HEIGHT = 6.0, 9.0
"""Of a digit, in pixels."""


def _arc(row: float, column: float, height: float, width: float, begin: float, end: float) -> Curve:
    """Part of an ellipse; angles in turns, clockwise from the top."""
    angle = 2 * np.pi * np.linspace(begin, end, POINTS)
    return np.column_stack([row - height * np.cos(angle), column + width * np.sin(angle)])


def _line(*points: tuple[float, float]) -> Curve:
    return np.array(points, np.float64)


DIGITS: tuple[tuple[Curve, ...], ...] = (
    (_arc(0, 0, 1, 0.8, 0, 1),),
    (_line((-0.7, -0.4), (-1, 0.1), (1, 0.1)),),
    (_arc(-0.4, 0, 0.6, 0.7, -0.25, 0.4), _line((0.1, 0.4), (1, -0.8), (1, 0.8))),
    (_arc(-0.5, 0, 0.5, 0.7, -0.2, 0.5), _arc(0.5, 0, 0.5, 0.7, 0, 0.7)),
    (_line((-1, 0.2), (0.4, -0.8), (0.4, 0.8)), _line((-0.4, 0.4), (1, 0.4))),
    (_line((-1, 0.7), (-1, -0.6), (-0.2, -0.6)), _arc(0.35, -0.1, 0.65, 0.8, -0.1, 0.7)),
    (_arc(0.4, 0, 0.6, 0.7, 0, 1), _line((-1, 0.4), (-0.3, -0.45), (0.4, -0.7))),
    (_line((-1, -0.8), (-1, 0.8), (1, -0.2)),),
    (_arc(-0.5, 0, 0.5, 0.6, 0, 1), _arc(0.5, 0, 0.5, 0.75, 0, 1)),
    (_arc(-0.4, 0, 0.6, 0.7, 0, 1), _line((-0.4, 0.7), (0.3, 0.5), (1, 0))),
)
"""Curves of (P, 2) points, row and column from -1 to 1."""


def drawn(digit: int, rng: np.random.Generator) -> Distances:
    """Of a digit as one writer draws it: slanted, turned, wider or narrower, and every point a little elsewhere."""
    turn, slant = np.radians(rng.normal(0, 6)), rng.normal(0, 0.15)
    height, width = HALF_HEIGHT * np.exp(rng.normal(0, 0.06)), HALF_WIDTH * np.exp(rng.normal(0, 0.1))
    cosine, sine = np.cos(turn), np.sin(turn)
    matrix = np.array([[cosine, -sine], [sine, cosine]]) @ np.array([[height, 0], [-slant * height, width]])
    centre = SIDE / 2 + rng.normal(0, 0.7, 2)
    bend = rng.normal(0, 0.06, (2, 2, 2))
    return of_curves([(points + _bent(points, bend)) @ matrix.T + centre for points in DIGITS[digit]])


def _bent(points: Curve, bend: NDArray[np.float64]) -> Curve:
    """A smooth displacement: the same for points that are the same, so that curves stay joined."""
    waves = np.stack([np.sin(2 * points), np.cos(2.5 * points)])
    return np.asarray(np.einsum("wpc,wcd->pd", waves, bend))
