"""One case after the other, each with a network of its own: for networks, losses and tasks that are not ours.

Whatever the code of others does with a batch, or keeps from one case to the next, it is given one case and an
untouched copy, so that no unit has a part in another's gradient. What is learned is shared, not copied.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields, is_dataclass
from functools import cache

import numpy as np
from torch import nn

from client.clipping import CaseLoss, case_of
from client.per_example_gradients.loop import by_loop
from common.data.cases import Batch
from common.errors import StudyError
from common.learning.task import Task
from common.study.catalogue import AUGMENTATIONS, NETWORKS, PERTURBATIONS, RECIPES, TASKS
from common.study.options import Entry
from common.sums.update import Vector

OUR_TASKS = "common.learning.tasks."


def is_ours(task: Task) -> bool:
    """Whether task, network, augmentation and loss are all ours, and so known to take every case by itself."""
    if not type(task).__module__.startswith(OUR_TASKS):
        return False
    held: list[object] = [getattr(task, one.name) for one in fields(task)] if is_dataclass(task) else []
    entries = {one.name for one in held if isinstance(one, Entry)}
    around: Task | None = getattr(task, "around", None)
    if around is not None:
        return is_ours(around) and entries <= {*TASKS.names(), *RECIPES.names(), *PERTURBATIONS.names()}
    return entries <= _ours()


@cache
def _ours() -> frozenset[str]:
    """Asked for at every sum of clipped gradients, and listed from folders."""
    return frozenset({*NETWORKS.names(), *AUGMENTATIONS.names()})


def by_copies(loss: CaseLoss, batch: Batch, clip_norm: float) -> Vector:
    """See ClippedSum. Raises StudyError for a network that cannot be copied."""
    total = np.zeros(sum(parameter.numel() for parameter in loss.parameters_in_order()), np.float32)
    for index in range(len(batch)):
        untouched = CaseLoss(loss.task, _copy(loss.network), loss.precision)
        total += by_loop(untouched, case_of(batch, index), clip_norm)
    return total


def _copy(network: nn.Module) -> nn.Module:
    shared = {id(parameter): parameter for parameter in network.parameters() if parameter.requires_grad}
    try:
        return deepcopy(network, shared)
    except Exception as error:
        raise StudyError(
            f"{type(network).__name__} cannot be copied: {type(error).__name__}. Where privacy is promised every "
            "case has a network of its own, so that a network keeps nothing of one for another."
        ) from error
