"""A coordinator that cheats, played: it sends hospitals' own code models made to copy cases into the gradient.

Where
the study's network cannot carry an imprint, the coordinator sends a study of its own that nobody approved: another
network, no privacy and no protected sum.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from common.errors import StudyError, WardroundError
from common.learning.abilities import can, no_one_gradient
from common.learning.parameters import new_network
from common.learning.work import Training, Work
from common.seeding import torch_generator
from common.study.catalogue import STRATEGIES, TASKS
from common.study.options import Entry
from common.study.study import Study
from common.wire.orders import Order
from experiments.access import Answers, Need
from experiments.attack import Attack, Finding, Reconstruction, Sees
from experiments.attacks.inversion.imprint import Held, blur, carries, closer, held, imprinted, wide_thresholds
from experiments.observation import Observation

BINS = 256
"""Units of the first layer, where the network is the coordinator's own."""
LOWEST, HIGHEST = -4.0, 4.0
"""Of an input's mean, as the coordinator begins; inputs are scaled."""
ORDERS = 3
"""One after the other, each with thresholds closer to the cases."""
MOST_FOUND = 16
"""Inputs that are scored; an imprint finds more."""
NO_CARRIER = (
    "no network of this study's task has two linear layers before all others, which an imprint needs; other models "
    "that a cheating coordinator may send were not tried"
)


@dataclass(frozen=True)
class Imprint:
    """blur: noise on the imprint, of its weights' norm; orders: one after the other."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = (
        "Fowl et al. 2022, Robbing the Fed; thresholds without knowledge of the data and the blur are our own"
    )
    question: ClassVar[str] = "reconstruction"
    needs: ClassVar[tuple[Need, ...]] = ("answers",)
    words: ClassVar[str] = "a model that sorts a hospital's cases by brightness and copies them into its answer"

    blur: float = 0.0
    orders: int = ORDERS

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """What the answers to the last order held, had hospitals not looked at what they were sent."""
        begin, answers = perf_counter(), observed.access.answers
        if answers is None:
            return Finding("imprint", observed.observer, False, "hospitals cannot be asked anything here")
        try:
            study, own_study = carrier_of(observed)
            order, seen = self._asked(observed, study, answers)
        except WardroundError as error:
            return Finding("imprint", observed.observer, False, str(error).rstrip("."))
        back = Reconstruction(order.round, answers.sites, _chosen(seen, observed.shape.inputs), study=study)
        settings = {
            **asdict(self),
            "own_study": own_study,
            "sends": work_of(study).sends,
            "range": [LOWEST, HIGHEST],
            "units": BINS if own_study else "as the study says",
            "refused": dict(answers.refused(order)),
        }
        spent = perf_counter() - begin
        return Finding("imprint", observed.observer, True, "", spent, settings=settings, reconstructions=(back,))

    def _asked(self, observed: Observation, study: Study, answers: Answers) -> tuple[Order, Held]:
        network = new_network(study.build_task(), observed.shape, study.seed, study.training)
        cases = sum(_cases_of(study, observed.cases[site]) for site in answers.sites)
        thresholds, order, seen = wide_thresholds(network, LOWEST, HIGHEST), None, None
        for number in self._rounds(study):
            thresholds = thresholds if seen is None else closer(thresholds, seen, cases)
            order = _order(study, number, self._sent(network, study, number, thresholds))
            total = answers.answer(order).vectors[0].astype(np.float64)
            seen = held(network, total, answers.rounding(order, float(np.abs(total).max())))
        assert order is not None and seen is not None
        return order, seen

    def _rounds(self, study: Study) -> list[int]:
        """Of the orders: later than the first, whose model is known, and none that a hospital refuses as too late.

        A study of one round has no later one, and a hospital is asked for its second in vain.
        """
        return [min(number, max(2, study.rounds)) for number in range(2, 2 + self.orders)]

    def _sent(
        self, network: nn.Module, study: Study, number: int, thresholds: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        parameters = imprinted(network, thresholds)
        if not self.blur:
            return parameters
        return blur(network, self.blur, torch_generator(study.seed, "audit", "blur", number))


def work_of(study: Study) -> Work:
    """What its strategy asks of hospitals in a round; any other a hospital refuses."""
    work: Work = STRATEGIES.build(study.strategy).work()
    return work


def carrier_of(observed: Observation) -> tuple[Study, bool]:
    """A study whose network can carry an imprint, and whether it is another than that of the run.

    Raises StudyError where there is none.
    """
    study, task = observed.study, observed.study.build_task()
    if reason := no_one_gradient(task):
        raise StudyError(reason)
    if carries(new_network(task, observed.shape, study.seed, study.training), observed.shape.inputs):
        return study, False
    if not (can(task, "label_evidence") and "network" in TASKS.options(study.task.name)):
        raise StudyError(NO_CARRIER)
    network = {"name": "mlp", "hidden": [BINS]}
    own_task = Entry(study.task.name, {**study.task.options, "network": network})
    training = Training(batch_size=study.training.batch_size)
    plain, strategy = Entry("plain"), Entry("fedsgd")
    rounds = max(study.rounds, 1 + ORDERS)
    own = replace(study, task=own_task, training=training, aggregation=plain, strategy=strategy, privacy=None)
    return replace(own, rounds=rounds), True


def _order(study: Study, number: int, parameters: NDArray[np.float32]) -> Order:
    work = work_of(study)
    return Order(study.json, number, parameters, work, np.zeros_like(parameters) if work.controlled else None)


def _cases_of(study: Study, cases: int) -> int:
    """How many of a hospital's are behind one answer."""
    size = study.training.batch_size
    return cases if size == "full" or work_of(study).sends == "delta" else min(size, cases)


def _chosen(seen: Held, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(N, ...) at most MOST_FOUND of them, evenly over the thresholds; one of zeros where there is none."""
    if not len(seen.bins):
        return np.zeros((1, *shape), np.float32)
    rows = np.unique(np.linspace(0, len(seen.bins) - 1, min(MOST_FOUND, len(seen.bins))).astype(int))
    return np.asarray(seen.inputs[rows].reshape(-1, *shape), np.float32)


attack: type[Attack] = Imprint
