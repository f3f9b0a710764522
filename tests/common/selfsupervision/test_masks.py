"""Masks hide as many patches of every case, and follow from the generator or from the case alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.data.cases import Batch
from common.errors import StudyError
from common.selfsupervision.masks import MASK, count_of_visible, held_masks, parted, with_masks


def batch_of(count: int) -> Batch:
    images = torch.arange(count * 16, dtype=torch.float32).reshape(count, 1, 4, 4)
    return Batch.of(images, torch.zeros(count), [f"p{index}" for index in range(count)])


@pytest.mark.parametrize(
    ("patches", "masked", "visible"), [(49, 0.75, 12), (16, 0.75, 4), (4, 0.99, 1), (2, 0.01, 1)]
)
def test_as_many_patches_are_shown_as_in_the_paper_and_never_none_nor_all(patches, masked, visible):
    assert count_of_visible(patches, masked) == visible


def test_a_single_patch_cannot_be_hidden_and_shown():
    with pytest.raises(StudyError, match="let patches be smaller"):
        count_of_visible(1, 0.75)


@given(st.integers(2, 60), st.floats(0.05, 0.95), st.integers(0, 9))
def test_every_patch_is_either_shown_or_hidden(patches, masked, seed):
    batch = with_masks(batch_of(3), patches, masked, np.random.default_rng(seed))
    visible, hidden = parted(batch.tensor(MASK), count_of_visible(patches, masked))
    for row in range(3):
        assert sorted([*visible[row].tolist(), *hidden[row].tolist()]) == list(range(patches))
        assert not batch.tensor(MASK)[row, visible[row]].any() and batch.tensor(MASK)[row, hidden[row]].all()


def test_every_patch_is_shown_equally_often():
    masks = with_masks(batch_of(4000), 8, 0.75, np.random.default_rng(0)).tensor(MASK)
    assert (1 - masks.float().mean(0)).numpy() == pytest.approx(np.full(8, 0.25), abs=0.03)


def test_a_case_alone_has_the_mask_that_it_has_among_others():
    together = with_masks(batch_of(5), 16, 0.75, np.random.default_rng(3)).tensor(MASK)
    rng = np.random.default_rng(3)
    alone = [with_masks(batch_of(5).take([index]), 16, 0.75, rng).tensor(MASK) for index in range(5)]
    assert torch.equal(torch.cat(alone), together)


def test_a_held_case_has_one_mask_and_another_case_another():
    cases = batch_of(5)
    masks = held_masks(cases, 16, 0.75)
    assert torch.equal(held_masks(cases.take([3, 1]), 16, 0.75), masks[[3, 1]])
    assert len({tuple(row) for row in masks.tolist()}) == 5
