"""Which augmentations are shown, the views that they make, and how far pixels alone tell cases apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from common.seeding import generator
from common.selfsupervision.drawn_views import drawn_views, seen
from common.selfsupervision.pipeline import Pipeline, Step
from common.study.catalogue import AUGMENTATIONS
from common.study.options import Entry
from common.study.study import Study

KIND = AUGMENTATIONS.kind
WITHOUT_CHANGE = "none"
JUST_BELOW_ONE = 1 - 1e-6


@dataclass(frozen=True)
class Named:
    """title: the option of the task that names it, or its own name. side: of its views, as a share of an image's,
    where the task says so, as of local crops.
    """

    title: str
    entry: Entry
    side: float = 1.0


def augmentations_of(study: Study, names: Sequence[str] = ()) -> tuple[Named, ...]:
    """Those of `names`, else those that the study's task names; of a task that names none, all of ours."""
    if names:
        return tuple(Named(name, _checked(Entry(name))) for name in names)
    task: Any = study.build_task()
    options = fields(task) if is_dataclass(task) else ()
    found = tuple(_of_option(task, one.name) for one in options if one.name.rpartition("_")[2] == KIND)
    found = tuple(one for one in found if isinstance(one.entry, Entry))
    ours = tuple(Named(name, Entry(name)) for name in AUGMENTATIONS.names() if name != WITHOUT_CHANGE)
    return found or ours


def _of_option(task: Any, option: str) -> Named:
    """Beside `local_augmentation` a task may have `local_side`."""
    side = getattr(task, f"{option.removesuffix(KIND)}side", 1.0)
    return Named(f"task.{option}", getattr(task, option), side if isinstance(side, float) else 1.0)


def options_of(entry: Entry) -> dict[str, object]:
    """Every option and its value, defaults too."""
    built = AUGMENTATIONS.build(entry)
    return {one.name: getattr(built, one.name) for one in fields(built)}


def views_of(
    entry: Entry, images: Tensor, count: int, seed: int, size: tuple[int, ...] | None = None
) -> list[Tensor]:
    """`count` views of all images, (N, C, *size) each. Raises StudyError where they are no images for it."""
    names = [str(number) for number in range(count)]
    drawn = drawn_views(entry, images, names, generator(seed, "views"))
    with torch.no_grad():
        return [seen(entry, images, drawn[name], size) for name in names]


def steps_alone(entry: Entry, image: Tensor, count: int, seed: int) -> Iterator[tuple[str, str, list[Tensor]]]:
    """Of each step that is on: its name, its options, and views of one image that it alone makes, from its least to
    its most. Nothing of what is not made of our steps.
    """
    pipeline = cast(Any, AUGMENTATIONS.build(entry))
    for step in pipeline.steps() if isinstance(pipeline, Pipeline) else ():
        if step.numbers(image.ndim - 1):
            options = ", ".join(f"{name} {_plain(value)}" for name, value in vars(step).items())
            yield _words(type(step).__name__), options, _of_step(step, image, count, seed)


def told_apart(entry: Entry, images: Tensor, seed: int) -> int:
    """Of how many cases the second view is in its pixels more like their own first view than like that of any other
    case: correlation of all values.
    """
    first, second = (_standardised(one) for one in views_of(entry, images, 2, seed))
    return int((torch.argmax(second @ first.T, dim=1) == torch.arange(len(images))).sum())


def _checked(entry: Entry) -> Entry:
    AUGMENTATIONS.build(entry)
    return entry


def _of_step(step: Step, image: Tensor, count: int, seed: int) -> list[Tensor]:
    """What it draws first, its strength or how much is seen, goes from the least to the most; the rest is drawn."""
    rng = generator(seed, "views of a step")
    evenly = np.linspace(0, JUST_BELOW_ONE, count)
    chances = np.column_stack([evenly, *(rng.permutation(evenly) for _ in range(step.chances(image.ndim - 1) - 1))])
    drawn = torch.from_numpy(step.drawn(chances, tuple(image.shape)).astype(np.float32))
    with torch.no_grad():
        return list(step.apply(image.expand(count, *image.shape), drawn))


def _standardised(images: Tensor) -> Tensor:
    rows = images.double().flatten(1)
    return normalize(rows - rows.mean(1, keepdim=True), dim=1)


def _words(name: str) -> str:
    """`BiasField` as words: Bias field."""
    return " ".join(re.findall(r"[A-Z][a-z]*", name)).capitalize()


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(list(value) if isinstance(value, tuple) else value)
