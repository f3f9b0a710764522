"""Pictures of the page: an image, a map laid over it, filters, and what layers answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from experiments.running.gallery import picture_url
from server.reporting.markup import Child, Markup, tag

Pixels = NDArray[np.uint8]
Values = NDArray[np.float64]
SIDE = 168
"""Pixels that the longer side of an image is enlarged to, about."""
TILE, CELL = 56, 12
FRAME = (0, 200, 255)
OUTLINED, TINT = (0, 158, 115), 0.55
FOR, AGAINST, EITHER = (230, 97, 1), (38, 110, 200), (255, 190, 0)
"""Colours of what speaks for an answer, against it, and of what matters without a direction."""
CLIPPED = 99.5
"""Percentile of a map's sizes that is drawn strongest: one pixel does not dim all others."""
OPACITY, GAMMA = 0.92, 0.75
MIDDLE = (0.5, 99.5)


def sliced(values: Tensor, place: int | None = None) -> Tensor:
    """(C, H, W) of an image; of a volume (C, X, Y, Z) the slice at `place` of its last axis, else the middle one."""
    if values.ndim < 4:
        return values
    return values[..., values.shape[-1] // 2 if place is None else place].flip(-1).transpose(-1, -2)


def heaviest_slice(values: Tensor) -> int | None:
    """The slice of a volume (C, X, Y, Z) in which most of a map lies; None of an image."""
    return int(values.abs().sum((0, 1, 2)).argmax()) if values.ndim == 4 else None


def grey_picture(image: Tensor, side: int = SIDE) -> Pixels:
    """(H, W, 3) of (C, H, W): colours where there are three channels, else the first in grey; its own range."""
    shown = image if len(image) == 3 else image[:1].expand(3, *image.shape[1:])
    values = shown.double().numpy()
    low, high = np.percentile(values, MIDDLE)
    scaled = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    return _enlarged(np.moveaxis(scaled, 0, -1), side)


def overlay(image: Tensor, found: Tensor, signed: bool) -> Pixels:
    """(H, W, 3): a map (C, H, W), its channels summed, over the dimmed image; the stronger, the more colour."""
    summed = (found.sum(0) if signed else found.abs().sum(0)).double().numpy()
    ground = grey_picture(image).astype(np.float64) * 0.75
    top = np.percentile(np.abs(summed), CLIPPED) or np.abs(summed).max() or 1.0
    strength = _resized(np.clip(np.abs(summed) / top, 0, 1), ground.shape[:2])[..., None] ** GAMMA * OPACITY
    sign = _resized(np.sign(summed) * np.clip(np.abs(summed) / top, 0, 1), ground.shape[:2])[..., None]
    colour = np.where(sign >= 0, FOR, AGAINST) if signed else np.broadcast_to(EITHER, ground.shape)
    return np.rint(ground * (1 - strength) + strength * colour).astype(np.uint8)


def tinted(image: Tensor, region: Tensor) -> Pixels:
    """(H, W, 3): a region (H, W) in green over the image (C, H, W)."""
    ground = grey_picture(image).astype(np.float64)
    inside = _resized(region.double().numpy(), ground.shape[:2])[..., None] > 0.5
    return np.rint(np.where(inside, ground * (1 - TINT) + TINT * np.array(OUTLINED), ground)).astype(np.uint8)


def tile(values: Tensor, signed: bool = False, side: int = TILE) -> Pixels:
    """(H, W, 3) of (H, W) numbers from black to white; signed: from blue by black to orange, 0 being black."""
    numbers = values.double().numpy()
    if not signed:
        return grey_picture(values[None], side)
    top = np.abs(numbers).max() or 1.0
    share = np.clip(np.abs(numbers) / top, 0, 1)[..., None]
    coloured = share * np.where(numbers[..., None] >= 0, FOR, AGAINST) / 255
    return _enlarged(coloured, side)


def grid(shares: Values, framed: int | None, alt: str) -> Markup:
    """An image of (side, side) numbers in [0, 1], dark to bright, one block framed."""
    side, step = len(shares), CELL
    values = np.nan_to_num(np.clip(shares, 0, 1)) ** GAMMA
    pixels = np.rint(values[..., None] * np.array(EITHER)).astype(np.uint8).repeat(step, 0).repeat(step, 1)
    if framed is not None and 0 <= framed < side * side:
        row, column = divmod(framed, side)
        rows, columns = slice(row * step, (row + 1) * step), slice(column * step, (column + 1) * step)
        inside = pixels[rows, columns].copy()
        pixels[rows, columns] = FRAME
        pixels[rows, columns][2:-2, 2:-2] = inside[2:-2, 2:-2]
    return tag("img", src=picture_url(pixels), alt=alt)


def shown(pixels: Pixels, caption: str, note: Child = None, alt: str = "") -> Markup:
    """A figure of the picture."""
    lines = [tag("br"), tag("small", note)] if note else []
    return tag("figure", tag("img", src=picture_url(pixels), alt=alt or caption), tag("figcaption", caption, *lines))


def strip(figures: Sequence[Markup], large: bool = False) -> Markup:
    """Side by side."""
    return tag("div", *figures, class_="filmstrip large" if large else "filmstrip")


def _enlarged(values: Values, side: int) -> Pixels:
    """Blocks of pixels as they are; of large images fewer, so that a page stays small."""
    longest = max(values.shape[:2])
    pixels = np.rint(255 * values).astype(np.uint8)
    if longest <= side:
        return pixels.repeat(max(1, side // longest), 0).repeat(max(1, side // longest), 1)
    sizes = tuple(max(1, round(length * side / longest)) for length in values.shape[1::-1])
    return np.asarray(Image.fromarray(pixels).resize(sizes, Image.Resampling.BICUBIC))


def _resized(values: Values, shape: tuple[int, ...]) -> Values:
    picture = Image.fromarray(values.astype(np.float32))
    way = Image.Resampling.NEAREST if shape[0] >= values.shape[0] else Image.Resampling.BOX
    return np.asarray(picture.resize((shape[1], shape[0]), way), np.float64)
