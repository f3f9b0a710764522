"""Scores of the groups of persons that a study names, of this hospital's cases; none of few persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from client.evaluation import evaluate, evaluate_patients
from common.data.cases import Cases
from common.errors import SourceError
from common.learning.abilities import scored_whole
from common.learning.score_names import told_of_cells
from common.learning.task import Task
from common.metrics.subgroups import of_cell, opened
from common.study.report_settings import Grouping, Report
from common.sums.mean import Mean

MOST_PARTS = 14

Masks = NDArray[np.bool_]


def subgroup_statistics(task: Task, network: nn.Module, cases: Cases, report: Report) -> dict[str, Mean]:
    """Of every cell that may be told. Raises SourceError where cases have not the columns."""
    if not report.subgroups or not len(cases):
        return {}
    persons, of_case = np.unique(cases.patients, return_inverse=True)
    columns = [cells_of_persons(grouping, cases, persons, of_case) for grouping in report.groupings]
    told = opened(columns, report.least_cell)
    scores = told_of_cells(task, cases.shape, [len(one.cells) for one in report.groupings])
    scores = _of_many(task, network, cases, of_case, scores, columns, told, report.least_cell)
    found: dict[str, Mean] = {}
    for column, (masks, kept) in enumerate(zip(columns, told, strict=True)):
        for cell in np.flatnonzero(kept) if scores else ():
            own = cases.take(np.flatnonzero(masks[cell][of_case]))
            statistics = evaluate(task, network, own, scores)
            found |= of_cell(column, int(cell), statistics, int(masks[cell].sum()), scores)
    return found


def _of_many(
    task: Task,
    network: nn.Module,
    cases: Cases,
    of_case: NDArray[np.int64],
    scores: Sequence[str],
    columns: Sequence[Masks],
    told: Sequence[NDArray[np.bool_]],
    least: int,
) -> tuple[str, ...]:
    """Without the scores that only some persons have, if by these few of a cell could be told apart.

    Recall of a class is of those who have it. Of a task that compares persons every score is of all of them.
    """
    if scored_whole(task) or not any(kept.any() for kept in told):
        return tuple(scores)
    single = list(evaluate_patients(task, network, cases).values())
    has = np.array([[one.get(name, Mean()).weight_units > 0 for one in single] for name in scores])
    who = np.unique(has, axis=1, return_inverse=True)[1].reshape(-1)
    if _all_may_be_told([_finer(masks[kept], who) for masks, kept in zip(columns, told, strict=True)], least):
        return tuple(scores)
    return tuple(name for name, own in zip(scores, has, strict=True) if own.all())


def _finer(cells: Masks, who: NDArray[np.int64]) -> Masks:
    """Cells, and whoever is in none, each parted by which scores a person has."""
    parts = np.vstack([cells, ~cells.any(axis=0)])
    return np.vstack([parts & (who == group) for group in np.unique(who)])


def _all_may_be_told(columns: Sequence[Masks], least: int) -> bool:
    """False too where they are of more parts than all unions can be looked at."""
    if any(masks.any(axis=1).sum() > MOST_PARTS for masks in columns):
        return False
    return all((kept | ~masks.any(axis=1)).all() for masks, kept in zip(columns, opened(columns, least), strict=True))


def cells_of_persons(
    grouping: Grouping, cases: Cases, persons: NDArray[np.str_], of_case: NDArray[np.int64]
) -> Masks:
    """(cells, persons): who is of which cell; of whom cases say different things, of none."""
    places = _places(grouping, cases)
    masks = np.zeros((len(grouping.cells), len(persons)), np.bool_)
    said: Mapping[int, set[int | None]] = {person: set() for person in range(len(persons))}
    for place, person in zip(places, of_case.tolist(), strict=True):
        said[person].add(place)
    for person, cells in said.items():
        if len(cells) == 1 and (cell := next(iter(cells))) is not None:
            masks[cell, person] = True
    return masks


def _places(grouping: Grouping, cases: Cases) -> Sequence[int | None]:
    if grouping.column not in cases.columns:
        raise SourceError(
            f"report.subgroups: the cases have no column {grouping.column!r}; the source must hand it on (of tables, "
            "the column must be there)."
        )
    return [grouping.place(value) for value in cases.array(grouping.column).tolist()]
