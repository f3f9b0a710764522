"""Options of training, own models and what comes after a run, against what is promised of a patient."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from client.clipping import CaseLoss
from client.per_sample import clipped_sum
from common.data.cases import Cases, Shape
from common.learning.parameters import new_network
from common.learning.tasks.classification import Classification
from common.study.options import Entry
from common.study.plugins import ANYTHING, trusting

COUPLED = """
import torch
from torch import nn
from torch.nn import functional as F

class ByHand(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.layer = nn.Linear(features, classes)
    def forward(self, x):
        return self.layer((x - x.mean(0)) / (x.std(0, unbiased=False) + 1e-3))

class ByFunction(ByHand):
    def forward(self, x):
        return self.layer(F.batch_norm(x, None, None, training=True) if len(x) > 1 else x)

class Keeps(ByHand):
    def __init__(self, features, classes):
        super().__init__(features, classes)
        self.seen = 0.0
    def forward(self, x):
        if self.training:
            self.seen = 0.5 * self.seen + 0.5 * x.detach().mean(0)
        return self.layer(x - self.seen)

class Buffered(ByHand):
    def __init__(self, features, classes):
        super().__init__(features, classes)
        self.register_buffer("seen", torch.zeros(features))
    def forward(self, x):
        if self.training:
            self.seen.mul_(0.5).add_(x.detach().mean(0), alpha=0.5)
        return self.layer(x - self.seen)

def sometimes(logits, targets):
    own = F.cross_entropy(logits, targets, reduction="none")
    return own * (-1.0 if logits.abs().max() > 50 else 1.0)
"""
CLIP = 0.1
FEATURES, PATIENTS = 5, 20


@pytest.fixture(autouse=True)
def trusted() -> Iterator[None]:
    with trusting(ANYTHING):
        yield


def an_outlier_among(patients: int) -> Cases:
    """Inputs about 1, and of the last patient 1,000."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(1, 1, (patients, FEATURES)).astype(np.float32)
    inputs[-1] = 1e3
    names = np.array([f"p{index:02d}" for index in range(patients)])
    return Cases.of(inputs, rng.integers(0, 2, patients), names, ("0", "1"))


@pytest.mark.parametrize("name", ["ByHand", "ByFunction", "Keeps", "Buffered", "sometimes"])
def test_own_code_that_couples_cases_moves_the_sum_of_a_promise_by_one_clip_at_most(name: str, tmp_path: Path) -> None:
    """Before: up to 12 clips, at a promised epsilon."""
    (tmp_path / "own.py").write_text(COUPLED)
    entry = Entry(f"{tmp_path / 'own.py'}:{name}")
    task = Classification(entry) if name[0].isupper() else Classification(Entry("logistic"), own_loss=entry)
    cases = an_outlier_among(PATIENTS)
    units = [cases.batch(np.array([index])) for index in reversed(range(PATIENTS))]
    sums = [
        clipped_sum(CaseLoss(task, new_network(task, Shape((FEATURES,), 2), 0)), some, CLIP)
        for some in (units, units[1:])
    ]
    assert np.linalg.norm(sums[0] - sums[1]) <= CLIP
