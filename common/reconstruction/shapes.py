"""What images an operator takes."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from torch import Tensor

from common.errors import StudyError

LARGEST_IMAGE = 1 << 28
"""Numbers of one image: 1 GiB of float32."""


def demand_image(where: str, shape: tuple[int, ...], axes: tuple[int, ...] = (2, 3), axis: int = 0) -> None:
    """Raise StudyError unless `shape` (C, *S) is of an image that has `axis`. axes: how many S may have."""
    words = " or ".join({1: "one", 2: "two", 3: "three"}[many] for many in axes)
    if len(shape) - 1 not in axes or min(shape) < 1:
        raise StudyError(
            f"{where} measures images of {words} axes after the channels; an image has the shape {shape}."
        )
    if axis >= len(shape) - 1:
        raise StudyError(
            f"{where}.axis must be below {len(shape) - 1}, as the image has the axes 0 to {len(shape) - 2}; it is "
            f"{axis}."
        )
    if prod(shape) > LARGEST_IMAGE:
        raise StudyError(
            f"{where} measures images of at most {LARGEST_IMAGE} numbers; one of {shape} has {prod(shape)}."
        )


def demand_complex(where: str, shape: tuple[int, ...], axis: int = 0, coils: int = 1) -> None:
    """Raise StudyError unless `shape` is of a complex image: real and imaginary part, two or three axes."""
    demand_image(where, shape, axis=axis)
    if prod(shape) * coils > LARGEST_IMAGE:
        raise StudyError(f"{where}: {coils} coils of an image of {shape} have more than {LARGEST_IMAGE} numbers.")
    if shape[0] != 2:
        raise StudyError(
            f"{where} measures complex images of two channels, real and imaginary part; an image has the shape "
            f"{shape}."
        )


def demand_parameters(
    where: str, shapes: Mapping[str, tuple[int, ...]], parameters: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """The parameters of `shapes` in their order. Raises StudyError unless all are there, (N, *its shape) each."""
    absent = [name for name in shapes if name not in parameters]
    if absent:
        raise StudyError(
            f"{where} needs the parameter {absent[0]!r} of each case; there are: {', '.join(parameters) or 'none'}."
        )
    for name, shape in shapes.items():
        found = parameters[name]
        if tuple(found.shape[1:]) != shape or len(found) != len(parameters[next(iter(shapes))]):
            raise StudyError(
                f"{where}: {name} must have the shape {shape} in each case, and as many cases as the other "
                f"parameters have; it is of shape {tuple(found.shape)}."
            )
    return {name: parameters[name] for name in shapes}
