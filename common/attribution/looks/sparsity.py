"""How much of a network is silent, by depth: exact zeros after every nonlinearity, and Hoyer's sparseness."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.attribution.looks.activations import shown, watched


@dataclass(frozen=True)
class Sparsity:
    """Of one nonlinearity, means over cases. path, kind: see `Activation`. depth: how many were called before.

    numbers: of one case's activation. zeros: share of them that are exactly 0. hoyer: sparseness in [0, 1], 1 where
    one number is not 0 and 0 where all are of one size (Hoyer 2004, Non-negative matrix factorization with sparseness
    constraints, equation in section 2.1); None where a case has but zeros, or one number. silent: share of the
    channels (of features, where there are no places) that are 0 in all cases: they say nothing of any of these.
    """

    path: str
    kind: str
    depth: int
    numbers: int
    zeros: float
    hoyer: float | None
    silent: float


def sparsity_by_depth(network: nn.Module, inputs: Tensor) -> tuple[Sparsity, ...]:
    """After every nonlinearity, in the order in which they are called. One case at a time: nothing is kept of them.

    inputs: (N, ...), at least one case. () where the network has no nonlinearity.
    """
    cases = [_of_case(network, inputs[place : place + 1]) for place in range(len(inputs))]
    return tuple(_mean(depth, parts) for depth, parts in enumerate(zip(*cases, strict=True)))


def hoyer(values: Tensor) -> float | None:
    """(root of n - l1 / l2) / (root of n - 1) of n numbers; None where all are 0, or there is but one."""
    numbers = values.detach().double().flatten()
    largest = numbers.abs().max() if len(numbers) else numbers.new_zeros(())
    if len(numbers) < 2 or not float(largest) > 0:
        return None
    scaled, root = numbers / largest, len(numbers) ** 0.5
    return min(max(float((root - scaled.abs().sum() / scaled.norm()) / (root - 1)), 0.0), 1.0)


@dataclass(frozen=True, eq=False)
class _Part:
    path: str
    kind: str
    numbers: int
    zeros: float
    hoyer: float | None
    speaking: Tensor


def _of_case(network: nn.Module, one: Tensor) -> list[_Part]:
    found: list[_Part] = []

    def see(path: str, kind: str, values: Tensor) -> None:
        is_zero = values == 0
        found.append(
            _Part(path, kind, values.numel(), float(is_zero.double().mean()), hoyer(values), _speaking(~is_zero))
        )

    with watched(network, see):
        shown(network, one)
    return found


def _speaking(is_there: Tensor) -> Tensor:
    """(K,) whether a channel has a number that is not 0; of tokens (1, T, W) their numbers are the channels."""
    if is_there.ndim == 3:
        return is_there.flatten(0, 1).any(0)
    return is_there.transpose(0, 1).flatten(1).any(1)


def _mean(depth: int, parts: tuple[_Part, ...]) -> Sparsity:
    known = [one.hoyer for one in parts if one.hoyer is not None]
    speaking = torch.stack([one.speaking for one in parts]).any(0)
    return Sparsity(
        parts[0].path,
        parts[0].kind,
        depth,
        parts[0].numbers,
        sum(one.zeros for one in parts) / len(parts),
        sum(known) / len(known) if known else None,
        float((~speaking).double().mean()),
    )
