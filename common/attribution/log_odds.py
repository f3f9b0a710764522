"""A class against all others: what its probability rests on, where a logit alone may say the opposite."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from common.attribution.aim import Aim, Ask, of_class, plainly


@dataclass(frozen=True)
class LogOdds:
    """classes: (N,) int64, of each case, the class whose log-odds are explained, log p / (1 - p). name: of it.
    ask: how the network answers with logits (N, classes).

    What is added to all logits alike moves no probability, and a network may add whatever it likes: where an input
    raises the logit of a class and that of another one more, it speaks against the class. Of two classes the log-odds
    are the difference of their logits.
    """

    classes: Tensor
    name: str = "the chosen class"
    ask: Ask = plainly

    @property
    def words(self) -> str:
        """For a reader."""
        return f"the score for {self.name} against all other classes (its log-odds)"

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,): the class's logit less the log-sum-exp of all others."""
        logits = self.ask(network, inputs)
        own = torch.zeros_like(logits, dtype=torch.bool).scatter(1, self.classes.to(logits.device)[:, None], True)
        others = logits.masked_fill(own, float("-inf")).logsumexp(1)
        return of_class(logits, self.classes) - others

    def take(self, cases: slice | Tensor) -> Aim:
        """Of some of the cases."""
        return replace(self, classes=self.classes[cases])
