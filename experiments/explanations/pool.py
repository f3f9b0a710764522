"""The cases that a model is asked about, of all hospitals alike, and of which a few are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import torch
from torch import Tensor

from client.hospital import Hospital
from common.data.cases import Cases
from common.learning.abilities import shown_shape
from common.learning.task import Task
from common.segmentation.patches import cut_patches
from experiments.explanations.answering.role import Answering, Chosen, Told

MOST_CASES = 600
OWN = (
    "They are somebody's own, and a map of a single case tells which case it was: this page stays where those files "
    "may be."
)
SIMULATED = (
    "They are simulated hospitals' test cases, on this machine. Of a real hospital no single case, and no map of "
    "one, ever leaves."
)
MOST_VALUES = 1 << 24
"""Numbers in the inputs of all that are read."""


@dataclass(frozen=True, eq=False)
class Pool:
    """inputs: (N, C, *S) or (N, F), as the network is shown them. targets: (N, ...), (N, 0) where none are known.

    sites, patients: of each. held: cases that the hospitals have of this part, of which these were read.

    named: whether somebody named them as files of his own: then they are shown in his order, and `sites` are their
    names.
    """

    inputs: Tensor
    targets: Tensor
    sites: tuple[str, ...]
    patients: tuple[str, ...]
    held: int
    answering: Answering
    named: bool = False

    @cached_property
    def told(self) -> tuple[Told, ...]:
        """What the model answers of each."""
        return tuple(self.answering.tell(self.inputs, self.targets))

    def chosen(self, most: int) -> list[Chosen]:
        """Those that are shown: as they were named, or by the answering's rule."""
        if self.named:
            return [Chosen(place, "") for place in range(min(most, len(self.told)))]
        return self.answering.choose(self.told, most)

    @property
    def rule(self) -> str:
        """Which cases are shown, as an end of a sentence."""
        return "those that were named, in their order" if self.named else self.answering.rule

    @property
    def picked(self) -> str:
        """How they came to be shown, and what of them may leave, in sentences."""
        if self.named:
            return f"The cases are {self.rule}. {OWN}"
        return f"The cases were not picked by hand: {self.rule}. {SIMULATED}"

    @cached_property
    def range(self) -> tuple[Tensor, Tensor]:
        """The least and largest value of every channel, or column, among the cases: (1, C, 1, ...) each."""
        axes = (0, *range(2, self.inputs.ndim))
        low, high = self.inputs.amin(axes, keepdim=True), self.inputs.amax(axes, keepdim=True)
        return low, torch.where(high > low, high, low + 1)

    @property
    def is_table(self) -> bool:
        """Whether a case is a row of numbers, and no image."""
        return self.inputs.ndim == 2


def pool_of(hospitals: Sequence[Hospital], part: str, task: Task, answering: Answering) -> Pool | None:
    """Cases of every hospital, as many of each as there is room for, evenly through its own order; None of none."""
    held = [(one.site, one.splits[part]) for one in hospitals if len(one.splits[part])]
    if not held:
        return None
    shape = shown_shape(task, held[0][1].shape)
    room = max(len(held), min(MOST_CASES, MOST_VALUES // max(1, prod(shape.inputs))))
    inputs, targets, sites, patients = [], [], [], []
    for (site, cases), share in zip(held, _shares([len(cases) for _, cases in held], room), strict=True):
        taken = cases.take(np.linspace(0, len(cases) - 1, share).round().astype(np.int64))
        shown, truth = _as_shown(taken, shape.inputs)
        inputs.append(shown)
        targets.append(truth)
        sites += [site] * share
        patients += [str(one) for one in taken.patients]
    count = sum(len(cases) for _, cases in held)
    return Pool(torch.cat(inputs), torch.cat(targets), tuple(sites), tuple(patients), count, answering)


def _shares(counts: Sequence[int], room: int) -> list[int]:
    """Of each hospital as many as of any other, as far as it has them and there is room."""
    taken = [0] * len(counts)
    while sum(taken) < room and (short := [place for place, count in enumerate(counts) if taken[place] < count]):
        each = max(1, (room - sum(taken)) // len(short))
        for place in short:
            taken[place] += min(each, counts[place] - taken[place], room - sum(taken))
    return taken


def _as_shown(cases: Cases, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Whole, or the patch about the middle of what is outlined where the network is shown patches."""
    batch = cases.batch()
    images, truths = batch.each("inputs"), batch.each("targets")
    if all(tuple(one.shape) == shape for one in images):
        return batch.inputs, batch.targets
    patch = shape[1:]
    starts = tuple(
        tuple(middle - side // 2 for middle, side in zip(middle_of(truth, image), patch, strict=True))
        for image, truth in zip(images, truths, strict=True)
    )
    return cut_patches(images, truths, starts, patch)


def middle_of(truth: Tensor, image: Tensor) -> tuple[int, ...]:
    """Of what is outlined, or of the image where nothing is: a voxel."""
    inside = torch.nonzero(truth > 0) if truth.shape == image.shape[1:] else torch.zeros(0, image.ndim - 1)
    if not len(inside):
        return tuple(side // 2 for side in image.shape[1:])
    return tuple(int(one) for one in inside.double().mean(0).round().tolist())
