"""What a network's layers weigh: the first one's filters as pictures, of deeper ones how large each is.

Only the first layer's filters are of pixels. A deeper filter weighs what the layer before it answers, so that a
picture of it shows nothing that an eye knows; its norm says at least whether it does anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import cast

from torch import Tensor, nn

from common.attribution.looks.activations import shown
from common.learning.transformer import VisionTransformer

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
WEIGHING = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)


@dataclass(frozen=True, eq=False)
class Filters:
    """Of one layer. path: as `named_modules` says. kind: of the module. norms: (K,) l2 norm of each filter.

    pictures: (K, C, *S) where a filter weighs the case itself, such as pixels of a window or a whole image; (K, F) of
    a table's columns; None of deeper layers.
    """

    path: str
    kind: str
    norms: Tensor
    pictures: Tensor | None


def filters_of(network: nn.Module, case: Tensor) -> tuple[Filters, ...]:
    """Of every layer that weighs, in the order in which one case (1, ...) passes them; a shared one once."""
    order: dict[str, nn.Module] = {}
    handles = [
        module.register_forward_pre_hook(_noting(order, path))
        for path, module in network.named_modules()
        if isinstance(module, WEIGHING)
    ]
    try:
        shown(network, case)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(
        _filters(path, module, network, tuple(case.shape[1:]) if place == 0 else None)
        for place, (path, module) in enumerate(order.items())
    )


def _noting(order: dict[str, nn.Module], path: str) -> Callable[..., None]:
    def note(module: nn.Module, given: object) -> None:
        order.setdefault(path, module)

    return note


def _filters(path: str, module: nn.Module, network: nn.Module, shape: tuple[int, ...] | None) -> Filters:
    weights = cast(Tensor, module.weight).detach().float()
    if isinstance(module, TRANSPOSED):
        weights = weights.transpose(0, 1)
    norms = weights.flatten(1).norm(dim=1)
    return Filters(path, type(module).__name__, norms, None if shape is None else _pictures(weights, network, shape))


def _pictures(weights: Tensor, network: nn.Module, shape: tuple[int, ...]) -> Tensor | None:
    """As the first layer is shown the case: a window of it, a patch, or all of it."""
    if weights.ndim > 2:
        return weights.contiguous()
    body = next((module for module in network.modules() if isinstance(module, VisionTransformer)), None)
    if body is not None and weights.shape[1] == shape[0] * prod(body.patch):
        return weights.reshape(len(weights), *body.patch, shape[0]).movedim(-1, 1).contiguous()
    return weights.reshape(len(weights), *shape) if weights.shape[1] == prod(shape) else None
