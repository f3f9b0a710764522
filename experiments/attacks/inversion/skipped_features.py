"""The unknown half of what a convolution was shown, where the other half is known: a U-Net's shortcut.

Let patch_p = (s_p, k_p) be the values under the kernel at place p, k_p known, and d_p the loss' gradient by the
outputs there. The known half of the weights' gradient, sum_p d_p k_p^T, is linear in the d_p and gives them; the
other half, sum_p d_p s_p^T, is then linear in s. Both are least squares: no label, no search.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from experiments.attacks.inversion.convolution_inputs import Convolution, places_under_kernel


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
