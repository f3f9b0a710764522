"""U-Net that configures itself: hospitals' sums decide its levels, patch, spacing and batch, as in nnU-Net."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from common.data.cases import Shape
from common.learning.networks.unet import UNet
from common.learning.task import Network
from common.segmentation.self_configuration import MOST_HALVINGS, levels_of, widths_of
from common.study.checks import WIDEST, one_of, positive, sized

KeptSetting = Literal["spacing", "patch", "batch", "normalisation"]
KEPT: tuple[KeptSetting, ...] = ("spacing", "patch", "batch", "normalisation")


@dataclass(frozen=True)
class Auto:
    """channels: width at full resolution, doubled at each level. memory_mb: of maps that training may keep
    of a batch. keep: which of the study's own settings stay as they are written: "spacing", "patch", "batch",
    "normalisation".

    A run asks its hospitals first (analysis `fingerprint`), writes `plan.json`, and goes on with the network and
    the settings that follow from the answer; its study then names these, and "auto" no longer. `wardround plan`
    writes such a study without running it. Built as it is, its levels follow from the shape of the cases alone.
    """

    channels: int = 8
    memory_mb: float = 512.0
    keep: tuple[KeptSetting, ...] = ()

    def __post_init__(self) -> None:
        sized("network 'auto'", WIDEST, channels=self.channels)
        positive("network 'auto'", memory_mb=self.memory_mb)
        for name in self.keep:
            one_of("network 'auto'", KEPT, keep=name)

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, [D,] H, W) float32 -> (N, classes, [D,] H, W) logits, of a U-Net for cases of this shape."""
        sides = shape.inputs[1:]
        levels = levels_of(sides) if len(sides) in MOST_HALVINGS else 1
        return UNet(widths=widths_of(self.channels, levels, len(sides))).build(shape)


network: type[Network] = Auto
