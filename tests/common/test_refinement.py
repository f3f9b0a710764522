from __future__ import annotations

import pytest
import torch

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.networks.refinement import Refinement, Refining
from common.study.options import Entry


def test_every_pass_sees_the_probabilities_of_the_one_before() -> None:
    """A base that returns 3 p + image, two classes: by hand, p = .5, .5 -> equal logits -> again .5, .5."""

    class Sharpen(torch.nn.Module):
        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            image, probabilities = seen[:, :1], seen[:, 1:]
            return 3 * probabilities + torch.cat([image, -image], 1)

    image = torch.full((1, 1, 2, 2), 0.5)
    one, two = (Refining(Sharpen(), 2, passes)(image)[0, :, 0, 0] for passes in (1, 2))
    torch.testing.assert_close(one, torch.tensor([2.0, 1.0]))
    share = torch.softmax(one, 0)
    torch.testing.assert_close(two, 3 * share + torch.tensor([0.5, -0.5]))


@pytest.mark.parametrize("inputs", [(1, 16, 16), (2, 8, 8, 8)])
def test_more_passes_need_no_more_parameters(inputs: tuple[int, ...]) -> None:
    base = Entry("unet", {"channels": 4, "depth": 2})
    networks = [Refinement(base, passes).build(Shape(inputs, 3)) for passes in (1, 3)]
    sizes = {sum(p.numel() for p in network.parameters()) for network in networks}
    assert len(sizes) == 1
    assert networks[1](torch.randn(2, *inputs)).shape == (2, 3, *inputs[1:])


def test_a_base_with_several_outputs_is_refused() -> None:
    with pytest.raises(StudyError, match="deep_supervision"):
        Refinement(Entry("unet", {"deep_supervision": True})).build(Shape((1, 32, 32), 2))
