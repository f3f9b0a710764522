"""A mean template of several images that favours none of them (Joshi et al. 2004; Guimond et al. 2000)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import expm, logm

from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import ImageError
from common.registration.attempts import AGREED
from common.registration.compose import compose
from common.registration.displacement import DisplacementField, sampled
from common.registration.linear import KINDS, Linear
from common.registration.record import Registration
from common.registration.register import register
from common.registration.sampling import least_value, resample
from common.registration.starts import mass_mm
from common.registration.transform import Transform


@dataclass(frozen=True, eq=False)
class Group:
    """template: mean of all images brought there, scaled to mean 0 and deviation 1. transforms: its world to each's.

    changes: mean absolute change of the template in each round. doubts: a sentence each.
    """

    template: Image
    transforms: tuple[Transform, ...]
    changes: tuple[float, ...]
    doubts: tuple[str, ...]


def group_template(
    images: Sequence[Image],
    transform: str = "affine",
    similarity: str = "auto",
    rounds: int = 3,
    lattice: Geometry | None = None,
    seed: int = 0,
    told: Callable[[int, int], None] = lambda done, all_: None,
) -> Group:
    """Register all to a template, undo the mean of the transforms, average again, `rounds` times.

    The first template is the image most like all others, since a mean of images that do not lie on each other yet is
    blurred, and may be longer another way than any of them. After a round the transforms' mean is taken from each: a
    template lies in its group's middle, whichever image came first.

    Args:
        images: two or more.
        transform: as of `register`.
        similarity: as of `register`.
        rounds: how often the mean is made anew.
        lattice: the template's; by default the first image's.
        seed: of whatever is drawn.
        told: called after each image with how many are done, of how many.

    Raises:
        ImageError: for fewer than two images or none of a lattice's dimensions, and what `register` raises.
    """
    if len(images) < 2 or rounds < 1:
        raise ImageError(f"a template needs two images and one round at least; there are {len(images)} and {rounds}.")
    place = lattice or images[0].geometry
    scaled = [_standard(image) for image in images]
    found: list[Transform] = [Linear.identity(place.dimensions)] * len(images)
    template, changes, doubts = _most_alike(scaled, place), [], list[str]()
    for turn in range(rounds):
        doubts = []
        for index, image in enumerate(scaled):
            start = found[index]
            initial = start if isinstance(start, Linear) and turn else None
            search = partial(register, image, template, transform, similarity, seed=seed)
            result = search(initial=initial)
            if not turn and transform in KINDS and (result.doubts or _is_turned(result.transform)):
                result = _less_turned(result, search(initial=_mass_upon_mass(image, place)))
            found[index] = result.transform
            doubts += [f"image {index + 1}: {doubt}" for doubt in result.doubts]
            told(turn * len(images) + index + 1, rounds * len(images))
        found = centred(found, place)
        mean = _mean(scaled, found, place)
        changes.append(float(np.abs(mean.values - template.values).mean()))
        template = mean
    return Group(template, tuple(found), tuple(changes), tuple(doubts))


def centred(transforms: Sequence[Transform], lattice: Geometry) -> list[Transform]:
    """All of them after the inverse of their mean: linear ones by mean logarithms, others by mean displacements."""
    linear = [one for one in transforms if isinstance(one, Linear)]
    if len(linear) == len(transforms):
        logs = [np.real(logm(one.matrix.numpy())) for one in linear]
        mean = expm(-np.mean(logs, axis=0))
        mean[-1] = np.eye(len(mean))[-1]
        back = Linear(torch.from_numpy(mean))
        return [one.after(back) for one in linear]
    vectors = torch.stack([sampled(one, lattice).vectors for one in transforms]).mean(dim=0)
    inverse = sampled(DisplacementField(vectors, lattice).inverse(), lattice)
    return [compose(inverse, one) for one in transforms]


def _most_alike(images: Sequence[Image], lattice: Geometry) -> Image:
    """By its mean correlation with the others, mass upon mass."""
    placed = [_brought(image, lattice, _mass_upon_mass(image, lattice)) for image in images]
    likeness = np.corrcoef([values.ravel() for values in placed]).sum(axis=1)
    chosen = int(np.argmax(likeness))
    return Image(placed[chosen], lattice)


def _mass_upon_mass(image: Image, lattice: Geometry) -> Linear:
    """From the middle of the lattice."""
    return Linear.of(np.eye(lattice.dimensions), mass_mm(image) - lattice.centre_mm)


def _is_turned(found: Transform) -> bool:
    """By more than 60 degrees, or 75 in 3D."""
    return isinstance(found, Linear) and float(found.matrix[:-1, :-1].trace()) < found.dimensions / 2


def _less_turned(result: Registration, near: Registration) -> Registration:
    """What was found from nearby where most parts agree: if nothing tells which way round, nothing is turned."""
    return near if near.agreement.share >= min(AGREED, result.agreement.share) else result


def _mean(images: Sequence[Image], transforms: Sequence[Transform], lattice: Geometry) -> Image:
    brought = [_brought(image, lattice, transform) for image, transform in zip(images, transforms, strict=True)]
    return Image(np.mean(brought, axis=0), lattice)


def _brought(image: Image, lattice: Geometry, transform: Transform) -> NDArray[np.float64]:
    return np.asarray(resample(image, lattice, transform, outside=least_value(image)).values, np.float64)


def _standard(image: Image) -> Image:
    values = image.values.astype(np.float64)
    return Image((values - values.mean()) / (float(values.std()) or 1.0), image.geometry)
