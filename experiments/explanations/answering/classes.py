"""One class a case: the log-odds of the class that the model answers, against all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.aims import Probabilities, predicted_aim
from common.attribution.gradients import asked
from common.attribution.log_odds import LogOdds
from common.learning.abilities import abilities
from common.learning.task import Task
from experiments.explanations.answering.role import Chosen, Told, in_turn
from server.reporting.wording import percent

MOST_CLASSES = 6
"""Of which the surest right answers are shown, and of which there are dreams."""


@dataclass(frozen=True, eq=False)
class Classes:
    """names: of the classes."""

    task: Task
    network: nn.Module
    names: tuple[str, ...]

    @property
    def explains(self) -> str:
        """What a map is of."""
        return "the class that the model answers, against all others (its log-odds)"

    @property
    def rule(self) -> str:
        """How cases are chosen."""
        return (
            "of each class in turn the right answer that the model is surest of, then the wrong answer that it is "
            "surest of, then the answer that it is least sure of, and so on"
        )

    def tell(self, inputs: Tensor, targets: Tensor) -> list[Told]:
        """Of every case."""
        with asked(self.network), torch.no_grad():
            chances = abilities(self.task).logits(self.network, inputs).double().softmax(1)
        truths = targets.tolist() if targets.ndim == 1 else [None] * len(inputs)
        return [self._told(one, truth) for one, truth in zip(chances, truths, strict=True)]

    def choose(self, told: Sequence[Told], most: int) -> list[Chosen]:
        """By the rule."""
        surest = sorted(range(len(told)), key=lambda place: -(told[place].sure or 0))
        right, wrong = ([place for place in surest if told[place].right is is_right] for is_right in (True, False))
        groups = [name for name in self.names if any(told[place].group == name for place in right)][:MOST_CLASSES]
        return in_turn(
            [
                *((f"surest right answer of {name}", [k for k in right if told[k].group == name]) for name in groups),
                ("surest wrong answer", wrong),
                ("least sure", surest[::-1]),
            ],
            most,
        )

    def aim(self, inputs: Tensor) -> LogOdds:
        """The log-odds of the class that is answered."""
        ask = abilities(self.task).logits
        with asked(self.network), torch.no_grad():
            answers = ask(self.network, inputs).argmax(1)
        return LogOdds(answers, "the answered class", ask)

    def one_answer(self, inputs: Tensor) -> Aim:
        """The log-odds of the last class, whatever is answered."""
        last = len(self.names) - 1
        return LogOdds(torch.full((len(inputs),), last), self.names[last], abilities(self.task).logits)

    def chance(self, inputs: Tensor) -> Aim | None:
        """The probability of the class that is answered."""
        aim = self.aim(inputs)
        return Probabilities(aim.classes, "the answered class", aim.ask)

    def masks(self, inputs: Tensor, targets: Tensor) -> Tensor | None:
        """Not known."""
        return None

    def says_anything(self, told: Told) -> bool:
        """Always."""
        return True

    def wishes(self, inputs: Tensor) -> Mapping[str, Aim]:
        """Each class: its logit, and of the last its probability too."""
        found: dict[str, Aim] = {
            f"logit of {name}": predicted_aim(self.task, self.network, inputs, index, self.names)
            for index, name in enumerate(self.names[:MOST_CLASSES])
        }
        last = len(self.names) - 1
        classes, ask = torch.full((len(inputs),), last), abilities(self.task).logits
        found[f"probability of {self.names[last]}"] = Probabilities(classes, self.names[last], ask)
        return found

    def _told(self, chances: Tensor, truth: int | None) -> Told:
        index = int(chances.argmax())
        sure = float(chances[index])
        answer = f"{self.names[index]}, {percent(sure)} sure"
        if truth is None:
            return Told(answer, "", self.names[index], sure=sure)
        known, right = self.names[truth], index == truth
        return Told(answer, known, self.names[index], known, right, sure, float(chances[truth]))
