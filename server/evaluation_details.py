"""What stands beside the scores of the last model in `final.json`: intervals, curves and counts, of all patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from common.learning.abilities import abilities, can, presented
from common.learning.task import Task
from common.metrics.calibration import curve_of
from common.metrics.decision import auc_interval, calibration_line, decision_curve, roc_points
from common.metrics.intervals import PATIENTS, intervals_of, presented_intervals, wilson
from common.metrics.roc import ScoreHistogram, with_auc
from common.metrics.subgroups import PERSONS, cells_of
from common.study.report_settings import Grouping
from common.study.study import Study
from common.sums.mean import Mean, Statistics

ROC_NAME = "roc_positives_00"


def details(study: Study, statistics: Statistics, single: bool = False) -> dict[str, Any]:
    """Plain JSON values, each where there is one: "intervals" by score, "patients" scored, "curves", "subgroups".

    single: whether every patient is known to have one case. Counts of cases by bin tell no patients apart: without
    sums over patients, or where a patient has several cases, nothing that is made of them has an interval.
    """
    task = study.build_task()
    patients = _patients(task, statistics)
    single = _cases(statistics) <= patients if patients else single
    found = {
        "intervals": _intervals(task, statistics, single),
        "patients": patients,
        "curves": {
            **_calibration(task, statistics, single),
            **_of_histogram(statistics, single),
            **_confusion(statistics),
        },
        "subgroups": _subgroups(task, study.report.groupings, statistics),
    }
    return {name: value for name, value in found.items() if value}


def _intervals(task: Task, statistics: Statistics, single: bool) -> dict[str, list[float]]:
    own, values = intervals_of(statistics), with_auc(statistics)
    shown = presented_intervals(own, values, lambda scores: presented(task, scores))
    if own and single and ROC_NAME in statistics:
        shown["auc"] = auc_interval(ScoreHistogram.from_statistics(statistics))
    return {name: list(ends) for name, ends in shown.items() if not any(map(isnan, ends))}


def _subgroups(task: Task, groupings: Sequence[Grouping], statistics: Statistics) -> list[dict[str, Any]]:
    """Of every cell its persons, scores and intervals; of one that no hospital could tell, none."""
    cells = cells_of(statistics)
    rows = []
    for column, grouping in enumerate(groupings):
        for place, name in enumerate(grouping.cells):
            found = dict(cells.get((column, place), {}))
            persons = round(found.pop(PERSONS, Mean()).weight)
            row: dict[str, Any] = {"column": grouping.column, "cell": name, "persons": persons}
            if found:
                scores = presented(task, with_auc(found))
                row |= {"scores": scores, "intervals": _intervals(task, found, False)}
            rows.append(row)
    return rows


def _patients(task: Task, statistics: Statistics) -> int:
    """How many patients were scored; 0 where it is not known."""
    return round(max((mean.weight for name, mean in statistics.items() if name.startswith(PATIENTS)), default=0.0))


def _cases(statistics: Statistics) -> int:
    """The most cases that any score is of."""
    return round(
        max(statistics[name.removeprefix(PATIENTS)].weight for name in statistics if name.startswith(PATIENTS))
    )


def _calibration(task: Task, statistics: Statistics, single: bool) -> dict[str, Any]:
    bins = curve_of(statistics)
    if not bins:
        return {}
    if can(task, "in_own_unit"):
        unit = abilities(task).in_own_unit
        rows = [
            {"cases": one.cases, "predicted": unit(one.predicted), "observed": unit(one.observed)} for one in bins
        ]
        return {"calibration_of_numbers": rows}
    return {
        "calibration": [
            {
                "cases": one.cases,
                "predicted": one.predicted,
                "observed": one.observed,
                **({"interval": list(wilson(one.observed, one.cases))} if single else {}),
            }
            for one in bins
        ]
    }


def _of_histogram(statistics: Statistics, single: bool) -> dict[str, Any]:
    if ROC_NAME not in statistics:
        return {}
    histogram = ScoreHistogram.from_statistics(statistics)
    intercept, slope = calibration_line(histogram)
    line = None if isnan(slope) else {"intercept": intercept, "slope": slope}
    decisions = [
        {
            "threshold": one.threshold,
            "model": one.model,
            **({"interval": [one.low, one.high]} if single else {}),
            "treat_all": one.treat_all,
        }
        for one in decision_curve(histogram)
    ]
    found = {"roc": [list(point) for point in roc_points(histogram)], "decision": decisions, "calibration_line": line}
    return {name: value for name, value in found.items() if value}


def _confusion(statistics: Statistics) -> dict[str, Any]:
    """Cases by true class and answer."""
    counts: Mapping[tuple[int, int], int] = {
        (int(name.split("_")[1]), int(name.split("_")[2])): round(mean.total_units / (1 << 40))
        for name, mean in statistics.items()
        if name.startswith("confusion_")
    }
    classes = 1 + max((true for true, _ in counts), default=-1)
    rows = [[counts.get((true, answer), 0) for answer in range(classes)] for true in range(classes)]
    return {"confusion": rows} if rows else {}
