"""A hospital's steps: by hand, and beside torch's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from client.optimisers import new_optimiser, shrink
from common.errors import StudyError
from common.learning.client_work import Training
from common.study.study import parse

PRIVACY = "privacy={name='dpsgd', epsilon=1.0, delta=1e-3}"
TEXT = """
title = "Tiny"
source = { name = "phantom" }
task = "segmentation"
"""


def parameters() -> list[nn.Parameter]:
    """A weight of two axes and a bias of one."""
    return [nn.Parameter(torch.tensor([[1.0, -0.2], [0.05, 3.0]])), nn.Parameter(torch.tensor([0.5, -0.5]))]


def stepped(training: Training, gradients: list[float], steps: int = 1) -> list[torch.Tensor]:
    own = parameters()
    optimiser = new_optimiser(own, training)
    for _ in range(steps):
        for parameter, gradient in zip(own, gradients, strict=True):
            parameter.grad = torch.full_like(parameter, gradient)
        optimiser.step()
    return [parameter.detach() for parameter in own]


def test_the_proximal_step_shrinks_weights_by_hand_and_leaves_biases() -> None:
    weight, bias = stepped(Training(learning_rate=0.5, l1=0.2), [0.0, 0.0])
    assert torch.equal(weight, torch.tensor([[0.9, -0.1], [0.0, 2.9]]))
    assert torch.equal(bias, torch.tensor([0.5, -0.5]))


def test_the_proximal_step_follows_the_gradients() -> None:
    weight, bias = stepped(Training(learning_rate=0.5, l1=0.2), [1.0, 1.0])
    torch.testing.assert_close(weight, torch.tensor([[0.4, -0.6], [-0.35, 2.4]]))
    torch.testing.assert_close(bias, torch.tensor([0.0, -1.0]))


def test_plain_steps_are_those_of_torch_to_the_bit_and_leave_what_no_gradient_reached() -> None:
    draws = torch.Generator().manual_seed(7)
    first = [torch.randn(size, generator=draws) for size in ((5, 3), (4,), (2,))]
    own, theirs = ([nn.Parameter(one.clone()) for one in first] for _ in range(2))
    ours, other = new_optimiser(own, Training(learning_rate=0.3)), torch.optim.SGD(theirs, lr=0.3)
    for _ in range(3):
        for index in (0, 1):
            own[index].grad = theirs[index].grad = torch.randn(first[index].shape, generator=draws)
        ours.step()
        other.step()
    assert all(torch.equal(one, two) for one, two in zip(own, theirs, strict=True))
    assert torch.equal(own[2], first[2])


def test_steps_end_at_the_minimum_of_the_lasso() -> None:
    """Of 1/2 (w - v)^2 + lambda |w| it is v shrunk by lambda (Parikh and Boyd 2014, section 6.5.2)."""
    weight = nn.Parameter(torch.zeros(1, 4))
    wanted = torch.tensor([[2.0, -0.25, 0.31, -1.0]])
    optimiser = new_optimiser([weight], Training(learning_rate=0.2, l1=0.3))
    for _ in range(200):
        weight.grad = weight.detach() - wanted
        optimiser.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([[1.7, 0.0, 0.01, -0.7]]), atol=1e-5, rtol=0)
    assert weight[0, 1] == 0


def test_shrinking_crosses_no_zero() -> None:
    weight = nn.Parameter(torch.tensor([[0.1, -0.1, 0.3]]))
    shrink([weight], 0.2)
    torch.testing.assert_close(weight.detach(), torch.tensor([[0.0, 0.0, 0.1]]))


def test_a_long_gradient_is_cut_to_the_norm_over_all_parameters_and_a_short_one_is_not() -> None:
    """Six gradients of 2 have norm sqrt(24); cut to 3 each is 2 * 3 / sqrt(24)."""
    weight, bias = stepped(Training(learning_rate=1.0, clip_gradient_norm=3.0), [2.0, 2.0])
    each = 6 / 24**0.5
    torch.testing.assert_close(bias, torch.tensor([0.5 - each, -0.5 - each]), atol=1e-5, rtol=0)
    torch.testing.assert_close(weight[0], torch.tensor([1 - each, -0.2 - each]), atol=1e-5, rtol=0)
    _, short = stepped(Training(learning_rate=1.0, clip_gradient_norm=3.0), [0.1, 0.1])
    torch.testing.assert_close(short, torch.tensor([0.4, -0.6]))


def test_the_first_steps_of_a_round_rise_evenly_to_the_rate_and_so_does_the_proximal_step() -> None:
    """Adam's first step is the rate, whatever the gradient: 1/3 and 2/3 of it, then all, are 2 rates after three."""
    training = Training(optimiser="adam", learning_rate=0.3, warm_up_steps=2)
    for steps, share in ((1, 1 / 3), (2, 1), (3, 2), (4, 3)):
        _, bias = stepped(training, [0.0, 1.0], steps)
        torch.testing.assert_close(bias, torch.tensor([0.5, -0.5]) - 0.3 * share)
    weight, _ = stepped(replace(training, l1=0.2), [0.0, 0.0], 3)
    torch.testing.assert_close(weight, torch.tensor([[1 - 0.12, -0.08], [0.0, 3 - 0.12]]))


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ("{warm_up_steps=2}", "those of 'sgd' are as long as the gradient"),
        ("{optimiser='adam', steps=2, warm_up_steps=2}", "must leave one of training.steps = 2"),
        ("{optimiser='adam', warm_up_steps=-1}", "training.warm_up_steps"),
    ],
)
def test_a_warm_up_that_does_nothing_or_never_ends_is_refused(training: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        parse(TEXT, (f"training={training}",))


def test_a_warm_up_is_refused_beside_a_promise() -> None:
    with pytest.raises(StudyError, match="steps at one rate a round"):
        parse(TEXT, ("training={optimiser='adam', warm_up_steps=2}", PRIVACY))


def test_decay_of_weights_leaves_biases() -> None:
    weight, bias = stepped(Training(learning_rate=0.5, weight_decay=0.1, decayed="weights"), [0.0, 0.0])
    torch.testing.assert_close(weight, parameters()[0].detach() * 0.95)
    assert torch.equal(bias, parameters()[1].detach())
    _, all_of_them = stepped(Training(learning_rate=0.5, weight_decay=0.1), [0.0, 0.0])
    torch.testing.assert_close(all_of_them, parameters()[1].detach() * 0.95)


@pytest.mark.parametrize(
    ("training", "peer"),
    [
        (
            Training(momentum=0.9, nesterov=True, weight_decay=0.01),
            lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        ),
        (Training(optimiser="rmsprop", weight_decay=0.01), lambda p: torch.optim.RMSprop(p, 0.1, weight_decay=0.01)),
        (Training(optimiser="adagrad", weight_decay=0.01), lambda p: torch.optim.Adagrad(p, 0.1, weight_decay=0.01)),
        (Training(optimiser="adamw", weight_decay=0.01), lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.01)),
    ],
)
def test_steps_are_torchs(training: Training, peer) -> None:
    theirs = parameters()
    optimiser = peer(theirs)
    for _ in range(3):
        for parameter, gradient in zip(theirs, (0.3, -0.2), strict=True):
            parameter.grad = torch.full_like(parameter, gradient)
        optimiser.step()
    for ours, other in zip(stepped(training, [0.3, -0.2], 3), theirs, strict=True):
        np.testing.assert_array_equal(ours.numpy(), other.detach().numpy())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.nesterov=true"], r"set training\.momentum"),
        (["training.decayed=weights"], r"training\.weight_decay is of, which is 0"),
        (["training.l1=-1"], r"training\.l1 must be zero or more"),
        (["training.clip_gradient_norm=0"], r"clip_gradient_norm must be above zero"),
        (["training.optimiser=rmsprob"], "did you mean 'rmsprop'"),
        (["training.l1=0.1", "strategy=scaffold"], r"which training\.l1 changes"),
        (["training.clip_gradient_norm=1", "strategy=scaffold"], "which training.clip_gradient_norm changes"),
        (["training.l1=0.1", "strategy=fedsgd"], r"training\.l1 has no effect"),
        (["training.clip_gradient_norm=1", "strategy=fedsgd"], "clip_gradient_norm has no effect"),
        (["training={momentum=0.9, nesterov=true}", "strategy=fednova"], "Nesterov's momentum off"),
        (["training.optimiser=adam", "strategy=fednova"], "must be 'sgd'"),
        (["training.l1=0.1", "strategy=fednova"], r"which training\.l1 changes"),
    ],
)
def test_settings_that_do_nothing_or_break_a_strategy_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        parse(TEXT, overrides)
