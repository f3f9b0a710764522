"""Several operators one after another, such as a blur before larger pixels, or motion before projections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.chain import Chain
from common.reconstruction.imaging_operator import Operator
from common.reconstruction.packing import Layout
from common.reconstruction.shapes import demand_parameters
from common.study.catalogue import OPERATORS
from common.study.options import EXAMPLE, Entry

WHERE = "operator 'chain'"
MOST = 8


@dataclass(frozen=True)
class Chained:
    """y = A_n ... A_1 x: each measures what the one before it made.

    operators: of real images; the first measures the image. Parameters are called after their operator's place and
    their name, such as `1.point_spread`.
    """

    complex_images: ClassVar[bool] = False

    operators: tuple[Entry, ...] = field(metadata={EXAMPLE: 'operators = ["blur", "downsampling"]'})

    def __post_init__(self) -> None:
        if not 1 <= len(self.operators) <= MOST:
            raise StudyError(f"{WHERE}.operators must list 1 to {MOST}; it lists {len(self.operators)}.")
        if any(one.complex_images for one in self._built):
            raise StudyError(f"{WHERE} is of operators of real images alone; one of them measures complex ones.")

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """Those of all, by place."""
        shapes: dict[str, tuple[int, ...]] = {}
        for place, (one, given) in enumerate(zip(self._built, self._shapes(shape), strict=True), start=1):
            shapes |= {f"{place}.{name}": found for name, found in one.parameter_shapes(given).items()}
        return shapes

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
        """Of one after the other."""
        drawn: dict[str, NDArray[np.float32]] = {}
        for place, (one, given) in enumerate(zip(self._built, self._shapes(shape), strict=True), start=1):
            drawn |= {f"{place}.{name}": found for name, found in one.draw(rng, given).items()}
        return drawn

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> Chain:
        """The chain of their maps."""
        found = demand_parameters(WHERE, self.parameter_shapes(shape), parameters)
        maps = []
        for place, (one, given) in enumerate(zip(self._built, self._shapes(shape), strict=True), start=1):
            own = {name.removeprefix(f"{place}."): v for name, v in found.items() if name.startswith(f"{place}.")}
            maps.append(one.map(given, own))

        def again(*others: Tensor) -> Chain:
            return self.map(shape, dict(zip(found, others, strict=True)))

        return Chain(tuple(maps), (repr(self), shape), tuple(found.values()), again)

    def _shapes(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """What each of them is given. Raises StudyError where data are no image for the next."""
        shapes = [shape]
        for one in self._built[:-1]:
            shapes.append(Layout.of(one, shapes[-1]).measured_shape)
        return shapes

    @cached_property
    def _built(self) -> tuple[Operator, ...]:
        return tuple(cast(Operator, OPERATORS.build(one)) for one in self.operators)


operator: type[Operator] = Chained
