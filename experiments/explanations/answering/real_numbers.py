"""Real numbers: a value in its unit, or a risk. The number itself is explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.aims import predicted_aim
from common.attribution.gradients import asked
from common.learning.abilities import abilities, number_names
from common.learning.task import Task
from experiments.explanations.answering.role import Chosen, Told, in_turn
from server.reporting.wording import plain


@dataclass(frozen=True, eq=False)
class Numbers:
    """label: what a value is called, by the study's source; "" where it does not say."""

    task: Task
    network: nn.Module
    label: str

    @property
    def explains(self) -> str:
        """What a map is of."""
        return f"{number_names(self.task)[-1]}{f' ({self.label})' if self.label else ''}"

    @property
    def rule(self) -> str:
        """How cases are chosen."""
        return "the highest answer, the lowest, the one nearest to the truth and the one farthest from it in turn"

    def tell(self, inputs: Tensor, targets: Tensor) -> list[Told]:
        """Of every case."""
        with asked(self.network), torch.no_grad():
            numbers = abilities(self.task).numbers(self.network, inputs)[:, -1].double().tolist()
        return [
            self._told(number, targets[place] if targets.numel() else None) for place, number in enumerate(numbers)
        ]

    def choose(self, told: Sequence[Told], most: int) -> list[Chosen]:
        """By the rule; where there is no truth, or it is a time, highest and lowest alone."""
        rising = sorted(range(len(told)), key=lambda place: told[place].size)
        by_error = sorted(
            (place for place in rising if told[place].score is not None), key=lambda place: -(told[place].score or 0)
        )
        return in_turn(
            [
                ("highest answer", rising[::-1]),
                ("lowest answer", rising),
                ("nearest to the truth", by_error),
                ("farthest from the truth", by_error[::-1]),
            ],
            most,
        )

    def aim(self, inputs: Tensor) -> Aim:
        """The last of the numbers."""
        return predicted_aim(self.task, self.network, inputs)

    def one_answer(self, inputs: Tensor) -> Aim:
        """The same."""
        return self.aim(inputs)

    def chance(self, inputs: Tensor) -> Aim | None:
        """The aim itself."""
        return None

    def masks(self, inputs: Tensor, targets: Tensor) -> Tensor | None:
        """Not known."""
        return None

    def says_anything(self, told: Told) -> bool:
        """Always."""
        return True

    def wishes(self, inputs: Tensor) -> Mapping[str, Aim]:
        """The number."""
        return {number_names(self.task)[-1]: self.aim(inputs)}

    def _told(self, number: float, truth: Tensor | None) -> Told:
        answer = plain(float(f"{number:.4g}"))
        if truth is None:
            return Told(answer, "", size=number)
        if truth.ndim:
            time, event = truth.tolist()[:2]
            return Told(answer, f"{'event at' if event > 0 else 'left without event at'} {time:.4g}", size=number)
        true = float(truth)
        return Told(answer, plain(float(f"{true:.4g}")), score=-abs(number - true), size=number)
