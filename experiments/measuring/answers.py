"""Answers about whole cases, in two CSV files: what was predicted of each, with which chances, and what is so."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.files.access import read_all_text
from common.metrics import chances, classification, confusion, ranked
from common.metrics.calibration import CalibrationBin

CHANCE = "chance_"
MOST_CLASSES = 100
MOST_OFF = 1e-3

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """classes: in order, as numbers where all are. truth, predicted: (N,) places of classes. chances: (N, classes) of
    those classes that have a column, NaN of the others.
    """

    cases: tuple[str, ...]
    classes: tuple[str, ...]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    chances: Matrix

    @cached_property
    def table(self) -> NDArray[np.int64]:
        """Confusion matrix, a row a truth."""
        return classification.confusion_matrix(self.truth, self.predicted, len(self.classes))

    @property
    def ordered(self) -> bool:
        """Whether classes are numbers, so that some are farther apart than others."""
        return len(self.classes) > 2 and all(_number(one) is not None for one in self.classes)

    def has_chances(self, place: int) -> bool:
        """Whether the chances of a class are known."""
        return bool(np.isfinite(self.chances[:, place]).all())

    def drawn(self, places: NDArray[np.int64]) -> Answers:
        """Those cases, in that order, some of them more than once."""
        return replace(self, truth=self.truth[places], predicted=self.predicted[places], chances=self.chances[places])


OVERALL: Mapping[str, Callable[[Answers], float]] = {
    "accuracy": lambda one: classification.accuracy(one.table),
    "balanced_accuracy": lambda one: confusion.balanced_accuracy(one.table),
    "mcc": lambda one: confusion.matthews_correlation(one.table),
    "kappa": lambda one: confusion.cohen_kappa_of_counts(one.table),
    "kappa_linear": lambda one: confusion.cohen_kappa_of_counts(one.table, "linear"),
    "kappa_quadratic": lambda one: confusion.cohen_kappa_of_counts(one.table, "quadratic"),
    "brier": lambda one: chances.brier_of_classes(one.chances, one.truth),
}
OF_A_CLASS: Mapping[str, Callable[[Answers, int], float]] = {
    "sensitivity": lambda one, place: _share(one.table[place, place], one.table[place].sum()),
    "specificity": lambda one, place: _specificity(one.table, place),
    "precision": lambda one, place: _share(one.table[place, place], one.table[:, place].sum()),
    "f1": lambda one, place: _share(2 * one.table[place, place], one.table[place].sum() + one.table[:, place].sum()),
    "auroc": lambda one, place: ranked.auroc(one.chances[:, place], one.truth == place),
    "average_precision": lambda one, place: ranked.average_precision(one.chances[:, place], one.truth == place),
    "brier": lambda one, place: chances.brier_score(one.chances[:, place], one.truth == place),
    "ece": lambda one, place: chances.expected_calibration_error(one.chances[:, place], one.truth == place),
}
OF_CHANCES = ("auroc", "average_precision", "brier", "ece")
NAMES = tuple(dict.fromkeys((*OVERALL, *OF_A_CLASS)))


def figures(answers: Answers, names: Sequence[str] = NAMES) -> Iterator[tuple[str, str, Callable[[Answers], float]]]:
    """Name, class or "" for all, and how it is found, of each figure that these answers have."""
    whole = all(answers.has_chances(place) for place in range(len(answers.classes)))
    for name in names:
        if name in OVERALL and (name != "brier" or whole) and (answers.ordered or not name.startswith("kappa_")):
            yield name, "", OVERALL[name]
    for place, word in enumerate(answers.classes):
        for name in names:
            if name in OF_A_CLASS and (name not in OF_CHANCES or answers.has_chances(place)):
                yield name, word, _bound(OF_A_CLASS[name], place)


def _bound(figure: Callable[[Answers, int], float], place: int) -> Callable[[Answers], float]:
    return lambda answers: figure(answers, place)


def curves(answers: Answers) -> dict[str, tuple[CalibrationBin, ...]]:
    """The reliability curve of every class whose chances are known."""
    return {
        word: chances.reliability_curve(answers.chances[:, place], answers.truth == place)
        for place, word in enumerate(answers.classes)
        if answers.has_chances(place)
    }


def read_answers(prediction: Path, truth: Path) -> Answers:
    """Two CSV files with the column case; the truth has label; the prediction label, or chance_CLASS for each class.

    Without a label the prediction is the class of the largest chance. Raises ImageError where a column is not there,
    where cases are in one file only or twice, and for what is no chance; FileError as what reads them.
    """
    given, true = _rows(prediction), _rows(truth)
    alone = sorted(given.keys() ^ true.keys())
    if alone:
        raise ImageError(
            f"these cases are in one file only: {', '.join(map(repr, alone[:5]))} ({len(alone)} in all)."
        )
    if not true:
        raise ImageError(f"{truth.name} holds no case.")
    columns = [name.removeprefix(CHANCE) for name in next(iter(given.values())) if name.startswith(CHANCE)]
    if not columns and "label" not in next(iter(given.values())):
        raise ImageError(f"{prediction.name} needs the column label, or {CHANCE}CLASS for each class.")
    cases = tuple(true)
    words = {_cell(true[case], "label", truth, case) for case in cases} | {*columns}
    if "label" in next(iter(given.values())):
        words |= {_cell(given[case], "label", prediction, case) for case in cases}
    classes = tuple(sorted(words, key=lambda word: (_number(word) is None, _number(word) or 0.0, word)))
    if len(classes) > MOST_CLASSES:
        raise ImageError(
            f"there are {len(classes)} classes; label is a class of a few, and no number that was measured."
        )
    places = {word: place for place, word in enumerate(classes)}
    known = _chances(given, cases, classes, columns, prediction)
    return Answers(
        cases,
        classes,
        np.array([places[true[case]["label"]] for case in cases], np.int64),
        _predicted(given, cases, places, known, columns, prediction),
        known,
    )


def _predicted(
    given: Mapping[str, Mapping[str, str]],
    cases: Sequence[str],
    places: Mapping[str, int],
    known: Matrix,
    columns: Sequence[str],
    path: Path,
) -> NDArray[np.int64]:
    if "label" in given[cases[0]]:
        return np.array([places[given[case]["label"]] for case in cases], np.int64)
    if {*columns} != {*places}:
        absent = sorted({*places} - {*columns})
        raise ImageError(
            f"{path.name} has no column label, and no {CHANCE}{absent[0]} to tell the likeliest class by."
        )
    return np.asarray(known.argmax(axis=1), np.int64)


def _chances(
    given: Mapping[str, Mapping[str, str]],
    cases: Sequence[str],
    classes: Sequence[str],
    columns: Sequence[str],
    path: Path,
) -> Matrix:
    known = np.full((len(cases), len(classes)), math.nan)
    for word in columns:
        for row, case in enumerate(cases):
            value = _number(_cell(given[case], CHANCE + word, path, case))
            if value is None or not 0 <= value <= 1:
                raise ImageError(
                    f"{path.name} must hold chances, within 0 and 1, in {CHANCE}{word}; case {case!r} has none."
                )
            known[row, classes.index(word)] = value
    if {*columns} == {*classes}:
        totals = known.sum(axis=1)
        if np.abs(totals - 1).max() > MOST_OFF:
            case = cases[int(np.abs(totals - 1).argmax())]
            raise ImageError(f"the chances of a case in {path.name} must add up to 1; those of {case!r} do not.")
        known /= totals[:, None]
    elif len(columns) == 1 and len(classes) == 2:
        place = classes.index(columns[0])
        known[:, 1 - place] = 1 - known[:, place]
    return known


def _rows(path: Path) -> dict[str, dict[str, str]]:
    reader = csv.DictReader(io.StringIO(read_all_text(path), newline=""))
    if "case" not in (reader.fieldnames or ()):
        raise ImageError(f"{path.name} must have the column case; it has {reader.fieldnames}.")
    found: dict[str, dict[str, str]] = {}
    for line in reader:
        case = line["case"] or ""
        if case in found:
            raise ImageError(f"{path.name} names the case {case!r} twice.")
        found[case] = {
            key: value or "" for key, value in line.items() if isinstance(key, str) and not isinstance(value, list)
        }
    return found


def _cell(line: Mapping[str, str], column: str, path: Path, case: str) -> str:
    if not line.get(column):
        raise ImageError(f"{path.name} says nothing of case {case!r} in the column {column}.")
    return line[column]


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _specificity(table: NDArray[np.int64], place: int) -> float:
    without = table.sum() - table[place].sum()
    return _share(without - (table[:, place].sum() - table[place, place]), without)
