"""A task without fault, and others that break one law each."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from common.data.cases import Shape
from common.sums.mean import Mean


@dataclass(frozen=True)
class Sound:
    """A task without fault."""

    headline: ClassVar[str] = "accuracy"
    width: int = 32

    def build_network(self, shape: Shape) -> nn.Module:
        return nn.Sequential(nn.Linear(shape.inputs[0], self.width), nn.ReLU(), nn.Linear(self.width, shape.classes))

    def loss(self, network: nn.Module, batch: Any) -> torch.Tensor:
        return cross_entropy(network(batch.inputs), batch.targets, reduction="none")

    def score(self, network: nn.Module, batch: Any) -> dict[str, Mean]:
        return {"accuracy": Mean.of((self.predict(network, batch.inputs) == batch.targets).tolist())}

    def augment(self, batch: Any, rng: np.random.Generator) -> Any:
        return batch.with_columns(inputs=batch.inputs + torch.from_numpy(rng.normal(size=batch.inputs.shape)).float())

    def predict(self, network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        return network(inputs).argmax(1)


class NotFrozen(Sound):
    """Its instances take any attribute, as an option that changes in a run would."""

    __dataclass_params__ = copy.copy(Sound.__dataclass_params__)
    __dataclass_params__.frozen = False


class Normalised(Sound):
    def build_network(self, shape: Shape) -> nn.Module:
        return nn.Sequential(nn.Linear(shape.inputs[0], 8), nn.BatchNorm1d(8), nn.Linear(8, shape.classes))


class Undetermined(Sound):
    def build_network(self, shape: Shape) -> nn.Module:
        network = super().build_network(shape)
        nn.init.constant_(network[0].weight, random.random())
        return network


class Idling(Sound):
    def loss(self, network: nn.Module, batch: Any) -> torch.Tensor:
        return 1 + 0 * super().loss(network, batch)


class OneForAll(Sound):
    def loss(self, network: nn.Module, batch: Any) -> torch.Tensor:
        return super().loss(network, batch).mean()


class Centred(Sound):
    def loss(self, network: nn.Module, batch: Any) -> torch.Tensor:
        scores = network(batch.inputs)
        return cross_entropy(scores - scores.mean(0), batch.targets, reduction="none")


class Coupled(Centred):
    couples: ClassVar[bool] = True


class Headless(Sound):
    def score(self, network: nn.Module, batch: Any) -> dict[str, Mean]:
        return {"acuracy": Mean.of([1.0])}


class Averaged(Sound):
    def score(self, network: nn.Module, batch: Any) -> dict[str, Mean]:
        (score,) = super().score(network, batch).values()
        return {"accuracy": Mean.of([score.value])}


class AugmentedByChance(Sound):
    def augment(self, batch: Any, rng: np.random.Generator) -> Any:
        return batch.with_columns(inputs=batch.inputs + torch.randn_like(batch.inputs))


class AugmentedInPlace(Sound):
    def augment(self, batch: Any, rng: np.random.Generator) -> Any:
        batch.inputs.add_(1)
        return batch


class Drawing(Sound):
    def loss(self, network: nn.Module, batch: Any) -> torch.Tensor:
        return super().loss(network, batch) * np.random.rand()


class Changing(Sound):
    def score(self, network: nn.Module, batch: Any) -> dict[str, Mean]:
        batch.targets.zero_()
        return super().score(network, batch)


class Real(Sound):
    def predict(self, network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        return super().predict(network, inputs).float()


class Mixing(Sound):
    """What its scores are made of is taken less the mean of the batch."""

    def answered(self, network: nn.Module, batch: Any) -> dict[str, torch.Tensor]:
        answers = network(batch.inputs)
        return {"answers": answers - answers.mean(0), "truth": batch.targets}

    def judged_each(self, answered: Any) -> dict[str, torch.Tensor]:
        return {"accuracy": (answered["answers"].argmax(1) == answered["truth"]).double()}

    def score(self, network: nn.Module, batch: Any) -> dict[str, Mean]:
        return {"accuracy": Mean.of(self.judged_each(self.answered(network, batch))["accuracy"].tolist())}


class Led(Sound):
    """Its teacher is said to follow the model, and `loss` moves it by cases."""

    companion: ClassVar[tuple[str, ...]] = ("teacher",)
    follows_parameters: ClassVar[bool] = True

    def build_network(self, shape: Shape) -> nn.Module:
        network = super().build_network(shape)
        network.register_buffer("teacher", torch.zeros(1))
        return network

    def loss(self, network: nn.Module, batch: Any) -> torch.Tensor:
        if network.training:
            network.teacher.add_(batch.inputs.mean())
        return super().loss(network, batch)

    def follow(self, network: nn.Module) -> None:
        network.teacher.mul_(0.9)
