"""Logits that are raised by a hospital's own shares of classes, in training alone."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from client.training import Trainer
from common.data.cases import Cases
from common.errors import StudyError
from common.learning.class_weights import log_prior, prior_of, with_prior
from common.learning.client_work import Training
from common.learning.parameters import new_network
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.study.study import parse

INNER = {"name": "classification", "network": "logistic"}
TASK: Any = TASKS.build(Entry("classification", {"network": "logistic"}))


def cases() -> Cases:
    inputs = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    return Cases.of(inputs, np.array([0] * 6 + [1] * 2), list("abcdefgh"), ("x", "y"))


def test_shares_are_counted_by_hand_and_none_is_not_minus_infinity() -> None:
    assert log_prior((6, 2)) == pytest.approx((log(0.7), log(0.3)))
    assert log_prior((8, 0)) == pytest.approx((log(0.9), log(0.1)))


def test_the_loss_is_of_raised_logits_and_answers_are_what_they_were() -> None:
    network, batch = new_network(TASK, cases().shape, 1), cases().batch()
    raised = with_prior(batch, torch.tensor(log_prior((6, 2))))
    logits = network(batch.inputs)
    wanted = cross_entropy(logits + torch.tensor([log(0.7), log(0.3)]), batch.targets, reduction="none")
    torch.testing.assert_close(TASK.loss(network, raised), wanted)
    assert torch.equal(TASK.predict(network, raised.inputs), logits.argmax(1)) and prior_of(batch) is None


def test_what_all_cases_have_need_not_be_learned_as_likely_everywhere() -> None:
    """Inputs that tell nothing: without calibration a model learns the share, with it that both are as likely."""
    flat = cases().with_columns(inputs=np.zeros((8, 3), np.float32))
    chances = {}
    for word in (None, "own"):
        network = new_network(TASK, flat.shape, 1)
        training = Training(steps=300, batch_size="full", learning_rate=1.0, calibration=word)
        Trainer(TASK, network, flat, training, np.random.default_rng(0)).train()
        chances[word] = float(network(torch.zeros(1, 3)).softmax(1)[0, 0].detach())
    assert chances[None] == pytest.approx(6 / 8, abs=0.01)
    assert chances["own"] == pytest.approx(0.75 / 0.7 / (0.75 / 0.7 + 0.25 / 0.3), abs=0.01)


def test_it_goes_on_to_the_task_around_and_is_refused_where_it_would_have_no_effect_or_no_noise() -> None:
    around: Any = TASKS.build(Entry("adversarial", {"task": INNER, "size": 0.1, "recipe": "fgsm"}))
    network, batch = new_network(around, cases().shape, 1), cases().batch()
    raised = with_prior(batch, torch.tensor(log_prior((6, 2))))
    assert not torch.equal(around.loss(network, raised), around.loss(network, batch))
    text = """
title = "T"
source = { name = "phantom", hospitals = 3, size = 16, patients = [4] }
task = "segmentation"
strategy = "fedavg"
aggregation = "plain"
training = { calibration = "own" }
"""
    with pytest.raises(StudyError, match="task 'segmentation' does not"):
        parse(text)
    private = 'privacy={name="dpsgd", clip_norm=1.0, noise_multiplier=1.0, delta=1e-3}'
    with pytest.raises(StudyError, match="no noise covers"):
        parse(text, ["task=classification", private])
