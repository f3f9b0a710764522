"""Scores of the groups of persons that a study names, of this hospital's cases; none of few persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from client.evaluation import evaluate
from common.data.cases import Cases
from common.errors import SourceError
from common.learning.score_names import told_of_cells
from common.learning.task import Task
from common.metrics.subgroups import of_cell, opened
from common.study.report_settings import Grouping, Report
from common.sums.mean import Mean

Masks = NDArray[np.bool_]


def subgroup_statistics(task: Task, network: nn.Module, cases: Cases, report: Report) -> dict[str, Mean]:
    """Of every cell that may be told. Raises SourceError where cases have not the columns."""
    if not report.subgroups or not len(cases):
        return {}
    persons, of_case = np.unique(cases.patients, return_inverse=True)
    columns = [cells_of_persons(grouping, cases, persons, of_case) for grouping in report.groupings]
    scores = told_of_cells(task, cases.shape, [len(one.cells) for one in report.groupings])
    found: dict[str, Mean] = {}
    for column, (masks, told) in enumerate(zip(columns, opened(columns, report.least_cell), strict=True)):
        for cell in np.flatnonzero(told):
            own = cases.take(np.flatnonzero(masks[cell][of_case]))
            statistics = evaluate(task, network, own, scores)
            found |= of_cell(column, int(cell), statistics, int(masks[cell].sum()), scores)
    return found


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
