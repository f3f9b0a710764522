"""What makes the views of a batch's cases, drawn by a generator or, of cases as they are held, by each case alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.data.cases import Batch
from common.seeding import case_generators
from common.selfsupervision.augmentation import Augmentation
from common.selfsupervision.held import generators_of
from common.selfsupervision.pipeline import Pipeline
from common.study.catalogue import AUGMENTATIONS
from common.study.options import Entry

Views = Mapping[str, Entry]
"""What makes each view, by its name: crops of several sizes are of several entries."""


def drawn_views(
    augmentation: Entry | Views, inputs: Tensor, names: Iterable[str], rng: np.random.Generator
) -> dict[str, Tensor]:
    """(N, P) of each view by name. A case shown alone is seen as it is among others.

    augmentation: of all views, or of each by its name, as DINO's global and local crops need it.
    """
    return _drawn(augmentation, inputs, tuple(names), case_generators(rng, len(inputs)))


def held_views(augmentation: Entry | Views, batch: Batch, names: Iterable[str]) -> Mapping[str, Tensor]:
    """Views that the batch brings; where it brings none, those that follow from each case alone."""
    wanted = tuple(names)
    if all(name in batch.columns for name in wanted):
        return {name: batch.tensor(name) for name in wanted}
    return _drawn(augmentation, batch.inputs, wanted, generators_of(batch.inputs, "views"))


def seen(augmentation: Entry, inputs: Tensor, drawn: Tensor, size: tuple[int, ...] | None = None) -> Tensor:
    """The inputs as one view shows them, in their own precision and on their own device.

    size: of the view, (*S), such as a local crop's; the inputs' own where it is not given.
    """
    pipeline = cast(Augmentation, AUGMENTATIONS.build(augmentation))
    return pipeline.apply(inputs, drawn.to(inputs.device), size or tuple(inputs.shape[2:]))


def _drawn(
    augmentation: Entry | Views, inputs: Tensor, names: Sequence[str], generators: list[np.random.Generator]
) -> dict[str, Tensor]:
    shape, rows = tuple(inputs.shape[1:]), dict[str, NDArray[np.float32]]()
    for name in names:
        entry = augmentation if isinstance(augmentation, Entry) else augmentation[name]
        rows[name] = _of_one_view(cast(Augmentation, AUGMENTATIONS.build(entry)), generators, shape)
    return {name: torch.from_numpy(row).to(inputs.device) for name, row in rows.items()}


def _of_one_view(
    pipeline: Augmentation, generators: Sequence[np.random.Generator], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    if isinstance(pipeline, Pipeline):
        return pipeline.draw_each(generators, shape)
    return np.stack([pipeline.draw(rng, shape) for rng in generators])
