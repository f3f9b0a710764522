"""Traps behind convolutions: they carry pictures unharmed to the hidden linear layer, whose units copy single cases.

The convolutions are replaced by ones that hand a picture on, bright and inverted, each shifted by a pixel or two;
pooling then keeps the largest and the smallest value of windows that overlap. What a trap of the linear layer holds
is so decoded in closed form: a pixel is about the middle between largest and smallest of the windows that it lies in.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.errors import StudyError
from common.learning.parameters import new_network
from common.study.study import Study
from experiments.access import Answers, Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.cheating.orders import MOST_FOUND, first_inputs
from experiments.attacks.cheating.played import Played, finding_of, own_network_of
from experiments.attacks.cheating.traps import Search, caught_by
from experiments.evidence.budget import Budget
from experiments.observation import Observation

OFFSET = 4.0
"""Added to values, so that no ReLU cuts them."""
BEYOND = 1e-3
"""A convolution is shown noughts outside the picture: a value so small is of none of its pixels."""
AGREE = 2e-3
"""The offset is the same in all pictures, and most of their length."""
SIGNS = (1.0, -1.0)
NO_CARRIER = (
    "the network is not convolutions with ReLU and pooling before two linear layers, which could carry pictures to "
    "the first of these"
)


@dataclass(frozen=True)
class _Carried:
    """What a channel holds of the picture: channel, sign, and by how many pixels its windows are shifted."""

    channel: int
    sign: float
    shift: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class LatentTraps(Search):
    """As `Search`."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = (
        "Shi et al. 2023, Scale-MIA, and Zhao et al. 2023, LOKI: inputs in latent space, behind convolutions; traps: "
        "Boenisch et al. 2023; the decoding in closed form is our own"
    )
    question: ClassVar[str] = "reconstruction"
    needs: ClassVar[tuple[Need, ...]] = ("answers",)
    words: ClassVar[str] = "convolutions that hand pictures on to a layer of traps"

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """The pictures in the traps, those first on which traps agree."""
        return finding_of("latent_traps", observed, asdict(self), self._played, budget_seconds, own_network_of)

    def _played(self, observed: Observation, study: Study, answers: Answers, budget: Budget) -> Played:
        network = new_network(study.build_task(), observed.shape, study.seed, study.training)
        carried, halvings = hand_on(network, observed.shape.inputs)
        order, latents = caught_by(network, study, answers, self, budget, AGREE)
        pictures = [decoded(one, carried, halvings, observed.shape.inputs) for one in latents[:MOST_FOUND]]
        return Played(order, ((answers.sites, first_inputs(np.array(pictures), observed.shape.inputs)),))


def hand_on(network: nn.Module, inputs: tuple[int, ...]) -> tuple[list[_Carried], int]:
    """Replace the convolutions. What each channel of the last holds, and how often sides were halved.

    Raises StudyError where the network has others than plain ones before two linear layers.
    """
    steps = [module for module in network.modules() if not list(module.children())]
    convolutions = [module for module in steps if isinstance(module, nn.Conv2d)]
    if len(inputs) != 3 or not _is_plain(steps) or not all(one.weight.requires_grad for one in convolutions):
        raise StudyError(f"{NO_CARRIER}.")
    carried, window = [_Carried(channel, 1.0) for channel in range(inputs[0])], 1
    for number, module in enumerate(convolutions):
        carried = _replace(module, carried, window, number == 0)
        window *= 2
    return carried, len(convolutions)


def _is_plain(steps: list[nn.Module]) -> bool:
    """Convolution, ReLU and pooling by two, again and again; then two linear layers with a ReLU between."""
    kinds = [type(module) for module in steps if not isinstance(module, nn.Dropout)]
    block, tail = [nn.Conv2d, nn.ReLU, nn.MaxPool2d], [nn.Flatten, nn.Linear, nn.ReLU, nn.Linear]
    count = (len(kinds) - len(tail)) // len(block)
    return count > 0 and kinds == block * count + tail


def _replace(module: nn.Conv2d, before: list[_Carried], window: int, is_first: bool) -> list[_Carried]:
    """As many signs and shifts as there are channels for. window: pixels of a place's side."""
    signs = SIGNS if is_first else (1.0,)
    shifts = [(0, 0)] if len(before) * len(signs) * 4 > module.out_channels else [*product((0, 1), repeat=2)]
    wanted = [(index, sign, shift) for index in range(len(before)) for sign in signs for shift in shifts]
    if len(wanted) > module.out_channels:
        raise StudyError(f"a convolution has too few channels to hand pictures on: {module.out_channels}.")
    middle, after = module.kernel_size[0] // 2, []
    with torch.no_grad():
        module.weight.zero_()
        if module.bias is not None:
            module.bias.zero_()
        for out, (index, sign, (down, right)) in enumerate(wanted):
            module.weight[out, index, middle + down, middle + right] = sign
            if is_first and module.bias is not None:
                module.bias[out] = OFFSET
            one = before[index]
            shift = (one.shift[0] + window * down, one.shift[1] + window * right)
            after.append(_Carried(one.channel, one.sign * sign, shift))
    return after


def decoded(
    latent: NDArray[np.float64], carried: list[_Carried], halvings: int, inputs: tuple[int, ...]
) -> NDArray[np.float64]:
    """(channels, H, W): the mean, over the windows that a pixel lies in, of their largest and smallest values."""
    window = 2**halvings
    sides = [side // window for side in inputs[1:]]
    maps = latent.reshape(-1, *sides)
    totals, counts = (np.zeros((len(SIGNS), *inputs)) for _ in range(2))
    for one, values in zip(carried, maps, strict=False):
        beyond = np.abs(values) < BEYOND  # of the zeros that a convolution sees outside
        told, known = np.where(beyond, 0.0, one.sign * (values - OFFSET)), np.where(beyond, 0.0, 1.0)
        spread, weight = (np.kron(each, np.ones((window, window))) for each in (told, known))
        down, right = one.shift
        height, width = min(inputs[1] - down, spread.shape[0]), min(inputs[2] - right, spread.shape[1])
        which = SIGNS.index(one.sign)
        totals[which, one.channel, down : down + height, right : right + width] += spread[:height, :width]
        counts[which, one.channel, down : down + height, right : right + width] += weight[:height, :width]
    return np.asarray((totals / np.maximum(counts, 1)).mean(0))


attack: type[Attack] = LatentTraps
