"""What can be explained beside a class's logit: a probability, a real number, an outlined region, a layer's part."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from common.attribution.aim import Aim, Ask, Logits, of_class, plainly
from common.attribution.gradients import asked
from common.attribution.layers import activations
from common.errors import AttributionError
from common.learning.abilities import abilities, can, number_names, outlines
from common.learning.task import Task


@dataclass(frozen=True)
class Probabilities:
    """classes: (N,) int64, of each case, the class whose probability is explained. name: of it. ask: how the network
    answers with logits (N, classes).
    """

    classes: Tensor
    name: str = "the chosen class"
    ask: Ask = plainly

    @property
    def words(self) -> str:
        """For a reader."""
        return f"the probability of {self.name}"

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,) in (0, 1)."""
        return of_class(self.ask(network, inputs).softmax(1), self.classes)

    def take(self, cases: slice | Tensor) -> Probabilities:
        """Of some of the cases."""
        return replace(self, classes=self.classes[cases])


@dataclass(frozen=True)
class Number:
    """index: of the real number that is explained, among those of a case. name: of it. ask: how the network answers
    (N, numbers).
    """

    index: int = 0
    name: str = "the answer"
    ask: Ask = plainly

    @property
    def words(self) -> str:
        """For a reader."""
        return self.name

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,)."""
        return self.ask(network, inputs)[:, self.index]

    def take(self, cases: slice | Tensor) -> Number:
        """The same."""
        return self


@dataclass(frozen=True)
class Regions:
    """regions: (N, *S) bool, of each case, the places whose logits are summed, held fixed whatever becomes of the
    image. classes: (N,) int64 whose logits. name: of the region. ask: how the network answers (N, classes, *S).

    Of a case without such a place the number is 0, and its map is 0 with it.
    """

    regions: Tensor
    classes: Tensor
    name: str = "the outlined region"
    ask: Ask = plainly

    @property
    def words(self) -> str:
        """For a reader."""
        return f"the logits of {self.name}, summed over where it was outlined"

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,)."""
        logits = self.ask(network, inputs)
        chosen = logits[torch.arange(len(logits), device=logits.device), self.classes.to(logits.device)]
        return torch.where(self.regions.to(logits.device), chosen, 0.0).flatten(1).sum(1)

    def take(self, cases: slice | Tensor) -> Regions:
        """Of some of the cases."""
        return replace(self, regions=self.regions[cases], classes=self.classes[cases])


@dataclass(frozen=True)
class Neuron:
    """layer: as `named_modules` calls it. channel: of its answer (N, K, *S). place: of S; (): the middle."""

    layer: str
    channel: int
    place: tuple[int, ...] = ()

    @property
    def words(self) -> str:
        """For a reader."""
        where = f"at {self.place}" if self.place else "in the middle"
        return f"neuron {self.channel} of layer {self.layer} {where}"

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,)."""
        channel = _channel(activations(network, self.layer, inputs), self.channel, self.layer)
        sides = channel.shape[1:]
        place = self.place or tuple(int(side) // 2 for side in sides)
        if len(place) != len(sides) or not all(0 <= a < side for a, side in zip(place, sides, strict=True)):
            raise AttributionError(f"{self.words}: the layer's maps are of {tuple(sides)}, which has no such place.")
        return channel.flatten(1)[:, int(np.ravel_multi_index(place, tuple(sides))) if place else 0]

    def take(self, cases: slice | Tensor) -> Neuron:
        """The same."""
        return self


@dataclass(frozen=True)
class FeatureMap:
    """layer: as `named_modules` calls it. channel: of its answer (N, K, *S), of which the mean over S is taken."""

    layer: str
    channel: int

    @property
    def words(self) -> str:
        """For a reader."""
        return f"the mean of map {self.channel} of layer {self.layer}"

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,)."""
        channel = _channel(activations(network, self.layer, inputs), self.channel, self.layer)
        return channel.flatten(1).mean(1) if channel.ndim > 1 else channel

    def take(self, cases: slice | Tensor) -> FeatureMap:
        """The same."""
        return self


@dataclass(frozen=True)
class LayerNorm:
    """layer: as `named_modules` calls it, the l2 norm of whose answer is taken."""

    layer: str

    @property
    def words(self) -> str:
        """For a reader."""
        return f"the norm of what layer {self.layer} answers"

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,)."""
        return activations(network, self.layer, inputs).flatten(1).square().sum(1).sqrt()

    def take(self, cases: slice | Tensor) -> LayerNorm:
        """The same."""
        return self


def predicted_aim(
    task: Task, network: nn.Module, inputs: Tensor, answer: int | None = None, names: tuple[str, ...] = ()
) -> Aim:
    """What a task answers about the cases, as an aim.

    answer: index of the class, or of the real number; None: what is predicted of each case, of outlines its largest
    structure that is no background, of real numbers the last. names: of the classes. Raises AttributionError where
    the task answers with neither classes nor real numbers, or has no such class.
    """
    if can(task, "numbers"):
        return _number(task, answer)
    if not can(task, "logits"):
        raise AttributionError(
            "this task answers with neither classes nor real numbers, so no answer of it can be explained: a task "
            "declares `logits`, or `numbers` and `number_names`."
        )
    ask = abilities(task).logits
    with asked(network), torch.no_grad():
        logits = ask(network, inputs)
    count = logits.shape[1]
    if answer is not None and not 0 <= answer < count:
        raise AttributionError(f"There is no class {answer}: the classes are 0 to {count - 1}.")
    name = "the predicted class" if answer is None else names[answer] if names else f"class {answer}"
    if outlines(task):
        return _regions(logits.argmax(1), count, answer, name, ask)
    classes = logits.argmax(1) if answer is None else logits.new_full((len(logits),), answer, dtype=torch.int64)
    return Logits(classes, name, ask)


def _number(task: Task, answer: int | None) -> Number:
    names = number_names(task)
    index = len(names) - 1 if answer is None else answer
    if not 0 <= index < len(names):
        raise AttributionError(f"There is no number {index}: they are 0 to {len(names) - 1}, {', '.join(names)}.")
    return Number(index, names[index], abilities(task).numbers)


def _regions(outlined: Tensor, count: int, answer: int | None, name: str, ask: Ask) -> Regions:
    if answer is None:
        sizes = torch.stack([(outlined == index).flatten(1).sum(1) for index in range(1, count)], 1)
        classes, name = sizes.argmax(1) + 1, "the largest predicted structure"
    else:
        classes = torch.full((len(outlined),), answer, dtype=torch.int64, device=outlined.device)
    wanted = classes.reshape(-1, *(1,) * (outlined.ndim - 1))
    return Regions(outlined == wanted, classes, name, ask)


def _channel(answers: Tensor, channel: int, layer: str) -> Tensor:
    if not 0 <= channel < answers.shape[1]:
        raise AttributionError(
            f"layer {layer!r} has no channel {channel}: it answers with 0 to {answers.shape[1] - 1}."
        )
    return answers[:, channel]
