"""Cases as small pictures: what an attack came up with beside the patient's own, on one scale of grey."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.gallery_panels import upright

SIDE = 160
"""Pixels that the longer side is enlarged to, about."""


def picture_of(case: NDArray[np.floating], low: float, high: float) -> str:
    """A PNG as a data URI. case: (channels, [D,] H, W), its first channel and middle slice; (features,) a strip."""
    if case.ndim == 1:
        pixels = np.repeat(case[None], max(1, len(case) // 4), axis=0)
    else:
        pixels = np.ascontiguousarray(upright(np.asarray(case[0], np.float64)))
    grey = np.clip((pixels - low) / max(high - low, 1e-12), 0, 1)
    image = Image.fromarray(np.rint(255 * np.nan_to_num(grey)).astype(np.uint8))
    factor = max(1, SIDE // max(image.size))
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    place = io.BytesIO()
    image.save(place, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(place.getvalue()).decode()


def pair_of(original: NDArray[np.floating], rebuilt: NDArray[np.floating]) -> tuple[str, str]:
    """Both on the original's scale, so that brightness says something."""
    low, high = float(np.min(original)), float(np.max(original))
    return picture_of(original, low, high), picture_of(rebuilt, low, high)
