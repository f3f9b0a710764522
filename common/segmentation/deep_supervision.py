"""Deep supervision (Lee et al. 2015): coarser levels of a network learn to outline too, with less weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn
from torch.nn.functional import interpolate

from common.segmentation.upsampling import LINEAR


@runtime_checkable
class HasLevels(Protocol):
    """A network that may have heads at coarser levels."""

    def logits_of_levels(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Logits of every head, full resolution first."""
        ...


def logits_of_levels(network: nn.Module, inputs: Tensor) -> tuple[Tensor, ...]:
    """(N, classes, [D,] H, W), full resolution first, then those of coarser heads where the network has them."""
    return network.logits_of_levels(inputs) if isinstance(network, HasLevels) else (network(inputs),)


def level_weights(count: int) -> tuple[float, ...]:
    """1, 1/2, 1/4, ... divided by their sum."""
    halves = [0.5**level for level in range(count)]
    return tuple(half / sum(halves) for half in halves)


def deep_losses(loss: Callable[[Tensor], Tensor], levels: Sequence[Tensor]) -> Tensor:
    """(N,) weighted mean of `loss` over the levels; coarser logits are first interpolated to the finest size."""
    if len(levels) == 1:
        return loss(levels[0])
    size = levels[0].shape[2:]
    enlarged = [levels[0], *(_enlarged(level, tuple(size)) for level in levels[1:])]
    parts = [weight * loss(level) for weight, level in zip(level_weights(len(levels)), enlarged, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _enlarged(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    return interpolate(logits.float(), size=size, mode=LINEAR[len(size)], align_corners=False)
