"""Images given their causes: a small hierarchical conditional VAE, which says what noise made an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import nn

from common.causality.deep.ladder import ConditionalLadder as Body
from common.causality.deep.ladder import noise_length
from common.data.cases import Shape
from common.errors import StudyError
from common.learning.networks._shapes import channels_of_grid
from common.learning.task import Network
from common.study.checks import DEEPEST, WIDEST, positive, sized


@dataclass(frozen=True)
class ConditionalLadder:
    """channels: of features at half resolution and at each halving from there. latents: channels of the latent
    variable at each of these resolutions, the coarsest first; fewer than resolutions leave the finest without one,
    and none at all is a plain VAE of `top`. top: latent numbers that see the whole image. scale: of the pixels'
    Laplace noise, of images in [0, 1]: what differs by less is left to the pixels' own noise.
    """

    channels: tuple[int, ...] = (24, 48)
    latents: tuple[int, ...] = (4, 2)
    top: int = 16
    scale: float = 0.02

    def __post_init__(self) -> None:
        for index, width in enumerate(self.channels):
            sized("network", WIDEST, **{f"channels[{index}]": width})
        for index, width in enumerate(self.latents):
            sized("network", WIDEST, **{f"latents[{index}]": width})
        sized("network", WIDEST, top=self.top)
        positive("network", scale=self.scale)
        if not 0 < len(self.channels) <= DEEPEST:
            raise StudyError(f"network.channels must list 1 to {DEEPEST} widths; it lists {len(self.channels)}.")
        if len(self.latents) > len(self.channels):
            raise StudyError(
                f"network.latents lists {len(self.latents)} latent variables, and network.channels "
                f"{len(self.channels)} resolutions: one at each is the most."
            )

    def build(self, shape: Shape) -> nn.Module:
        """(N, C + causes, H, W), an image of C = `shape.classes` channels and a plane of each number that is told of
        its causes -> (N, C, H, W), the image made again.

        Raises StudyError unless 2 ** resolutions divides every side, or where there is no cause.
        """
        return Body(*self._sizes(shape), self.channels, self.latents, self.top, self.scale)

    def noise_length(self, shape: Shape) -> int:
        """How many numbers of noise the latents of one image take; nothing is built."""
        return noise_length(self._sizes(shape)[0], len(self.channels), self.latents, self.top)

    def _sizes(self, shape: Shape) -> tuple[tuple[int, int, int], int]:
        channels, dimensions = channels_of_grid("conditional_ladder", shape, divisor=2 ** len(self.channels))
        if dimensions != 2 or channels <= shape.classes:
            raise StudyError(
                "network 'conditional_ladder' makes images of (channels, height, width) with at least one cause; it "
                f"is asked for {shape.classes} channels of inputs of shape {shape.inputs}."
            )
        return cast(tuple[int, int, int], (shape.classes, *shape.inputs[1:])), channels - shape.classes


network: type[Network] = ConditionalLadder
