"""Gradients to invert in `bench inversion`: ten natural images, two networks, a gradient or a FedAvg update each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from common.data.cases import Shape
from common.seeding import entropy, generator
from experiments.benchmarks._inversion_networks import groupnorm_cnn, lenet

CLASSES, SIDE = 10, 32
MEAN, STANDARD_DEVIATION = 0.45, 0.25
LOW, HIGH = (0 - MEAN) / STANDARD_DEVIATION, (1 - MEAN) / STANDARD_DEVIATION
LOCAL_STEPS, LOCAL_LEARNING_RATE = 4, 0.01


@dataclass(frozen=True)
class CapturedUpdate:
    """One captured update. number: of the image. image: (1, 3, 32, 32) float32, standardised.

    steps: 0 for one gradient, else local steps.
    captured: the gradient, or the change that the steps made, one tensor a parameter in the network's own order.
    """

    network: str
    number: int
    image: Tensor
    label: int
    steps: int
    captured: tuple[Tensor, ...]


def images() -> NDArray[np.float32]:
    """(10, 3, 32, 32) in [0, 1]: five squares of each of two photographs, averaged down to 32 x 32."""
    rng = generator(5, "inversion benchmark", "squares")
    cut = [_square(photograph, rng) for photograph in load_sample_images().images for _ in range(5)]
    return np.stack(cut).astype(np.float32)


def _square(photograph: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float64]:
    pooled = 5
    side = pooled * SIDE
    top, left = (int(rng.integers(0, length - side)) for length in photograph.shape[:2])
    square = photograph[top : top + side, left : left + side].reshape(SIDE, pooled, SIDE, pooled, 3)
    return np.asarray(square.mean(axis=(1, 3)).transpose(2, 0, 1) / 255)


def networks() -> dict[str, nn.Sequential]:
    """A CNN with group normalisation and ReLU of 65,000 parameters, and the LeNet of Zhu et al. 2019 (16,000)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(entropy(5, "inversion benchmark") % 2**63)
        shape = Shape((3, SIDE, SIDE), CLASSES)
        return {"GroupNorm CNN": groupnorm_cnn(shape), "LeNet (sigmoid)": lenet(shape)}


def problems(steps: int) -> list[CapturedUpdate]:
    """One for every network and image."""
    standardised = torch.from_numpy((images() - MEAN) / STANDARD_DEVIATION)
    labels = generator(5, "inversion benchmark", "labels").integers(0, CLASSES, len(standardised))
    return [
        CapturedUpdate(
            name, number, image[None], int(label), steps, _captured(network, image[None], int(label), steps)
        )
        for name, network in networks().items()
        for number, (image, label) in enumerate(zip(standardised, labels, strict=True))
    ]


def _captured(network: nn.Sequential, image: Tensor, label: int, steps: int) -> tuple[Tensor, ...]:
    """The gradient where `steps` is 0, else the change after so many steps of gradient descent."""
    before = [parameter.detach().clone() for parameter in network.parameters()]
    target = torch.tensor([label])
    gradient = torch.autograd.grad(cross_entropy(network(image), target), list(network.parameters()))
    for _ in range(steps):
        gradient = torch.autograd.grad(cross_entropy(network(image), target), list(network.parameters()))
        with torch.no_grad():
            for parameter, part in zip(network.parameters(), gradient, strict=True):
                parameter.sub_(LOCAL_LEARNING_RATE * part)
    changes = tuple(parameter.detach() - old for parameter, old in zip(network.parameters(), before, strict=True))
    with torch.no_grad():
        for parameter, old in zip(network.parameters(), before, strict=True):
            parameter.copy_(old)
    return changes if steps else gradient
