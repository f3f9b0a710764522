"""How a trained classifier's score moves where a cause is set: bias between groups, told apart from mere difference.

Two hospitals' patients may differ in score since they differ in much. What a scanner or sex itself does to the score
of the same patients is the effect of do(scanner) or do(sex) on it (Pawlowski et al. 2020; Castro et al. 2020,
Causality matters in medical imaging).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from common.causality.deep.model import Path
from common.errors import StudyError
from common.learning.abilities import abilities, can
from common.seeding import generator
from experiments.counterfactuals.found import AT_ONCE, PATHS, Found, Images
from experiments.prediction.trained import Trained

SAMPLES, TAIL = 2000, 2.5
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Shift:
    """Of all patients under one action: the mean change of the score, its 95 % interval, and who changes class.

    mean: of the score under the action. by_path: the mean change along each kind of path.
    """

    words: str
    mean: float
    change: float
    low: float
    high: float
    flipped: float
    by_path: Mapping[Path, float]


@dataclass(frozen=True)
class ClassifierBias:
    """The classifier and what became of its score. observed: mean score and number of patients by group as they are,
    of causes that are classes; scores: (N,) chance of class `of` for images as they are.
    """

    title: str
    of: str
    scores: Scores
    observed: Mapping[str, Mapping[int, tuple[float, int]]]
    shifts: tuple[Shift, ...]


def measure_bias(found: Found, classifier: Trained, of: str = "") -> ClassifierBias:
    """of: the class whose chance is the score; the last one where not given. Raises StudyError for another task."""
    if not (can(classifier.task, "logits") and classifier.classes) or len(classifier.learned.shape.inputs) != 3:
        raise StudyError(f"--classifier {classifier.folder}: it is no run of task 'classification'.")
    shape = found.cases.shape.inputs
    if classifier.learned.shape.inputs != shape:
        raise StudyError(
            f"--classifier {classifier.folder} learned images of shape {classifier.learned.shape.inputs}; the causal "
            f"model makes {shape}."
        )
    name = of or classifier.classes[-1]
    if name not in classifier.classes:
        raise StudyError(f"the classifier knows no class {name!r}; it knows {', '.join(classifier.classes)}.")
    index = classifier.classes.index(name)
    before = _scores(classifier, found.cases.inputs, index)
    shifts = []
    for outcome in found.outcomes:
        after = {path: _scores(classifier, outcome.images[path], index) for path in PATHS}
        shifts.append(_shift(outcome.words, before, after))
    return ClassifierBias(classifier.title, name, before, _observed(found, before), tuple(shifts))


def _shift(words: str, before: Scores, after: Mapping[Path, Scores]) -> Shift:
    change = after["total"] - before
    draws = generator(0, "bias", words).integers(len(change), size=(SAMPLES, len(change)))
    low, high = np.percentile(change[draws].mean(1), (TAIL, 100 - TAIL))
    return Shift(
        words,
        float(after["total"].mean()),
        float(change.mean()),
        float(low),
        float(high),
        float(((after["total"] >= 0.5) != (before >= 0.5)).mean()),
        {path: float((scores - before).mean()) for path, scores in after.items()},
    )


def _observed(found: Found, scores: Scores) -> dict[str, dict[int, tuple[float, int]]]:
    groups = {}
    for column, cause in enumerate(found.causes):
        if cause.classes:
            values = found.cases.targets[:, column].round().astype(np.int64)
            groups[cause.name] = {
                int(value): (float(scores[values == value].mean()), int((values == value).sum()))
                for value in np.unique(values)
            }
    return groups


def _scores(classifier: Trained, images: Images, index: int) -> Scores:
    """(N,) chance of the class. Each image passes the classifier as it would pass it in use."""
    ask, parts = abilities(classifier.task).logits, []
    with torch.no_grad():
        for start in range(0, len(images), AT_ONCE):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + AT_ONCE], np.float32))
            parts.append(ask(classifier.network, batch).double().softmax(1)[:, index])
    return np.asarray(torch.cat(parts).numpy(), np.float64)
