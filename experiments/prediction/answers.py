"""What a trained network says of a case: classes and probabilities, numbers, or an outline in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.new_cases import NewCase, Numbers, Place
from client.source_abilities import label_of
from common.errors import SourceError
from common.learning.abilities import abilities, answer_names, can, outlines, patched, unlabelled
from experiments.prediction.trained import Trained

MOST_VALUES_AT_ONCE = 1 << 20
"""Of inputs that pass a network together: more is slower on a CPU, and takes more memory."""


@dataclass(frozen=True)
class Row:
    """One line of a table of answers. part: of the case, "" where it is one thing. answers: by column."""

    case: str
    part: str
    answers: dict[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Outline:
    """classes: (*S) class indices on the file's lattice, or (n, *S) of arrays. unseen: voxels the network was not
    shown. probabilities: makes (*S, classes) float32 when it is called; None where the task gives none.
    """

    classes: NDArray[np.uint8] | NDArray[np.uint16]
    unseen: int
    probabilities: Callable[[], Numbers] | None


def demand_fit(case: NewCase, trained: Trained) -> None:
    """Raise SourceError unless the network can be shown the case: its axes, channels and size are known to it."""
    given, known = case.inputs.shape[1:], trained.learned.shape.inputs
    fits = given == known if not patched(trained.task) else (len(given) == len(known) and given[:1] == known[:1])
    if not fits:
        raise SourceError(f"makes inputs of shape {given}, and the network learned on {known}")


def is_outlining(trained: Trained) -> bool:
    """Whether the task says a class of every voxel."""
    return outlines(trained.task)


def rows_of(case: NewCase, trained: Trained) -> Iterator[Row]:
    """A line for every part of a case: class and probabilities, or numbers in the unit that was learned."""
    gives_logits = can(trained.task, "logits") and bool(trained.classes)
    for start, answer in _answers(case, trained, gives_logits):
        values = answer.double().softmax(1).numpy() if gives_logits else answer.numpy()
        for offset, value in enumerate(values):
            part = case.parts[start + offset] if case.parts else ""
            yield Row(case.name, part, _columns(np.atleast_1d(value), trained, gives_logits))


def _columns(value: NDArray[np.number], trained: Trained, gives_logits: bool) -> dict[str, str | float]:
    if gives_logits:
        chances = {f"probability of {name}": float(one) for name, one in zip(trained.classes, value, strict=True)}
        return {"class": trained.classes[int(value.argmax())], **chances}
    if trained.classes and value.dtype.kind == "i":
        return {"class": trained.classes[int(value[0])]}
    names: Sequence[str] = answer_names(trained.task)
    if len(names) != len(value):
        word = "feature" if unlabelled(trained.task) else "value"
        names = [value_name(trained)] if len(value) == 1 else [f"{word} {at}" for at in range(1, len(value) + 1)]
    found: dict[str, str | float] = dict(zip(names, map(float, value), strict=True))
    if can(trained.task, "summed_up"):
        found = {**abilities(trained.task).summed_up(tuple(map(float, value))), **found}
    return found


def value_name(trained: Trained) -> str:
    """What a number that was learned is called: as the study's column, where it names one."""
    return label_of(trained.source) or "value"


def outline_of(case: NewCase, trained: Trained) -> Outline:
    """Classes on the lattice of the case's file, class 0 where the network was not shown the file.

    Where spacing or size were changed, probabilities are interpolated on the way back and the largest decides.
    """
    gives_logits = can(trained.task, "logits")
    answers = [answer for _, answer in _answers(case, trained, gives_logits)]
    whole = torch.cat(answers)
    if not gives_logits:
        whole = torch.stack([(whole == index).float() for index in range(len(trained.classes))], 1)
    if case.place is None:
        probabilities = partial(_softmax_last, whole) if gives_logits else None
        return Outline(_small(whole.argmax(1).numpy(), trained), 0, probabilities)
    return _placed(case.place, whole, trained, gives_logits)


def displacement_of(case: NewCase, trained: Trained) -> Numbers:
    """(D, *S) float32 voxels: where each voxel of a pair's fixed image lies in the moving one, not rounded."""
    with torch.no_grad():
        answer = trained.network(torch.from_numpy(np.ascontiguousarray(case.inputs[:1])))[0].float()
    if not torch.isfinite(answer).all():
        raise SourceError("is answered by the network with numbers that are not finite")
    return np.asarray(answer.numpy(), np.float32)


def _placed(place: Place, answers: Tensor, trained: Trained, gives_logits: bool) -> Outline:
    """Class by class, so that in memory are the network's answers and two maps of the file's size."""
    exact = place.is_exact or not gives_logits
    values = answers.float() if exact else answers.float().softmax(1)
    seen = place.seen()
    best = place.back(np.ascontiguousarray(values[:, 0].numpy()))
    classes = np.zeros(best.shape, np.int64)
    for index in range(1, values.shape[1]):
        one = place.back(np.ascontiguousarray(values[:, index].numpy()))
        larger = one > best
        classes[larger], best[larger] = index, one[larger]
    classes[~seen] = 0
    probabilities = partial(_probabilities, place, answers, seen) if gives_logits else None
    return Outline(_small(classes, trained), int(np.count_nonzero(~seen)), probabilities)


def _probabilities(place: Place, answers: Tensor, seen: NDArray[np.bool_]) -> Numbers:
    """They add up to 1 everywhere; where the network saw nothing all is class 0."""
    chances = answers.float().softmax(1)
    maps = [place.back(np.ascontiguousarray(chances[:, index].numpy())) for index in range(chances.shape[1])]
    found = np.stack(maps, axis=-1)
    found[~seen] = 0
    found[~seen, 0] = 1
    total = found.sum(axis=-1, keepdims=True)
    return np.asarray(found / np.where(total > 0, total, 1), np.float32)


def _softmax_last(answers: Tensor) -> Numbers:
    return np.ascontiguousarray(np.moveaxis(answers.float().softmax(1).numpy(), 1, -1))


def _small(classes: NDArray[np.integer], trained: Trained) -> NDArray[np.uint8] | NDArray[np.uint16]:
    return classes.astype(np.uint8) if len(trained.classes) <= 256 else classes.astype(np.uint16)


def _answers(case: NewCase, trained: Trained, gives_logits: bool) -> Iterator[tuple[int, Tensor]]:
    """(first, (n, ...)) of as many cases at once as are small together."""
    task = trained.task
    ask = abilities(task).logits if gives_logits else task.predict
    step = max(1, MOST_VALUES_AT_ONCE // max(1, case.inputs[0].size))
    with torch.no_grad():
        for start in range(0, len(case.inputs), step):
            inputs = torch.from_numpy(np.ascontiguousarray(case.inputs[start : start + step]))
            if can(task, "unusable") and (found := abilities(task).unusable(inputs)) is not None:
                raise SourceError(f"cannot be used: {found[1]}")
            answer = ask(trained.network, inputs)
            if answer.is_floating_point() and not torch.isfinite(answer).all():
                raise SourceError("is answered by the network with numbers that are not finite")
            yield start, answer
