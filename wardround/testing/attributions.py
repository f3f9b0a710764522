"""What every attribution must be: a map of each case by itself, of a network that is left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.attribution.aim import Logits
from common.attribution.attribution import is_control
from common.errors import AttributionError
from wardround.testing.laws import check_options, no_global_draw

SHAPES: tuple[tuple[int, ...], ...] = ((6,), (1, 8, 8), (2, 8, 6), (1, 6, 6, 6))
CASES, CLASSES = 3, 2
SHARE, LEAST = 1e-3, 1e-5
"""How far two maps of a case may be apart: a product of matrices rounds by the size of its batch."""
Tried = tuple[Any, tuple[tuple[int, ...], ...]]


class AttributionTests:
    """Inherit, and bind `attribution` to one; `shapes` of inputs, small, where it is not for some of SHAPES."""

    attribution: Any
    shapes: ClassVar[tuple[tuple[int, ...], ...]] = SHAPES

    @pytest.fixture
    def made(self) -> Tried:
        """The method's options, and shapes of inputs."""
        return self.attribution, self.shapes

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Tried) -> None:
        """Engines hand it to other processes, and a page's record must stay true. Mend: @dataclass(frozen=True)."""
        check_options(made[0])

    def test_a_map_has_a_value_for_every_place_of_a_case(self, made: Tried) -> None:
        """Pages lay it over the image, and sums over cases add it up. Mend: finite float32, (N, C, *S) or (N, F) as
        the inputs, or (N, 1, *S); nothing below 0 where `signed` is False."""
        for shape, network, inputs in fitting(made):
            for given in (inputs, inputs.double()):
                found = mapped(made[0], network.to(given.dtype), given)
                allowed = {(CASES, *shape), (CASES, 1, *shape[1:]) if shape[1:] else (CASES, *shape)}
                assert tuple(found.shape) in allowed, f"of inputs {(CASES, *shape)} a map {tuple(found.shape)}"
                assert found.dtype == torch.float32 and not found.requires_grad, "a map is float32, without a graph"
                assert torch.isfinite(found).all(), "a map is not finite"
                assert made[0].signed or (found >= 0).all(), "signed is False, and a value is below 0"

    def test_a_case_has_the_map_that_it_has_among_others(self, made: Tried) -> None:
        """Else one patient's map shows another's image. Mend: no mean over the batch; where something is drawn,
        each case's from `common.seeding.case_generators`."""
        for _, network, inputs in fitting(made):
            among, alone = mapped(made[0], network, inputs)[:1], mapped(made[0], network, inputs[:1], classes(1))
            assert torch.allclose(among, alone, SHARE, LEAST), "a case's map depends on the other cases"

    def test_it_follows_from_its_generator_alone(self, made: Tried) -> None:
        """A page can then be made again. Mend: everything random is drawn by `rng`."""
        for _, network, inputs in fitting(made):
            with no_global_draw("explain"):
                one, other = (mapped(made[0], network, inputs) for _ in range(2))
            assert torch.equal(one, other), "two maps by one generator differ"

    def test_the_network_and_the_inputs_are_left_as_they_were(self, made: Tried) -> None:
        """A page explains a model, and must not change it. Mend: `common.attribution.gradients.input_gradient`;
        otherwise take hooks off again, and restore modes."""
        for _, network, inputs in fitting(made):
            network[1].train()
            kept, before = inputs.clone(), state_of(network)
            mapped(made[0], network, inputs)
            changed = [name for name, value in state_of(network).items() if value != before.get(name)]
            assert not changed, f"it changed the network: {', '.join(changed)}"
            assert torch.equal(kept, inputs) and not inputs.requires_grad, "it changed the inputs"

    def test_a_frozen_network_has_the_same_map_wherever_it_is_asked_for(self, made: Tried) -> None:
        """Models are loaded frozen, and pages made under no_grad. Mend: gradients are of the inputs alone, under
        torch.enable_grad."""
        for _, network, inputs in fitting(made):
            expected = mapped(made[0], network, inputs)
            with torch.no_grad():
                found = mapped(made[0], network.requires_grad_(False), inputs)
            assert torch.allclose(found, expected, SHARE, LEAST), "a frozen network has another map"

    def test_a_network_that_looks_at_nothing_has_an_empty_map_or_none(self, made: Tried) -> None:
        """Else the map is of the image, and would be believed. Mend: attribute what the answer changes by; a method
        for comparison that does not ask the network says `control: ClassVar[bool] = True`."""
        for _, network, inputs in fitting(made):
            with torch.no_grad():
                next(reversed(list(network.parameters()))).fill_(0.5)
                network[-1].get_parameter("weight").zero_()
            try:
                found = mapped(made[0], network, inputs)
            except AttributionError:
                continue
            assert is_control(made[0]) or not found.abs().max() > 0, "it finds something where nothing is looked at"

    def test_what_it_cannot_explain_is_refused_in_words(self, made: Tried) -> None:
        """Studies have any network. Mend: raise AttributionError, and say what would do instead."""
        for network, shape in ODD:
            try:
                found = mapped(made[0], network(), drawn(shape))
            except AttributionError as error:
                said = str(error)
            except Exception as error:
                raise AssertionError(f"it ends in {type(error).__name__}: {error}") from error
            else:
                assert torch.isfinite(found).all(), "a map is not finite"
                continue
            assert len(said) > 20, f"too few words: {said}"


def fitting(made: Tried) -> Iterator[tuple[tuple[int, ...], nn.Sequential, Tensor]]:
    """Of each shape that it does not refuse: the shape, a network and inputs. Raises AssertionError for none."""
    refusals = []
    for shape in made[1]:
        try:
            mapped(made[0], small_network(shape), drawn(shape))
        except AttributionError as error:
            refusals.append(f"  {shape}: {error}")
        else:
            yield shape, small_network(shape), drawn(shape)
    assert len(refusals) < len(made[1]), "it refused all that it was tried on:\n" + "\n".join(refusals)


def small_network(shape: tuple[int, ...]) -> nn.Sequential:
    """By one seed: ReLUs in place, of images group normalisation and max pooling."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        if len(shape) == 1:
            return nn.Sequential(nn.Linear(shape[0], 5), nn.ReLU(inplace=True), nn.Linear(5, CLASSES)).eval()
        volume = len(shape) == 4
        convolution, pooling = (nn.Conv3d, nn.MaxPool3d) if volume else (nn.Conv2d, nn.MaxPool2d)
        layers: list[nn.Module] = [convolution(shape[0], 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(inplace=True)]
        size = 4 * int(np.prod([side // 2 for side in shape[1:]]))
        return nn.Sequential(*layers, pooling(2), nn.Flatten(), nn.Linear(size, CLASSES)).eval()


def drawn(shape: tuple[int, ...]) -> Tensor:
    """Inputs of three cases."""
    return torch.randn(CASES, *shape, generator=torch.Generator().manual_seed(1))


def classes(cases: int) -> Tensor:
    """0, 1, 0, ..."""
    return torch.arange(cases) % CLASSES


def mapped(attribution: Any, network: nn.Module, inputs: Tensor, of: Tensor | None = None) -> Tensor:
    """Of the classes' logits, by one generator."""
    aim = Logits(classes(len(inputs)) if of is None else of)
    found: Tensor = attribution.explain(network, inputs, aim, np.random.default_rng(7))
    return found


def state_of(network: nn.Module) -> dict[str, object]:
    """All that must be left, by name."""
    state: dict[str, object] = {name: value.tolist() for name, value in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        state[f"gradient of {name}"] = (parameter.grad is None, parameter.requires_grad)
    for name, module in network.named_modules():
        state[f"mode of {name or 'the network'}"] = module.training
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
        state[f"hooks of {name or 'the network'}"] = tuple(len(one) for one in hooks)
    return state


class Blind(nn.Module):
    """Answers all alike."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Zeros."""
        return inputs.new_zeros(len(inputs), CLASSES)


ODD = (
    (Blind, (1, 8, 8)),
    (lambda: nn.Sequential(nn.Linear(4, 3), nn.GELU(), nn.Linear(3, CLASSES)), (4,)),
    (lambda: nn.Sequential(nn.Flatten(), nn.Linear(9, CLASSES)), (1, 3, 3)),
    (lambda: nn.Sequential(nn.Flatten(), nn.Linear(1, CLASSES)), (1, 1, 1)),
)
