"""The role of an aim: what of a network is explained, one number a case. Aims are in `common/attribution/aims.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

Ask = Callable[[nn.Module, Tensor], Tensor]
"""How a network is asked: (network, inputs) -> answers, differentiable by the inputs."""


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


def plainly(network: nn.Module, inputs: Tensor) -> Tensor:
    """What the network answers by itself."""
    answers: Tensor = network(inputs)
    return answers


@dataclass(frozen=True)
class Logits:
    """classes: (N,) int64, of each case, the answer that is explained, before any softmax. name: of the answer.
    ask: how the network answers (N, classes).
    """

    classes: Tensor
    name: str = "the chosen class"
    ask: Ask = plainly

    @property
    def words(self) -> str:
        """For a reader."""
        return f"the logit of {self.name}"

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,) of a network that answers (N, classes)."""
        return of_class(self.ask(network, inputs), self.classes)

    def take(self, cases: slice | Tensor) -> Logits:
        """Of some of the cases."""
        return Logits(self.classes[cases], self.name, self.ask)


def of_class(answers: Tensor, classes: Tensor) -> Tensor:
    """(N,) of (N, classes), each case's own column."""
    return answers.gather(1, classes.to(answers.device)[:, None])[:, 0]
