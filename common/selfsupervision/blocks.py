"""Blocks of neighbouring patches, a few to be predicted and one that is shown (Assran et al. 2023, section 3).

As many patches of every case, so that cases stack: of what is larger a few are left out, as in the authors' code, but
at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.data.cases import Batch
from common.errors import StudyError
from common.seeding import case_generators
from common.selfsupervision.held import generators_of

CONTEXT, BLOCKS = "context", "blocks"
"""Columns of a batch: places (N, K) of what is shown, and (N, M, L) of what is to be predicted, each in order."""
TARGET_SHARE, CONTEXT_SHARE = (0.15, 0.2), (0.85, 1.0)
"""Of all patches that a block holds, at least and at most."""
LONGEST = 2.0
"""Ratio of a block's longest side to its shortest: the paper's aspects are from 0.75 to 1.5."""
SHOWN = 0.35
"""Of all patches, how many are shown: a little less than the context holds on average without the targets."""
TRIES = 20
Sides = tuple[int, ...]


@dataclass(frozen=True)
class BlockMasks:
    """grid: patches along each axis. blocks: M, how many are to be predicted."""

    grid: Sides
    blocks: int

    def __post_init__(self) -> None:
        if prod(self.grid) < 4:
            raise StudyError(
                f"blocks are of neighbouring patches, and an image has {prod(self.grid)}: let patches be smaller."
            )

    @property
    def shown(self) -> int:
        """K."""
        return max(1, int(SHOWN * prod(self.grid)))

    @property
    def predicted(self) -> int:
        """L of each block."""
        return min(map(prod, shapes_of(self.grid, TARGET_SHARE)))

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(K,) and (M, L) places of one case. No target is shown."""
        for _ in range(TRIES):
            around = self._block(rng, CONTEXT_SHARE)
            targets = [self._block(rng, TARGET_SHARE) for _ in range(self.blocks)]
            left = np.setdiff1d(around, np.concatenate(targets))
            if len(left) >= self.shown:
                break
        else:  # few patches and many blocks: all of them are one, and the context is all that is left
            targets = targets[:1] * self.blocks
            left = np.setdiff1d(np.arange(prod(self.grid)), targets[0])
        shown = np.sort(rng.permutation(left)[: self.shown])
        return shown, np.stack([np.sort(rng.permutation(block)[: self.predicted]) for block in targets])

    def _block(self, rng: np.random.Generator, share: tuple[float, float]) -> NDArray[np.int64]:
        """Places of one block, anywhere."""
        shapes = shapes_of(self.grid, share)
        sides = shapes[rng.integers(len(shapes))]
        corner = [rng.integers(whole - side + 1) for whole, side in zip(self.grid, sides, strict=True)]
        inside = np.ix_(*(np.arange(start, start + side) for start, side in zip(corner, sides, strict=True)))
        return np.arange(prod(self.grid)).reshape(self.grid)[inside].reshape(-1)


@cache
def shapes_of(grid: Sides, share: tuple[float, float]) -> tuple[Sides, ...]:
    """All shapes of blocks that hold such a share of a grid; where there is none, those that come nearest."""
    patches, ratio = prod(grid), max(LONGEST, max(grid) / min(grid))
    compact = [sides for sides in product(*(range(1, side + 1) for side in grid)) if max(sides) <= ratio * min(sides)]
    fitting = [sides for sides in compact if share[0] * patches <= prod(sides) <= share[1] * patches]
    if fitting:
        return tuple(fitting)
    middle = sum(share) / 2 * patches
    nearest = min(abs(prod(sides) - middle) for sides in compact)
    return tuple(sides for sides in compact if abs(prod(sides) - middle) == nearest)


def with_blocks(batch: Batch, masks: BlockMasks, rng: np.random.Generator) -> Batch:
    """The batch, and of every case what is shown and predicted. A case shown alone has what it has among others."""
    return batch.with_columns(**_drawn(batch.inputs, masks, case_generators(rng, len(batch))))


def held_blocks(batch: Batch, masks: BlockMasks) -> tuple[Tensor, Tensor]:
    """What the batch brings; where it brings nothing, what follows from each case alone."""
    if CONTEXT in batch.columns and BLOCKS in batch.columns:
        return batch.tensor(CONTEXT), batch.tensor(BLOCKS)
    drawn = _drawn(batch.inputs, masks, generators_of(batch.inputs, "blocks"))
    return drawn[CONTEXT], drawn[BLOCKS]


def _drawn(inputs: Tensor, masks: BlockMasks, generators: list[np.random.Generator]) -> dict[str, Tensor]:
    rows = [masks.draw(rng) for rng in generators]
    columns = {CONTEXT: [shown for shown, _ in rows], BLOCKS: [blocks for _, blocks in rows]}
    return {name: torch.from_numpy(np.stack(row)).to(inputs.device) for name, row in columns.items()}
