"""Every law that attributions inherit finds the fault that it is there for: one planted for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.gradients import input_gradient
from common.errors import AttributionError
from tests.wardround.planted import FROZEN, broken, laws, pairs, thawed
from wardround.testing import AttributionTests

SHAPES = ((5,), (1, 6, 6))


@dataclass(frozen=True)
class Sound:
    """times: by which the gradient is multiplied."""

    source: ClassVar[str] = "none"
    signed: ClassVar[bool] = True

    times: float = 1.0

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        return self.times * input_gradient(network, inputs, aim).float()


class Precise(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        return input_gradient(network, inputs, aim)


class Coarse(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        return super().explain(network, inputs, aim, rng)[..., ::2]


class Infinite(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        return super().explain(network, inputs, aim, rng) / torch.zeros(())


class Unsigned(Sound):
    signed: ClassVar[bool] = False


class Centred(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        found = super().explain(network, inputs, aim, rng)
        return found - found.mean(0)


class Drawn(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        noise = torch.from_numpy(rng.standard_normal((len(inputs), *inputs.shape[1:])))[torch.randperm(len(inputs))]
        return super().explain(network, inputs, aim, rng) * (1 + noise.float())


class Unseeded(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        return super().explain(network, inputs, aim, rng) + torch.rand(1)


class Evaluating(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        return super().explain(network.eval(), inputs, aim, rng)


class Learning(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        torch.autograd.backward(aim.values(network, inputs).sum())
        return super().explain(network, inputs, aim, rng)


class Hooked(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        network.register_forward_hook(lambda *_: None)
        return super().explain(network, inputs, aim, rng)


class Adding(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        inputs += 0.1
        return super().explain(network, inputs, aim, rng)


class OfWeights(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        wanted = sum(parameter.requires_grad for parameter in network.parameters())
        return super().explain(network, inputs, aim, rng) * wanted


class OfTheImage(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        return inputs.detach().float().clone()


class Wordless(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        raise AttributionError("no")


class Surprised(Sound):
    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        leaf = inputs.clone().requires_grad_(True)
        with torch.enable_grad():
            values = aim.values(network, leaf)
        return torch.autograd.grad(values.sum(), leaf)[0].float()


FAULTS: dict[str, tuple[Any, ...]] = {
    FROZEN: (thawed(Sound),),
    "a_map_has_a_value_for_every_place_of_a_case": (Precise, Coarse, Infinite, Unsigned),
    "a_case_has_the_map_that_it_has_among_others": (Centred,),
    "it_follows_from_its_generator_alone": (Drawn, Unseeded),
    "the_network_and_the_inputs_are_left_as_they_were": (Evaluating, Learning, Hooked, Adding),
    "a_frozen_network_has_the_same_map_wherever_it_is_asked_for": (OfWeights,),
    "a_network_that_looks_at_nothing_has_an_empty_map_or_none": (OfTheImage,),
    "what_it_cannot_explain_is_refused_in_words": (Surprised, Wordless),
}


@pytest.mark.parametrize(("law", "fault"), pairs(FAULTS))
def test_a_faulty_attribution_is_caught(law: str, fault: type) -> None:
    broken(AttributionTests, law, (fault(), SHAPES))


def test_an_attribution_without_fault_passes_and_no_law_is_without_a_planted_fault() -> None:
    assert laws(AttributionTests) == FAULTS.keys()
    for law in FAULTS:
        getattr(AttributionTests(), f"test_{law}")((Sound(), SHAPES))


def test_a_control_may_see_something_where_nothing_is_looked_at() -> None:
    class Control(OfTheImage):
        control: ClassVar[bool] = True

    AttributionTests().test_a_network_that_looks_at_nothing_has_an_empty_map_or_none((Control(), SHAPES))
