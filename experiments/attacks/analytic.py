"""Analytic inversion of a first linear layer with bias: exact for one case, without any search.

Of a layer W x + b the gradients are sum_n d_n x_n^T and sum_n d_n, so the row of one unit divided by its bias'
gradient is a mean of the inputs weighted by d_n: the input itself for a single case (Phong et al. 2017,
Privacy-Preserving Deep Learning: Revisited and Enhanced, section 3; Geiping et al. 2020, proposition 3.1). Of several
cases a unit of ReLU that answered to one alone shows that one; such units are found because they agree. With two
classes and a single hidden layer, units that answered to the same several cases agree as well, on a mixture of them:
there the losses of all cases push every unit in proportion, and a mixture cannot be told from a case. Cases of one
label come near to it, for an untrained network answers nearly the same to all.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.learning.parameters import trainable
from common.study.checks import positive
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.inversion.differentiable_client import Parts
from experiments.attacks.inversion.inverting import finding, problem_of
from experiments.attacks.inversion.layers import Layer, layers_in_order
from experiments.attacks.inversion.problem import Attempt, InversionProblem
from experiments.attacks.inversion.updates import captured_updates, obstacle
from experiments.evidence.budget import Budget
from experiments.observation import Observation

AGREE = 1e-4
"""Relative difference below which two units' inputs are the same."""

FAINTEST = 1e-6
"""Units whose bias' gradient is below this share of the largest are silent."""


@dataclass(frozen=True)
class Analytic:
    """updates: how many are attacked, those of the fewest cases first. largest_batch: most inputs brought back."""

    sees: ClassVar[Sees] = "sum"
    source: ClassVar[str] = "Phong et al. 2017; Geiping et al. 2020, proposition 3.1"
    called: ClassVar[str] = "reading the first layer backwards"
    words: ClassVar[str] = "reads inputs off the gradient of a first layer that is linear"

    updates: int = 1
    largest_batch: int = 16

    def __post_init__(self) -> None:
        positive("attack", updates=self.updates, largest_batch=self.largest_batch)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """The inputs that the first layer's gradient holds."""
        budget = Budget(budget_seconds)
        captured = captured_updates(observed)[: self.updates]
        if reason := obstacle(observed, captured):
            return self._impossible(observed, reason)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        attempts = []
        for one in captured:
            problem = problem_of(observed, one, self.largest_batch, generator)
            first = layers_in_order(problem.victim.network, observed.shape)[0]
            if not _takes_whole_input(first, prod(observed.shape.inputs)):
                return self._impossible(observed, f"the network's first layer is {_described(first)}")
            if frozen := _frozen(first):
                parts = " and ".join(frozen)
                return self._impossible(observed, f"the network's first layer has its {parts} frozen, not sent")
            attempts.append(invert_first_layer(problem, first))
        return finding("analytic", observed, captured, attempts, budget.spent, asdict(self))

    def _impossible(self, observed: Observation, reason: str) -> Finding:
        return Finding("analytic", observed.observer, False, reason, settings=asdict(self))


def _takes_whole_input(layer: Layer, size: int) -> bool:
    module = layer.module
    return isinstance(module, nn.Linear) and module.bias is not None and module.in_features == size


def _frozen(layer: Layer) -> list[str]:
    return [part for part in ("weight", "bias") if not getattr(layer.module, part).requires_grad]


def _described(layer: Layer) -> str:
    if isinstance(layer.module, nn.Linear) and layer.module.bias is not None and layer.seen.ndim > 2:
        return "shown parts of an input one by one, as patches, which this attack does not tell apart"
    if isinstance(layer.module, nn.Linear) and layer.module.bias is not None:
        return "not shown the inputs (those before it are frozen, or have nothing to learn)"
    return f"a {type(layer.module).__name__}, not a linear one"


def invert_first_layer(problem: InversionProblem, first: Layer) -> Attempt:
    """The inputs in the gradient of the first layer: the N surest, or the one mean where no more are told apart.

    distance: 0 for a single case, else the share of the inputs that only one unit vouches for.
    """
    weight, bias = _gradients_of(problem, first)
    cases = problem.inputs[0]
    if not bias.any():
        found, vouched = _largest_row(weight)[None], 0
    elif cases == 1:
        found, vouched = _of_one(weight, bias)[None], 1
    else:
        found, vouched = _surest(weight, bias, cases)
    inputs = torch.from_numpy(found.astype(np.float32)).reshape(-1, *problem.inputs[1:])
    return Attempt(inputs, _truth(problem, len(inputs)), 1 - vouched / len(inputs))


def _gradients_of(problem: InversionProblem, first: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    names = [name for name, _ in trainable(problem.victim.network)]
    parts: Parts = problem.captured
    by_name = dict(zip(names, parts, strict=True))
    weight, bias = (by_name[f"{first.name}.{part}"].cpu().double().numpy() for part in ("weight", "bias"))
    return weight, bias


def _of_one(weight: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
    """(features,) least squares over all units, which averages noise: (W^T b) / (b^T b)."""
    return np.asarray(weight.T @ bias / max(float(bias @ bias), 1e-300))


def _largest_row(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """(features,) the input up to its scale and sign, where compression let no bias' gradient through."""
    row: NDArray[np.float64] = weight[np.linalg.norm(weight, axis=1).argmax()]
    return row if row.sum() >= 0 else -row


def _surest(weight: NDArray[np.float64], bias: NDArray[np.float64], cases: int) -> tuple[NDArray[np.float64], int]:
    """(n, features) inputs, those on which most units agree first, and how many have more than one unit."""
    loud = np.flatnonzero(np.abs(bias) > FAINTEST * np.abs(bias).max())
    loud = loud[np.argsort(-np.abs(bias[loud]), kind="stable")]
    shown = weight[loud] / bias[loud, None]
    groups: list[list[int]] = []
    for index, row in enumerate(shown):
        same = [group for group in groups if _same(shown[group[0]], row)]
        if same:
            same[0].append(index)
        else:
            groups.append([index])
    groups.sort(key=lambda group: -len(group))
    chosen = groups[:cases]
    inputs = np.stack([_of_one(weight[loud[group]], bias[loud[group]]) for group in chosen])
    return inputs, sum(len(group) > 1 for group in chosen)


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return bool(np.linalg.norm(one - other) <= AGREE * np.linalg.norm(other))


def _truth(problem: InversionProblem, count: int) -> Tensor:
    """One-hot labels of a single case; of several it is not known which label is whose."""
    truth = torch.full((count, *problem.truth[1:]), 1 / max(1, problem.truth[1]))
    if problem.labels is not None and count == 1 and len(problem.labels) == 1:
        truth[0] = torch.nn.functional.one_hot(torch.tensor(int(problem.labels[0])), problem.truth[1])
    return truth


attack: type[Attack] = Analytic
