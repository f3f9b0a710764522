"""A run folder comes from anybody: a model without numbers in it has no score, and says so in words."""

from __future__ import annotations

import pytest
import torch

from common.errors import StudyError
from common.learning.parameters import new_network
from common.study.catalogue import TASKS
from common.study.options import Entry
from experiments.withstanding.scored import scored
from wardround.testing.makers import images_with_classes

TASK = Entry("classification", {"network": {"name": "groupnorm_cnn", "channels": 4}})


def test_a_model_that_answers_no_numbers_has_no_score_and_says_why() -> None:
    task, cases = TASKS.build(TASK), images_with_classes()
    network = new_network(task, cases.shape, 1).eval()
    assert scored(task, network, cases).value is not None
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(torch.nan)
    with pytest.raises(StudyError, match="have no score: a mean takes finite values"):
        scored(task, network, cases)
