"""What was measured: data of a file, or of an image that is measured here first, with the map that made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.first_image import first_image
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.noise import GaussianNoise, Noise, PhotonNoise
from common.reconstruction.packing import Layout
from common.reconstruction.phase import smooth_phase
from common.seeding import generator
from common.study.catalogue import OPERATORS
from common.study.options import Entry
from experiments.measuring.image_files import Stored, read_stored
from experiments.reconstructing.asked import Asked
from experiments.reconstructing.channels import as_cases, in_channels
from experiments.reconstructing.given_parameters import (
    as_batch,
    demand_usable,
    drawn_parameters,
    given_parameters,
    known_parameters,
)

MOST_ENLARGED = 8
"""Times that an image's sides may be those of its data, where no size is given."""

LEAST_SIZE, MOST_SIZE = 1e-30, 1e30
"""Of the largest value of data, with room for an operator's scale."""
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Acquisition:
    """measured: (N, *M) float64, divided by `scale`. truth: (N, C, *S) likewise, where it is known. noise: standard
    deviation of a datum, likewise; None where it is not known. parameters: of one case, the same in all.
    """

    entry: Entry
    operator: Operator
    stored: Stored
    image_shape: tuple[int, ...]
    measured: Tensor
    parameters: Mapping[str, NDArray[np.float32]]
    scale: float
    truth: Tensor | None = None
    noise: float | None = None
    remarks: tuple[str, ...] = ()

    @property
    def complex_images(self) -> bool:
        """Two channels."""
        return self.operator.complex_images

    def linear(self, count: int) -> LinearMap:
        """A of a batch of so many."""
        return self.operator.map(self.image_shape, as_batch(self.parameters, count))

    def start(self) -> Tensor:
        """(N, C, *S): what the data give without a prior."""
        return first_image(self.linear(len(self.measured)), self.measured)


def acquire(asked: Asked, entry: Entry) -> Acquisition:
    """Read the file, and with `--simulate` measure its image first. Raises StudyError for what does not fit."""
    operator = cast(Operator, OPERATORS.build(entry))
    stored = read_stored(asked.given, asked.dataset)
    cases = as_cases(stored.values, asked.slices)
    _demand_size_of_float32(cases)
    return (
        _simulated(asked, entry, operator, stored, cases)
        if asked.simulate
        else _read(asked, entry, operator, stored, cases)
    )


def _simulated(asked: Asked, entry: Entry, operator: Operator, stored: Stored, cases: NDArray[Any]) -> Acquisition:
    if asked.data_range is None:
        sizes = np.abs(cases)
        raise StudyError(
            "--data-range must say what the image's values may span, as 1 or 255: noise and scores are counted in "
            f"it; this image's go from {float(sizes.min()):.4g} to {float(sizes.max()):.4g}."
        )
    truth = _images(operator, cases, asked) / asked.data_range
    shape = tuple(truth.shape[1:])
    parameters = drawn_parameters(operator, shape, given_parameters(operator, shape, asked.files()), asked.seed)
    demand_usable(operator, shape, parameters)
    linear = operator.map(shape, as_batch(parameters, len(truth)))
    clean = linear.forward(truth)
    deviation = (asked.noise or 0.0) / asked.data_range
    noise: Noise = (
        GaussianNoise(deviation) if asked.photons is None else PhotonNoise(asked.photons, asked.attenuation)
    )
    measured = noise.added(clean, linear, generator(asked.seed, "reconstruct", "noise"))
    if asked.photons is not None:
        deviation = float((measured - clean).square().mean().sqrt())
    return Acquisition(
        entry,
        operator,
        stored,
        shape,
        measured,
        parameters,
        asked.data_range,
        truth,
        deviation,
        _simple(cases, operator),
    )


def _simple(cases: NDArray[Any], operator: Operator) -> tuple[str, ...]:
    if not operator.complex_images or cases.dtype.kind == "c":
        return ()
    return ("The image is real: a smooth phase was drawn for it (--phase), or half of k-space would say all.",)


def _images(operator: Operator, cases: NDArray[Any], asked: Asked) -> Tensor:
    """(N, C, *S) float64. Raises StudyError for complex images of an operator of real ones."""
    if not operator.complex_images:
        if cases.dtype.kind == "c":
            raise StudyError("the operator measures real images; this one is complex: give its magnitude.")
        return torch.from_numpy(np.array(cases[:, None], np.float64))
    if cases.dtype.kind != "c":
        rng = generator(asked.seed, "reconstruct", "phase")
        return torch.from_numpy(
            np.stack([smooth_phase(one.astype(np.float32), asked.phase, rng) for one in cases]).astype(np.float64)
        )
    found = in_channels(cases, (2, *cases.shape[1:]))
    assert found is not None
    return found


def _read(asked: Asked, entry: Entry, operator: Operator, stored: Stored, cases: NDArray[Any]) -> Acquisition:
    shape, measured = _shaped(asked, operator, cases)
    volume = _maybe_coils(asked, operator, shape)
    seen = _seen(cases, shape)
    parameters, remarks = known_parameters(operator, shape, given_parameters(operator, shape, asked.files()), seen)
    demand_usable(operator, shape, parameters)
    measured, unused = _without_unmeasured(measured, parameters)
    truth = None if asked.truth is None else _truth(asked, shape)
    linear = operator.map(shape, as_batch(parameters, len(measured)))
    scale = asked.data_range or _largest(first_image(linear, measured))
    if truth is not None and asked.data_range is None:
        raise StudyError(
            "--data-range must say what the image's values may span, as 1 or 255: scores are counted in it; the "
            f"truth's go up to {_largest(truth):.4g}."
        )
    return Acquisition(
        entry,
        operator,
        stored,
        shape,
        measured / scale,
        parameters,
        scale,
        None if truth is None else truth / scale,
        None if asked.noise is None else asked.noise / scale,
        (*volume, *remarks, *unused),
    )


def _demand_size_of_float32(values: NDArray[Any]) -> None:
    """Raise StudyError where an image in the same unit would be infinite or zero once it is written."""
    largest = float(np.abs(values).max())
    if largest and not LEAST_SIZE <= largest <= MOST_SIZE:
        raise StudyError(
            f"the largest value of the data must lie between {LEAST_SIZE:g} and {MOST_SIZE:g}, since images are "
            f"written as float32; it is {largest:.3g}: choose another unit."
        )


def _without_unmeasured(
    measured: Tensor, parameters: Mapping[str, NDArray[np.float32]]
) -> tuple[Tensor, tuple[str, ...]]:
    """Data with zeros where a mask says that there are none, which would count as misfit; and what to say of it."""
    energy, mask = float(measured.square().sum()), parameters.get("mask")
    if not energy:
        return measured, ("The data are nothing but zeros, and so is the image.",)
    if mask is None or measured.shape[-mask.ndim :] != mask.shape:
        return measured, ()
    kept = measured * torch.from_numpy(np.ascontiguousarray(mask)).to(measured)
    left_out = 1 - float(kept.square().sum()) / energy
    if left_out <= ROUNDING:
        return kept, ()
    return kept, (f"{left_out:.1%} of the data's energy lies outside the mask and is not used.",)


def _shaped(asked: Asked, operator: Operator, cases: NDArray[Any]) -> tuple[tuple[int, ...], Tensor]:
    """The image's shape and the data as the operator has them. Raises StudyError where no image has such data."""
    channels = 2 if operator.complex_images else 1
    wanted: tuple[int, ...] = ()
    for sides in _candidates(asked, operator, cases.shape[1:]):
        shape = (channels, *sides)
        try:
            wanted = Layout.of(operator, shape).measured_shape
        except StudyError:
            if asked.sides() is not None:
                raise
            continue
        if (found := in_channels(cases, wanted)) is not None:
            return shape, found
    kind = "complex" if cases.dtype.kind == "c" else "real"
    if (cases.dtype.kind == "c") != operator.complex_images and cases.shape[1:2] != (2,):
        needed = "complex ones" if operator.complex_images else "real ones"
        raise StudyError(
            f"the operator measures {needed}, images and data; the file holds {kind} numbers of the shape "
            f"{cases.shape[1:]}{'; of an image to be measured first: --simulate' if operator.complex_images else ''}."
        )
    if asked.sides() is not None:
        raise StudyError(
            f"of an image of {asked.size} the operator measures data of the shape {wanted}, complex ones as two "
            f"channels; the file holds {kind} data of the shape {cases.shape[1:]} an image."
        )
    raise StudyError(
        f"the image's size does not follow from {kind} data of the shape {cases.shape[1:]}: give --size, such as "
        "128x128, and --slices, if an axis counts images."
    )


def _maybe_coils(asked: Asked, operator: Operator, shape: tuple[int, ...]) -> tuple[str, ...]:
    """A remark where the first axis of a volume may count coils: nothing in an array says which it is."""
    if getattr(operator, "coils", 0) != 1 or len(shape) != len(("channels", "x", "y", "z")) or asked.size:
        return ()
    sides = " x ".join(map(str, shape[1:]))
    return (f"Read as a volume of {sides}, of one coil. If its first axis counts coils: --set coils={shape[1]}.",)


def _candidates(asked: Asked, operator: Operator, held: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The size that is given; else that of the data, without their coils, and multiples of it."""
    if (sides := asked.sides()) is not None:
        yield sides
        return
    sizes = [size for size in (held, held[1:]) if len(size) in (2, 3)]
    yield from sizes
    factors = getattr(operator, "factors", None)
    if factors is None:
        return
    for size, factor in product(sizes, range(2, MOST_ENLARGED + 1)):
        enlarged = tuple(side * factor for side in size)
        try:
            by = factors((1, *enlarged))
        except StudyError:
            continue
        yield tuple(side * one for side, one in zip(size, by, strict=True))


def _seen(cases: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """(*S) where any case's data are not zero; None where data are of other sizes than the image."""
    some = (cases != 0).any(axis=0)
    if some.shape == shape[1:]:
        return np.asarray(some)
    return np.asarray(some.any(axis=0)) if some.shape[1:] == shape[1:] else None


def _truth(asked: Asked, shape: tuple[int, ...]) -> Tensor:
    assert asked.truth is not None
    cases = as_cases(read_stored(asked.truth).values, asked.slices)
    found = in_channels(cases, shape)
    if found is None and shape[0] == 2 and cases.dtype.kind != "c" and cases.shape[1:] == shape[1:]:
        real = torch.from_numpy(np.array(cases, np.float64))
        found = torch.stack([real, torch.zeros_like(real)], dim=1)
    if found is None:
        raise StudyError(f"the truth must be an image of {shape[1:]}; {asked.truth.name} holds {cases.shape[1:]}.")
    return found


def _largest(images: Tensor) -> float:
    """Magnitude; 1 of an image of zeros."""
    sizes = images.norm(dim=1) if images.shape[1] == 2 else images.abs()
    return float(sizes.max()) or 1.0
