"""What every network must be."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from common.data.cases import Shape
from common.learning.parameters import read, read_gradient, refuse_unsuitable, trainable, write
from common.learning.task import Network
from wardround.testing.laws import check_options

SHAPES = (
    Shape((13,), 3),
    Shape((1, 32, 32), 4),
    Shape((3, 64, 64), 4),
    Shape((1, 28, 28), 10),
    Shape((2, 32, 32), 2),
    Shape((1, 32, 32, 32), 2),
)
Tried = tuple[Any, Shape]


class NetworkTests:
    """Inherit, and bind `network` to one; `shape` where none of SHAPES fits it."""

    network: Network
    shape: ClassVar[Shape | None] = None

    @pytest.fixture
    def made(self) -> Tried:
        """The network's options, and a shape for it."""
        return self.network, self.shape or fitting_shape(self.network)

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Tried) -> None:
        """Engines hand it to other processes, and a study's record must stay true. Mend: @dataclass(frozen=True)."""
        check_options(made[0])

    def test_it_can_be_exchanged(self, made: Tried) -> None:
        """Its parameters travel as float32, and running statistics would mix patients and leave the hospital. Mend:
        GroupNorm instead of batch normalisation; no half or double precision."""
        network, other = built(made), built(made, seed=5)
        refuse_unsuitable(network)
        write(other, read(network))
        assert np.array_equal(read(other), read(network)), "parameters do not survive their way as one vector"
        before = {name: buffer.clone() for name, buffer in network.named_buffers()}
        network(inputs(made[1]))
        changed = [name for name, buffer in network.named_buffers() if not torch.equal(buffer, before[name])]
        assert not changed, f"{', '.join(changed)} change in training, are no parameters, and are not exchanged"

    def test_what_it_gives_is_one_row_of_class_scores_a_case(self, made: Tried) -> None:
        """Losses and scores are computed from it. Mend: the second axis has `shape.classes` entries; float32."""
        shape = made[1]
        with torch.no_grad():
            given = built(made)(inputs(shape))
        assert given.dtype == torch.float32, f"the output is {given.dtype}"
        assert given.shape[:2] == (2, shape.classes), (
            f"two cases of {shape.inputs} and {shape.classes} classes gave shape {tuple(given.shape)}"
        )

    def test_a_case_gets_the_same_output_whoever_else_is_in_the_batch(self, made: Tried) -> None:
        """Else one patient's output tells of another. Mend: normalise within a case, never over the batch."""
        network, both = built(made), inputs(made[1])
        network.eval()
        with torch.no_grad():
            together, alone = network(both), torch.cat([network(both[:1]), network(both[1:])])
        torch.testing.assert_close(together, alone, msg=lambda text: f"an output depends on the other case: {text}")

    def test_it_learns_with_all_its_parameters(self, made: Tried) -> None:
        """One that gets no gradient is sent for nothing. Mend: use it in `forward`, or set requires_grad to False."""
        network = built(made)
        network(inputs(made[1])).square().sum().backward()
        idle = [name for name, parameter in trainable(network) if parameter.grad is None]
        assert not idle, f"no gradient comes to {', '.join(idle)}"
        share = (read_gradient(network) != 0).mean()
        assert share > 0.3, f"only {share:.0%} of the parameters have a gradient that is not 0"

    def test_it_follows_from_torchs_seed_alone(self, made: Tried) -> None:
        """All hospitals begin with one model. Mend: initialise by torch, not by numpy or random."""
        assert np.array_equal(read(built(made)), read(built(made))), "the same seed gave two networks"
        network = built(made)
        assert np.array_equal(read(copy.deepcopy(network)), read(network)), "a copy has other parameters"


def built(made: Tried, seed: int = 0) -> nn.Module:
    """A fresh network, initialised from the seed; torch's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network: nn.Module = made[0].build(made[1])
    return network


def inputs(shape: Shape) -> torch.Tensor:
    """(2, *shape) of normal numbers."""
    return torch.randn(2, *shape.inputs, generator=torch.Generator().manual_seed(0))


def fitting_shape(network: Any) -> Shape:
    """The first of SHAPES that the network takes. Raises AssertionError, saying why each was refused, for none."""
    refusals = []
    for shape in SHAPES:
        try:
            with torch.no_grad():
                built((network, shape))(inputs(shape))
        except Exception as error:  # noqa: BLE001 - a network may refuse a shape in any way
            refusals.append(f"  {shape}: {type(error).__name__}: {str(error).strip().splitlines()[:1]}")
        else:
            return shape
    tried = "\n".join(refusals)
    raise AssertionError(f"the network takes none of these shapes; bind `shape` to one that fits:\n{tried}")
