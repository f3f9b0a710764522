"""A coordinator wants cases out of a companion: a mean of a teacher's answers leaves as it is, beside the model."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from client.approval import approve
from client.hospital import Hospital, open_hospital
from client.training import Trainer
from common.errors import WireError
from common.learning.client_work import Work
from common.learning.parameters import Layout, read, write
from common.study.study import parse
from common.sums.update import Vector
from common.wire.train_requests import Order

SIDE, PIXELS, WIDTH, LARGE = 4, 16, 20, 50.0
STUDY = """
title = "a companion"
rounds = 3
seed = 5
source = { name = "medmnist", classes = ["class 0", "class 1"], folder = "FOLDER" }
partition = { name = "iid", hospitals = 2 }
task = { name = "TASK", network = { name = "mlp", hidden = [17, 17] }, augmentation = "none", projection = 20, \
hidden = 20 }
strategy = "fedavg"
aggregation = "plain"
training = { batch_size = "full", steps = 1 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(3)
    cuts = {"train": slice(0, 100), "val": slice(100, 110), "test": slice(110, 120)}
    images = rng.integers(0, 255, (120, SIDE, SIDE), dtype=np.uint8)
    labels = rng.integers(0, 2, (120, 1), dtype=np.uint8)
    arrays: dict[str, Any] = {f"{part}_images": images[cut] for part, cut in cuts.items()}
    arrays |= {f"{part}_labels": labels[cut] for part, cut in cuts.items()}
    np.savez(place / "own.npz", **arrays)
    return place


def hospital_of(folder: Path, task: str = "byol") -> Hospital:
    return open_hospital(parse(STUDY.replace("FOLDER", str(folder)).replace("TASK", task)).json, 0)


def images_of(hospital: Hospital) -> np.ndarray:
    return hospital.train.batch(np.arange(len(hospital.train))).inputs.numpy().reshape(-1, PIXELS)


def ordered(hospital: Hospital, parameters: Vector, number: int = 2) -> Order:
    return Order(hospital.study.json, number, parameters, Work("delta"))


def trapped(hospital: Hospital) -> Vector:
    """The model with a teacher that says nothing of any case but the brightest, and of that one its pixels."""
    bright = np.sort(images_of(hospital).sum(1))
    layout = Layout.of(hospital.network)
    tensors = {name: value.copy() for name, value in layout.tensors(read(hospital.network)).items()}
    for name, value in tensors.items():
        if name.startswith(("teacher.", "centre.")):
            value[:] = 0.0
    tensors["teacher.encoder.1.weight"][:PIXELS] = np.eye(PIXELS)
    tensors["teacher.encoder.1.weight"][PIXELS] = 1.0
    tensors["teacher.encoder.1.bias"][PIXELS] = -(bright[-1] + bright[-2]) / 2
    steep = 4.0 / (bright[-1] - bright[-2])
    tensors["teacher.encoder.3.weight"][:PIXELS, :PIXELS] = np.eye(PIXELS)
    tensors["teacher.encoder.3.weight"][:, PIXELS] = steep
    tensors["teacher.encoder.3.bias"][:] = -1.0
    tensors["teacher.projector.0.weight"][: PIXELS + 1] = np.eye(PIXELS + 1)
    tensors["teacher.projector.0.bias"][-2:] = LARGE, -LARGE
    tensors["teacher.projector.1.weight"][:] = tensors["teacher.projector.1.bias"][:] = 1.0
    tensors["teacher.projector.3.weight"][:] = np.eye(WIDTH)
    return np.concatenate([tensors[name].reshape(-1) for name in tensors])


def read_out(hospital: Hospital, parameters: Vector) -> np.ndarray:
    """Pixels, from what the hospital sends of the centre."""
    write(hospital.network, parameters)
    training = hospital.study.training.in_round(2)
    trainer = Trainer(hospital.task, hospital.network, hospital.train, training, np.random.default_rng(0))
    update, _ = trainer.local_update()
    change = Layout.of(hospital.network).tensors(update.vectors[0] / update.weight)["centre.mean"]
    spread = LARGE * np.sqrt(2 / WIDTH)
    return np.asarray((change[:PIXELS] - change[PIXELS]) / 0.1 * update.weight * spread)


def test_a_teacher_that_speaks_of_one_case_alone_is_refused(folder: Path) -> None:
    """Before: the centre that came back had that case's pixels, without any gradient."""
    hospital = hospital_of(folder)
    images, parameters = images_of(hospital), trapped(hospital_of(folder))
    found = None
    with contextlib.suppress(WireError):
        approve(hospital, ordered(hospital, parameters))
        found = read_out(hospital, parameters) - images[images.sum(1).argmax()]
    assert found is None, f"the brightest case's pixels were read to {np.abs(found).max():.2g}"
    with pytest.raises(WireError, match=r"numbers of centre.mean are moved by hardly any case"):
        approve(hospital, ordered(hospital, parameters))


@pytest.mark.parametrize("task", ["byol", "dino"])
def test_honest_teachers_are_not_refused_and_to_look_changes_nothing(folder: Path, task: str) -> None:
    hospital = hospital_of(folder, task)
    first, drawn = read(hospital.network), torch.random.get_rng_state()
    for seed in range(2):
        write(hospital.network, first)
        training = hospital.study.training.in_round(2)
        rng = np.random.default_rng(seed)
        for _ in range(8 * seed):
            Trainer(hospital.task, hospital.network, hospital.train, training, rng).train()
        trained = read(hospital.network)
        approve(hospital, ordered(hospital, trained))
        assert (read(hospital.network) == trained).all() and hospital.network.training
    assert torch.equal(torch.random.get_rng_state(), drawn)
