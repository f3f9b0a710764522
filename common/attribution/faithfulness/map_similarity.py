"""How alike two maps of one case are, as Adebayo et al. 2018 compare them: by ranks, structure and gradients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from common.metrics.images.structural_similarity import LEAST_SIDE_PX, fitting_side, ssim

Maps = NDArray[np.floating]
ORIENTATIONS = 9
CELLS = 4
"""Of a histogram of gradients along each side."""
NO_DIVISION = 1e-5


def rank_correlation(one: Maps, other: Maps) -> NDArray[np.float64]:
    """(N,) Spearman's of (N, P) each; of two maps without contrast 1, of one without and another 0."""
    return correlation(rankdata(one, axis=1), rankdata(other, axis=1))


def correlation(one: Maps, other: Maps) -> NDArray[np.float64]:
    """(N,) Pearson's of (N, P) each, with the same exceptions."""
    centred = [values - values.mean(1, keepdims=True) for values in (np.float64(one), np.float64(other))]
    sizes = [np.sqrt((values**2).sum(1)) for values in centred]
    flat = [size <= 1e-12 * np.abs(values).max(1) for size, values in zip(sizes, (one, other), strict=True)]
    product = (centred[0] * centred[1]).sum(1) / np.maximum(sizes[0] * sizes[1], np.finfo(float).tiny)
    return np.where(flat[0] & flat[1], 1.0, np.where(flat[0] | flat[1], 0.0, product))


def structure(one: Maps, other: Maps) -> NDArray[np.float64]:
    """(N,) SSIM of maps (N, *S), each divided by its largest size; NaN where no window fits."""
    side = fitting_side(one.shape[1:])
    if one.ndim < 3 or side < LEAST_SIDE_PX:
        return np.full(len(one), np.nan)
    span = 2.0 if min(one.min(), other.min()) < 0 else 1.0
    pairs = zip(scaled(one), scaled(other), strict=True)
    return np.array([ssim(mine, theirs, data_range=span, side_px=side) for mine, theirs in pairs])


def gradients(one: Maps, other: Maps) -> NDArray[np.float64]:
    """(N,) Pearson's of the histograms of gradients of maps (N, H, W); NaN of others."""
    if one.ndim != 3 or min(one.shape[1:]) < CELLS:
        return np.full(len(one), np.nan)
    return correlation(*(np.stack([histograms(each) for each in scaled(maps)]) for maps in (one, other)))


def scaled(maps: Maps) -> NDArray[np.float64]:
    """Each map divided by its largest size; one of zeros as it is."""
    exact = np.float64(maps)
    largest = np.abs(exact).max(tuple(range(1, maps.ndim)), keepdims=True)
    return np.asarray(exact / np.where(largest > 0, largest, 1.0))


def histograms(image: NDArray[np.float64], cells: int = CELLS) -> NDArray[np.float64]:
    """Oriented gradients (Dalal and Triggs 2005) of (H, W): cells x cells x 9, each cell a block of norm 1.

    Gradients are differences of the two neighbours, none at the border; orientations are without sign.
    """
    rows, columns = (_differences(image, axis) for axis in (0, 1))
    size = np.hypot(rows, columns)
    bins = (np.rad2deg(np.arctan2(rows, columns)) % 180 / (180 / ORIENTATIONS)).astype(int) % ORIENTATIONS
    high, wide = (side // cells for side in image.shape)
    found = np.zeros((cells, cells, ORIENTATIONS))
    row, column = np.divmod(np.arange(cells * high * cells * wide), cells * wide)
    inside = (row, column)
    np.add.at(found, (row // high, column // wide, bins[inside]), size[inside] / (high * wide))
    norm = np.sqrt((found**2).sum(-1, keepdims=True) + NO_DIVISION**2)
    return np.asarray((found / norm).ravel())


def _differences(image: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    found, moved = np.zeros(image.shape), np.moveaxis(image, axis, 0)
    np.moveaxis(found, axis, 0)[1:-1] = moved[2:] - moved[:-2]
    return found
