"""Tasks of a stranger, each of one idea from self-supervision or generation, as small as they can be."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_similarity, cross_entropy, normalize

from common.data.cases import Batch, Shape
from common.learning.task import Task
from common.learning.tasks.classification import Classification
from common.seeding import case_generators
from common.sums.mean import Mean

FEATURES = 6


def two_views(batch: Batch, rng: np.random.Generator) -> Batch:
    """Every case twice, mirrored or not, with noise of its own."""
    drawn = [
        [(one.random() < 0.5, one.normal(0, 0.1, batch.inputs.shape[1:]).astype(np.float32)) for _ in range(2)]
        for one in case_generators(rng, len(batch))
    ]
    views = [
        torch.stack([
            (image.flip(-1) if mirrored[place][0] else image) + torch.from_numpy(mirrored[place][1])
            for image, mirrored in zip(batch.inputs, drawn, strict=True)
        ])
        for place in range(2)
    ]  # fmt: skip
    return batch.with_columns(first=views[0], second=views[1])


def encoder(shape: Shape) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape.inputs), FEATURES))


class Embedding:
    """What both self-supervised tasks share: a score that needs no views, and no class of a case."""

    headline: ClassVar[str] = "steadiness"
    views: ClassVar[tuple[str, ...]] = ("first", "second")

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        return two_views(batch, rng)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """How alike a case and its mirror image are to the network."""
        embedded, mirrored = network(batch.inputs), network(batch.inputs.flip(-1))
        return {"steadiness": Mean.of(cosine_similarity(embedded, mirrored).tolist())}

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        embedded: Tensor = network(inputs)
        return embedded

    def target_form(self, shape: Shape) -> tuple[int, ...]:
        return ()


@dataclass(frozen=True)
class SimCLR(Embedding):
    """Chen et al. 2020, equation 1: which of the batch is the other view of a case?"""

    couples: ClassVar[bool] = True

    temperature: float = 0.5

    def build_network(self, shape: Shape) -> nn.Module:
        return encoder(shape)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        both = torch.cat([network(batch.tensor("first")), network(batch.tensor("second"))])
        similarity = normalize(both) @ normalize(both).T / self.temperature
        count = len(batch)
        similarity = similarity.masked_fill(torch.eye(2 * count, dtype=torch.bool), -torch.inf)
        other = torch.arange(2 * count).roll(count)
        return cross_entropy(similarity, other, reduction="none").reshape(2, count).mean(0)


class Pupil(nn.Module):
    """An online network with a predictor, its teacher, and the centre of what that answers."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.online = encoder(shape)
        self.predictor = nn.Linear(FEATURES, FEATURES)
        self.teacher = deepcopy(self.online)
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(FEATURES))

    def forward(self, inputs: Tensor) -> Tensor:
        embedded: Tensor = self.online(inputs)
        return embedded


@dataclass(frozen=True)
class BYOL(Embedding):
    """Grill et al. 2020, equations 1 and 2, with the centre of Caron et al. 2021. tau: of the teacher."""

    companion: ClassVar[tuple[str, ...]] = ("teacher", "centre")

    tau: float = 0.9

    def build_network(self, shape: Shape) -> nn.Module:
        return Pupil(shape)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(network, Pupil)
        first, second = batch.tensor("first"), batch.tensor("second")
        with torch.no_grad():
            taught = [network.teacher(view) for view in (second, first)]
            if network.training:
                network.centre.lerp_(torch.cat(taught).mean(0), 0.5)
        asked = [network.predictor(network.online(view)) for view in (first, second)]
        similarity = [cosine_similarity(a, t, dim=1) for a, t in zip(asked, taught, strict=True)]
        return 4 - 2 * similarity[0] - 2 * similarity[1]

    def follow(self, network: nn.Module) -> None:
        assert isinstance(network, Pupil)
        for slow, fast in zip(network.teacher.parameters(), network.online.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.tau)


class Rivals(nn.Module):
    """A generator of images and a critic that tells them from real ones."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape.inputs
        self.generator = nn.Linear(3, prod(shape.inputs))
        self.critic = nn.Sequential(nn.Flatten(), nn.Linear(prod(shape.inputs), 1))

    def made(self, noise: Tensor) -> Tensor:
        image: Tensor = self.generator(noise).reshape(len(noise), *self.shape)
        return image


@dataclass(frozen=True)
class GAN:
    """Goodfellow et al. 2014: the critic's step, then the generator's, by the loss that does not saturate."""

    headline: ClassVar[str] = "similarity"
    views: ClassVar[tuple[str, ...]] = ("noise",)
    optimised: ClassVar[Mapping[str, tuple[str, ...]]] = {"critic": ("critic",), "generator": ("generator",)}
    drawn: ClassVar[str] = "panels"

    def build_network(self, shape: Shape) -> nn.Module:
        return Rivals(shape)

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        noise = np.stack([one.normal(size=3) for one in case_generators(rng, len(batch))]).astype(np.float32)
        return batch.with_columns(noise=torch.from_numpy(noise))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return self.loss_of(network, batch, "generator")

    def loss_of(self, network: nn.Module, batch: Batch, group: str) -> Tensor:
        assert isinstance(network, Rivals)
        made = network.critic(network.made(batch.tensor("noise")))[:, 0]
        if group == "generator":
            return _told(made, 1.0)
        return _told(network.critic(batch.inputs)[:, 0], 1.0) + _told(made, 0.0)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        assert isinstance(network, Rivals)
        distances = (network.made(torch.zeros(len(batch), 3)) - batch.inputs).square().flatten(1).mean(1)
        return {"similarity": Mean.of((1 / (1 + distances)).tolist())}

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        assert isinstance(network, Rivals)
        return network.made(torch.zeros(len(inputs), 3))

    def panels(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        assert isinstance(network, Rivals)
        return {"real": batch.inputs[0, 0], "made": network.made(torch.zeros(1, 3))[0, 0]}

    def target_form(self, shape: Shape) -> tuple[int, ...]:
        return ()


@dataclass(frozen=True)
class Masked(Embedding):
    """He et al. 2022 in miniature: what is hidden of a case is told from the rest. Each case's loss is its own."""

    views: ClassVar[tuple[str, ...]] = ("mask",)

    def build_network(self, shape: Shape) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape.inputs), prod(shape.inputs)))

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        masks = np.stack([one.random(batch.inputs.shape[1:]) < 0.5 for one in case_generators(rng, len(batch))])
        return batch.with_columns(mask=torch.from_numpy(masks.astype(np.float32)))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        mask = batch.tensor("mask")
        answered = network(batch.inputs * (1 - mask)).reshape(batch.inputs.shape)
        return ((answered - batch.inputs).square() * mask).flatten(1).mean(1)


class Doubled(nn.Module):
    """A network and a copy of it that follows."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.teacher = body, deepcopy(body)

    def forward(self, inputs: Tensor) -> Tensor:
        answered: Tensor = self.body(inputs)
        return answered


@dataclass(frozen=True)
class Taught(Classification):
    """Polyak averaging: the teacher is the mean of the models on the way, and teaches nothing back."""

    companion: ClassVar[tuple[str, ...]] = ("teacher",)

    def build_network(self, shape: Shape) -> nn.Module:
        return Doubled(super().build_network(shape))

    def follow(self, network: nn.Module) -> None:
        assert isinstance(network, Doubled)
        for slow, fast in zip(network.teacher.parameters(), network.body.parameters(), strict=True):
            slow.lerp_(fast, 0.1)


@dataclass(frozen=True)
class Bare:
    """No class, no truth, no ability beyond the role: the mean of an input is to be said."""

    headline: ClassVar[str] = "closeness"

    def build_network(self, shape: Shape) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape.inputs), 4), nn.ReLU(), nn.Linear(4, 1))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        off: Tensor = (self.predict(network, batch.inputs) - batch.inputs.flatten(1).mean(1)) ** 2
        return off

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        return {"closeness": Mean.of((1 / (1 + self.loss(network, batch))).tolist())}

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        return batch

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        said: Tensor = network(inputs)[:, 0]
        return said


def _told(logits: Tensor, truth: float) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth), reduction="none")


@dataclass(frozen=True)
class Fading(Embedding):
    """Whose embeddings all become one, as its loss wants them to: a collapse that is planted."""

    watched: ClassVar[tuple[str, ...]] = ("spread",)

    def build_network(self, shape: Shape) -> nn.Module:
        return encoder(shape)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return torch.stack([network(batch.tensor(name)).square().sum(1) for name in self.views]).mean(0)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """How far embeddings lie from 0."""
        sizes = network(batch.inputs).norm(dim=1).clamp(max=1)
        return {**super().score(network, batch), "spread": Mean.of(sizes.tolist())}


tasks: list[type[Task]] = [SimCLR, BYOL, GAN, Masked, Taught, Bare, Fading]
