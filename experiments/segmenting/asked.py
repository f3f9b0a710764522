"""What was asked of `wardround segment`: words as they were typed, and what is read from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.data.array_files import read_array
from common.data.geometry import Geometry
from common.data.image import Image, as_plane, read_image, read_labels
from common.errors import ImageError
from common.segmentation.methods import Method, method_of
from experiments.measuring.image_files import check_name, is_nifti

if TYPE_CHECKING:
    from common.segmentation.atlases import Atlas

FLAGS = {"seeds": "--seed", "seeds_in_mm": "--seeds-in-mm", "atlases": "--atlas"}
"""Where an option's name is not the field's."""


@dataclass(frozen=True)
class Asked:
    """Everything but the files that are written. options: of the method, by its field's name, as they were typed."""

    given: Path
    method: str
    options: Mapping[str, Any]
    connectivity: int | None = None
    largest: bool = False
    filled: bool = False
    truth: Path | None = None

    def files(self) -> list[Path]:
        """All that is read."""
        pairs = [Path(part) for pair in self.options.get("atlases", ()) for part in pair.split("=")]
        return [self.given, *pairs, *([self.truth] if self.truth is not None else [])]

    def method_asked(self) -> Method:
        """Raises ImageError or UnknownNameError for an option that is not the method's or is misspelt."""
        options = dict(self.options)
        if self.connectivity is not None and not (self.largest and self.method != "grow"):
            options["connectivity"] = self.connectivity
        method_of(self.method, options)  # before anything is read
        if "seeds" in options:
            options["seeds"] = [_seed(text, "seeds_in_mm" in options) for text in options["seeds"]]
        if "seeds_in_mm" in options and not is_nifti(self.given):
            raise ImageError(f"--seeds-in-mm is of NIfTI; {self.given.name} does not say where its voxels lie.")
        if "atlases" in options:
            options["atlases"] = tuple(_atlas(text) for text in options["atlases"])
        return method_of(self.method, options)

    def spelled(self) -> dict[str, Any]:
        """The options as words of a record."""
        return {FLAGS.get(name, f"--{name}").removeprefix("--"): value for name, value in self.options.items()}


def read_given(path: Path) -> Image:
    """Two or three axes, all three of a lone slice. An array's voxels are of 1 mm. Raises ImageError or FileError."""
    check_name(path)
    if is_nifti(path):
        return read_image(path)
    values = read_array(path)
    return Image(values, Geometry.of(values.shape))


def read_truth(path: Path, image: Image) -> Image:
    """Labels on the image's lattice. Raises ImageError where they lie elsewhere."""
    labels = _labels(path)
    if labels.geometry.dimensions != image.geometry.dimensions:
        labels, image = as_plane(labels), as_plane(image)
    fits = labels.geometry.same_place(image.geometry) if is_nifti(path) else labels.values.shape == image.values.shape
    if not fits:
        raise ImageError(
            f"{path.name} does not lie where the image lies: shapes {labels.geometry.shape} and "
            f"{image.geometry.shape}, spacings {labels.geometry.spacing_mm} and {image.geometry.spacing_mm} mm."
        )
    return labels


def _labels(path: Path) -> Image:
    if is_nifti(path):
        return read_labels(path)
    image = read_given(path)
    if image.values.dtype.kind not in "biu":
        raise ImageError(f"{path.name} must hold labels, whole numbers; it holds {image.values.dtype}.")
    return image


def _seed(text: str, in_mm: bool) -> list[float]:
    try:
        return [float(part) if in_mm else int(part) for part in text.split(",")]
    except ValueError as error:
        kind = "numbers" if in_mm else "whole numbers, a voxel"
        raise ImageError(f"--seed must be X,Y or X,Y,Z, {kind}; it is {text!r}.") from error


def _atlas(text: str) -> Atlas:
    from common.segmentation.atlases import Atlas

    image, _, labels = text.partition("=")
    if not image or not labels or "=" in labels:
        raise ImageError(f"--atlas must be IMAGE=LABELS, two files; it is {text!r}.")
    return Atlas(read_given(Path(image)), _labels(Path(labels)))
