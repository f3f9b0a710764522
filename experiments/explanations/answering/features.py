"""An encoder that answers nothing about a case yet: how strongly it answers at all, the length of its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.gradients import asked
from experiments.explanations.answering.role import Chosen, Told, in_turn
from server.reporting.wording import plain


@dataclass(frozen=True)
class FeatureNorm:
    """The l2 norm of all that a network answers of a case."""

    @property
    def words(self) -> str:
        """For a reader."""
        return "the length of the features"

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,)."""
        answers: Tensor = network(inputs)
        lengths: Tensor = answers.flatten(1).norm(dim=1)
        return lengths

    def take(self, cases: slice | Tensor) -> FeatureNorm:
        """The same."""
        return self


@dataclass(frozen=True, eq=False)
class Features:
    """network: the encoder alone."""

    network: nn.Module

    @property
    def explains(self) -> str:
        """What a map is of."""
        return (
            "how strongly the encoder answers (the length of its features): it was trained without labels, and there "
            "is no class or number yet that could be explained"
        )

    @property
    def rule(self) -> str:
        """How cases are chosen."""
        return "the longest features, the shortest and the middling ones in turn"

    def tell(self, inputs: Tensor, targets: Tensor) -> list[Told]:
        """Of every case."""
        with asked(self.network), torch.no_grad():
            lengths = FeatureNorm().values(self.network, inputs).tolist()
        return [Told(f"features of length {plain(float(f'{one:.3g}'))}", "", size=one) for one in lengths]

    def choose(self, told: Sequence[Told], most: int) -> list[Chosen]:
        """By the rule."""
        rising = sorted(range(len(told)), key=lambda place: told[place].size)
        middle = len(rising) // 2
        about = sorted(rising, key=lambda place: abs(rising.index(place) - middle))
        return in_turn(
            [("longest features", rising[::-1]), ("shortest features", rising), ("middling features", about)], most
        )

    def aim(self, inputs: Tensor) -> Aim:
        """The length."""
        return FeatureNorm()

    def one_answer(self, inputs: Tensor) -> Aim:
        """The same."""
        return FeatureNorm()

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
        """The same."""
        return {"the length of the features": FeatureNorm()}
