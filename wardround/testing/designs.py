"""What every design of super-resolution must be: of any sides, case by case, interpolation at first."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from common.learning.parameters import refuse_unsuitable, trainable
from common.reconstruction.design import Enlargement, enlarge
from wardround.testing.laws import check_options

WANTED = (
    Enlargement(1, 2, (6, 5), (2, 2)),
    Enlargement(1, 1, (4, 3), (4, 4)),
    Enlargement(2, 4, (4, 4), (3, 3)),
    Enlargement(1, 1, (3, 4, 2), (2, 2, 2)),
    Enlargement(1, 1, (4, 4, 3), (1, 1, 4)),
)
CASES = 2
Tried = tuple[Any, tuple[Enlargement, ...]]


class DesignTests:
    """Inherit, and bind `design` to one; `wanted` where it is not for all of WANTED."""

    design: Any
    wanted: ClassVar[tuple[Enlargement, ...]] = WANTED

    @pytest.fixture
    def made(self) -> Tried:
        """The design's options, and what it is tried on."""
        return self.design, self.wanted

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Tried) -> None:
        """Engines hand it to other processes, and a study's record must stay true. Mend: @dataclass(frozen=True)."""
        check_options(made[0])

    def test_its_network_follows_from_the_seed_alone_and_can_be_exchanged(self, made: Tried) -> None:
        """All hospitals begin with one model. Mend: draw by torch, keep float32, and take GroupNorm or none."""
        for wanted in made[1]:
            first, second = (built(made[0], wanted) for _ in range(2))
            refuse_unsuitable(first)
            for (name, one), (_, other) in zip(trainable(first), trainable(second), strict=True):
                assert torch.equal(one, other), f"the same seed gave two {name}"

    def test_an_even_image_stays_even_before_it_has_learned(self, made: Tried) -> None:
        """Learning begins at an interpolated image, and not at noise. Mend: `silence` the last layer, and add what it
        answers to `resized`."""
        for wanted in made[1]:
            even = torch.full((1, wanted.shown, *wanted.small), 0.3)
            answer = enlarge(built(made[0], wanted), even, wanted.large)
            torch.testing.assert_close(answer, torch.full((1, wanted.channels, *wanted.large), 0.3))

    def test_it_answers_any_sides(self, made: Tried) -> None:
        """A model is used for other images and factors too. Mend: end with `resized(image, sides)`."""
        for wanted in made[1]:
            network, given = moved(built(made[0], wanted)), shown(wanted)
            several = (wanted.large, *(tuple(times * side + more for side in wanted.small) for times, more in TIMES))
            for sides in several:
                answer = enlarge(network, given, sides)
                assert answer.shape == (CASES, wanted.channels, *sides), f"{sides} were asked, {answer.shape} came"
                assert torch.isfinite(answer).all(), "an answer is not finite"

    def test_a_case_is_enlarged_alone_as_it_is_among_others(self, made: Tried) -> None:
        """Else one patient's image tells of another's, and privacy bounds nothing. Mend: no mean over the batch."""
        for wanted in made[1]:
            network, given = moved(built(made[0], wanted)), shown(wanted)
            together, alone = (enlarge(network, one, wanted.large) for one in (given, given[1:]))
            torch.testing.assert_close(together[1:], alone, msg=lambda text: f"a case depends on the others: {text}")

    def test_all_of_it_learns(self, made: Tried) -> None:
        """A part without a gradient is sent and averaged for nothing. Mend: use it, or leave it out."""
        for wanted in made[1]:
            network, given = moved(built(made[0], wanted)), shown(wanted)
            enlarge(network, torch.cat([given, -given]), wanted.large).square().sum().backward()  # type: ignore[no-untyped-call]
            still = [name for name, one in trainable(network) if one.grad is None or not one.grad.abs().sum()]
            assert not still, f"these never learn: {still}"

    def test_it_takes_what_it_is_made_for(self, made: Tried) -> None:
        """Tables say by it which factors are a design's own. Mend: `takes(factors, factors)` is True."""
        for wanted in made[1]:
            factors = tuple(4 if factor > 1 else 1 for factor in wanted.factors)
            assert made[0].takes(factors, factors) is True, f"it says that it does not take {factors}"


TIMES = ((5, 0), (1, 1))


def built(design: Any, wanted: Enlargement) -> nn.Module:
    """By one seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network: nn.Module = design.build(wanted)
    return network


def moved(network: nn.Module) -> nn.Module:
    """As if it had learned something."""
    drawn = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=drawn))
    return network


def shown(wanted: Enlargement) -> Tensor:
    """Small images."""
    return torch.randn(CASES, wanted.shown, *wanted.small, generator=torch.Generator().manual_seed(1))
