"""A small federation without an engine around it: real tasks, real training, evaluations, and what can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.training import Trainer
from common.data.cases import Cases
from common.learning.abilities import presented, watched
from common.learning.client_work import Training
from common.learning.parameters import new_network, read, write
from common.learning.task import Task
from common.metrics.roc import with_auc
from common.seeding import generator
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.sums.mean import Statistics, merge
from server.collapse import Look, Watching

HOSPITALS, ROUNDS = 3, 16
TRAINED, SCORED = 128, 40
"""Cases of each hospital."""
CNN = {"name": "groupnorm_cnn", "channels": 16}
VIT = {"name": "vit", "patch": 2, "width": 32, "depth": 2, "heads": 4}


@dataclass(frozen=True)
class Way:
    """A method with its settings. broken: what is done to the averaged model after every round."""

    method: str
    fault: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    broken: Callable[[nn.Module], None] | None = None
    constant: bool = False

    def build_task(self) -> Task:
        """The task."""
        network = VIT if self.method in ("mae", "ijepa") else CNN
        built: Task = TASKS.build(Entry(self.method, {"network": network, **self.options}))
        return built


def reset_teacher(network: nn.Module) -> None:
    """The teacher begins every round as the student is: it is not averaged and never lags."""
    teacher = network.get_submodule("teacher")
    for name, part in teacher.named_children():
        part.load_state_dict(network.get_submodule(name).state_dict())


def looks_of(way: Way, images: NDArray[np.float32], seed: int, rounds: int = ROUNDS) -> Iterator[Look]:
    """The evaluation before the first round, and after each. images: (N, 1, H, W) of hospitals to be."""
    parts = list(_hospitals(np.full_like(images, 0.5) if way.constant else images, seed))
    task = way.build_task()
    settings = {"batch_size": 32, "optimiser": "adamw", "learning_rate": 1e-3, **way.training}
    training = Training(**settings)
    network = new_network(task, parts[0][0].shape, seed, training)
    yield _look(task, network, parts, 0)
    for number in range(1, rounds + 1):
        before, change = read(network), np.zeros(0)
        for k, (train, _) in enumerate(parts):
            write(network, before)
            trainer = Trainer(task, network, train, training, generator(seed, "collapse", number, k))
            trainer.train()
            change = read(network).astype(np.float64) - before + (change if change.size else 0)
        write(network, (before + change / len(parts)).astype(np.float32))
        if way.broken is not None:
            way.broken(network)
        yield _look(task, network, parts, number)


def first_alarm(way: Way, images: NDArray[np.float32], seed: int, rounds: int = ROUNDS) -> int | None:
    """After which round a collapse was found first; None where none was."""
    watching = Watching(watched(way.build_task()), {f"h{k}": SCORED for k in range(HOSPITALS)})
    for look in looks_of(way, images, seed, rounds):
        watching.add(look)
        if watching.verdict.collapsed:
            return look.of_round
    return None


def _hospitals(images: NDArray[np.float32], seed: int) -> Iterator[tuple[Cases, Cases]]:
    order = generator(seed, "hospitals").permutation(len(images))
    for k in range(HOSPITALS):
        own = images[order[k * (TRAINED + SCORED) : (k + 1) * (TRAINED + SCORED)]]
        names = [f"{k}-{i}" for i in range(len(own))]
        labels = np.zeros(len(own), np.int64)
        cases = Cases.of(own, labels, names, ("none",))
        yield cases.take(np.arange(TRAINED)), cases.take(np.arange(TRAINED, len(own)))


def _look(task: Task, network: nn.Module, parts: list[tuple[Cases, Cases]], number: int) -> Look:
    network.eval()
    with torch.no_grad():
        sums = [task.score(network, scored.batch()) for _, scored in parts]
    sites = {f"h{k}": _shown(task, one) for k, one in enumerate(sums)}
    return Look(number, _shown(task, merge(sums)), sites)


def _shown(task: Task, sums: Statistics) -> dict[str, float]:
    return {name: value for name, value in presented(task, with_auc(sums)).items() if value is not None}
