"""Images of other libraries as ours, and back: numbers, and where they lie in mm."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.data.geometry import Geometry
from common.data.image import Image, read_image
from common.errors import ImageError
from common.metrics.maps import as_array

LPS = np.array([-1.0, -1.0, 1.0])
"""Signs between ITK's world, which grows to the left and to the back, and ours."""
SLICE_MM = 1.0
"""A plane's own thickness, where a library wants one."""


def as_image(given: Any, spacing_mm: ArrayLike | None = None) -> Image:
    """`given` as our Image.

    Args:
        given: an array or tensor (X, Y) or (X, Y, Z), an image of SimpleITK, nibabel or MONAI, our Image, or the
            path of a NIfTI file.
        spacing_mm: of an array or a plain tensor, a number or one an axis; 1 where not given.

    Returns:
        The values as they are, and where each voxel lies: world coordinates in mm, RAS.

    Raises:
        ImageError: it is no image, or says itself where its voxels lie and is given a spacing beside.
    """
    if isinstance(given, Image):
        return _without(spacing_mm, given, "Image")
    if isinstance(given, (str, Path)):
        return _without(spacing_mm, read_image(Path(given)), "NIfTI file")
    for library, is_one, read in _READERS:
        if library in sys.modules and is_one(given):
            return _without(spacing_mm, read(given), library)
    values = as_array(given, "an image", may_be_nan=True)
    return Image(values, Geometry.of(values.shape, 1.0 if spacing_mm is None else spacing_mm))


def as_given(image: Image, given: Any) -> Any:
    """An image of ours as the kind of image that another one is.

    Args:
        image: of ours.
        given: whose library is wanted; where it is a path, the answer is an Image of ours.

    Returns:
        The same values in the same place, as that library's image.
    """
    for library, is_one, _ in _READERS:
        if library in sys.modules and is_one(given):
            return _WRITERS[library](image)
    if isinstance(given, (Image, str, Path)):
        return image
    if hasattr(given, "detach"):
        import torch

        return torch.from_numpy(np.ascontiguousarray(image.values))
    return image.values


def _without(spacing_mm: ArrayLike | None, image: Image, kind: str) -> Image:
    if spacing_mm is not None:
        raise ImageError(f"spacing_mm is of arrays; a {kind} says itself where its voxels lie.")
    return image


def _is_itk(given: Any) -> bool:
    return isinstance(given, sys.modules["SimpleITK"].Image)


def _from_itk(given: Any) -> Image:
    """SimpleITK's arrays have their axes in reverse, its world is LPS."""
    dimensions = given.GetDimension()
    if given.GetNumberOfComponentsPerPixel() != 1 or dimensions not in (2, 3):
        raise ImageError("an image of SimpleITK must have 2 or 3 axes and one number a voxel.")
    values = sys.modules["SimpleITK"].GetArrayFromImage(given)
    direction = np.array(given.GetDirection()).reshape(dimensions, dimensions)
    signs = LPS[:dimensions]
    affine = np.eye(dimensions + 1)
    affine[:-1, :-1] = signs[:, None] * direction * np.array(given.GetSpacing())
    affine[:-1, -1] = signs * np.array(given.GetOrigin())
    return Image(values.T, Geometry(values.T.shape, affine))


def _to_itk(image: Image) -> Any:
    geometry, signs = image.geometry, LPS[: image.geometry.dimensions]
    values = image.values.astype(np.uint8) if image.values.dtype == bool else image.values
    made = sys.modules["SimpleITK"].GetImageFromArray(np.ascontiguousarray(values.T))
    made.SetSpacing(tuple(map(float, geometry.spacing_mm)))
    made.SetOrigin(tuple((signs * geometry.origin_mm).tolist()))
    made.SetDirection(tuple((signs[:, None] * geometry.direction).ravel().tolist()))
    return made


def _is_nibabel(given: Any) -> bool:
    return isinstance(given, sys.modules["nibabel"].spatialimages.SpatialImage)


def _from_nibabel(given: Any) -> Image:
    values: NDArray[Any] = np.asarray(given.dataobj)
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise ImageError(f"an image of nibabel must have three axes; its shape is {values.shape}.")
    return Image(values, Geometry(values.shape, np.asarray(given.affine, np.float64)))


def _to_nibabel(image: Image) -> Any:
    values, affine = _in_space(image)
    stored = values.astype(np.uint8) if values.dtype == bool else values
    return sys.modules["nibabel"].Nifti1Image(stored, affine, dtype=stored.dtype)


def _is_monai(given: Any) -> bool:
    return isinstance(given, sys.modules["monai"].data.MetaTensor)


def _from_monai(given: Any) -> Image:
    """Its channel comes first, and its affine is (4, 4), RAS, of a plane too."""
    values = given.detach().cpu().numpy()
    if values.ndim not in (3, 4) or values.shape[0] != 1:
        raise ImageError(f"a MetaTensor must be (1, X, Y) or (1, X, Y, Z), one channel first; it is {values.shape}.")
    affine = np.asarray(given.affine, np.float64)
    kept = [*range(values.ndim - 1), len(affine) - 1]
    return Image(values[0], Geometry(values.shape[1:], affine[np.ix_(kept, kept)]))


def _to_monai(image: Image) -> Any:
    import torch

    affine = np.eye(4)
    kept = [*range(image.values.ndim), 3]
    affine[np.ix_(kept, kept)] = image.geometry.affine
    values = torch.from_numpy(np.ascontiguousarray(image.values))[None]
    return sys.modules["monai"].data.MetaTensor(values, affine=torch.from_numpy(affine))


def _in_space(image: Image) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """A plane as a volume of one slice."""
    if image.values.ndim == 3:
        return image.values, np.array(image.geometry.affine)
    affine = np.diag([1.0, 1.0, SLICE_MM, 1.0])
    affine[np.ix_((0, 1, 3), (0, 1, 3))] = image.geometry.affine
    return image.values[..., None], affine


_READERS: tuple[tuple[str, Callable[[Any], bool], Callable[[Any], Image]], ...] = (
    ("SimpleITK", _is_itk, _from_itk),
    ("monai", _is_monai, _from_monai),
    ("nibabel", _is_nibabel, _from_nibabel),
)
_WRITERS: dict[str, Callable[[Image], Any]] = {"SimpleITK": _to_itk, "monai": _to_monai, "nibabel": _to_nibabel}
