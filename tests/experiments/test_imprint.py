"""A cheating server, against a hospital without its approval and with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from flwr.app import Message

from client import answers
from client.hospital import Hospital, open_hospital
from client.node import Node, load_app
from common.exchange import Payload
from common.order import Order, to_payload
from common.parameters import new_network
from common.study import Study
from common.wire import from_records, to_records
from common.wire_bytes import from_bytes, identify, to_bytes
from common.work import Work
from experiments.attacks._imprint import imprinted, inputs_in

LARGEST = 1 << 24


def attacked(study: Study, folder: Path, number: int) -> tuple[Hospital, Payload]:
    """What the first hospital answers to an imprint sent as the model of round `number`."""
    hospital = open_hospital(study.json, 0)
    network = new_network(hospital.task, hospital.train.shape, study.seed)
    means = hospital.train.inputs.reshape(len(hospital.train), -1).mean(1)
    parameters = imprinted(network, NormalDist(float(means.mean()), float(means.std())))
    order = Order(study.json, number, parameters, Work("gradient"))
    node = Node(load_app("client.app:app"), 1, 1, {"site-index": 0, "folder": str(folder), "simulated": True})
    identify(1, 1)
    message = Message(to_records(to_payload(order)), 1, "train.round")
    reply = from_bytes(node.answer(to_bytes(message)))
    return hospital, from_records(reply.content, LARGEST, LARGEST)


@pytest.fixture
def study(tiny: Callable[..., Study]) -> Study:
    network = 'task.network={name="mlp", hidden=[256]}'
    return tiny("strategy=fedsgd", 'training={batch_size="full"}', network)


def psnr_db(hospital: Hospital, array: np.ndarray) -> np.ndarray:
    """(N,) of each true case, the best among what came back."""
    weightless = array.astype(np.float64) / len(hospital.train)
    network = new_network(hospital.task, hospital.train.shape, hospital.study.seed)
    found = inputs_in(network, weightless)
    true = hospital.train.inputs.reshape(len(hospital.train), -1)
    errors = ((true[:, None] - found[None]) ** 2).mean(2).min(1)
    return np.asarray(10 * np.log10(np.ptp(true) ** 2 / np.maximum(errors, 1e-12)))


def test_without_approval_inputs_come_back_exactly(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "approve", lambda *_: None)
    hospital, reply = attacked(study, tmp_path, 1)
    assert reply.array is not None
    assert np.mean(psnr_db(hospital, reply.array) > 40) > 0.5


@pytest.mark.parametrize("number", [1, 2])
def test_with_approval_the_hospital_answers_with_an_incident(study: Study, tmp_path: Path, number: int) -> None:
    _, reply = attacked(study, tmp_path, number)
    assert reply.array is None and not reply.numbers
    assert set(reply.words) == {"incident"}
