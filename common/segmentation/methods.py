"""Outlines without any learning: by thresholds, by growing from seeds, by atlases; each a method with its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from common.data.image import Image, as_plane
from common.errors import ImageError
from common.metrics.maps import as_array
from common.segmentation.doors import real_number
from common.segmentation.region_growing import grow, seed_places
from common.segmentation.threshold import between, classes_of, otsu
from common.segmentation.tidying import Labels, holes_filled, largest_part
from common.study.spelling import unknown

if TYPE_CHECKING:
    from common.registration.transform import Transform
    from common.segmentation.atlases import Atlas


@dataclass(frozen=True, eq=False)
class Found:
    """labels: (*S), 0 is background. is_mask: whether there is one structure alone, 1.

    figures: what the method found out on its way, such as thresholds. doubts: what speaks against the result, a
    sentence each; where there is one, the method has probably failed.
    """

    labels: Labels
    is_mask: bool
    figures: Mapping[str, Any] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()


class Method(Protocol):
    """A way of outlining one image by itself."""

    def find(self, image: Image) -> Found:
        """Labels of the image's voxels. Raises ImageError for an image or options that do not fit."""
        ...


@dataclass(frozen=True)
class Threshold:
    """lower: the least value that belongs to the structure. upper: the largest one; one of both is needed."""

    lower: float | None = None
    upper: float | None = None

    def find(self, image: Image) -> Found:
        """All voxels between both limits."""
        if self.lower is None and self.upper is None:
            raise ImageError("a threshold needs lower, upper or both.")
        low, high = _limits(self.lower, self.upper)
        return Found(between(image.values, low, high).astype(np.int64), True, {"lower": low, "upper": high})


@dataclass(frozen=True)
class Otsu:
    """classes: into how many the intensities are parted, 2 to 4; label 0 is the darkest."""

    classes: int = 2

    def find(self, image: Image) -> Found:
        """Classes of intensity that differ most from each other."""
        cuts = otsu(image.values, self.classes)
        return Found(classes_of(image.values, cuts), self.classes == 2, {"thresholds": list(cuts)})


@dataclass(frozen=True)
class Grow:
    """seeds: voxels to begin from, or points. lower: least value that is grown into. upper: largest one.

    tolerance: in the place of both, how far a value may lie from the seeds' mean. connectivity: neighbours of a
    voxel, 4 or 8 in 2D, 6, 18 or 26 in 3D; the least if not given. seeds_in_mm: seeds are points of the world, RAS.
    """

    seeds: Any = ()
    lower: float | None = None
    upper: float | None = None
    tolerance: float | None = None
    connectivity: int | None = None
    seeds_in_mm: bool = False

    def find(self, image: Image) -> Found:
        """All that hangs together with a seed and is like it."""
        places = _places_in_mm(self.seeds, image) if self.seeds_in_mm else _places(self.seeds, image.geometry.shape)
        at_seeds = as_array(image.values, "the image", may_be_nan=True)[tuple(places.T)].astype(np.float64)
        low, high = self._interval(at_seeds)
        labels = grow(image.values, places, low, high, self.connectivity).astype(np.int64)
        outside = [
            f"seed {tuple(map(int, place))} has the value {value:g}, outside of [{low:g}, {high:g}], and grew nothing"
            for place, value in zip(places, at_seeds, strict=True)
            if not low <= value <= high
        ]
        return Found(labels, True, {"lower": low, "upper": high, "voxels": places.tolist()}, tuple(outside))

    def _interval(self, at_seeds: NDArray[np.float64]) -> tuple[float, float]:
        if self.tolerance is None:
            if self.lower is None and self.upper is None:
                raise ImageError("growing needs lower, upper or tolerance: how far a value may lie from the seeds'.")
            return _limits(self.lower, self.upper)
        if self.lower is not None or self.upper is not None:
            raise ImageError("tolerance stands in the place of lower and upper; give it alone.")
        away = real_number("tolerance", self.tolerance)
        mean = float(at_seeds.mean())
        if away < 0 or not np.isfinite(mean):
            raise ImageError(f"tolerance must be zero or more, about a number; it is {away:g} about {mean:g}.")
        return mean - away, mean + away


@dataclass(frozen=True)
class ByAtlas:
    """atlases: labelled images that are registered to this one. fusion: how their labels become one map."""

    atlases: tuple[Atlas, ...] = ()
    fusion: str | None = None

    def find(self, image: Image) -> Found:
        """Labels of other images, carried over by an affine map and a dense displacement each."""
        from common.registration.register import register
        from common.segmentation import atlases

        if not np.isfinite(as_array(image.values, "the image", may_be_nan=True)).all():
            raise ImageError("an image that atlases are registered to must be finite; it holds NaN or infinity.")
        doubts: list[str] = []

        def aligned(moving: Image, fixed: Image) -> Transform:
            found = register(moving, fixed, "displacement", "local_cc")
            doubts.extend(f"an atlas was not brought over: {doubt}" for doubt in found.doubts)
            return found.transform

        planes = [atlases.Atlas(as_plane(one.image), as_plane(one.labels)) for one in self.atlases]
        how: dict[str, Any] = {} if self.fusion is None else {"fusion": self.fusion}
        labels = atlases.segment(as_plane(image), planes, registration=aligned, **how)
        return Found(labels.values.reshape(image.geometry.shape), is_mask=False, doubts=tuple(doubts))


METHODS: Mapping[str, type[Any]] = {"threshold": Threshold, "otsu": Otsu, "grow": Grow, "atlas": ByAtlas}
"""By the word for it."""


def method_of(name: str, options: Mapping[str, Any]) -> Method:
    """Raises UnknownNameError for another name or option, naming the nearest; ImageError for another's option."""
    if name not in METHODS:
        raise unknown("method", str(name), METHODS)
    known = [one.name for one in fields(METHODS[name])]
    for option in options:
        owners = [word for word, kind in METHODS.items() if option in (one.name for one in fields(kind))]
        if option not in known and owners:
            raise ImageError(f"{option} is of {' and '.join(owners)}; {name} has {', '.join(known)}.")
        if option not in known:
            raise unknown(f"option of {name}", option, known)
    method: Method = METHODS[name](**options)
    return method


def segmented(
    image: Image, method: Method, *, largest: bool = False, filled: bool = False, connectivity: int | None = None
) -> Found:
    """What the method finds; of each label its largest part alone, then its holes filled, where that is asked for.

    connectivity: of parts, as of growing. Raises ImageError.
    """
    for name, value in (("largest_part", largest), ("fill_holes", filled)):
        if not isinstance(value, (bool, np.bool_)):
            raise ImageError(f"{name} must be True or False; it is {value!r}.")
    found = method.find(image)
    labels = largest_part(found.labels, connectivity) if largest else found.labels
    labels = holes_filled(labels) if filled else labels
    nothing = () if labels.any() else ("nothing was found: every voxel is background",)
    return replace(found, labels=labels, doubts=(*nothing, *found.doubts))


def _limits(lower: float | None, upper: float | None) -> tuple[float, float]:
    low = -np.inf if lower is None else real_number("lower", lower)
    return low, np.inf if upper is None else real_number("upper", upper)


def _places(seeds: Any, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Two indices are enough in a lone slice."""
    lone = [axis for axis, size in enumerate(shape) if size == 1]
    several = isinstance(seeds, (list, tuple, np.ndarray)) and len(seeds) > 0
    if len(shape) == 3 and len(lone) == 1 and several and all(np.size(one) == 2 for one in seeds):
        return seed_places([np.insert(np.asarray(one), lone[0], 0) for one in seeds], shape)
    return seed_places(seeds, shape)


def _places_in_mm(seeds: Any, image: Image) -> NDArray[np.int64]:
    try:
        given = [[real_number("a seed's coordinate", one) for one in point] for point in seeds]
        points = np.asarray(given, np.float64).reshape(len(given), image.geometry.dimensions)
    except (TypeError, ValueError) as error:
        raise ImageError(
            f"seeds in mm must be points of {image.geometry.dimensions} numbers; {seeds!r} came."
        ) from error
    voxels = np.rint(image.geometry.world_to_voxel(points))
    if not len(points) or not np.isfinite(voxels).all():
        raise ImageError(f"seeds in mm must be points, one at least, and finite; {seeds!r} came.")
    return seed_places(np.clip(voxels, -(2.0**31), 2.0**31).astype(np.int64), image.geometry.shape)
