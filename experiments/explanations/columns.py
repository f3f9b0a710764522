"""Which columns of a table a model's answers move with: by its gradient, and by mixing a column up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.attribution.aim import Aim
from common.attribution.gradients import asked, input_gradient
from common.seeding import generator
from experiments.explanations.answering.role import Answering

DRAWS = 20
"""Times that a column is mixed up: the mean of so many is told, and their spread."""


@dataclass(frozen=True)
class Column:
    """name: of it. slope: mean over cases of the aim's gradient, times the column's spread: how the answer moves with
    one spread more. size: the mean of its absolute value, which is larger where the direction differs from case to
    case. moved: mean absolute change of the aim where the column's values are dealt out anew among the cases, and its
    deviation over draws. alike: the other column that it goes along with most, and their correlation; None of one.
    """

    name: str
    slope: float
    size: float
    moved: float
    moved_deviation: float
    alike: tuple[str, float] | None


def columns_of(
    inputs: Tensor, aim: Aim, answering: Answering, names: tuple[str, ...], seed: int
) -> tuple[Column, ...]:
    """Of every column of (N, F) inputs, in their order. aim: of all cases one answer, so that directions compare."""
    network, values = answering.network, inputs.double().numpy()
    spread = values.std(0)
    slopes = input_gradient(network, inputs, aim).double().numpy() * spread
    alike = _alike(values, names)
    found = []
    for place, name in enumerate(names):
        moved = _moved(inputs, place, aim, answering, seed)
        found.append(
            Column(
                name,
                float(slopes[:, place].mean()),
                float(np.abs(slopes[:, place]).mean()),
                float(np.mean(moved)),
                float(np.std(moved)),
                alike[place],
            )
        )
    return tuple(found)


def _moved(inputs: Tensor, place: int, aim: Aim, answering: Answering, seed: int) -> list[float]:
    """(DRAWS,) mean absolute change of the aim."""
    rng, found = generator(seed, place, "columns"), []
    with asked(answering.network), torch.no_grad():
        before = aim.values(answering.network, inputs)
        for _ in range(DRAWS):
            mixed = inputs.clone()
            mixed[:, place] = inputs[torch.from_numpy(rng.permutation(len(inputs))), place]
            found.append(float((aim.values(answering.network, mixed) - before).abs().double().mean()))
    return found


def _alike(values: NDArray[np.float64], names: tuple[str, ...]) -> list[tuple[str, float] | None]:
    """Pearson's correlation; a column that does not vary goes along with none."""
    varies = values.std(0) > 0
    if values.shape[1] < 2 or len(values) < 2:
        return [None] * len(names)
    with np.errstate(invalid="ignore", divide="ignore"):
        r: NDArray[np.float64] = np.nan_to_num(np.atleast_2d(np.corrcoef(values, rowvar=False)))
    np.fill_diagonal(r, 0)
    best = np.abs(r).argmax(1)
    return [
        (names[best[place]], float(r[place, best[place]])) if varies[place] and r[place].any() else None
        for place in range(len(names))
    ]
