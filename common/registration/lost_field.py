"""Parts of an image that hold a constant where the other has structure, or ends: never seen, or cut away by a mask.

An image that was moved before is filled up with zeros. A correlation takes these for dark tissue, at the rim above
all, and is drawn aside by a voxel with nothing to show for it. Air about a head is constant too, but in both images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, label, zoom

from common.data.image import Image
from common.registration.linear import Linear
from common.registration.objective import Pair
from common.registration.sampling import Sampler, lattice_points
from common.registration.transform import Transform

SAME, CLOSE = 0.03, 0.15
"""Share of the values on the edge that must be the same, or, once noise was smoothed, lie within FLAT of the image's
range: of values that lie anywhere a thirtieth would."""
FLAT = 0.03
SHARPER_VOXELS, NOISES = 0.5, 3.0
"""What the smoothed constant is followed into corners by, and deviations of the noise that is left then."""
LEAST_LOST = 0.01
"""Share of the image."""
STRUCTURE = 0.6
"""Deviation of the other image there, of its deviation elsewhere, from which on it has structure. Air about heads had
.01 to .42, halves of heads that were lost .72 to 1."""
RIM_VOXELS = 2
"""About what was lost, where values are means of both once they are smoothed and read between voxels."""
LEAST_RIM = 0.002
"""Share of the image that must be rim with a counterpart, where what was lost has none."""
MOST_LOST = 0.9
"""Of an image, rim included; of the rest nothing is searched."""
MOST_VOXELS = 500_000
Mask = NDArray[np.bool_]


def within_fields(images: Sequence[Pair], found: Linear) -> list[Pair] | None:
    """With masks of what was seen of each image; None where nothing was lost, masks are given, or there are channels.

    images: coarsest first. found: from the fixed image's world to the moving one's.
    """
    if any(pair.moving_mask or pair.fixed_mask or pair.also for pair in images):
        return None
    asked = next((pair for pair in reversed(images) if pair.fixed.values.size <= MOST_VOXELS), images[0])
    moving, fixed = lost(asked.moving, asked.fixed, found.inverse()), lost(asked.fixed, asked.moving, found)
    if moving is None and fixed is None:
        return None
    within = [
        replace(pair, moving_mask=_seen(moving, pair.moving), fixed_mask=_seen(fixed, pair.fixed)) for pair in images
    ]
    masks = [mask for pair in within for mask in (pair.moving_mask, pair.fixed_mask) if mask is not None]
    return within if all(mask.values.any() for mask in masks) else None


def lost(image: Image, other: Image, there: Transform) -> Mask | None:
    """Bool of the image's shape; None where nothing was. there: takes the image's world to the other's."""
    flat = _flat(np.asarray(image.values, np.float64))
    if not LEAST_LOST <= flat.mean() < 1:
        return None
    with torch.no_grad():
        points = lattice_points(image.geometry).flatten(0, -2)
        values, inside = Sampler.of(other).at(there.map_points(points))
    seen, rim = inside.numpy().reshape(flat.shape), binary_dilation(flat, iterations=RIM_VOXELS)
    counterpart = gaussian_filter(values[0].double().numpy().reshape(flat.shape), 1.0)
    here, elsewhere = flat & seen, ~flat & seen
    if here.mean() >= LEAST_LOST and elsewhere.any():
        is_lost = counterpart[here].std() > STRUCTURE * counterpart[elsewhere].std()
    else:
        is_lost = (rim & seen).mean() >= LEAST_RIM
    return rim if is_lost and rim.mean() <= MOST_LOST else None


def _flat(values: NDArray[np.float64]) -> Mask:
    """What is connected to the edge and has the value that much of the edge has, or has it in noise."""
    edge = np.ones(values.shape, np.bool_)
    edge[tuple(slice(1, -1) if size > 2 else slice(None) for size in values.shape)] = False
    constant, width = _shortest(values[edge], SAME)
    if width == 0:
        return _from_edge(values == constant, edge)
    smooth, tolerance = gaussian_filter(values, 1.0), FLAT * float(np.ptp(values))
    constant, width = _shortest(smooth[edge], CLOSE)
    inner = _from_edge(np.abs(smooth - constant) <= tolerance, edge) & (width <= tolerance)
    if not inner.any():
        return inner
    sharper = gaussian_filter(values, SHARPER_VOXELS)
    constant, noise = float(sharper[inner].mean()), float(sharper[inner].std())
    return _from_edge(np.abs(sharper - constant) <= NOISES * noise, edge)


def _from_edge(mask: Mask, edge: Mask) -> Mask:
    parts, _ = label(mask)
    return np.isin(parts, np.setdiff1d(parts[edge & mask], 0))


def _shortest(values: NDArray[np.float64], share: float) -> tuple[float, float]:
    """The middle of the shortest interval that holds a share of the values, and its width."""
    ordered = np.sort(values)
    most = max(2, round(share * len(ordered)))
    widths = ordered[most - 1 :] - ordered[: len(ordered) - most + 1]
    first = int(widths.argmin())
    return float(np.median(ordered[first : first + most])), float(widths[first])


def _seen(gone: Mask | None, image: Image) -> Image | None:
    if gone is None:
        return None
    shape = image.geometry.shape
    factors = [new / old for new, old in zip(shape, gone.shape, strict=True)]
    share = zoom((~gone).astype(np.float32), factors, order=1, grid_mode=True, mode="nearest")
    return Image(share > 0.5, image.geometry)
