"""What `bench inversion-batch` inverts: real tables, radiographs and volumes, with a network and an attack each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.sources.heart import HOSPITALS, Heart
from client.sources.medmnist import MedMnist
from client.sources.nifti import Nifti
from common.data.cases import Cases, Shape, concatenate
from common.learning.networks.groupnorm_cnn import GroupNormCNN
from common.learning.networks.mlp import Mlp
from common.learning.tasks.classification import soft_cross_entropy
from common.seeding import entropy, generator
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.benchmarks._data import find
from experiments.benchmarks._inversion_networks import groupnorm_cnn, lenet

CANDIDATES, SIDE_OF_VOLUMES, PUBLIC = 200, 16, 1500
HIDDEN = 256


@dataclass(frozen=True)
class Kind:
    """data: of whom. network: its name. attack: of the catalogue. cases: loads them; build: the network.

    seconds_a_case: of the processor, for the attack. largest_batch: more cases at once it cannot invert.
    """

    data: str
    network: str
    attack: str
    cases: Callable[[], Cases]
    build: Callable[[Shape], nn.Module]
    seconds_a_case: float = 4.0
    largest_batch: int = 16

    def candidates(self) -> Cases:
        """Patients among whom a rebuilt case has to find its own, in an order drawn once. Raises SourceError."""
        cases = self.cases()
        return cases.take(generator(5, "inversion batches", self.data).permutation(len(cases))[:CANDIDATES])

    def public(self) -> NDArray[np.float32]:
        """Inputs of patients who are none of the candidates, as a public set."""
        cases = self.cases()
        order = generator(5, "inversion batches", self.data).permutation(len(cases))
        return cases.take(order[CANDIDATES : CANDIDATES + PUBLIC]).inputs

    def victim(self, shape: Shape) -> Victim:
        """The untrained network, the same every time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(entropy(5, "inversion batches", self.network) % 2**63)
            network = self.build(shape).train()
        return Victim(network, _losses)


def heart() -> Cases:
    """Of all four hospitals; its diagnoses are the labels."""
    source = Heart(str(find("heart", "heart-disease-4centre")))
    return concatenate([source.cases(site, 0) for site in HOSPITALS])


def radiographs() -> Cases:
    """Of 28 x 28 pixels; pneumonia or none."""
    return MedMnist(str(find("pneumoniamnist"))).cases(None, 0)


def volumes() -> Cases:
    """The middle of MR volumes of the hippocampus, 16 voxels a side; labels, which they have none of, are drawn."""
    source = Nifti(str(find("hippocampus")), dimensions=3, size=SIDE_OF_VOLUMES)
    cases = source.cases(None, 0)
    drawn = generator(5, "inversion batches", "labels").integers(0, 2, len(cases))
    return Cases.of(cases.inputs, np.asarray(drawn, np.int64), cases.patients, ("class 0", "class 1"))


def _losses(network: nn.Module, inputs: Tensor, truth: Tensor) -> Tensor:
    return soft_cross_entropy(network(inputs), truth)


def _mlp(shape: Shape) -> nn.Module:
    return Mlp((HIDDEN,)).build(shape)


def _deep(shape: Shape) -> nn.Module:
    return Mlp((HIDDEN, HIDDEN // 4)).build(shape)


def _pooled(shape: Shape) -> nn.Module:
    return GroupNormCNN().build(shape)


KINDS = (
    Kind("heart disease, 13 features", "MLP", "analytic", heart, _mlp),
    Kind("heart disease, 13 features", "MLP", "exact_batch", heart, _mlp, largest_batch=32),
    Kind("heart disease, 13 features", "MLP of two layers", "exact_batch", heart, _deep, largest_batch=32),
    Kind("heart disease, 13 features", "MLP", "matching", heart, _mlp),
    Kind("chest radiographs, 28^2", "MLP", "analytic", radiographs, _mlp),
    Kind("chest radiographs, 28^2", "MLP", "exact_batch", radiographs, _mlp, largest_batch=32),
    Kind("chest radiographs, 28^2", "MLP of two layers", "exact_batch", radiographs, _deep, largest_batch=32),
    Kind("chest radiographs, 28^2", "GroupNorm CNN", "matching", radiographs, groupnorm_cnn),
    Kind("chest radiographs, 28^2", "GroupNorm CNN", "learned_prior", radiographs, groupnorm_cnn, largest_batch=4),
    Kind("chest radiographs, 28^2", "LeNet (sigmoid)", "matching", radiographs, lenet),
    Kind("chest radiographs, 28^2", "LeNet (sigmoid)", "learned_prior", radiographs, lenet, largest_batch=4),
    Kind("hippocampus, 16^3", "MLP", "analytic", volumes, _mlp),
    Kind("hippocampus, 16^3", "MLP", "exact_batch", volumes, _mlp, largest_batch=32),
    Kind("hippocampus, 16^3", "GroupNorm CNN", "matching", volumes, groupnorm_cnn),
    Kind("chest radiographs, 28^2", "GroupNorm CNN, pooled", "bottleneck", radiographs, _pooled, 15.0, 1),
    Kind("hippocampus, 16^3", "GroupNorm CNN, pooled", "bottleneck", volumes, _pooled, 20.0, 1),
    Kind("chest radiographs, 28^2", "GroupNorm CNN, pooled", "matching", radiographs, _pooled, 15.0, 1),
)
