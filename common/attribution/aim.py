"""The role of an aim: what of a network is explained, one number a case. A class's logit, a region, a neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn


class Aim(Protocol):
    """A frozen dataclass. A case's number depends on no other case of the batch."""

    @property
    def words(self) -> str:
        """What it is, for a reader: "the logit of pneumonia"."""
        ...

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,) in the precision of the inputs, and differentiable by them."""
        ...

    def take(self, cases: slice | Tensor) -> Aim:
        """The same aim for some of the cases, where it is another one for every case."""
        ...


@dataclass(frozen=True)
class Logits:
    """classes: (N,) int64, of each case, the answer that is explained, before any softmax. name: of the answer."""

    classes: Tensor
    name: str = "the chosen class"

    @property
    def words(self) -> str:
        """For a reader."""
        return f"the logit of {self.name}"

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,) of a network that answers (N, classes)."""
        answers: Tensor = network(inputs)
        return answers.gather(1, self.classes.to(answers.device)[:, None])[:, 0]

    def take(self, cases: slice | Tensor) -> Logits:
        """Of some of the cases."""
        return Logits(self.classes[cases], self.name)
