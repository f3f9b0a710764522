"""What `bench image-priors` reconstructs: one real slice, and a slice of each of four institutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from client.hospital import Hospital
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.phase import smooth_phase
from common.seeding import generator
from common.study.catalogue import OPERATORS
from common.study.options import Entry
from experiments.benchmarks._data import find

SLICE = "r16slice.jpg"
MARGIN = 16
"""Pixels of the slice of 256 x 256 that are cut off on every side."""
PHASE_RADIANS = 1.5


@dataclass(frozen=True)
class ImagingProblem:
    """How images are measured. noise: standard deviation, of images from 0 to 1."""

    name: str
    operator: Entry
    noise: float


PROBLEMS = (
    ImagingProblem("inpainting, half of the pixels", Entry("inpainting", {"hidden": 0.5}), 0.02),
    ImagingProblem("MRI x4", Entry("cartesian_mri", {"acceleration": 4.0}), 0.01),
    ImagingProblem("inpainting, a box", Entry("inpainting", {"hidden": 0.08, "pattern": "box"}), 0.02),
)
LARGE = ImagingProblem("inpainting, 224 x 224", Entry("inpainting", {"hidden": 0.5}), 0.05)


@dataclass(frozen=True)
class Acquisition:
    """One image (1, C, *S) as it was measured."""

    truth: Tensor
    linear: LinearMap
    measured: Tensor
    noise: float


def acquired(problem: ImagingProblem, image: NDArray[np.float32], *words: object) -> Acquisition:
    """A real image (*S) from 0 to 1; under a smooth phase where the operator takes complex ones."""
    rng = generator(0, "image priors", problem.name, *words)
    operator = cast(Operator, OPERATORS.build(problem.operator))
    truth = smooth_phase(image, PHASE_RADIANS, rng) if operator.complex_images else image[None]
    drawn = operator.draw(rng, truth.shape)
    parameters = {name: torch.from_numpy(np.asarray(values))[None] for name, values in drawn.items()}
    linear, whole = operator.map(truth.shape, parameters), torch.from_numpy(truth)[None]
    noise = torch.from_numpy(rng.normal(0, problem.noise, whole.shape).astype(np.float32))
    return Acquisition(whole, linear, linear.forward(whole + noise), problem.noise)


def real_slice(name: str = SLICE) -> NDArray[np.float32]:
    """(224, 224) from 0 to 1."""
    picture = Image.open(find("ants-2d-slices") / name).convert("L")
    whole = np.asarray(picture, np.float32)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return np.ascontiguousarray(whole / 255)


def slices_of(hospitals: Sequence[Hospital], part: str) -> Mapping[str, NDArray[np.float32]]:
    """Of every hospital that has persons of a part their slice (*S) with the largest sum: much of a head."""
    found: dict[str, Any] = {}
    for hospital in hospitals:
        if not len(hospital.splits[part]):
            continue
        images = np.asarray(hospital.splits[part].batch().targets)[:, 0]
        found[hospital.site] = images[int(np.argmax(images.sum((1, 2))))]
    return found
