"""Optimisers without torch's compiler: the same bits, the same hooks, and the compiler never imported."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

from common.learning.uncompiled import uncompiled
from tests.ended import ended

KINDS: list[tuple[type[Optimizer], Mapping[str, Any]]] = [
    (optim.SGD, {"lr": 0.03}),
    (optim.SGD, {"lr": 0.03, "momentum": 0.9, "nesterov": True, "foreach": True}),
    (optim.Adam, {"lr": 0.01}),
    (optim.AdamW, {"lr": 0.01}),
    (optim.RMSprop, {"lr": 0.01}),
    (optim.Adagrad, {"lr": 0.01}),
]


def _stepped(kind: type[Optimizer], options: Mapping[str, Any]) -> list[Tensor]:
    draws = torch.Generator().manual_seed(3)
    learned = [nn.Parameter(torch.randn(size, generator=draws)) for size in ((5, 3), (7,), (2, 3, 4))]
    optimiser = kind(learned, **options)
    for _ in range(20):
        for parameter in learned:
            parameter.grad = torch.randn(parameter.shape, generator=draws)
        optimiser.step()
    return [parameter.detach() for parameter in learned]


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_every_optimiser_takes_the_steps_of_torchs_own_bit_for_bit(
    kind: type[Optimizer], options: Mapping[str, Any]
) -> None:
    others = {name: value for name, value in options.items() if name != "foreach"}
    for own, torchs in zip(_stepped(uncompiled(kind), options), _stepped(kind, others), strict=True):
        assert torch.equal(own, torchs)


def test_a_step_learns_nothing_from_itself_and_calls_hooks_on_all_steps() -> None:
    parameter, seen = nn.Parameter(torch.ones(2)), list[Optimizer]()
    optimiser = uncompiled(optim.SGD)([parameter], lr=0.1)
    parameter.grad = torch.ones(2)
    handle = register_optimizer_step_pre_hook(lambda one, *_: seen.append(one))
    try:
        optimiser.step()
    finally:
        handle.remove()
    assert seen == [optimiser]
    assert parameter.is_leaf
    assert torch.allclose(parameter, torch.tensor([0.9, 0.9]))


def test_whoever_learns_never_imports_the_compiler() -> None:
    program = (
        "import sys, torch\n"
        "from client.optimisers import new_optimiser\n"
        "from common.learning.client_work import Training\n"
        "for name in ('sgd', 'adam', 'adamw', 'rmsprop', 'adagrad'):\n"
        "    weight = torch.nn.Parameter(torch.ones(3, 3))\n"
        "    weight.sum().backward()\n"
        "    training = Training(optimiser=name, learning_rate=0.1, warm_up_steps=2, clip_gradient_norm=1.0)\n"
        "    new_optimiser([weight], training).step()\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    said = ended([sys.executable, "-c", program], check=True)
    assert said.stdout.strip() == "False"
