"""The cost of a transform: a similarity at points of the fixed image, over the overlap and the masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import ImageError
from common.registration.families import Mapping
from common.registration.filters import along_axes, refinement
from common.registration.sampling import Sampler, lattice_points
from common.registration.similarity import Similarity

LEAST_OVERLAP = 0.1
"""Share of the smaller image, or of its mask, that must have a counterpart."""
LOST = 10.0
"""What a transform costs that leaves no overlap: more than any similarity, so a line search turns back."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two images of one level, float32, scaled for the similarity, with optional masks (bool, on their lattices).

    also: other channels of both, which count as much.
    """

    moving: Image
    fixed: Image
    moving_mask: Image | None = None
    fixed_mask: Image | None = None
    also: tuple[Pair, ...] = ()

    @property
    def channels(self) -> tuple[Pair, ...]:
        """Each a pair of its own."""
        return replace(self, also=()), *self.also

    def swapped(self) -> Pair:
        """Fixed for moving and moving for fixed."""
        others = tuple(pair.swapped() for pair in self.also)
        return Pair(self.fixed, self.moving, self.fixed_mask, self.moving_mask, others)

    def smoothed(self, sigma: float) -> Pair:
        """Both images by a Gaussian of `sigma` of their own voxels."""
        moving, fixed = (
            Image(gaussian_filter(image.values, sigma, mode="nearest"), image.geometry)
            for image in (self.moving, self.fixed)
        )
        others = tuple(pair.smoothed(sigma) for pair in self.also)
        return Pair(moving, fixed, self.moving_mask, self.fixed_mask, others)

    def refined(self, factor: int) -> Pair:
        """Both images on lattices `factor` times as fine, by cubic splines, within [0, 1]; masks by repetition."""
        moving, fixed = (_refined(image, factor) for image in (self.moving, self.fixed))
        moving_mask, fixed_mask = (_repeated(mask, factor) for mask in (self.moving_mask, self.fixed_mask))
        return Pair(moving, fixed, moving_mask, fixed_mask, tuple(pair.refined(factor) for pair in self.also))


def _refined(image: Image, factor: int) -> Image:
    shape = tuple(factor * size for size in image.geometry.shape)
    matrices = [refinement(old, new) for old, new in zip(image.geometry.shape, shape, strict=True)]
    values = along_axes(torch.from_numpy(np.ascontiguousarray(image.values, np.float32))[None], matrices)[0]
    return Image(values.clamp(0, 1).numpy(), image.geometry.resized(shape))


def _repeated(mask: Image | None, factor: int) -> Image | None:
    if mask is None:
        return None
    values = mask.values
    for axis in range(values.ndim):
        values = values.repeat(factor, axis)
    return Image(values, mask.geometry.resized(values.shape))


@dataclass(frozen=True, eq=False)
class Sample:
    """points: (N, D) float32 world mm. values, weight: (N,) the fixed image there. shape: of a lattice, or None."""

    points: Tensor
    values: Tensor
    weight: Tensor
    shape: tuple[int, ...] | None


class Objective:
    """One level's cost of a family's parameters."""

    def __init__(
        self,
        pair: Pair,
        mapped: Callable[[Tensor], Mapping | None],
        penalty: Callable[[Tensor], Tensor],
        similarity: Similarity,
        sample: Sample,
    ) -> None:
        self.pair = pair
        self._maps, self._penalty, self._similarity = mapped, penalty, similarity
        self._moving = Sampler.of(pair.moving)
        self._mask = None if pair.moving_mask is None else Sampler.of(pair.moving_mask)
        self._least = LEAST_OVERLAP * min(
            1.0, volume(pair.moving, pair.moving_mask) / volume(pair.fixed, pair.fixed_mask)
        )
        self.use(sample)

    def use(self, sample: Sample) -> None:
        """Other points from now on."""
        self._sample, self._mapped = sample, self._maps(sample.points)

    def __call__(self, parameters: Tensor) -> Tensor:
        """() float64, differentiable."""
        sample = self._sample
        assert self._mapped is not None
        points = self._mapped(parameters)
        values, inside = self._moving.at(points)
        weight = sample.weight * inside
        if self._mask is not None:
            weight = weight * self._mask.at(points.detach(), "nearest")[0][0]
        shape = sample.shape or (-1,)
        parts = (part.reshape(shape) for part in (values[0], sample.values, weight))
        share = float(weight.sum()) / max(float(sample.weight.sum()), 1e-9)
        lost = LOST * max(0.0, self._least - share) / self._least
        return self._similarity.cost(*parts).double() + self._penalty(parameters) + lost


def volume(image: Image, mask: Image | None) -> float:
    """In mm^3, or mm^2 of a slice."""
    voxels = image.values.size if mask is None else int(np.count_nonzero(mask.values))
    return max(1, voxels) * abs(float(np.linalg.det(image.geometry.affine[:-1, :-1])))


def random_sample(pair: Pair, count: int, rng: np.random.Generator) -> Sample:
    """Places of the fixed image or its mask, one from each of `count` equal parts of it, between voxels too.

    Were they voxels, the fixed image would be read as it is and the moving one as a mean of neighbours, smoother
    the further it lies from a lattice point: a cost with a grain, which biases entropies most (Pluim et al. 2000).
    Equal parts, because places drawn without regard to each other crowd here and leave gaps there.
    """
    geometry = pair.fixed.geometry
    chosen = None if pair.fixed_mask is None else np.flatnonzero(pair.fixed_mask.values)
    size = pair.fixed.values.size if chosen is None else len(chosen)
    places = np.minimum((np.arange(count) + rng.uniform(size=count)) * (size / count), size - 1).astype(np.int64)
    picks = np.stack(np.unravel_index(places if chosen is None else chosen[places], geometry.shape), axis=-1)
    voxels = picks + rng.uniform(-0.5, 0.5, size=picks.shape)
    points = torch.from_numpy(geometry.voxel_to_world(voxels)).float()
    return Sample(points, Sampler.of(pair.fixed).at(points)[0][0], torch.ones(count), None)


def whole_sample(pair: Pair) -> Sample:
    """Every voxel, as a lattice."""
    geometry = pair.fixed.geometry
    values = torch.from_numpy(np.ascontiguousarray(pair.fixed.values, np.float32)).reshape(-1)
    weight = torch.ones(len(values))
    if pair.fixed_mask is not None:
        weight = torch.from_numpy(pair.fixed_mask.values.astype(np.float32)).reshape(-1)
    return Sample(lattice_points(geometry, torch.float32).flatten(0, -2), values, weight, geometry.shape)


def check_mask(mask: Image | None, image: Geometry, name: str) -> None:
    """Raise ImageError unless there is no mask, or one on the image's lattice that is not empty."""
    if mask is None:
        return
    if not mask.geometry.same_place(image):
        raise ImageError(f"the {name} mask must lie on the lattice of the {name} image.")
    if not mask.values.any():
        raise ImageError(f"the {name} mask is empty.")
