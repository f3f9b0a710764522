"""Blocks are of neighbours, as many patches of every case, and what is shown holds nothing that is predicted."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.data.cases import Batch
from common.errors import StudyError
from common.selfsupervision.blocks import BLOCKS, CONTEXT, BlockMasks, held_blocks, shapes_of, with_blocks

GRIDS = st.one_of(
    st.tuples(st.integers(2, 9), st.integers(2, 9)),
    st.tuples(st.integers(2, 4), st.integers(2, 4), st.integers(2, 4)),
)


def test_blocks_of_seven_by_seven_patches_are_worked_out_by_hand():
    """15 to 20 % of 49 are 7.35 to 9.8 patches, and no side is more than twice another."""
    assert shapes_of((7, 7), (0.15, 0.2)) == ((2, 4), (3, 3), (4, 2))
    masks = BlockMasks((7, 7), 4)
    assert (masks.predicted, masks.shown) == (8, 17)


def test_a_volume_has_blocks_of_three_axes():
    assert shapes_of((4, 4, 4), (0.15, 0.2)) == ((2, 2, 3), (2, 3, 2), (3, 2, 2))


@given(GRIDS, st.integers(1, 6), st.integers(0, 99))
def test_what_is_shown_is_not_predicted_and_all_cases_stack(grid, blocks, seed):
    masks = BlockMasks(grid, blocks)
    shown, predicted = masks.draw(np.random.default_rng(seed))
    assert shown.shape == (masks.shown,) and predicted.shape == (blocks, masks.predicted)
    assert not set(shown) & set(predicted.reshape(-1))
    assert set(shown) | set(predicted.reshape(-1)) <= set(range(prod(grid)))
    assert len(set(shown)) == len(shown) and all(len(set(block)) == len(block) for block in predicted)


@given(st.integers(0, 99))
def test_a_block_lies_within_one_shape_of_neighbours(seed):
    masks = BlockMasks((7, 7), 4)
    for block in masks.draw(np.random.default_rng(seed))[1]:
        rows, columns = np.unravel_index(block, (7, 7))
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) in {(2, 4), (3, 3), (4, 2)}


def test_a_case_alone_is_shown_as_among_others_and_a_held_one_always_alike():
    images = torch.arange(48, dtype=torch.float32).reshape(3, 1, 4, 4)
    batch, masks = Batch.of(images, torch.zeros(3), ["a", "b", "c"]), BlockMasks((4, 4), 2)
    together, rng = with_blocks(batch, masks, np.random.default_rng(3)), np.random.default_rng(3)
    alone = [with_blocks(batch.take([index]), masks, rng) for index in range(3)]
    for name in (CONTEXT, BLOCKS):
        assert torch.equal(torch.cat([one.tensor(name) for one in alone]), together.tensor(name))
    context, blocks = held_blocks(batch, masks)
    assert torch.equal(held_blocks(batch.take([2, 0]), masks)[1], blocks[[2, 0]])
    assert torch.equal(held_blocks(together, masks)[0], together.tensor(CONTEXT)) and context.shape == (3, 5)


def test_three_patches_are_too_few():
    with pytest.raises(StudyError, match="smaller"):
        BlockMasks((1, 3), 4)
