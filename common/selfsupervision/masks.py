"""Which patches of a case are hidden: as many of every case, drawn, or, of a case as held, by the case alone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.data.cases import Batch
from common.errors import StudyError
from common.seeding import case_generators
from common.selfsupervision.augmentation import Augmentation
from common.selfsupervision.held import generators_of

MASK = "mask"
"""The column of a batch: (N, T) int64, 1 where a patch is hidden."""
VIEW = "view"
"""The column of what makes a view of each case, where training shows cases changed."""


def count_of_visible(patches: int, masked: float) -> int:
    """Patches that are shown, of so many (He et al. 2022, section 3). Raises StudyError where there is only one."""
    if patches < 2:
        raise StudyError(
            f"of {patches} patch none can be hidden and shown: let patches be smaller, or images larger."
        )
    return min(patches - 1, max(1, int(patches * (1 - masked))))


def random_mask(rng: np.random.Generator, patches: int, visible: int) -> NDArray[np.int64]:
    """(T,) 0 at `visible` patches, 1 at all others."""
    mask = np.ones(patches, np.int64)
    mask[rng.permutation(patches)[:visible]] = 0
    return mask


def with_masks(
    batch: Batch, patches: int, masked: float, rng: np.random.Generator, pipeline: Augmentation | None = None
) -> Batch:
    """The batch, and a mask of every case; with a pipeline, what makes a view of it too.

    A case shown alone has the mask, and the view, that it has among others.
    """
    generators, shape = case_generators(rng, len(batch)), tuple(batch.inputs.shape[1:])
    columns = {MASK: _drawn(batch.inputs, patches, masked, generators)}
    if pipeline is not None:
        columns[VIEW] = torch.from_numpy(np.stack([pipeline.draw(one, shape) for one in generators]))
    return batch.with_columns(**columns)


def held_masks(batch: Batch, patches: int, masked: float) -> Tensor:
    """(N, T) masks that the batch brings; where it brings none, those that follow from each case alone."""
    if MASK in batch.columns:
        return batch.tensor(MASK)
    return _drawn(batch.inputs, patches, masked, generators_of(batch.inputs, "masks"))


def parted(mask: Tensor, visible: int) -> tuple[Tensor, Tensor]:
    """(N, K) places of patches that are shown, and (N, T - K) of those hidden, each in order."""
    order = mask.argsort(dim=1, stable=True)
    return order[:, :visible], order[:, visible:]


def _drawn(inputs: Tensor, patches: int, masked: float, generators: list[np.random.Generator]) -> Tensor:
    visible = count_of_visible(patches, masked)
    rows = np.stack([random_mask(rng, patches, visible) for rng in generators])
    return torch.from_numpy(rows).to(inputs.device)
