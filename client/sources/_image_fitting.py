"""Images of one size and scale, and their masks with them; what that takes away of the truth is counted.

Images are resampled bilinearly, with the antialiasing that shrinking needs; masks by the class that covers most of a
pixel, or by the nearest. Pixel centres lie at half-integers for both, so that they stay one on the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from client.sources._image_pixels import Pixels
from common.errors import SourceError

Colour = Literal["grey", "rgb", "luminance"]
Aspect = Literal["pad", "crop", "stretch"]
MaskRescaling = Literal["majority", "nearest"]
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601."""
NOT_QUITE_GREY = 8
"""By how much channels of 8 bits of a grey JPEG may differ."""


@dataclass(frozen=True)
class Placed:
    """An image of `size` in a frame of `size`: what `Fitting.place` decided. offset: of the frame in the image.

    scale: new pixels for an old one, of rows and columns. Where the offset is negative the frame is filled.
    """

    scaled: tuple[int, int]
    offset: tuple[int, int]
    scale: tuple[float, float]


@dataclass(frozen=True)
class Fitting:
    """size: (rows, columns) of the outcome, None to leave images as they are."""

    size: tuple[int, int] | None
    aspect: Aspect
    mask_rescaling: MaskRescaling

    def place(self, shape: tuple[int, int]) -> Placed:
        """Where an image of `shape` comes to lie."""
        if self.size is None:
            return Placed(shape, (0, 0), (1.0, 1.0))
        by_axis = [new / old for new, old in zip(self.size, shape, strict=True)]
        if self.aspect != "stretch":
            by_axis = [min(by_axis) if self.aspect == "pad" else max(by_axis)] * 2
        scaled = (max(1, round(shape[0] * by_axis[0])), max(1, round(shape[1] * by_axis[1])))
        offset = ((scaled[0] - self.size[0]) // 2, (scaled[1] - self.size[1]) // 2)
        return Placed(scaled, offset, (scaled[0] / shape[0], scaled[1] / shape[1]))

    def image(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(channels, H, W) to (channels, *size); what is filled is 0."""
        placed = self.place((values.shape[1], values.shape[2]))
        scaled = np.stack([_resized(channel, placed.scaled, Image.Resampling.BILINEAR) for channel in values])
        return self._framed(scaled, placed)

    def unfitted(self, values: NDArray[Any], shape: tuple[int, int], by: Image.Resampling) -> NDArray[Any]:
        """(N, *shape), of which `image` made (N, *size): what was cropped is 0, what was filled is gone."""
        placed = self.place(shape)
        whole = np.zeros((len(values), *placed.scaled), values.dtype)
        into = [slice(max(0, off), min(length, off + side)) for off, side, length in self._axes(placed)]
        own = [
            slice(max(0, -off), max(0, -off) + part.stop - part.start)
            for (off, _, _), part in zip(self._axes(placed), into, strict=True)
        ]
        whole[(slice(None), *into)] = values[(slice(None), *own)]
        return np.stack([_resized(channel, shape, by) for channel in whole])

    def mask(self, labels: NDArray[np.uint8], classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """(H, W) to size, filled with class 0; and (classes,) pixels of each class that the outcome lacks.

        Lacking is what lies outside of the frame, and a class that was there and is too small to be seen: its area in
        pixels of the outcome, at least one.
        """
        placed = self.place((labels.shape[0], labels.shape[1]))
        scaled = self._scaled_labels(labels, placed.scaled, classes)
        framed = self._framed(scaled[None], placed)[0]
        inside = np.bincount(framed[self._own(placed)].reshape(-1), minlength=classes)
        removed = np.bincount(scaled.reshape(-1), minlength=classes) - inside
        before = np.bincount(labels.reshape(-1), minlength=classes)
        vanished = (before > 0) & (inside + removed == 0)
        area = np.maximum(1, np.rint(before * placed.scale[0] * placed.scale[1])).astype(np.int64)
        return framed, np.where(vanished, area, removed).astype(np.int64)

    def spacing_mm(self, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> tuple[float, float]:
        """Of the outcome, from that of the image."""
        rows, columns = self.place(shape).scale
        return (spacing_mm[0] / rows, spacing_mm[1] / columns)

    def _scaled_labels(self, labels: NDArray[np.uint8], scaled: tuple[int, int], classes: int) -> NDArray[np.uint8]:
        if self.mask_rescaling == "nearest" or labels.shape == scaled:
            return _resized(labels, scaled, Image.Resampling.NEAREST)
        best = np.full(scaled, -1.0, np.float32)
        chosen = np.zeros(scaled, np.uint8)
        for index in np.unique(labels).tolist():
            share = _resized((labels == index).astype(np.float32), scaled, Image.Resampling.BOX)
            more = share > best + np.float32(1e-6)
            best[more], chosen[more] = share[more], index
        return chosen

    def _own(self, placed: Placed) -> tuple[slice, slice]:
        """The part of the frame that the image covers."""
        spans = [(max(0, -off), min(side, length - off)) for off, side, length in self._axes(placed)]
        return slice(*spans[0]), slice(*spans[1])

    def _axes(self, placed: Placed) -> list[tuple[int, int, int]]:
        return list(zip(placed.offset, self.size or placed.scaled, placed.scaled, strict=True))

    def _framed(self, values: NDArray[Any], placed: Placed) -> NDArray[Any]:
        framed = np.zeros((values.shape[0], *(self.size or placed.scaled)), values.dtype)
        out_of = [slice(max(0, off), min(length, off + side)) for off, side, length in self._axes(placed)]
        framed[(slice(None), *self._own(placed))] = values[(slice(None), *out_of)]
        return framed


def intensities(pixels: Pixels, colour: Colour, limits: tuple[float, ...]) -> NDArray[np.float32]:
    """(1 or 3, H, W) float32: limits to 0 and 1, without them 0 and the largest value of the file's type.

    Floats and signed numbers, whose type has no such value, are taken as they are. Raises SourceError where an image
    in colour would be taken for a grey one, or a value is not finite.
    """
    values = pixels.values
    if pixels.layout == "palette" and pixels.colours is not None:
        values = pixels.colours[values]
    unsigned = values.dtype.kind in "ub"
    scale = 1.0 if values.dtype.kind != "u" else float(np.iinfo(values.dtype).max)
    channels = values.astype(np.float32)[..., None] if values.ndim == 2 else values.astype(np.float32)
    if not np.isfinite(channels).all():
        raise SourceError("holds values that are not finite (NaN or infinity)")
    if pixels.layout == "rgba":
        channels = channels[..., :3] * (channels[..., 3:] / np.float32(scale))
    channels = _coloured(channels, colour, scale if unsigned else 1.0)
    if limits:
        low, high = limits
        channels = np.clip((channels - np.float32(low)) / np.float32(high - low), 0, 1)
    elif unsigned:
        channels = channels / np.float32(scale)
    return np.ascontiguousarray(np.moveaxis(channels, -1, 0), dtype=np.float32)


def _coloured(channels: NDArray[np.float32], colour: Colour, scale: float) -> NDArray[np.float32]:
    if colour == "rgb":
        return np.repeat(channels, 3, axis=-1) if channels.shape[-1] == 1 else channels
    if channels.shape[-1] == 1:
        return channels
    if colour == "grey" and np.ptp(channels, axis=-1).max() > NOT_QUITE_GREY / 255 * scale:
        raise SourceError(
            "is in colour: set source.colour to 'rgb', or to 'luminance' where its brightness is enough"
        )
    return np.asarray(channels @ LUMINANCE, np.float32)[..., None]


def _resized(values: NDArray[Any], shape: tuple[int, int], by: Image.Resampling) -> NDArray[Any]:
    if values.shape == shape:
        return values
    return np.asarray(Image.fromarray(values).resize((shape[1], shape[0]), by))
