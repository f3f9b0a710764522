"""A step's clipped sum once more, as slowly and plainly as the paper has it: what a test takes off to find the noise.

Nothing of the hospital's clipping, sampling or adding up is used: one case at a time, its gradient by itself, its
norm and its share in float64. What a case's loss is, and how it is augmented, is the task's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.hospital import Hospital
from client.objective import class_weights
from common.data.cases import Batch
from common.learning.class_weights import with_weights
from common.learning.device import autocast, home
from common.learning.losses import augmented
from common.learning.parameters import shared, trainable, write
from common.learning.task import Task
from common.sums.update import Vector
from experiments.evidence.promised_noise import Promise
from experiments.noisy_sums import Floats


@dataclass(frozen=True)
class CleanSums:
    """One hospital's sums in one round. rng: the claimed draws of that round, which are taken in their order."""

    hospital: Hospital
    promise: Promise
    rng: np.random.Generator

    def next(self, parameters: Vector) -> tuple[Floats, tuple[int, ...], int]:
        """Of the next step, at these parameters: (P,) the sum, which cases are in it, and of how many units."""
        drawn, units = self._drawn()
        total = np.zeros(sum(parameter.numel() for _, parameter in trainable(self.hospital.network)))
        if drawn:
            batches = self._shown(drawn)
            write(self.hospital.network, parameters)
            self.hospital.network.train()
            for batch in batches:
                total += clipped(gradient_of(self.hospital, batch), self.promise.clip_norm)
        if self.promise.grid:
            most = self.promise.most / self.promise.grid
            total = np.clip(np.rint(total / self.promise.grid), -most, most) * self.promise.grid
        return total, drawn, units

    def _drawn(self) -> tuple[tuple[int, ...], int]:
        """Every unit by a coin of its own; of a patient, one case by a fair die, which is thrown for all of them."""
        cases, rate = self.hospital.train, self.promise.sampling_rate
        if self.promise.unit == "sample":
            return tuple(np.flatnonzero(self.rng.random(len(cases)) < rate).tolist()), len(cases)
        own = self._by_patient
        coins = self.rng.random(len(own))
        dice = self.rng.integers(0, np.array([len(one) for one in own]))
        pairs = zip(own, coins, dice, strict=True)
        return tuple(int(one[die]) for one, coin, die in pairs if coin < rate), len(own)

    @cached_property
    def _by_patient(self) -> list[NDArray[np.int64]]:
        """Numbers of each patient's cases, patients in the order of their names."""
        patients = self.hospital.train.patients
        return [np.flatnonzero(patients == name) for name in np.unique(patients)]

    def _shown(self, drawn: Sequence[int]) -> list[Batch]:
        weights = class_weights(self.hospital.train, self.hospital.study.training)
        task: Task = self.hospital.task
        shown = [augmented(task, self.hospital.train.batch(np.array([one])), self.rng) for one in drawn]
        return [with_weights(one, weights) for one in shown]


def gradient_of(hospital: Hospital, batch: Batch) -> Floats:
    """(P,) of one case, at the network's own parameters."""
    with autocast(home(hospital.network), hospital.study.training.precision):
        loss = hospital.task.loss(hospital.network, batch).float().sum()
    parameters = [parameter for _, parameter in trainable(hospital.network)]
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    parts = [
        torch.zeros_like(parameter) if one is None else one for one, parameter in zip(found, parameters, strict=True)
    ]
    return np.concatenate([part.detach().cpu().numpy().astype(np.float64).reshape(-1) for part in parts])


def clipped(gradient: Floats, clip_norm: float) -> Floats:
    """Shrunk to the norm where it is longer; nothing of one that is not finite."""
    norm = float(np.linalg.norm(gradient))
    if not np.isfinite(norm):
        return np.zeros_like(gradient)
    return gradient * min(1.0, clip_norm / norm) if norm else gradient


def blocks_of(network: nn.Module) -> dict[str, slice]:
    """Where each layer's parameters stand in a sum of gradients, by name; a companion has no part in it."""
    shapes = {name: tuple(parameter.shape) for name, parameter in shared(network)}
    ends = np.cumsum([0, *(prod(shape) for shape in shapes.values())]).tolist()
    return {name: slice(*pair) for name, pair in zip(shapes, pairwise(ends), strict=True)}
