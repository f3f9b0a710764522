"""New images without labels, prepared as in training, and outlines back on their own pixels, upright as shown."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from client.new_cases import NewCase, Numbers
from client.sources._image_fitting import Colour, Fitting, intensities
from client.sources._image_pixels import Pixels
from common.files.access import write_to


@dataclass(frozen=True, eq=False)
class ImagePlace:
    """The way back of `Fitting.image`: out of the frame, to the image's own rows and columns.

    values: of each class in a mask: numbers, or colours "#rrggbb". spacing_mm: of the image's rows and columns.
    """

    fitting: Fitting
    shape: tuple[int, int]
    values: tuple[int | str, ...]
    spacing_mm: tuple[float, float] | None
    ending: str = ".png"
    probabilities_ending: str = ".tiff"

    @property
    def is_exact(self) -> bool:
        """Whether the image was not scaled."""
        return self.fitting.place(self.shape).scaled == self.shape

    @property
    def voxel_mm3(self) -> float | None:
        """mm2 of a pixel."""
        return None if self.spacing_mm is None else self.spacing_mm[0] * self.spacing_mm[1]

    def seen(self) -> NDArray[np.bool_]:
        """All but what a frame cropped."""
        sides = self.fitting.size or self.shape
        ones = np.ones((1, *sides), np.float32)
        shown: Numbers = self.fitting.unfitted(ones, self.shape, Image.Resampling.NEAREST)[0]
        return shown > 0.5

    def back(self, values: Numbers) -> Numbers:
        """Linear where the image was scaled."""
        back: Numbers = self.fitting.unfitted(values, self.shape, Image.Resampling.BILINEAR)[0]
        return back

    def write_labels(self, classes: NDArray[np.integer], path: Path) -> tuple[int | str, ...]:
        """PNG: grey of 8 bits, or 16 where values need them, or colours."""
        table = [_rgb(value) if isinstance(value, str) else value for value in self.values]
        deep = not isinstance(self.values[0], str) and max(map(int, self.values)) > np.iinfo(np.uint8).max
        pixels = np.array(table, np.uint16 if deep else np.uint8)[classes]
        packed = io.BytesIO()
        Image.fromarray(pixels).save(packed, "PNG")
        write_to(path, packed.getvalue())
        return self.values

    def write_probabilities(self, values: Numbers, path: Path) -> None:
        """TIFF: a page of float32 for each class."""
        packed = io.BytesIO()
        tifffile.imwrite(packed, np.ascontiguousarray(np.moveaxis(values, -1, 0)), photometric="minisblack")
        write_to(path, packed.getvalue())


def new_case(
    name: str, page: Pixels, fitting: Fitting, colour: Colour, limits: tuple[float, ...], place: ImagePlace | None
) -> NewCase:
    """One image as one case. Raises SourceError where it is in colour and should not be, or not finite."""
    inputs: Any = fitting.image(intensities(page, colour, limits))
    remarks = () if place is None or place.seen().all() else (CROPPED,)
    return NewCase(name, inputs[None], place=place, remarks=remarks)


CROPPED = "the network sees what source.aspect leaves of it: what was cropped is background in its outline"


def _rgb(colour: str) -> tuple[int, int, int]:
    value = int(colour[1:], 16)
    return value >> 16, value >> 8 & 255, value & 255
