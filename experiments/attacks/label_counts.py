"""Counts of cases by class from the gradient of the last layer's bias: which diagnoses a hospital has, and how many.

That gradient is the mean over cases of probability minus truth; with the probabilities an adversary estimates by
asking the model it sent itself, the truth's mean is left (Wainakh et al. 2022, User-Level Label Leakage from
Gradients in Federated Learning, section 4; of a single case Zhao et al. 2020, iDLG, equation 4). Of a sum over
hospitals it gives the counts of all of them together. After several local steps it is near, not exact.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.learning.abilities import abilities, can, label_smoothing, no_case_loss
from common.study.checks import positive
from experiments.attack import Attack, Finding, Reconstruction, Sees
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.labels import class_evidence, label_counts, mean_answer, unweighted
from experiments.attacks.inversion.updates import Captured, as_gradient, captured_updates, what_is_seen_instead
from experiments.evidence.budget import Budget
from experiments.observation import Observation


@dataclass(frozen=True)
class LabelCounts:
    """rounds: how many rounds of every hospital, or of every sum, are read, the earliest first."""

    sees: ClassVar[Sees] = "sum"
    source: ClassVar[str] = "Zhao et al. 2020; Wainakh et al. 2022"
    question: ClassVar[str] = "labels"
    called: ClassVar[str] = "counting diagnoses in the last layer"
    words: ClassVar[str] = "reads off the last layer how many cases of each diagnosis an update rests on"

    rounds: int = 1

    def __post_init__(self) -> None:
        positive("attack", rounds=self.rounds)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """For each update a reconstruction of labels alone: sorted, with no inputs."""
        budget = Budget(budget_seconds)
        captured = _earliest(captured_updates(observed), self.rounds)
        task = observed.study.build_task()
        if reason := no_case_loss(task):
            return self._impossible(observed, reason)
        if can(task, "label_space") and not prod(abilities(task).label_space(observed.shape)):
            return self._impossible(observed, "the study learns no diagnosis, so there is nothing to count")
        if not can(task, "label_evidence"):
            return self._impossible(observed, "a case has no single class here, so there is nothing to count")
        if not captured:
            return self._impossible(observed, what_is_seen_instead(observed))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        found = []
        for one in captured:
            counts = counts_behind(observed, one, generator)
            if counts is None:
                return self._impossible(observed, "the network's last layer does not have one unit a class")
            found.append(_labels_alone(observed, one, counts))
            if not budget.left:
                break
        return Finding(
            "label_counts",
            observed.observer,
            True,
            seconds=budget.spent,
            settings=asdict(self),
            reconstructions=tuple(found),
        )

    def _impossible(self, observed: Observation, reason: str) -> Finding:
        return Finding("label_counts", observed.observer, False, reason, settings=asdict(self))


def counts_behind(observed: Observation, captured: Captured, generator: torch.Generator) -> NDArray[np.int64] | None:
    """(classes,) how many cases of each class the update was computed from; None where the network hides it."""
    victim = Victim.of(observed, captured)
    gradient = victim.parts(as_gradient(captured, observed.study))
    evidence = class_evidence(victim.network, observed.shape, gradient)
    if evidence is None:
        return None
    answers = mean_answer(victim.network.eval(), observed.shape, generator)
    task, weights = abilities(observed.study.build_task()), observed.study.training.public_class_weights
    if weights is None:
        evidence = task.label_evidence(evidence, answers)
    else:
        evidence = unweighted(evidence, answers, weights, label_smoothing(observed.study.build_task()))
    return label_counts(evidence, answers, captured.cases)


def _earliest(captured: list[Captured], rounds: int) -> list[Captured]:
    by_sites: dict[tuple[SiteId, ...], list[Captured]] = {}
    for one in sorted(captured, key=lambda one: one.round):
        by_sites.setdefault(one.sites, []).append(one)
    return [one for sites in sorted(by_sites) for one in by_sites[sites][:rounds]]


def _labels_alone(observed: Observation, captured: Captured, counts: NDArray[np.int64]) -> Reconstruction:
    nothing = np.zeros((0, *observed.shape.inputs), dtype=np.float32)
    labels = np.repeat(np.arange(len(counts)), counts)
    return Reconstruction(captured.round, captured.sites, nothing, labels)


attack: type[Attack] = LabelCounts
