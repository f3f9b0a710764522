"""What attacks of a cheating coordinator share: a study that can carry them, orders, and what is scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from common.errors import StudyError
from common.learning.abilities import can, no_one_gradient
from common.learning.client_work import Training, Work
from common.learning.parameters import new_network
from common.study.catalogue import STRATEGIES, TASKS
from common.study.options import Entry
from common.study.study import Study
from common.wire.train_requests import Order
from experiments.attacks.cheating.imprint import Held, carries
from experiments.evidence.budget import Budget
from experiments.observation import Observation

BINS = 256
"""Units of the first layer, where the network is the coordinator's own."""
MOST_ORDERS = 3
"""One after the other."""
MOST_FOUND = 16
"""Inputs that are scored; most attacks find more."""
NO_CARRIER = (
    "no network of this study's task has two linear layers before all others, which an imprint needs; other models "
    "that a cheating coordinator may send were not tried"
)


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
    rounds = max(study.rounds, 1 + MOST_ORDERS)
    own = replace(study, task=own_task, training=training, aggregation=plain, strategy=strategy, privacy=None)
    return replace(own, rounds=rounds), True


def order_of(study: Study, number: int, parameters: NDArray[np.float32]) -> Order:
    """As the study has it in that round, but for the model."""
    work = work_of(study)
    return Order(study.json, number, parameters, work, np.zeros_like(parameters) if work.controlled else None)


def cases_behind(study: Study, cases: int) -> int:
    """How many of a hospital's are behind one answer."""
    size = study.training.batch_size
    return cases if size == "full" or work_of(study).sends == "delta" else min(size, cases)


def later_rounds(study: Study, orders: int, budget: Budget) -> Iterator[tuple[int, bool]]:
    """Each order's round and whether it is the last: of so many, or of those that there is time for; one at least.

    They are later than the first, whose model is known, and none that a hospital refuses as too late. A study of one
    round has no later one, and a hospital is asked for its second in vain.
    """
    for done in range(orders):
        each = budget.spent / done if done else 0.0
        is_last = done + 1 == orders or budget.left <= 2 * each
        yield min(2 + done, max(2, study.rounds)), is_last
        if is_last:
            return


def spread_inputs(seen: Held, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(N, ...) at most MOST_FOUND of them, evenly over the thresholds; one of zeros where there is none."""
    if not len(seen.bins):
        return np.zeros((1, *shape), np.float32)
    rows = np.unique(np.linspace(0, len(seen.bins) - 1, min(MOST_FOUND, len(seen.bins))).astype(int))
    return np.asarray(seen.inputs[rows].reshape(-1, *shape), np.float32)


def first_inputs(inputs: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(N, ...) at most MOST_FOUND, the first; one of zeros where there is none."""
    if not len(inputs):
        return np.zeros((1, *shape), np.float32)
    return np.asarray(inputs[:MOST_FOUND].reshape(-1, *shape), np.float32)
