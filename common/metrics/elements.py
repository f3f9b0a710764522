"""Elements of a surface: a piece of outline in every block of 2 x 2 (x 2) voxels that it runs through, with its size.

The outline cuts the edges of the block between a voxel inside and one outside in the middle, as marching cubes does
(Lorensen and Cline 1987). An element lies where the block's voxels meet and weighs the length (2D, mm) or area (3D,
mm^2) of the outline in the block, so that an axis along which voxels lie densely does not count for more than the
surface that they cover. Distances are between those meeting places.

What a block of eight leaves open is settled as surface-distance (Nikolov et al. 2021) has it, whose sizes these are:

- which corners belong together: those of the side, inside or outside, that has fewer are cut off one by one;
- how a polygon that is not flat is folded into triangles: so that its area, of a cube of side 1, is the largest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from common.metrics.maps import Mask

Codes = NDArray[np.uint8]
Sizes = NDArray[np.float64]
Corner = tuple[int, ...]
Place = tuple[float, ...]
Triangle = tuple[Place, Place, Place]

DIMENSIONS = (2, 3)


def flat_codes(flat: Mask, steps: tuple[int, ...]) -> Codes:
    """(V,) uint8: which voxels of its block are set, of every voxel of a flattened mask with a margin of two.

    A block begins at its voxel and goes on by one along each axis; bit k is its corner k in C order. steps: to the
    next voxel along each axis.
    """
    codes = flat.astype(np.uint8)
    bits = 1
    for step in reversed(steps):
        codes[:-step] |= codes[step:] << bits
        bits *= 2
    return codes


def is_cut(codes: Codes, dimensions: int) -> Mask:
    """Where a block has voxels of both kinds."""
    return np.asarray((codes != 0) & (codes != (1 << 2**dimensions) - 1))


@lru_cache(maxsize=64)
def sizes(spacing_mm: tuple[float, ...]) -> Sizes:
    """(16,) mm or (256,) mm^2: of each code, the length or area of the outline in a block of 2 or 3 axes."""
    dimensions = len(spacing_mm)
    codes, pieces = _pieces(dimensions)
    measured = _measured(pieces * np.array(spacing_mm))
    answer = np.bincount(codes, measured, minlength=1 << 2**dimensions).astype(np.float64, copy=False)
    answer.setflags(write=False)
    return answer


@lru_cache(maxsize=2)
def _pieces(dimensions: int) -> tuple[NDArray[np.int64], Sizes]:
    """(P,) codes of all pieces of outline, (P, dimensions, dimensions) their ends, in voxels."""
    found: list[tuple[int, Sequence[Place]]] = []
    for code in range(1, (1 << 2**dimensions) - 1):
        inside = {corner: bool(code >> bit & 1) for bit, corner in enumerate(product((0, 1), repeat=dimensions))}
        pieces: Iterable[Sequence[Place]] = _segments(inside, (0, 1)) if dimensions == 2 else _triangles(inside)
        found += [(code, piece) for piece in pieces]
    return np.array([code for code, _ in found]), np.array([piece for _, piece in found])


def _measured(pieces: Sizes) -> Sizes:
    """(P,) lengths of segments (P, 2, 2), or areas of triangles (P, 3, 3)."""
    sides = pieces[:, 1:] - pieces[:, :1]
    if pieces.shape[1] == 2:
        return np.asarray(np.linalg.norm(sides[:, 0], axis=1))
    return np.asarray(np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1) / 2)


def _segments(inside: dict[Corner, bool], axes: tuple[int, int]) -> Iterator[tuple[Place, Place]]:
    """How the outline crosses a square of four corners along two axes: not at all, once or twice.

    Where corners inside and outside alternate, those of the kind that `_cut_off` names are cut off one by one.
    """
    cut_off = _cut_off(inside)
    for square in _squares(inside, axes):
        crossings = [
            None if inside[a] == inside[b] else tuple((x + y) / 2 for x, y in zip(a, b, strict=True))
            for a, b in zip(square, square[1:] + square[:1], strict=True)
        ]
        found = [crossing for crossing in crossings if crossing is not None]
        if len(found) == 4 and inside[square[0]] == cut_off:
            found = found[-1:] + found[:-1]
        yield from zip(found[::2], found[1::2], strict=True)


def _squares(inside: dict[Corner, bool], axes: tuple[int, int]) -> Iterator[list[Corner]]:
    """The corners of each square along two axes, going around it."""
    around = ((0, 0), (0, 1), (1, 1), (1, 0))
    for first in inside:
        if not any(first[axis] for axis in axes):
            yield [tuple(_moved(first, dict(zip(axes, turn, strict=True)))) for turn in around]


def _moved(corner: Corner, to: dict[int, int]) -> Iterator[int]:
    return (to.get(axis, value) for axis, value in enumerate(corner))


def _cut_off(inside: dict[Corner, bool]) -> bool:
    """Whether corners inside are cut off one by one, or those outside: the fewer; of equally many those inside."""
    return sum(inside.values()) <= len(inside) / 2


def _triangles(inside: dict[Corner, bool]) -> Iterator[Triangle]:
    """The outline in a cube."""
    segments = [piece for axes in combinations(range(3), 2) for piece in _segments(inside, axes)]
    for polygon in _polygons(segments):
        foldings = _foldings(polygon)
        yield from max(foldings, key=lambda folding: float(_measured(np.array(folding)).sum()))


def _polygons(segments: Sequence[tuple[Place, Place]]) -> Iterator[list[Place]]:
    """Closed ways along the segments, two of which meet in each place."""
    left = list(segments)
    while left:
        polygon = list(left.pop())
        while polygon[0] != polygon[-1]:
            following = next(piece for piece in left if polygon[-1] in piece)
            left.remove(following)
            polygon.append(following[following[0] == polygon[-1]])
        yield polygon[:-1]


def _foldings(polygon: Sequence[Place]) -> list[list[Triangle]]:
    """All ways to part a polygon into triangles between its own corners."""
    if len(polygon) < 3:
        return [[]]
    first, last = polygon[0], polygon[-1]
    return [
        [*left, (first, polygon[middle], last), *right]
        for middle in range(1, len(polygon) - 1)
        for left in _foldings(polygon[: middle + 1])
        for right in _foldings(polygon[middle:])
    ]
