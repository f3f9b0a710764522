"""Which similarities a dense deformation can follow, and what each asks of the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from common.errors import StudyError
from common.registration.forces import Force, LocalCorrelationForce, SquaredDifference
from common.registration.information import MutualInformation
from common.registration.information_force import InformationForce
from common.registration.local_correlation import LocalCorrelation
from common.registration.self_similarity import SelfSimilarity
from common.registration.similarity import CorrelationCoefficient, Similarity, SumOfSquaredDifferences

FINER_BINS, SMOOTHER = 2, 1.5


@dataclass(frozen=True)
class Measure:
    """name: for the record. described: (*shape) in [0, 1] -> (C, *shape) to compare. force: of that and a weight.

    smoothness: by which that of a flow's updates is multiplied.
    """

    name: str
    described: Callable[[Tensor], Tensor]
    force: Callable[[Tensor, Tensor], Force]
    smoothness: float = 1.0


def dense_measure(similarity: Similarity) -> Measure:
    """Of ssd, local_cc, mi or mind. cc is taken in windows, as local_cc.

    A deformation has so many freedoms that it can raise a joint histogram's information by chance: that of mi is
    smoother. Raises StudyError for any other similarity.
    """
    if isinstance(similarity, SumOfSquaredDifferences):
        return Measure("ssd", _itself, SquaredDifference)
    if isinstance(similarity, CorrelationCoefficient):
        similarity = LocalCorrelation()
    if isinstance(similarity, LocalCorrelation):
        radius = similarity.radius
        return Measure("local_cc", _itself, lambda fixed, weight: LocalCorrelationForce(fixed, weight, radius))
    if isinstance(similarity, MutualInformation):
        bins = FINER_BINS * similarity.bins
        return Measure("mi", _itself, lambda fixed, weight: InformationForce(fixed, weight, bins), SMOOTHER)
    if isinstance(similarity, SelfSimilarity):
        return Measure("mind", similarity.described, SquaredDifference)
    raise StudyError(
        f"a dense deformation follows ssd, cc (in windows: local_cc), local_cc, mi or mind; "
        f"it cannot follow {type(similarity).__name__}."
    )


def any_measure(similarity: Similarity) -> Measure:
    """Of any similarity, by torch's differentiation where no force was worked out by hand."""
    by_hand = (SumOfSquaredDifferences, CorrelationCoefficient, LocalCorrelation, MutualInformation, SelfSimilarity)
    if isinstance(similarity, by_hand):
        return dense_measure(similarity)
    name = type(similarity).__name__
    return Measure(name, _itself, lambda fixed, weight: Differentiated(similarity, fixed, weight))


class Differentiated:
    """Any similarity of whole images as a force; its curvature is not known and is called 1."""

    def __init__(self, similarity: Similarity, fixed: Tensor, weight: Tensor) -> None:
        self._similarity, self._fixed, self._weight = similarity, fixed, weight

    def weigh(self, weight: Tensor) -> None:
        """From now on."""
        self._weight = weight

    def derivatives(self, warped: Tensor) -> tuple[float, Tensor, Tensor]:
        """As `Force` has it."""
        with torch.enable_grad():
            here = warped.detach().requires_grad_()
            cost = self._similarity.cost(here, self._fixed, self._weight)
        (slope,) = torch.autograd.grad(cost, here)
        return float(cost.detach()), slope * warped.numel(), torch.ones_like(warped)


def _itself(values: Tensor) -> Tensor:
    return values


class Felt(torch.autograd.Function):
    """A force as a cost that torch can differentiate, by the derivative that was worked out by hand."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, warped: Tensor, force: Force) -> Tensor:
        """()."""
        cost, pull, _ = force.derivatives(warped.detach())
        ctx.save_for_backward(pull / pull.numel())
        return torch.tensor(cost)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, scale: Tensor) -> tuple[Tensor, None]:
        """Of the warped image."""
        (slope,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return slope * scale, None
