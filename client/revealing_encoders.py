"""Whether an encoder was made so that sums of products of its features tell single persons.

Of exact products of all pairs, any linear combination of features may be read with any other. An encoder that sorts
cases into bins, as an imprint does (Fowl et al. 2022), and hands their pixels on beside, lets whoever made it read
the pixels of each bin, and most bins have one case. Its digest was approved by people, who cannot see that.

*Sorting*: a linear layer of which many rows have one direction and sort the hospital's cases (`client.imprints`).
*Alone*: few persons for whom some combination of features is not 0 while it is 0 for all others: its products with a
feature are then theirs. Tents over one person's age are such combinations of three units. H, the projection onto all
combinations, tells: one lies within a set S where the largest eigenvalue of H[S, S] is 1, so that one person of S has
an eigenvalue of 1 / |S| at least (of a case that is its leverage, Belsley, Kuh and Welsch 1980, section 2.1). From
each such person on the set grows by whoever the combination that is nearest to it lies on most. Features that are
judged are those that are told, without units that are silent for all but few (`common.asking.features`). Where there
are hardly more cases than features, combinations lie on few of whatever encoder, and nothing is told by it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.imprints import LEAST_BINS, MOST_IN_BINS, MOST_PARALLEL, sorting
from common.asking.features import LEAST
from common.data.cases import Cases
from common.errors import RefusedError

REFUSED = "encoder"
MOST_CASES, MOST_PLACES = 256, 256
"""Cases that are shown to the layers, and inputs of a layer that is applied to many places of a case."""
FEW = LEAST - 1
"""Persons who are too few to be told of together."""
CASES_BY_FEATURES = 2
Features = NDArray[np.float64]
ALONE, TOGETHER, RANK = 0.999, 1 - 1e-6, 1e-10
"""How much of a combination lies on one person, and on a few: honest features of 2 (D + 1) images and more had .99 of
one, and .999 of four, but not more."""


def refuse_revealing(encoder: nn.Module, cases: Cases, features: Features) -> None:
    """Raise RefusedError where sums of products of its features would tell single persons. features: (N, D)."""
    for name, (parallel, in_bins, rows) in _sorting(encoder, cases).items():
        if parallel > MOST_PARALLEL or in_bins > max(LEAST_BINS - 1, MOST_IN_BINS * rows):
            raise RefusedError(REFUSED, f"layer {name} of the encoder sorts cases into bins: an imprint.")
    refuse_alone(features, cases.patients)


def refuse_alone(features: Features, persons: NDArray[np.str_]) -> None:
    """Raise RefusedError where a combination of (N, D) features and a constant is of fewer than `LEAST` persons."""
    found = _alone(features, persons)
    if found:
        raise RefusedError(REFUSED, f"features tell {found} of {len(set(persons.tolist()))} persons from all others.")


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


def _alone(features: Features, persons: NDArray[np.str_]) -> int:
    """The fewest persons that were found on whom a combination lies; 0 where none does."""
    if len(features) < CASES_BY_FEATURES * (features.shape[1] + 1):
        return 0
    rows = _combinations(features)
    _, whose = np.unique(persons, return_inverse=True)
    cases = [np.flatnonzero(whose == person) for person in range(int(whose.max()) + 1)]
    strength = [_largest(rows[own])[0] for own in cases]
    begun = [person for person, value in enumerate(strength) if value >= TOGETHER / FEW]
    return min((size for person in begun if (size := _grown(rows, cases, person))), default=0)


def _combinations(features: Features) -> Features:
    """(N, rank) an orthonormal basis of all combinations of features and a constant: H is it times its transpose."""
    centred = features - features.mean(axis=0)
    size = np.sqrt(np.square(centred).mean(axis=0))
    columns = np.concatenate([np.ones((len(features), 1)), centred / np.where(size > 0, size, 1.0)], axis=1)
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, values > RANK * values[0]])


def _largest(rows: Features) -> tuple[float, Features]:
    """How much of a combination lies on these cases at most, as a share of its square sum; and it, in the basis."""
    _, values, right = np.linalg.svd(rows, full_matrices=False)
    return float(values[0] ** 2), right[0]


def _grown(rows: Features, cases: list[NDArray[np.int64]], first: int) -> int:
    """Persons of a set from `first` on that has a combination of its own; 0 where none is found."""
    chosen = [first]
    while True:
        share, combination = _largest(rows[np.concatenate([cases[person] for person in chosen])])
        if share >= (ALONE if len(chosen) == 1 else TOGETHER):
            return len(chosen)
        if len(chosen) == FEW:
            return 0
        weight = np.square(rows @ combination)
        on = np.array([weight[own].sum() for own in cases])
        on[chosen] = -1.0
        chosen.append(int(on.argmax()))
