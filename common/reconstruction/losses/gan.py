"""Adversarial: a critic learns to tell made images from true ones, beside a loss of pixels (Ledig et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

from common.errors import StudyError
from common.learning.layers import CONVOLUTION, group_norm
from common.learning.own_loss import Loss
from common.reconstruction.losses._pixels import PIXELS, Pixels, WithVariation, each, pixel_loss
from common.study.checks import DEEPEST, WIDEST, one_of, positive, sized

CRITIC = "critic"
SLOPE = 0.2
Form = Literal["relativistic", "hinge"]


@dataclass(frozen=True)
class Adversarial(WithVariation):
    """total_variation: weight of the answer's total variation beside the loss, mean over pixels.

    form: "relativistic", the critic tells which of a made image and its truth is the true one (Jolicoeur-Martineau
    2018, equations 8 and 9, of each case with its own truth), or "hinge" (Lim and Ye 2017). channels, halvings: of
    the critic, which judges patches: its first width, doubled with each halving (Isola et al. 2017, section 3.2.2).
    pixels: the loss of pixels beside it, "l1", "l2" or "huber"; weight: of the critic's judgement beside that. Of
    complex images the critic sees the magnitude.

    Critic and network learn in turn, each with an optimiser and a loss of its own, and both are averaged. So no
    gradient is one person's, and privacy for a patient or a case is refused. It makes images sharper, and further
    from the truth: what it adds, nobody measured.
    """

    opposed: ClassVar[str] = CRITIC

    form: Form = "relativistic"
    channels: int = 16
    halvings: int = 3
    pixels: Pixels = "l1"
    weight: float = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("loss 'gan'", PIXELS, pixels=self.pixels)
        one_of("loss 'gan'", ("relativistic", "hinge"), form=self.form)
        positive("loss 'gan'", weight=self.weight)
        sized("loss 'gan'", WIDEST, channels=self.channels)
        sized("loss 'gan'", DEEPEST, halvings=self.halvings)

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Raises StudyError: it needs a critic."""
        raise StudyError("loss 'gan' needs images and a critic of them: it is of tasks that reconstruct images.")

    def parts(self, shape: tuple[int, ...]) -> Mapping[str, nn.Module]:
        """The critic."""
        smallest = 2**self.halvings
        if min(shape[1:]) < smallest:
            raise StudyError(
                f"loss 'gan'.halvings = {self.halvings} needs images of at least {smallest} pixels a side; they are "
                f"{' x '.join(map(str, shape[1:]))}."
            )
        return {CRITIC: critic(shape[0], len(shape) - 1, self.channels, self.halvings)}

    def of_parts(self, made: Tensor, truth: Tensor, shown: tuple[Tensor, Tensor], parts: nn.Module) -> Tensor:
        """(N,): that of who makes images."""
        judge = parts.get_submodule(CRITIC)
        fake: Tensor = judge(shown[0])
        if self.form == "relativistic":
            with torch.no_grad():
                true: Tensor = judge(shown[1])
            wrong = softplus(true - fake)
        else:
            wrong = -fake
        return pixel_loss(made, truth, self.pixels) + self.beside(made) + self.weight * each(wrong)

    def of_opposed(self, shown: tuple[Tensor, Tensor], parts: nn.Module) -> Tensor:
        """(N,): the critic's own."""
        judge = parts.get_submodule(CRITIC)
        fake, true = judge(shown[0].detach()), judge(shown[1])
        if self.form == "relativistic":
            return each(softplus(fake - true))
        return each(relu(1 - true) + relu(1 + fake))


def critic(channels: int, axes: int, width: int, halvings: int) -> nn.Module:
    """(N, C, *S) -> (N, 1, *s) of each patch, the higher the truer."""
    layer, layers, given = CONVOLUTION[axes], list[nn.Module](), channels
    for level in range(halvings):
        wide = width * 2**level
        layers += [layer(given, wide, 3, stride=2, padding=1), group_norm(wide), nn.LeakyReLU(SLOPE)]
        given = wide
    return nn.Sequential(*layers, layer(given, 1, 1))


loss: type[Loss] = Adversarial
