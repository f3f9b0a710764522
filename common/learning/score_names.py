"""The names of a task's scores, known before any case was seen, so that every hospital's sums have one layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.data.cases import Batch, Shape
from common.errors import StudyError, WardroundError, first_line
from common.learning.abilities import abilities, can, shown_shape
from common.learning.device import one_exact_copy
from common.learning.task import Task
from common.metrics.intervals import names_of_sums, with_intervals
from common.metrics.subgroups import names_of_cells, scores_told
from common.study.study import Study
from common.sums.mean import Mean

PROBE_CASES = 4


def statistic_names(task: Task, shape: Shape) -> tuple[str, ...]:
    """Sorted names of the scores of `task` for cases of `shape`, from scoring made-up cases of every class.

    Distances are named by their unit, and whether spacing is known is each hospital's own: both are there. So are
    scores against a true displacement, which some hospital's pairs may have.
    """
    rng = np.random.default_rng(0)
    count = max(PROBE_CASES, shape.classes)
    inputs = torch.from_numpy(rng.normal(size=(count, *shown_shape(task, shape).inputs)).astype(np.float32))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = task.build_network(shape).eval()
        form = _target_form(task, shape, tuple(task.predict(network, inputs[:1]).shape[1:]))
        if prod(form) > PROBE_CASES * shape.classes:
            count, inputs = 1, inputs[:1]  # every class is in one of them
        targets = torch.from_numpy(_in_blocks(shape.classes, count, form))
        patients = tuple(f"p{index}" for index in range(count))
        spacing_mm = (1.0,) * (len(shape.inputs) - 1)
        known = {"displacement": torch.zeros(count, len(spacing_mm), *shape.inputs[1:])} if _is_of_pairs(task) else {}
        batches = Batch.of(inputs, targets, patients, spacing_mm=spacing_mm), Batch.of(inputs, targets, patients)
        with one_exact_copy(network):
            found = [_scored(task, network, batch.with_columns(**known)) for batch in batches]
        return tuple(sorted(set().union(*found)))


def _scored(task: Task, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
    """Raises StudyError where it cannot score them, as an own network that answers no numbers."""
    try:
        return task.score(network, batch)
    except WardroundError:
        raise
    except Exception as error:
        line = first_line(error)
        raise StudyError(
            f"the task {type(task).__name__!r} cannot score made-up cases of shape {tuple(batch.inputs.shape[1:])} "
            f"with its untrained network: {type(error).__name__}: {line}"
        ) from error


def _is_of_pairs(task: Task) -> bool:
    return can(task, "drawn") and abilities(task).drawn == "pair"


def told_of_cells(task: Task, shape: Shape, cells: Sequence[int]) -> tuple[str, ...]:
    """Which scores are told of groups of persons. cells: how many each column has."""
    return scores_told(task.headline, with_intervals(statistic_names(task, shape)), sum(cells))


def final_names(study: Study, names: Sequence[str]) -> tuple[str, ...]:
    """Of the last model's statistics, those of intervals and of groups included, where the study wants them.

    names: of all statistics of the task.
    """
    cells = [len(one.cells) for one in study.report.groupings]
    scores = scores_told(study.build_task().headline, with_intervals(names), sum(cells)) if cells else ()
    sums = names_of_sums(names) if study.federation.final_intervals else ()
    return (*names, *sums, *names_of_cells(cells, scores))


def _in_blocks(classes: int, count: int, form: tuple[int, ...]) -> NDArray[np.int64]:
    """(count, *form) targets; where there is room for it, every class is one block: outlines stay short."""
    size = prod(form)
    one = np.arange(size) * classes // size if size > classes else None
    return np.resize(np.arange(classes) if one is None else one, (count, *form)).astype(np.int64)


def _target_form(task: Task, shape: Shape, predicted: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of one target: of a prediction, but where the task says otherwise (registration: two label maps)."""
    return tuple(abilities(task).target_form(shape)) if can(task, "target_form") else predicted
