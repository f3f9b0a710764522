"""Tiny data for inherited tests: cases of every sort that tasks know, and rounds made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.data.cases import Cases
from common.learning.client_work import CURVATURE, REACH
from common.learning.parameters import new_network
from common.sums.mean import Mean
from common.sums.update import Update
from server.strategy import Contributions

COUNT = 12
Hospital = tuple[float, Sequence[Sequence[float] | NDArray[Any]]]
"""Weight n_k, and the mean vectors that a hospital computed."""


BESIDE = {name: Mean.of([1.0]) for name in (REACH, CURVATURE)}
"""What strategies that weigh hospitals otherwise divide by, alike at every hospital."""


def contributions(hospitals: Mapping[str, Hospital], population_weight: float | None = None) -> Contributions:
    """A round of {site: (n_k, mean vectors)}; the hospitals send sums, as they really do."""
    each = {
        site: Update(tuple((weight * np.asarray(mean)).astype(np.float32) for mean in means), weight, BESIDE)
        for site, (weight, means) in hospitals.items()
    }
    total = reduce(Update.__add__, each.values())
    return Contributions(total, each, total.weight if population_weight is None else population_weight)


def persons() -> NDArray[np.str_]:
    """(12,) names of six persons with two cases each."""
    return np.array([f"p{index % 6}" for index in range(COUNT)])


def rows_with_classes() -> Cases:
    """(12, 5) inputs of three classes."""
    return Cases.of(_normal(COUNT, 5), (np.arange(COUNT) % 3).astype(np.int64), persons(), ("a", "b", "c"))


def images_with_classes() -> Cases:
    """(12, 1, 16, 16) inputs of three classes."""
    return Cases.of(_normal(COUNT, 1, 16, 16), (np.arange(COUNT) % 3).astype(np.int64), persons(), ("a", "b", "c"))


def images_with_outlines() -> Cases:
    """(12, 1, 16, 16) inputs that show what is outlined."""
    masks = np.zeros((COUNT, 16, 16), np.uint8)
    for index, mask in enumerate(masks):
        mask[index % 5 + 2 : index % 5 + 8, 3:9] = 1 + index % 2
    inputs = (masks + 0.1 * np.random.default_rng(0).normal(size=masks.shape)).astype(np.float32)[:, None]
    return Cases.of(inputs, masks, persons(), ("none", "one", "two"))


def pairs_of_images() -> Cases:
    """(12, 2, 16, 16) moving and fixed images, with the outlines of a square in both."""
    labels = np.zeros((COUNT, 2, 16, 16), np.uint8)
    for index, (moving, fixed) in enumerate(labels):
        moving[4:10, 4 + index % 2 : 10] = 1
        fixed[5:12, 4:11] = 1
    inputs = (labels + 0.01 * np.random.default_rng(0).normal(size=labels.shape)).astype(np.float32)
    return Cases.of(inputs, labels, persons(), ("none", "square"))


def rows_with_numbers() -> Cases:
    """(12, 5) inputs, targets near 50."""
    inputs = _normal(COUNT, 5)
    return Cases.of(inputs, (50 + 10 * inputs[:, 0]).astype(np.float32), persons())


def rows_with_times() -> Cases:
    """(12, 5) inputs; targets are (12, 2): a time, and whether it ended in the event."""
    targets = np.column_stack([1 + np.arange(COUNT) % 4, np.arange(COUNT) % 3 > 0]).astype(np.float32)
    return Cases.of(_normal(COUNT, 5), targets, persons())


SORTS: tuple[Callable[[], Cases], ...] = (
    rows_with_classes,
    images_with_classes,
    images_with_outlines,
    pairs_of_images,
    rows_with_numbers,
    rows_with_times,
)


def tiny_cases(task: Any) -> Cases:
    """The first of SORTS that the task can work with. Raises AssertionError for none, saying why not."""
    refusals = []
    for sort in SORTS:
        cases = sort()
        try:
            _try(task, cases)
        except Exception as error:  # noqa: BLE001 - a task may refuse cases in any way
            refusals.append(f"  {sort.__name__}: {type(error).__name__}: {str(error).strip().splitlines()[:1]}")
        else:
            return cases
    tried = "\n".join(refusals)
    raise AssertionError(f"the task works with none of these tiny cases; write `cases()` that makes some:\n{tried}")


def _try(task: Any, cases: Cases) -> None:
    network, batch = new_network(task, cases.shape, 0), cases.batch()
    network.eval()
    with torch.no_grad():
        loss = task.loss(network, batch)
        if not torch.isfinite(loss).all():
            raise ValueError("the loss is not finite")
        task.score(network, batch)
        task.predict(network, batch.inputs)


def _normal(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)
