"""Fishing: a last layer made so that of all cases one alone sends anything back through the network.

*By class*: only the weights of one class are kept, and the other classes' biases are so large that nobody is taken
for it; then the cases of that class alone reach the layers before. *By a feature*, where nobody is of that class: its
logit is one feature less a threshold, steeply, so that only cases beyond it reach them; the threshold is halved in
until one is left. How many are left is read off the last layer's own bias. Where the first layer is linear, what came
through it is that case exactly.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.errors import StudyError
from common.learning.abilities import can
from common.learning.parameters import Layout, new_network, read, write
from common.study.study import Study
from experiments.access import Answers, Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.cheating.imprint import linear_layers
from experiments.attacks.cheating.orders import first_inputs, order_of, work_of
from experiments.attacks.cheating.played import Played, finding_of, own_network_of
from experiments.evidence.budget import Budget
from experiments.observation import Observation

FAR = 50.0
"""Of a logit: nothing is left of a probability."""
ROUND = 2


@dataclass(frozen=True)
class Fishing:
    """halvings: of a feature's threshold."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = "Wen et al. 2022, Fishing for User Data in Large-Batch Federated Learning"
    question: ClassVar[str] = "reconstruction"
    needs: ClassVar[tuple[Need, ...]] = ("answers",)
    words: ClassVar[str] = "a model that silences all cases but one"

    halvings: int = 20

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """The one case, where the first layer tells it."""
        return finding_of("fishing", observed, asdict(self), self._played, budget_seconds, own_network_of)

    def _played(self, observed: Observation, study: Study, answers: Answers, budget: Budget) -> Played:
        if not can(study.build_task(), "label_evidence"):
            raise StudyError("fishing counts whose gradients are left by their diagnosis, and the study learns none.")
        if not observed.classes or work_of(study).sends != "gradient":
            raise StudyError("fishing counts whose gradients are left, and takes gradients of classes.")
        network = new_network(study.build_task(), observed.shape, study.seed, study.training)
        line = _Line(network, study, answers)
        left = line.of_classes(len(observed.classes), budget)
        caught = [number for number, cases in left.items() if 0.5 < cases < 1.5]
        empty = [number for number, cases in left.items() if cases < 0.5]
        if caught:
            line.of_class(caught[0])
        elif not empty or not line.of_feature(empty[0], self.halvings, budget):
            fewest = min((cases for cases in left.values() if cases > 0.5), default=0.0)
            counted = (
                "every class" if len(left) == len(observed.classes) else f"{len(left)} classes were counted: each"
            )
            raise StudyError(
                f"{counted} has several cases, {fewest:.0f} at least, and those of a class go through together."
            )
        shown = _behind(network, line.last, observed.shape.inputs)
        return Played(line.order, ((answers.sites, first_inputs(shown, observed.shape.inputs)),))


class _Line:
    """Orders to the same hospitals. last: what they answered. order: what to."""

    def __init__(self, network: nn.Module, study: Study, answers: Answers) -> None:
        self._network, self._study, self._answers = network, study, answers
        self._honest, self._layer = read(network), linear_layers(network)[-1]
        self._name = next(name for name, module in network.named_modules() if module is self._layer)

    def of_class(self, number: int) -> float:
        """Let only cases of a class through; how many there are."""
        write(self._network, self._honest)
        with torch.no_grad():
            kept = self._layer.weight[number].clone()
            self._layer.weight.zero_()
            self._layer.weight[number] = kept / max(1.0, float(kept.norm()))
            self._layer.bias.fill_(FAR)
            self._layer.bias[number] = 0.0
        return -self._asked(number)

    def of_classes(self, count: int, budget: Budget) -> dict[int, float]:
        """How many cases there are of each class: of the first at least, and until one has a single case."""
        left: dict[int, float] = {}
        for number in range(count):
            if left and (not budget.left or any(0.5 < cases < 1.5 for cases in left.values())):
                break
            left[number] = self.of_class(number)
        return left

    def of_feature(self, number: int, halvings: int, budget: Budget) -> bool:
        """Let only cases through whose first feature is beyond a threshold; whether one alone is left at last."""
        low, high = 0.0, 1e3
        for done in range(halvings):
            if done and not budget.left:
                raise StudyError(
                    f"a threshold that one case alone is beyond was not found in {done} orders, in time."
                )
            middle = (low + high) / 2
            left = self._beyond(number, middle)
            if 0.5 < left < 1.5:
                return True
            low, high = (middle, high) if left > 1 else (low, middle)
        return False

    def _beyond(self, number: int, threshold: float) -> float:
        write(self._network, self._honest)
        with torch.no_grad():
            self._layer.weight.zero_()
            self._layer.weight[number, 0] = FAR * FAR
            self._layer.bias.zero_()
            self._layer.bias[number] = -FAR * FAR * threshold
        return self._asked(number)

    def _asked(self, number: int) -> float:
        """The sum over cases of the class' probability less its truth."""
        self.order = order_of(self._study, ROUND, read(self._network))
        self.last = self._answers.answer(self.order).vectors[0].astype(np.float64)
        return float(Layout.of(self._network).tensors(self.last.astype(np.float32))[f"{self._name}.bias"][number])


def _behind(network: nn.Module, gradient: NDArray[np.float64], inputs: tuple[int, ...]) -> NDArray[np.float64]:
    """(1, features) what the first layer was shown. Raises StudyError where it does not tell."""
    first = linear_layers(network)[0]
    if first.in_features != prod(inputs) or first is linear_layers(network)[-1]:
        raise StudyError("one case's gradient was fished out; the first layer is none that tells it exactly.")
    name = next(name for name, module in network.named_modules() if module is first)
    tensors = Layout.of(network).tensors(gradient.astype(np.float32))
    weight, bias = (tensors[f"{name}.{part}"].astype(np.float64) for part in ("weight", "bias"))
    return np.asarray(bias @ weight / max(float(bias @ bias), 1e-300))[None]


attack: type[Attack] = Fishing
