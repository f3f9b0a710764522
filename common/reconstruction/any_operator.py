"""The role of a learned network that answers data of operators that it was not trained on."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from common.reconstruction.imaging_operator import LinearMap


@runtime_checkable
class AnyOperator(Protocol):
    """A network that holds a prior of images alone: a generator, a denoiser."""

    def sought_by(
        self, linear: LinearMap, measured: Tensor, noise: float = 0.0, most_seconds: float | None = None
    ) -> Tensor:
        """(N, C, *S) images of data (N, *M), each sought by itself.

        noise: standard deviation of that of the data. most_seconds: of the clock, for all of them, where the search
        takes long; without it, what comes is the same on every machine. Raises StudyError where the network does not
        take images of that shape.
        """
        ...
