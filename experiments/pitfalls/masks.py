"""Small masks for the page of pitfalls, and pictures of them as SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
PIXELS_A_SIDE = 64
AGREED, INVENTED, MISSED = "#4682b4", "#e66100", "#5d3a9b"


def disc(centre: tuple[float, float], radius: float) -> Mask:
    """All pixels nearer to the centre than the radius."""
    y, x = np.indices((PIXELS_A_SIDE, PIXELS_A_SIDE))
    return np.asarray((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2)


def block(rows: tuple[int, int], columns: tuple[int, int]) -> Mask:
    """All pixels of these rows and columns, the last ones not included."""
    mask = np.zeros((PIXELS_A_SIDE, PIXELS_A_SIDE), np.bool_)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def of_pair(truth: Mask, prediction: Mask) -> str:
    """Where two masks agree and where only one of them has the structure."""
    return of_layers(
        (
            (AGREED, truth & prediction),
            (INVENTED, prediction & ~truth),
            (MISSED, truth & ~prediction),
        )
    )


def of_layers(parts: Sequence[tuple[str, Mask]]) -> str:
    """Masks in colours, later ones on top."""
    side = PIXELS_A_SIDE
    runs = "".join(f'<path fill="{colour}" d="{_runs(mask)}"/>' for colour, mask in parts if mask.any())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" width="256" height="256" '
        f'shape-rendering="crispEdges"><rect width="{side}" height="{side}" fill="#fff" stroke="#d0d7de"/>'
        f"{runs}</svg>\n"
    )


def _runs(mask: Mask) -> str:
    """A rectangle for every run of pixels in a row."""
    padded = np.pad(mask.astype(np.int8), ((0, 0), (1, 1)))
    steps = np.diff(padded, axis=1)
    starts, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
    return "".join(f"M{x} {y}h{end - x}v1h{x - end}z" for (y, x), (_, end) in zip(starts, ends, strict=True))
