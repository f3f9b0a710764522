"""Every law that designs of super-resolution inherit finds the fault that it is there for: one planted for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from common.reconstruction.design import Enlargement, silence
from common.reconstruction.interpolation import resized
from tests.wardround.planted import FROZEN, broken, laws, pairs, thawed
from wardround.testing import DesignTests
from wardround.testing.designs import WANTED

TRIED = WANTED[:1]


class Added(nn.Module):
    """Bilinear, and a convolution of it."""

    def __init__(self, wanted: Enlargement) -> None:
        super().__init__()
        self.channels = wanted.channels
        self.layer = nn.Conv2d(wanted.shown, wanted.channels, 3, padding=1)

    def forward(self, shown: Tensor, sides: tuple[int, ...]) -> Tensor:
        large = resized(shown, sides, "bilinear")
        added: Tensor = self.layer(large)
        return large[:, : self.channels] + added


@dataclass(frozen=True)
class Sound:
    """times: of what is added."""

    times: float = 1.0

    def build(self, wanted: Enlargement) -> nn.Module:
        network = Added(wanted)
        silence(network)
        return network

    def takes(self, made_for: tuple[int, ...], factors: tuple[int, ...]) -> bool:
        return True


class Unseeded(Sound):
    def build(self, wanted: Enlargement) -> nn.Module:
        network = super().build(wanted)
        with torch.no_grad():
            next(network.parameters()).add_(torch.rand(1, generator=torch.Generator().manual_seed(id(network) % 997)))
        return network


class Normalised(Sound):
    def build(self, wanted: Enlargement) -> nn.Module:
        return nn.Sequential(nn.BatchNorm2d(wanted.shown), super().build(wanted))


class Noisy(Sound):
    def build(self, wanted: Enlargement) -> nn.Module:
        return Added(wanted)


class _OneSize(Added):
    def forward(self, shown: Tensor, sides: tuple[int, ...]) -> Tensor:
        return super().forward(shown, tuple(2 * side for side in shown.shape[2:]))


class OneSize(Sound):
    def build(self, wanted: Enlargement) -> nn.Module:
        network = _OneSize(wanted)
        silence(network)
        return network


class _Centred(Added):
    def forward(self, shown: Tensor, sides: tuple[int, ...]) -> Tensor:
        answer = super().forward(shown, sides)
        return answer - answer.mean(0) + shown.mean()


class OfTheBatch(Sound):
    def build(self, wanted: Enlargement) -> nn.Module:
        network = _Centred(wanted)
        silence(network)
        return network


class Idle(Sound):
    def build(self, wanted: Enlargement) -> nn.Module:
        network = super().build(wanted)
        network.add_module("spare", nn.Linear(2, 2))
        return network


class Never(Sound):
    def takes(self, made_for: tuple[int, ...], factors: tuple[int, ...]) -> bool:
        return False


DESIGNS: dict[str, tuple[Any, ...]] = {
    FROZEN: (thawed(Sound),),
    "its_network_follows_from_the_seed_alone_and_can_be_exchanged": (Unseeded, Normalised),
    "an_even_image_stays_even_before_it_has_learned": (Noisy,),
    "it_answers_any_sides": (OneSize,),
    "a_case_is_enlarged_alone_as_it_is_among_others": (OfTheBatch,),
    "all_of_it_learns": (Idle,),
    "it_takes_what_it_is_made_for": (Never,),
}


@pytest.mark.parametrize(("law", "fault"), pairs(DESIGNS))
def test_a_faulty_design_is_caught(law: str, fault: type) -> None:
    broken(DesignTests, law, (fault(), TRIED))


def test_a_design_without_fault_passes_and_no_law_is_without_a_planted_fault() -> None:
    assert laws(DesignTests) == DESIGNS.keys()
    for law in DESIGNS:
        getattr(DesignTests(), f"test_{law}")((Sound(), TRIED))
