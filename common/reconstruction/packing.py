"""Data and parameters of a case in planes of its image's size: what a network is shown of a measurement.

Whatever learns or predicts gets inputs (N, P, *S) alone. So a case's data and its operator's parameters are written,
one after the other, into planes of the image's size; each begins a plane of its own, and what is left is zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, prod

import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.imaging_operator import LinearMap, Operator


@dataclass(frozen=True)
class Layout:
    """Where data and parameters lie in the planes.

    operator: an entry. image_shape: (C, *S). measured_shape: of one case's data.
    """

    operator: Operator
    image_shape: tuple[int, ...]
    measured_shape: tuple[int, ...]
    parameters: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, operator: Operator, image_shape: tuple[int, ...]) -> Layout:
        """The layout for images of a shape. Raises StudyError where the operator does not take them."""
        shapes = dict(operator.parameter_shapes(image_shape))
        return cls(operator, image_shape, _empty_map(operator, image_shape, shapes).measured_shape, shapes)

    @property
    def empty_map(self) -> LinearMap:
        """That of one case whose parameters are zeros, to be asked what it can."""
        return _empty_map(self.operator, self.image_shape, self.parameters)

    @property
    def planes(self) -> int:
        """P: how many planes a case fills."""
        return sum(self._planes_of(shape) for shape in (self.measured_shape, *self.parameters.values()))

    @property
    def inputs_shape(self) -> tuple[int, ...]:
        """(P, *S)."""
        return (self.planes, *self.image_shape[1:])

    def pack(self, measured: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """(N, P, *S) of data (N, *measured_shape) and parameters (N, *shape) by name."""
        parts = [measured, *(parameters[name] for name in self.parameters)]
        return torch.cat([self._in_planes(part) for part in parts], dim=1)

    def unpack(self, inputs: Tensor) -> tuple[Tensor, LinearMap]:
        """Data (N, *measured_shape) and the map that made them.

        Raises StudyError where inputs are not of this layout.
        """
        measured, *parameters = self._parts(inputs)
        return measured, self.operator.map(self.image_shape, dict(zip(self.parameters, parameters, strict=True)))

    def parameters_of(self, inputs: Tensor) -> dict[str, Tensor]:
        """Parameters (N, *shape) by name. Raises StudyError where inputs are not of this layout."""
        return dict(zip(self.parameters, self._parts(inputs)[1:], strict=True))

    def check(self, inputs_shape: tuple[int, ...]) -> None:
        """Raise StudyError where inputs are not of this layout."""
        if inputs_shape != self.inputs_shape:
            raise StudyError(
                f"cases must hold data and parameters of the task's operator in planes of shape {self.inputs_shape}; "
                f"they are of shape {inputs_shape}. Choose the source's operators and the task's alike."
            )

    def _parts(self, inputs: Tensor) -> list[Tensor]:
        """Data, then parameters in their order."""
        self.check(tuple(inputs.shape[1:]))
        found, start = list[Tensor](), 0
        for shape in (self.measured_shape, *self.parameters.values()):
            end = start + self._planes_of(shape)
            found.append(inputs[:, start:end].flatten(1)[:, : prod(shape)].reshape(len(inputs), *shape))
            start = end
        return found

    def _planes_of(self, shape: tuple[int, ...]) -> int:
        return ceil(prod(shape) / prod(self.image_shape[1:]))

    def _in_planes(self, part: Tensor) -> Tensor:
        flat = part.flatten(1)
        planes = self._planes_of(tuple(part.shape[1:]))
        size = self.image_shape[1:]
        return torch.nn.functional.pad(flat, (0, planes * prod(size) - flat.shape[1])).reshape(
            len(part), planes, *size
        )


def _empty_map(operator: Operator, image_shape: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]]) -> LinearMap:
    return operator.map(image_shape, {name: torch.zeros(1, *shape) for name, shape in shapes.items()})
