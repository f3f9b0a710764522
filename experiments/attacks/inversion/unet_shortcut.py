"""From what a U-Net's deepest level was shown to what its last shortcut carried, in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from common.segmentation.unet import POOL, UNet
from experiments.attacks.inversion.convolution_inputs import Convolution
from experiments.attacks.inversion.skipped_features import skipped_features

LARGEST_MISFIT = 0.05
"""Between the shortcut's features, pooled, and what the deepest level was shown: with more they are not believed."""


def shortcut_features(
    network: nn.Module, narrow: nn.Module, shown: Tensor, gradients: Mapping[int, Tensor]
) -> tuple[nn.Module, Tensor] | None:
    """The level above a U-Net's deepest, and what it gave: (channels, *sides) float64.

    narrow: the convolution that was shown `shown` (channels, *sides), of any scale. gradients: by the id of a
    parameter. None where `narrow` is not the first of a U-Net's deepest level, or the features do not fit together.
    """
    body = next((module for module in network.modules() if isinstance(module, UNet)), None)
    if body is None or body.switched or _first_convolution(body.down[-1]) is not narrow:
        return None
    joining, pool = _first_convolution(body.up[0]), POOL[shown.dim() - 1]
    skipped = skipped_features(gradients[id(joining.weight)], joining, _enlarged(body, shown))
    if skipped is None:
        return None
    pooled = pool(skipped[None], 2)[0]
    scale = (pooled * shown).sum() / shown.square().sum()
    if (pooled - scale * shown).norm() > LARGEST_MISFIT * pooled.norm():
        return None
    return body.down[-2], skipped


def _enlarged(body: UNet, shown: Tensor) -> Tensor:
    """What the deepest level makes of it, enlarged. Its scale tells only through the epsilon of normalisations."""
    deepest, enlarge = deepcopy(body.down[-1]).double(), deepcopy(body.enlarge[0]).double()
    with torch.no_grad():
        return cast(Tensor, enlarge(deepest(shown[None]))[0])


def _first_convolution(level: nn.Module) -> Convolution:
    return next(module for module in level.modules() if isinstance(module, Convolution))
