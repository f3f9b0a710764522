"""A class of every pixel: the logits of the structure that the model outlines, summed over where it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.aims import Regions, predicted_aim
from common.attribution.gradients import asked
from common.learning.abilities import abilities
from common.learning.task import Task
from experiments.explanations.answering.role import Chosen, Told, in_turn
from server.reporting.wording import score

MOST_CLASSES = 4


@dataclass(frozen=True, eq=False)
class Outlines:
    """names: of the classes, background first."""

    task: Task
    network: nn.Module
    names: tuple[str, ...]

    @property
    def explains(self) -> str:
        """What a map is of."""
        return "the largest structure that the model outlines (its logits, summed over where it is outlined)"

    @property
    def rule(self) -> str:
        """How cases are chosen."""
        return "the best outlines, the worst and the middling ones in turn, by the Dice of all structures of a case"

    def tell(self, inputs: Tensor, targets: Tensor) -> list[Told]:
        """Of every case."""
        with asked(self.network), torch.no_grad():
            answers = torch.cat(
                [abilities(self.task).logits(self.network, one[None]).argmax(1).cpu() for one in inputs]
            )
        known = targets.ndim == answers.ndim
        return [self._told(one, targets[place] if known else None) for place, one in enumerate(answers)]

    def choose(self, told: Sequence[Told], most: int) -> list[Chosen]:
        """By the rule, of cases that have anything to outline."""
        scored = sorted(
            (place for place, one in enumerate(told) if one.score is not None),
            key=lambda place: told[place].score or 0,
        )
        if not scored:
            largest = sorted(range(len(told)), key=lambda place: -told[place].size)
            return in_turn([("largest outline", largest)], most)
        middle = len(scored) // 2
        about = sorted(scored, key=lambda place: abs(scored.index(place) - middle))
        return in_turn([("best outline", scored[::-1]), ("worst outline", scored), ("middling outline", about)], most)

    def aim(self, inputs: Tensor) -> Aim:
        """The largest predicted structure of each case."""
        return predicted_aim(self.task, self.network, inputs)

    def one_answer(self, inputs: Tensor) -> Aim:
        """The same."""
        return self.aim(inputs)

    def chance(self, inputs: Tensor) -> Aim | None:
        """The aim itself."""
        return None

    def masks(self, inputs: Tensor, targets: Tensor) -> Tensor | None:
        """Where the structure truly is whose outline is explained."""
        aim = self.aim(inputs)
        if not isinstance(aim, Regions) or targets.shape[1:] != inputs.shape[2:]:
            return None
        return targets == aim.classes.reshape(-1, *(1,) * (targets.ndim - 1)).to(targets)

    def says_anything(self, told: Told) -> bool:
        """Where something is outlined."""
        return told.size > 0

    def wishes(self, inputs: Tensor) -> Mapping[str, Aim]:
        """Each structure everywhere: an image that were nothing else."""
        everywhere = torch.ones((len(inputs), *inputs.shape[2:]), dtype=torch.bool)
        ask = abilities(self.task).logits
        return {
            f"{name} everywhere": Regions(everywhere, torch.full((len(inputs),), index), name, ask)
            for index, name in enumerate(self.names[1 : MOST_CLASSES + 1], 1)
        }

    def _told(self, answer: Tensor, truth: Tensor | None) -> Told:
        sizes = torch.bincount(answer.flatten(), minlength=len(self.names))[1:]
        size, named = int(sizes.sum()), int(sizes.argmax()) + 1
        unit = "voxels" if answer.ndim > 2 else "pixels"
        words = f"{self.names[named]} in {int(sizes.max()):,} {unit}" if size else "nothing outlined"
        if truth is None:
            return Told(words, "", size=size)
        dices = [
            one for index in range(1, len(self.names)) if (one := _dice(answer == index, truth == index)) is not None
        ]
        mean = sum(dices) / len(dices) if dices else None
        return Told(words, f"Dice {score(mean)}" if dices else "nothing to outline", score=mean, size=size)


def _dice(one: Tensor, other: Tensor) -> float | None:
    both = int(one.sum() + other.sum())
    return 2 * int((one & other).sum()) / both if both else None
