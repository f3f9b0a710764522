"""Losses between a student and its teacher equal those of lightly 1.6.0 and solo-learn 1.0.2."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from common.selfsupervision.distillation import cross_entropy_of_views, regression_loss, sharpened

LIGHTLY_BYOL = 2.1796276569366455
LIGHTLY_DINO = {2: 11.45474624633789, 3: 10.36184310913086}
"""Of the rows below: 2 + 2 NegativeCosineSimilarity and DINOLoss of lightly.loss; solo.losses says the same."""


def rows(seed: int, count: int = 4) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32))


def test_the_loss_of_byol_is_lightlys_and_solo_learns() -> None:
    assert float(regression_loss(rows(0), rows(1)).mean()) == pytest.approx(LIGHTLY_BYOL, abs=1e-6)


def test_the_loss_of_byol_is_from_0_to_4_whatever_the_lengths() -> None:
    one = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]])
    other = torch.tensor([[6.0, 8.0], [0.0, 5.0], [0.0, -1.0]])
    torch.testing.assert_close(regression_loss(one, other), torch.tensor([0.0, 2.0, 4.0]))


@pytest.mark.parametrize("views", [2, 3])
def test_the_loss_of_dino_is_lightlys_and_solo_learns(views: int) -> None:
    """Both want global views first in the student's list; the third is a local one."""
    taught, answered, centre = [rows(2), rows(3)], [rows(4), rows(5), rows(6)][:views], rows(7, 1)[0]
    losses = cross_entropy_of_views([sharpened(one - centre, 0.04) for one in taught], answered, 0.1)
    assert losses.shape == (4,)
    assert float(losses.mean()) == pytest.approx(LIGHTLY_DINO[views], rel=1e-6)


def test_a_student_that_answers_evenly_has_the_log_of_the_number_of_prototypes() -> None:
    taught = [sharpened(rows(2), 0.04), sharpened(rows(3), 0.04)]
    losses = cross_entropy_of_views(taught, [torch.zeros(4, 5)] * 4, 0.1)
    torch.testing.assert_close(losses, torch.full((4,), 5.0).log())
