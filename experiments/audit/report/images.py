"""Cases as small pictures: what an attack came up with beside the patient's own, on one scale of grey."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.running.case_panels import upright

SIDE = 160
"""Pixels that the longer side is enlarged to, about."""


GAP = 1
"""Pixels between slices, before they are enlarged."""


def picture_of(case: NDArray[np.floating], low: float, high: float) -> str:
    """A PNG as a data URI. case: (channels, [D,] H, W), its first channel; (features,) a strip.

    Of a volume the middle slices across its first, second and third axis, one below the other.
    """
    slices = _slices(case)
    factor = max(1, SIDE // max(max(one.shape) for one in slices))
    image = Image.fromarray(_stacked([_grey(one, low, high) for one in slices]))
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    place = io.BytesIO()
    image.save(place, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(place.getvalue()).decode()


def _slices(case: NDArray[np.floating]) -> list[NDArray[np.floating]]:
    if case.ndim == 1:
        return [np.repeat(case[None], max(1, len(case) // 4), axis=0)]
    values = np.asarray(case[0], np.float64)
    return [upright(values, axis) for axis in range(3)] if values.ndim == 3 else [values]


def _grey(pixels: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    share = np.clip((np.nan_to_num(pixels) - low) / max(high - low, 1e-12), 0, 1)
    return np.asarray(np.rint(255 * share).astype(np.uint8))


def _stacked(slices: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """One below the other, from the left; white where one is narrower, and between them."""
    width = max(one.shape[1] for one in slices)
    wide = [np.pad(one, ((0, GAP), (0, width - one.shape[1])), constant_values=255) for one in slices]
    return np.concatenate(wide)[:-GAP]


def pair_of(original: NDArray[np.floating], rebuilt: NDArray[np.floating]) -> tuple[str, str]:
    """Both on the original's scale, so that brightness says something."""
    low, high = float(np.min(original)), float(np.max(original))
    return picture_of(original, low, high), picture_of(rebuilt, low, high)
