"""Digits as strokes about a centre line: of MNIST's digits by thinning, or drawn; rendered at any thickness and grey.

The stroke of a digit is all that lies within a radius of its centre line. So one digit has an image for every
thickness, its true counterfactuals (Castro et al. 2019 dilate and erode; here both are one step).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from common.metrics.strokes import FINER, WHITE, stroke_intensity, stroke_thickness

SIDE = 28
STEPS = 4
"""Of the secant method from a radius to the thickness that is measured: all of 500 digits are then within .05."""
BRIGHTENING = 3
SMALLEST_RADIUS = 0.6
"""In points of the finer lattice: below it a stroke falls apart."""

Distances = NDArray[np.float32]
"""(FINER * SIDE, FINER * SIDE) distances to the centre line, in points of the finer lattice."""
Image = NDArray[np.float32]


def rendered(distances: Distances, thickness: float, intensity: float) -> Image:
    """(SIDE, SIDE) in [0, 1]: strokes that measure `thickness` pixels, of grey level `intensity` of 0 to 255."""
    radius = FINER * thickness / 2
    for _ in range(STEPS):
        radius = max(SMALLEST_RADIUS, radius + FINER * (thickness - stroke_thickness(_stroke(distances, radius))) / 2)
    return np.asarray(_stroke(distances, radius) * np.float32(intensity / WHITE), np.float32)


def _stroke(distances: Distances, radius: float) -> Image:
    """Of a thin stroke, which covers no pixel whole, the middle pixel is made white as well."""
    covered = np.clip(np.float32(radius) - distances + np.float32(0.5), 0, 1)
    stroke = covered.reshape(SIDE, FINER, SIDE, FINER).mean(axis=(1, 3))
    for _ in range(BRIGHTENING):
        level = stroke_intensity(stroke) / WHITE
        stroke = np.minimum(stroke / max(level, 1e-3), 1)
    return np.asarray(stroke, np.float32)


def of_image(image: NDArray[np.floating]) -> Distances:
    """Of the centre line of an (SIDE, SIDE) image in [0, 1] of a digit."""
    finer = ndimage.zoom(image.astype(np.float64), FINER, order=1, grid_mode=True, mode="nearest")
    line = thinned(finer >= max(float(finer.max()) / 2, 1e-6))
    return np.asarray(ndimage.distance_transform_edt(~line), np.float32) if line.any() else _nothing()


def of_curves(curves: list[NDArray[np.float64]]) -> Distances:
    """Of lines through (P, 2) points each, row and column in pixels."""
    lattice = (np.indices((FINER * SIDE, FINER * SIDE)).reshape(2, -1).T + 0.5) / FINER
    nearest = np.full(len(lattice), np.inf)
    for points in curves:
        for start, end in pairwise(points):
            along = end - start
            share = np.clip((lattice - start) @ along / max(float(along @ along), 1e-12), 0, 1)
            nearest = np.minimum(nearest, np.linalg.norm(lattice - start - share[:, None] * along, axis=1))
    return np.asarray(FINER * nearest.reshape(FINER * SIDE, FINER * SIDE), np.float32)


def _nothing() -> Distances:
    return np.full((FINER * SIDE, FINER * SIDE), np.float32(FINER * SIDE))


def thinned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A line one pixel wide in the middle of what is True in an (H, W) mask (Zhang and Suen 1984)."""
    line = np.pad(mask, 1)
    while True:
        before = line.sum()
        for first in (True, False):
            line &= ~_removable(line, first)
        if line.sum() == before:
            return line[1:-1, 1:-1]


def _removable(line: NDArray[np.bool_], first: bool) -> NDArray[np.bool_]:
    """Steps 1 and 2 of the algorithm: conditions a to d for every pixel at once."""
    n, ne, e, se, s, sw, w, nw = (
        np.roll(line, shift, (0, 1))
        for shift in ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
    )
    around = (n, ne, e, se, s, sw, w, nw)
    neighbours = sum(one.astype(np.int8) for one in around)
    risen = sum((~one & other).astype(np.int8) for one, other in zip(around, (*around[1:], n), strict=True))
    kept = ~(n & e & s) & ~(e & s & w) if first else ~(n & e & w) & ~(n & s & w)
    return np.asarray(line & (neighbours >= 2) & (neighbours <= 6) & (risen == 1) & kept)
