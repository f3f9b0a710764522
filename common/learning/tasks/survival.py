"""Survival: the risk of an event in each of several intervals of time, for cases that may leave before it happens.

Discrete-time hazards (Gensheimer and Narasimhan 2019, A scalable discrete-time survival model for neural networks,
equations 1 to 3): the network answers one logit an interval, of the chance that the event comes in it to who has
reached it. A case's loss is of that case alone, unlike Cox's, which compares it with all who are still under
observation: it can be clipped by case, summed over hospitals, and trained in batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn, no_grad
from torch.nn.functional import logsigmoid

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.device import exact_copy, home
from common.learning.own_loss import OwnLoss
from common.learning.task import Task
from common.learning.tasks._network import build_fitting
from common.metrics.concordance import Concordance
from common.metrics.roc import ScoreHistogram
from common.study.catalogue import NETWORKS
from common.study.checks import one_of, positive
from common.study.options import OPTION, Entry
from common.sums.mean import Mean

SCORES = ("brier", "auc", "c_index")
MOST_INTERVALS = 256
LARGEST_LOSS = 1e3
"""In scores alone: a model that is sure and wrong does not make a sum overflow."""


@dataclass(frozen=True)
class Survival:
    """cuts: ends of the intervals, rising, in the unit of the cases' times; the first begins at 0. network: from
    `common/learning/networks`. loss: a function of (N, intervals) logits and (N, 2) targets, to learn by in place of
    the likelihood. scores: what is told beside likelihood and loss, from brier, auc and c_index.

    Targets are (N, 2): time under observation, and 1 where it ended in the event, else 0. Whoever left before the
    middle of an interval is not counted in it, whoever left later is, as a survivor; after the last cut all are
    survivors.

    Scores: likelihood, the mean over cases of the chance that the model gave to what was observed of a case: 1 is
    perfect. loss: the mean of its negative logarithm. brier: over cases and cuts at which it is known whether
    the event had come, the squared distance between that and the predicted chance: 0 is perfect. auc: the chance that
    of a case with the event by the last cut and one without, the first was given the higher risk (Heagerty et al.
    2000, cumulative cases and dynamic controls at one time; cases that left before are not counted). c_index:
    Harrell's index of the chance of the event by the last cut, over pairs of cases of one hospital.
    """

    headline: ClassVar[str] = "likelihood"

    cuts: tuple[float, ...]
    network: Entry = field(default_factory=lambda: Entry("mlp"))
    scores: tuple[str, ...] = ("brier",)
    own_loss: Entry | None = field(default=None, metadata={OPTION: "loss"})

    @property
    def scored_whole(self) -> bool:
        """Whether a score compares cases: c_index does."""
        return "c_index" in self.scores

    def __post_init__(self) -> None:
        _ = self._own_loss
        NETWORKS.build(self.network)
        if not 1 <= len(self.cuts) <= MOST_INTERVALS or not all(a < b for a, b in pairwise(self.cuts)):
            raise StudyError(f"task.cuts must hold 1 to {MOST_INTERVALS} times that rise; it is {list(self.cuts)}.")
        positive("task", **{f"cuts[{index}]": cut for index, cut in enumerate(self.cuts)})
        for name in self.scores:
            one_of("task", SCORES, scores=name)

    def build_network(self, shape: Shape) -> nn.Module:
        """A network of logits (N, intervals). Raises StudyError where it does not fit, or cases are of classes."""
        if shape.classes:
            raise StudyError(
                f"task 'survival' learns times and events, and the cases are of {shape.classes} classes: let the "
                "source read times (of tables, source.target = 'survival')."
            )
        intervals = len(self.cuts)
        if self._own_loss is not None:
            self._own_loss.demand_usable((intervals,), torch.tensor([[self.cuts[0], 1.0], [self.cuts[-1], 0.0]]))
        return build_fitting(self.network, Shape(shape.inputs, intervals), (intervals,), "survival")

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32 negative log-likelihood in nats, or the study's own loss."""
        return self._learned(network(batch.inputs).float(), batch.targets)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Likelihood, loss and what `scores` names."""
        return self.judged(self.answered(network, batch))

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Logits, in float64 as in classification, for the same reason; times and events."""
        exact = exact_copy(network)
        with no_grad():
            logits = exact(batch.inputs.to(home(exact)).double()).cpu()
        return {"logits": logits, "targets": batch.targets.cpu()}

    def judged(self, answered: Mapping[str, Tensor]) -> Mapping[str, Mean]:
        """Scores of cases together: only c_index compares them."""
        logits, targets = answered["logits"], answered["targets"]
        surprises = self._losses(logits, targets).clamp(max=LARGEST_LOSS).float()
        losses = self._learned(logits, targets).clamp(max=LARGEST_LOSS).float()
        log_survival = logsigmoid(-logits).cumsum(1)
        found = {"likelihood": Mean.of((-surprises).exp().tolist()), "loss": Mean.of(losses.tolist())}
        happened, known = self._status(targets)
        if "brier" in self.scores:
            squares = (1 - log_survival.exp() - happened.double()).square().float()
            found["brier"] = Mean.of(squares[known].tolist())
        if "auc" in self.scores:
            last, alive = known[:, -1], log_survival[:, -1]
            log_odds = torch.log(-torch.expm1(alive.clamp(max=-1e-12))) - alive
            found |= ScoreHistogram.of(log_odds[last].float().numpy(), happened[last, -1].numpy()).statistics()
        if "c_index" in self.scores:
            times, events = targets[:, 0].numpy(), targets[:, 1].numpy()
            found["c_index"] = Concordance.of(-log_survival[:, -1].float().numpy(), times, events).mean()
        return found

    def target_form(self, shape: Shape) -> tuple[int, ...]:
        """A target is a time and whether the event ended it."""
        return (2,)

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The same batch."""
        return batch

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, intervals) float32: the chance to be without the event at each cut."""
        answer: Tensor = logsigmoid(-network(inputs).float()).cumsum(1).exp()
        return answer

    @property
    def answer_names(self) -> tuple[str, ...]:
        """Of the numbers of `predict`."""
        return tuple(f"without event at {cut:g}" for cut in self.cuts)

    def numbers(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, intervals): the cumulative hazard by each cut, -log of the chance to be without the event."""
        answer: Tensor = -logsigmoid(-network(inputs)).cumsum(1)
        return answer

    @property
    def number_names(self) -> tuple[str, ...]:
        """Of the numbers of `numbers`."""
        return tuple(f"the cumulative hazard by {cut:g}" for cut in self.cuts)

    def summed_up(self, values: tuple[float, ...]) -> Mapping[str, float]:
        """The chance of the event by the last cut."""
        return {"risk": 1 - values[-1]}

    def meaning(self, value: str) -> str:
        """Of the network's logits."""
        return (
            f"one logit an interval that ends at {list(self.cuts)}; the product of 1 - sigmoid up to a time is "
            "the chance to be without the event until then"
        )

    @cached_property
    def _own_loss(self) -> OwnLoss | None:
        return None if self.own_loss is None else OwnLoss(self.own_loss, "survival")

    def _learned(self, logits: Tensor, targets: Tensor) -> Tensor:
        return self._losses(logits, targets) if self._own_loss is None else self._own_loss.of(logits, targets)

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        survived, failed = self._intervals(targets)
        return -(survived * logsigmoid(-logits) + failed * logsigmoid(logits)).sum(1)

    def _intervals(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """(N, intervals) each: 1 where a case survived the interval, and 1 where the event came in it."""
        time, event = targets[:, :1], targets[:, 1:] > 0
        ends = time.new_tensor(self.cuts)
        starts = torch.cat([ends.new_zeros(1), ends[:-1]])
        failed = event & (time > starts) & (time <= ends)
        failed[:, :1] |= event & (time <= 0)
        through = torch.where(event, ends, (starts + ends) / 2)
        survived = torch.where(event, time > through, time >= through)
        return survived.float(), failed.float()

    def _status(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """(N, cuts) each: whether the event had come by a cut, and whether that is known."""
        time, event = targets[:, :1], targets[:, 1:] > 0
        ends = time.new_tensor(self.cuts)
        happened = event & (time <= ends)
        return happened, happened | (time >= ends)


task: type[Task] = Survival
