"""What the answer loses where a window of the input is covered, the mean over all windows that cover a place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import ceil, prod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.attribution import Attribution
from common.attribution.fills import Fill, checked_fill, filled
from common.attribution.gradients import asked
from common.attribution.pairs import looks
from common.errors import AttributionError
from common.study.checks import positive

SHARE = 7
"""Windows of images lie side by side so often along an axis, where no window is named."""


@dataclass(frozen=True)
class Occlusion:
    """window: sides of what is covered, one for each axis of the image or one for all; (): a seventh of each side,
    and one column of a table. stride: how far the next window lies, likewise; (): half a window. fill: what covers:
    "zero", "mean" or "black" (the least) of the case's own channel, or "value". value: the number of fill "value".
    by_channel: whether each channel is covered by itself.
    """

    source: ClassVar[str] = (
        "Zeiler and Fergus 2014, Visualizing and understanding convolutional networks, section 4.2"
    )
    signed: ClassVar[bool] = True

    window: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    fill: Fill = "zero"
    value: float = 0.0
    by_channel: bool = False

    def __post_init__(self) -> None:
        positive("occlusion", **{f"window[{axis}]": side for axis, side in enumerate(self.window)})
        positive("occlusion", **{f"stride[{axis}]": step for axis, step in enumerate(self.stride)})
        checked_fill("occlusion", self.fill, self.value)

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        """(N, 1, *S), or (N, C, *S) by channel; (N, F) of a table."""
        given = inputs.detach()
        axes = self._axes(tuple(given.shape[1:]))
        losses = self._losses(network, given, aim, axes)
        covered = [axis.sum(0) for axis in axes]
        for number, axis in enumerate(axes, 1):
            losses = torch.tensordot(losses, axis, ([1], [0])) if number else losses
        return (losses / reduce(_outer, covered)).float()

    def windows(self, shape: tuple[int, ...]) -> int:
        """How many of one case of `shape` are covered, one pass of the network each."""
        return prod(len(axis) for axis in self._axes(shape))

    def _losses(self, network: nn.Module, given: Tensor, aim: Aim, axes: list[Tensor]) -> Tensor:
        """(N, windows along each axis) float64: the number before less the number with that window covered."""
        counts = tuple(len(axis) for axis in axes)
        fills = filled(given, self.fill, self.value)
        parts = []
        with asked(network), torch.no_grad():
            before = aim.values(network, given)
            for cases, window in looks(given, prod(counts)):
                places = np.unravel_index(window.cpu().numpy(), counts)
                shown = [axis.to(given.device, torch.bool)[place] for axis, place in zip(axes, places, strict=True)]
                mask = reduce(_crossed, shown)
                covered = torch.where(mask, fills[cases], given[cases])
                parts.append(before[cases] - aim.take(cases).values(network, covered))
        return torch.cat(parts).double().reshape(len(given), *counts)

    def _axes(self, shape: tuple[int, ...]) -> list[Tensor]:
        """Of each axis of a case (windows, side) float64, 1 where a window covers a place; of channels (1, 1)."""
        channels, sides = (shape[:1], shape[1:]) if len(shape) > 1 else ((), shape)
        default = tuple(ceil(side / SHARE) for side in sides) if channels else (1,)
        window = self._spread("window", self.window or default, sides)
        step = self._spread("stride", self.stride or tuple(max(1, side // 2) for side in window), sides)
        along = [_members(*one) for one in zip(sides, window, step, strict=True)]
        if not channels:
            return along
        return [torch.eye(channels[0]).double() if self.by_channel else torch.ones(1, 1).double(), *along]

    def _spread(self, name: str, given: tuple[int, ...], sides: tuple[int, ...]) -> tuple[int, ...]:
        found = given * len(sides) if len(given) == 1 else given
        if len(found) != len(sides):
            raise AttributionError(
                f"occlusion: {name} lists {len(given)} numbers, and the inputs have {len(sides)} axes: one of each, "
                "or one for all."
            )
        return found


def _members(side: int, window: int, stride: int) -> Tensor:
    """(windows, side) float64; the last window is cut off at the end, so that every place is covered."""
    window = min(window, side)
    if stride > window:
        raise AttributionError(
            f"occlusion: a stride of {stride} steps over places that a window of {window} leaves out."
        )
    starts = torch.arange(ceil((side - window) / stride) + 1)[:, None] * stride
    places = torch.arange(side)[None]
    return ((places >= starts) & (places < starts + window)).double()


def _crossed(one: Tensor, other: Tensor) -> Tensor:
    """(M, ...) and (M, side) bool -> (M, ..., side)."""
    return one[..., None] & other.reshape(len(other), *(1,) * (one.ndim - 1), -1)


def _outer(one: Tensor, other: Tensor) -> Tensor:
    return one[..., None] * other


attribution: type[Attribution] = Occlusion
