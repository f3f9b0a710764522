"""A cheating server's imprint: what its gradient holds, and hospitals without their approval and with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flwr.app import Message
from torch import nn

from client import handlers as answers
from client.node import Node, load_app
from common.learning.client_work import Work
from common.learning.parameters import Layout, new_network, read_gradient
from common.study.study import Study
from common.sums.exchange import Payload
from common.wire.message_bytes import from_bytes, identify, to_bytes
from common.wire.records import from_records, to_records
from common.wire.train_requests import Order, to_payload
from experiments.attacks.cheating.imprint import Held, blur, carries, closer, held, imprinted, wide_thresholds
from experiments.attacks.imprint import LOWEST
from experiments.engines._quiet import run_quietly
from experiments.evidence.observing import observe

LARGEST = 1 << 24
BLUR = 0.05
RECORDED = ("federation.record_traffic=true", "federation.evaluate_every=0", "rounds=2")
CARRIER = ("strategy=fedsgd", 'training={batch_size="full"}', 'task.network={name="mlp", hidden=[256]}')


def two_layers(inputs: int, units: int, classes: int = 2) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(inputs, units), nn.ReLU(), nn.Linear(units, classes))


def gradient_of(network: nn.Module, inputs: torch.Tensor, labels: list[int]) -> np.ndarray:
    network.zero_grad()
    nn.functional.cross_entropy(network(inputs), torch.tensor(labels), reduction="sum").backward()
    return read_gradient(network)


def test_the_gradient_between_two_thresholds_is_the_one_case_between_them() -> None:
    network = two_layers(3, 4)
    imprinted(network, np.array([-1.0, 0.0, 1.0, 2.0]))
    inputs = torch.tensor([[-0.3, -0.6, 0.0], [0.9, 0.3, 0.6], [5.0, 6.0, 7.0]])
    seen = held(network, gradient_of(network, inputs, [0, 1, 0]))
    assert seen.bins.tolist() == [0, 1]
    np.testing.assert_allclose(seen.inputs, inputs[:2], atol=1e-5)
    assert seen.shares.sum() == pytest.approx(1)


def test_every_class_has_a_gradient_of_its_own() -> None:
    for classes in range(2, 12):
        network = two_layers(3, 4, classes)
        imprinted(network, np.array([-1.0, 0.0, 1.0, 2.0]))
        for label in range(classes):
            seen = held(network, gradient_of(network, torch.full((1, 3), 0.5), [label]))
            np.testing.assert_allclose(seen.inputs, np.full((1, 3), 0.5), rtol=1e-3)


def test_thresholds_move_to_where_cases_are_and_keep_their_order() -> None:
    before = np.linspace(-4, 4, 9)
    seen = Held(np.array([2, 5]), np.zeros((2, 1), np.float32), np.array([0.5, 0.5]))
    after = closer(before, seen, 1)
    assert after.shape == before.shape and (np.diff(after) > 0).all()
    np.testing.assert_allclose(after[:8], [-2, -1.75, -1.5, -1.25, 1, 1.25, 1.5, 1.75])
    assert after[8] == 2
    only_the_least = closer(before, seen, 100)
    assert only_the_least[0] == -2 and only_the_least[7] < -1 and only_the_least[8] == -1
    nothing = replace(seen, bins=np.array([], int), shares=np.array([]))
    assert closer(before, nothing, 3) is before


def test_an_imprint_needs_two_linear_layers_before_all_others() -> None:
    assert carries(nn.Sequential(nn.Flatten(), *two_layers(6, 4)), (2, 3))
    assert not carries(nn.Linear(6, 2), (6,))
    assert not carries(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), *two_layers(6, 4)), (1, 2, 3))
    assert not carries(nn.Sequential(nn.MaxPool1d(2), *two_layers(3, 4)), (6,))


def test_a_blur_leaves_the_rows_less_alike_than_the_check_asks_for() -> None:
    network = two_layers(50, 64)
    thresholds = wide_thresholds(network, LOWEST, -LOWEST)
    sharp = Layout.of(network).tensors(imprinted(network, thresholds))["0.weight"]
    rows = Layout.of(network).tensors(blur(network, BLUR, torch.Generator().manual_seed(0)))["0.weight"]
    assert sharp.shape == rows.shape and not np.array_equal(sharp, rows)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = (units @ units.T)[np.triu_indices(64, 1)]
    assert cosines.min() > 0.99 and cosines.max() < 0.9999


@pytest.fixture
def study(tiny: Callable[..., Study]) -> Study:
    return tiny(*CARRIER, *RECORDED)


def answered(study: Study, folder: Path, number: int) -> Payload:
    """What the first hospital answers over the wire to an imprint sent as the model of round `number`."""
    run_quietly(study, folder / "run")
    observed = observe(folder / "run")
    network = new_network(study.build_task(), observed.shape, study.seed)
    parameters = imprinted(network, wide_thresholds(network, -1, 1))
    order = Order(study.json, number, parameters, Work("gradient"))
    node = Node(load_app("client.app:app"), 1, 1, {"site-index": 0, "folder": str(folder), "simulated": True})
    identify(1, 1)
    reply = from_bytes(node.answer(to_bytes(Message(to_records(to_payload(order)), 1, "train.round"))))
    return from_records(reply.content, LARGEST, LARGEST)


def test_without_approval_a_hospital_answers(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "approve", lambda *_: None)
    assert answered(study, tmp_path, 1).array is not None


@pytest.mark.parametrize("number", [1, 2])
def test_with_approval_the_hospital_answers_with_an_incident(study: Study, tmp_path: Path, number: int) -> None:
    reply = answered(study, tmp_path, number)
    assert reply.array is None and not reply.numbers
    assert set(reply.words) == {"incident"}
