"""Regression of tables and images: one real number a case, learned by squared error or Huber's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn, no_grad
from torch.nn.functional import huber_loss

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.device import exact_copy, home
from common.learning.own_loss import OwnLoss
from common.learning.task import Task
from common.learning.tasks._network import build_fitting
from common.metrics.calibration import calibration_statistics
from common.study.catalogue import NETWORKS
from common.study.checks import between, one_of, positive
from common.study.options import OPTION, Entry
from common.sums.mean import UNITS_PER_ONE, Mean

FARTHEST = 16.0
"""In spreads. What lies farther counts as so far in scores, so that sums of them hold any model's errors."""
DEFAULT_SCORES = ("mae", "rmse", "r2")
SCORES = (*DEFAULT_SCORES, "calibration")
CALIBRATED = 2.5
"""Spreads on either side of the center over which bins of predictions lie."""


@dataclass(frozen=True)
class Regression:
    """network: from `common/learning/networks`. center, spread: public constants of what is learned, in its own
    unit, such as the mean and deviation that the literature gives; the network learns (target - center) / spread.
    error: "squared", or "huber" (Huber 1964), squared up to a distance and beyond as the distance, which outliers
    move less. huber_delta: that distance, in spreads. loss: a function of (N,) answers and (N,) targets, both in
    spreads from the center, in place of it. scores: what is told beside skill and loss, from mae and rmse, in the
    target's unit, r2, and calibration: means of answers and of targets in ten bins of answers, within 2.5 spreads
    of the center.

    Scores, every case counting one: skill, 1 - sum of squared errors / sum of squared distances from `center`: 1 is
    perfect, 0 is what one does who always answers `center` (Murphy 1988, a skill score with a public reference, which
    is why it merges). r2 the same with the mean of all cases' targets, from sums of targets and their squares, as
    mae and rmse from sums of errors. loss: in spreads squared.
    """

    headline: ClassVar[str] = "skill"
    number_names: ClassVar[tuple[str, ...]] = ("the predicted value",)

    center: float
    spread: float
    network: Entry = field(default_factory=lambda: Entry("mlp"))
    error: Literal["squared", "huber"] = "squared"
    huber_delta: float = 1.0
    scores: tuple[str, ...] = DEFAULT_SCORES
    own_loss: Entry | None = field(default=None, metadata={OPTION: "loss"})

    def __post_init__(self) -> None:
        if self._own_loss is not None and (self.error, self.huber_delta) != ("squared", 1.0):
            raise StudyError("task.error and task.huber_delta are of the loss that task.loss replaces: remove them.")
        NETWORKS.build(self.network)
        positive("task", spread=self.spread, huber_delta=self.huber_delta)
        between("task", -1e30, 1e30, center=self.center, spread=self.spread)
        one_of("task", ("squared", "huber"), error=self.error)
        for name in self.scores:
            one_of("task", SCORES, scores=name)

    def build_network(self, shape: Shape) -> nn.Module:
        """A network of one number a case. Raises StudyError where it does not fit, or cases are of classes."""
        if shape.classes:
            raise StudyError(
                f"task 'regression' learns real numbers, and the cases are of {shape.classes} classes: choose task "
                "'classification', or let the source read numbers (of tables, source.target = 'number')."
            )
        if self._own_loss is not None:
            self._own_loss.demand_usable((), torch.tensor([0.5, -1.0]))
        return build_fitting(self.network, Shape(shape.inputs, 1), (1,), "regression")

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32, in spreads squared."""
        return self._losses(network(batch.inputs)[:, 0].float(), self._scaled(batch.targets).float())

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Skill, loss, and the sums behind `scores`, in float64 as in classification, for the same reason."""
        exact = exact_copy(network)
        with no_grad():
            answers = exact(batch.inputs.to(home(exact)).double())[:, 0].cpu()
            truth = self._scaled(batch.targets.cpu())
            losses = self._losses(answers, truth).clamp(max=FARTHEST**2).float()
        errors, distances = (answers - truth).float(), truth.float()
        squares, of_center = (values.clamp(-FARTHEST, FARTHEST).double().square() for values in (errors, distances))
        found = {"skill": _share(of_center - squares, of_center), "loss": Mean.of(losses.tolist())}
        if "mae" in self.scores:
            found["absolute_error"] = Mean.of(errors.abs().clamp(max=FARTHEST).tolist())
        if {"rmse", "r2"} & set(self.scores):
            found["squared_error"] = Mean.of(squares.tolist())
        if "r2" in self.scores:
            found["target"] = Mean.of(distances.clamp(-FARTHEST, FARTHEST).tolist())
            found["target_squared"] = Mean.of(of_center.tolist())
        if "calibration" in self.scores:
            given, true = (values.clamp(-FARTHEST, FARTHEST).numpy() for values in (answers.float(), distances))
            found |= calibration_statistics(given, true, -CALIBRATED, CALIBRATED)
        return found

    def meaning(self, value: str) -> str:
        """Of the network's number."""
        return f"one number a case; times {self.spread:g} plus {self.center:g} it is {value!r}"

    def in_own_unit(self, value: float) -> float:
        """What is learned, in the unit of the targets."""
        return value * self.spread + self.center

    def presented(self, scores: Mapping[str, float | None]) -> Mapping[str, float | None]:
        """mae, rmse and r2 in the place of the means they come from, merged or of one hospital."""
        if not scores:
            return {}
        found = {name: value for name, value in scores.items() if name in ("skill", "loss", "calibration_error")}
        absolute, squared = scores.get("absolute_error"), scores.get("squared_error")
        if "mae" in self.scores:
            found["mae"] = None if absolute is None else absolute * self.spread
        if "rmse" in self.scores:
            found["rmse"] = None if squared is None else sqrt(max(squared, 0.0)) * self.spread
        if "r2" in self.scores:
            found["r2"] = _determined(squared, scores.get("target"), scores.get("target_squared"))
        return found

    def target_form(self, shape: Shape) -> tuple[int, ...]:
        """A target is one number."""
        return ()

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The same batch."""
        return batch

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,) float32, in the target's own unit."""
        answer: Tensor = network(inputs)[:, 0].float() * self.spread + self.center
        return answer

    def numbers(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, 1), in the target's own unit."""
        answer: Tensor = network(inputs)[:, :1] * self.spread + self.center
        return answer

    def _scaled(self, targets: Tensor) -> Tensor:
        return (targets.double() - self.center) / self.spread

    @cached_property
    def _own_loss(self) -> OwnLoss | None:
        return None if self.own_loss is None else OwnLoss(self.own_loss, "regression")

    def _losses(self, answers: Tensor, truth: Tensor) -> Tensor:
        if self._own_loss is not None:
            return self._own_loss.of(answers, truth.float())
        if self.error == "huber":
            return 2 * huber_loss(answers, truth, reduction="none", delta=self.huber_delta)
        return (answers - truth).square()


def _share(parts: Tensor, wholes: Tensor) -> Mean:
    """Sum of the parts / sum of the wholes."""
    pairs = zip(parts.tolist(), wholes.tolist(), strict=True)
    units = [Mean(round(part * UNITS_PER_ONE), round(whole * UNITS_PER_ONE)) for part, whole in pairs]
    return sum(units, Mean())


def _determined(squared: float | None, target: float | None, target_squared: float | None) -> float | None:
    """1 - mean squared error / variance of the targets; None where they do not vary."""
    if squared is None or target is None or target_squared is None:
        return None
    variance = target_squared - target**2
    return 1 - squared / variance if variance > 1e-9 else None


task: type[Task] = Regression
