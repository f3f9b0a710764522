"""Whether an encoder was made so that sums of products of its features tell single persons.

Of exact products of all pairs, any linear combination of features may be read with any other. An encoder that sorts
cases into bins, as an imprint does (Fowl et al. 2022), and hands their pixels on beside, lets whoever made it read
the pixels of each bin, and most bins have one case. Its digest was approved by people, who cannot see that.

*Sorting*: a linear layer of which many rows have one direction and sort the hospital's cases (`client.imprints`).
*Alone*: cases for which some combination of features is 1 while it is 0 for all others: those of a leverage of 1
(Belsley, Kuh and Welsch 1980, section 2.1). An honest feature that is silent for all cases but one has that too, so
that some are forgiven; and where there are hardly more cases than features, all have it and nothing is told by it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.imprints import LEAST_BINS, MOST_IN_BINS, MOST_PARALLEL, sorting
from common.data.cases import Cases
from common.errors import RefusedError

REFUSED = "encoder"
MOST_CASES, MOST_PLACES = 256, 256
"""Cases that are shown to the layers, and inputs of a layer that is applied to many places of a case."""
MOST_ALONE, FEW_ALONE = 0.1, 3
"""Share of cases that may be alone by chance, and how many always may."""
CASES_BY_FEATURES = 2
WHOLE, RANK = 1 - 1e-6, 1e-10


def refuse_revealing(encoder: nn.Module, cases: Cases, features: NDArray[np.float64]) -> None:
    """Raise RefusedError where sums of products of its features would tell single persons. features: (N, D)."""
    for name, (parallel, in_bins, rows) in _sorting(encoder, cases).items():
        if parallel > MOST_PARALLEL or in_bins > max(LEAST_BINS - 1, MOST_IN_BINS * rows):
            raise RefusedError(REFUSED, f"layer {name} of the encoder sorts cases into bins: an imprint.")
    if (alone := _alone(features)) > max(FEW_ALONE, MOST_ALONE * len(features)):
        raise RefusedError(REFUSED, f"features tell {alone} of {len(features)} cases apart from all others.")


def _sorting(encoder: nn.Module, cases: Cases) -> dict[str, tuple[int, int, int]]:
    """By linear layer: the most rows of one direction, those nearly of one, of such as sort cases; and all."""
    linear = {name: one for name, one in encoder.named_modules() if isinstance(one, nn.Linear)}
    shown: dict[str, list[Tensor]] = {name: [] for name in linear}
    names = {id(layer): name for name, layer in linear.items()}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        shown[names[id(layer)]].append(inputs[0].detach().flatten(0, -2)[:MOST_PLACES])

    handles = [layer.register_forward_hook(note) for layer in linear.values()]
    spread = np.unique(np.linspace(0, len(cases) - 1, min(len(cases), MOST_CASES)).astype(np.int64))
    try:
        with torch.no_grad():
            for index in spread if linear else ():
                encoder(cases.batch(np.array([index])).inputs.double())
    finally:
        for handle in handles:
            handle.remove()
    return {name: _of_layer(linear[name], torch.cat(rows).numpy()) for name, rows in shown.items() if rows}


def _of_layer(layer: nn.Linear, inputs: NDArray[np.float64]) -> tuple[int, int, int]:
    weights = layer.weight.detach().float().numpy()
    bias = np.zeros(len(weights), np.float32) if layer.bias is None else layer.bias.detach().float().numpy()
    return (*sorting(weights, bias, inputs), len(weights))


def _alone(features: NDArray[np.float64]) -> int:
    """How many cases some combination of features and a constant tells apart from all others."""
    if len(features) < CASES_BY_FEATURES * (features.shape[1] + 1):
        return 0
    centred = features - features.mean(axis=0)
    size = np.sqrt(np.square(centred).mean(axis=0))
    rows = np.concatenate([np.ones((len(features), 1)), centred / np.where(size > 0, size, 1.0)], axis=1)
    left, values, _ = np.linalg.svd(rows, full_matrices=False)
    kept = left[:, values > RANK * values[0]]
    return int((np.square(kept).sum(axis=1) >= WHOLE).sum())
