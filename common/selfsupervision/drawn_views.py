"""What makes the views of a batch's cases, drawn by a generator or, of cases as they are held, by each case alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor

from common.data.cases import Batch
from common.seeding import case_generators
from common.selfsupervision.augmentation import Augmentation
from common.selfsupervision.held import generators_of
from common.study.catalogue import AUGMENTATIONS
from common.study.options import Entry


def drawn_views(
    augmentation: Entry, inputs: Tensor, names: Iterable[str], rng: np.random.Generator
) -> dict[str, Tensor]:
    """(N, P) of each view by name. A case shown alone is seen as it is among others."""
    return _drawn(augmentation, inputs, names, case_generators(rng, len(inputs)))


def held_views(augmentation: Entry, batch: Batch, names: Iterable[str]) -> Mapping[str, Tensor]:
    """Views that the batch brings; where it brings none, those that follow from each case alone."""
    wanted = tuple(names)
    if all(name in batch.columns for name in wanted):
        return {name: batch.tensor(name) for name in wanted}
    return _drawn(augmentation, batch.inputs, wanted, generators_of(batch.inputs, "views"))


def seen(augmentation: Entry, inputs: Tensor, drawn: Tensor) -> Tensor:
    """The inputs as one view shows them, in their own precision and on their own device."""
    pipeline = cast(Augmentation, AUGMENTATIONS.build(augmentation))
    return pipeline.apply(inputs, drawn.to(inputs))


def _drawn(
    augmentation: Entry, inputs: Tensor, names: Iterable[str], generators: list[np.random.Generator]
) -> dict[str, Tensor]:
    pipeline, shape = cast(Augmentation, AUGMENTATIONS.build(augmentation)), tuple(inputs.shape[1:])
    rows = {name: [pipeline.draw(rng, shape) for rng in generators] for name in names}
    return {name: torch.from_numpy(np.stack(row)).to(inputs.device) for name, row in rows.items()}
