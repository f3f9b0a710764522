"""From what a U-Net's deepest level was shown to what its last shortcut carried, in closed form.

The convolution behind it is shown two halves, of which one is known. Let patch_p = (s_p, k_p) be the values
under its kernel at place p, k_p known, and d_p the loss' gradient by the outputs there. The known half of the
gradient of the weights, sum_p d_p k_p^T, is linear in the d_p and gives them; the other, sum_p d_p s_p^T, is then
linear in s. Both are least squares: no label, no search.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from math import prod
from typing import cast

import torch
from torch import Tensor, nn

from common.segmentation.unet import POOL, UNet
from experiments.attacks.inversion.convolution_inputs import Convolution, places_under_kernel

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


def skipped_features(gradient: Tensor, layer: Convolution, known: Tensor) -> Tensor | None:
    """(skipped, *sides) float64, or None where there are more places than equations.

    gradient: (out, skipped + channels, *kernel) of the weights. known: (channels, *sides), the later channels.
    """
    places, pixels = places_under_kernel(layer, tuple(known.shape[1:])), prod(known.shape[1:])
    kernel, skipped = places.shape[1], gradient.shape[1] - len(known)
    if len(places) > min(len(known) * kernel, len(gradient) * kernel) or pixels > len(gradient) * kernel:
        return None
    of_skipped, of_known = gradient.double().flatten(2).tensor_split([skipped], dim=1)
    beyond = torch.cat([known.double().flatten(1), torch.zeros(len(known), 1, dtype=torch.float64)], dim=1)
    patches = beyond[:, places].permute(1, 0, 2).flatten(1)
    by_outputs = torch.linalg.lstsq(patches.T, of_known.flatten(1).T, driver="gelsd").solution
    weights = _spread(by_outputs, places, pixels)
    sought = of_skipped.permute(0, 2, 1).flatten(0, 1)
    found: Tensor = torch.linalg.lstsq(weights, sought, driver="gelsd").solution
    return found.T.reshape(skipped, *known.shape[1:])


def _spread(by_outputs: Tensor, places: Tensor, pixels: int) -> Tensor:
    """(out * kernel, pixels): what a pixel adds to the gradient of each weight. by_outputs: (places, out)."""
    weights = torch.zeros(by_outputs.shape[1], places.shape[1], pixels + 1, dtype=torch.float64)
    for under, gradient in zip(places, by_outputs, strict=True):
        index = under.where(under >= 0, pixels)
        weights[:, torch.arange(len(index)), index] += gradient[:, None]
    return weights[..., :pixels].flatten(0, 1)
