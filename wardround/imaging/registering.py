"""Images brought onto each other, and onto other lattices.

An image is an array or tensor, an image of SimpleITK, nibabel or MONAI, or the path of a NIfTI file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from common.data.geometry import Geometry
from common.data.respaced import respaced
from common.errors import ImageError
from common.registration import register as registration
from common.registration.linear import Linear
from common.registration.record import Registration
from common.registration.sampling import least_value
from common.registration.sampling import resample as resampled
from common.registration.transform import Transform
from wardround.imaging.images import as_given, as_image


@dataclass(frozen=True, eq=False)
class Aligned:
    """A moving image on the fixed one's lattice.

    Attributes:
        image: of the fixed image's kind.
        found: all of the search.
        fixed: the lattice.
    """

    image: Any
    found: Registration
    fixed: Geometry

    @property
    def transform(self) -> Transform:
        """Fixed world to moving world, mm, RAS."""
        return self.found.transform

    @property
    def doubts(self) -> tuple[str, ...]:
        """What speaks against the result, a sentence each; where there is one, the search has probably failed."""
        return self.found.doubts

    def apply(self, given: Any, *, labels: bool = False, spacing_mm: ArrayLike | None = None) -> Any:
        """Another image that lies where the moving one lay, on the fixed one's lattice.

        Args:
            given: any image that the package takes.
            labels: whether its values are whole numbers that stand for something: the nearest is then taken.
            spacing_mm: of an array, 1 where not given.

        Returns:
            An image of the kind that was given.
        """
        image = as_image(given, spacing_mm)
        outside = 0.0 if labels else least_value(image)
        return as_given(resampled(image, self.fixed, self.transform, labels=labels, outside=outside), given)


def register(
    moving: Any,
    fixed: Any,
    transform: str = "affine",
    *,
    moving_spacing_mm: ArrayLike | None = None,
    fixed_spacing_mm: ArrayLike | None = None,
    **options: Any,
) -> Aligned:
    """Find the transform that makes the moving image like the fixed one.

    Args:
        moving: any image that the package takes, of 2 or 3 axes.
        fixed: the same, of as many axes.
        transform: "rigid", "similarity", "affine", "bspline", "displacement" or "velocity".
        moving_spacing_mm: of an array, 1 where not given.
        fixed_spacing_mm: of an array, 1 where not given.
        options: of `common.registration.register.register`, such as similarity, starts, seed, fixed_mask, or also,
            whose channels are given as the images are.

    Returns:
        The moving image on the fixed one's lattice, the transform, and what speaks against it.

    Raises:
        ImageError: images or options that do not fit.
    """
    one, other = as_image(moving, moving_spacing_mm), as_image(fixed, fixed_spacing_mm)
    spacings: dict[str, Any] = {"moving_mask": moving_spacing_mm, "fixed_mask": fixed_spacing_mm}
    masks: dict[str, Any] = {
        name: as_image(options.pop(name), spacing) for name, spacing in spacings.items() if name in options
    }
    if "also" in options:
        both = (moving_spacing_mm, fixed_spacing_mm)
        options["also"] = [tuple(map(as_image, pair, both)) for pair in options["also"]]
    found = registration.register(one, other, transform, **masks, **options)
    return Aligned(as_given(found.image, fixed), found, other.geometry)


def resample(
    given: Any,
    *,
    spacing_mm: ArrayLike | None = None,
    like: Any = None,
    labels: bool = False,
    given_spacing_mm: ArrayLike | None = None,
) -> Any:
    """An image with voxels of another size, or on another image's lattice; of the same kind.

    Args:
        given: any image that the package takes.
        spacing_mm: wanted, a number or one an axis; the image covers the same space, and its sizes are rounded.
        like: an image whose lattice it gets, in the place of `spacing_mm`.
        labels: whether values are whole numbers that stand for something: the nearest is taken, else linear.
        given_spacing_mm: of an array, 1 where not given.

    Returns:
        An image of the kind that was given; what it does not reach has its least value, 0 of labels.

    Raises:
        ImageError: neither or both of `spacing_mm` and `like`, or no image.
    """
    image = as_image(given, given_spacing_mm)
    if (spacing_mm is None) == (like is None):
        raise ImageError("resample needs spacing_mm or like, one of the two.")
    wanted = 1.0 if spacing_mm is None else spacing_mm
    lattice = as_image(like).geometry if like is not None else respaced(image.geometry, wanted)
    outside = 0.0 if labels else least_value(image)
    still = Linear.identity(image.geometry.dimensions)
    return as_given(resampled(image, lattice, still, labels=labels, outside=outside), given)
