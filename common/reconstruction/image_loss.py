"""A task's loss of images, and the parts of the model that it needs: an encoder, a critic that learns in turn."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn

from common.errors import StudyError
from common.learning.abilities import REST
from common.learning.own_loss import Loss, LossAbilities, OwnLoss
from common.reconstruction.packing import Layout
from common.study.catalogue import LOSSES
from common.study.options import Entry

IMAGES = "images"
"""The group of all that makes images, where a critic learns too."""
LEAST_SQUARE = 1e-12
"""Beneath the root of a magnitude, which has no derivative at zero."""


class ImageLoss:
    """Found once, and asked with images in data ranges.

    complex_images: of two channels; parts are shown the magnitude. task: whose loss it is, for messages.
    """

    def __init__(self, entry: Entry, *, complex_images: bool, task: str = "reconstruction") -> None:
        self._what, self._complex, self._task, self._entry = f"loss {entry.name!r}", complex_images, task, entry
        self._made: Any = LOSSES.build(entry)

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """As a task's `optimised`; {} where one optimiser has all."""
        opposed = getattr(self._made, "opposed", None)
        return {} if opposed is None else {opposed: (opposed,), IMAGES: (REST,)}

    def add_parts(self, network: nn.Module, layout: Layout) -> None:
        """Set parts on the network by their names; those that do not learn in turn do not learn.

        Raises StudyError where a loss that is not ours cannot be learned from, or compares cases.
        """
        if not self._has_parts:
            if self._entry.name not in LOSSES.names():
                truth = torch.rand(2, *layout.image_shape, generator=torch.Generator().manual_seed(1))
                OwnLoss(self._entry, self._task).demand_usable(layout.image_shape, truth)
            return
        shape = (1, *layout.image_shape[1:]) if self._complex else layout.image_shape
        for name, part in self._abilities.parts(shape).items():
            if hasattr(network, name):
                raise StudyError(f"{self._what} calls a part {name!r}, and the network has one of that name.")
            setattr(network, name, part.requires_grad_(name in self.groups))

    def of(self, network: nn.Module | None, made: Tensor, truth: Tensor) -> Tensor:
        """(N,). network: that holds the parts; without one a loss that needs them refuses.

        Raises StudyError where the loss answers anything else.
        """
        if self._has_parts and network is not None:
            losses = self._abilities.of_parts(made, truth, self._shown(made, truth), network)
        else:
            losses = cast(Loss, self._made).of(made, truth)
        if not isinstance(losses, Tensor) or losses.shape != made.shape[:1]:
            came = f"shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else type(losses).__name__
            raise StudyError(
                f"{self._what} must give one loss a case, shape ({len(made)},); it gave {came}. The mean of each "
                "case is losses.flatten(1).mean(1)."
            )
        return losses

    def of_opposed(self, network: nn.Module, made: Tensor, truth: Tensor) -> Tensor:
        """(N,) of the part that learns in turn."""
        return self._abilities.of_opposed(self._shown(made, truth), network)

    @cached_property
    def _has_parts(self) -> bool:
        return getattr(self._made, "parts", None) is not None

    @property
    def _abilities(self) -> LossAbilities:
        return cast(LossAbilities, self._made)

    def _shown(self, made: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        return (magnitudes(made), magnitudes(truth)) if self._complex else (made, truth)


def magnitudes(images: Tensor) -> Tensor:
    """(N, 1, *S) of complex images (N, 2, *S), differentiable everywhere."""
    return torch.sqrt(images.square().sum(1, keepdim=True) + LEAST_SQUARE)
