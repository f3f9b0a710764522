"""Cases that somebody names as files: prepared as those that were learned from, shown where the files may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from client.new_cases import NewCase, NewFile
from client.source_abilities import new_scans, preparing_new
from common.attribution.gradients import asked
from common.data.cases import Quarantined
from common.errors import StudyError, WardroundError
from common.learning.abilities import abilities, can, patched, shown_shape
from common.segmentation.patches import cut_patches
from experiments.explanations.answering.role import Answering
from experiments.explanations.pool import MOST_CASES, MOST_VALUES, Pool, middle_of
from experiments.prediction.answers import demand_fit
from experiments.prediction.conduct import cases_of
from experiments.prediction.inputs import new_files, passed_over
from experiments.prediction.trained import Trained

MANY = "is one of more cases than are looked at: name fewer"


@dataclass(frozen=True, eq=False)
class OwnCases:
    """pool: of all that can be used. left_out: files, or parts of them, that cannot, and why."""

    pool: Pool
    left_out: tuple[Quarantined, ...]


def own_cases(trained: Trained, answering: Answering, inputs: Sequence[Path]) -> OwnCases:
    """Raises StudyError where none can be used, or one is not there or of another kind than was learned from."""
    source = preparing_new(trained.source, trained.entries["source"].name)
    files = new_files(inputs, source.new_kinds, new_scans(trained.source))
    found: list[Tensor] = []
    names: list[str] = []
    left_out = list(passed_over(inputs, source.new_kinds))
    for new in files:
        for case in cases_of(source, new, trained):
            if isinstance(case, Quarantined):
                left_out.append(case)
                continue
            left_out += case.left_out
            shown = _shown(case, new, trained, answering, left_out)
            room = max(0, _room(shown) - len(names))
            found.append(shown[:room])
            names += _names(case)[: min(room, len(shown))]
            left_out += [Quarantined(case.name, MANY)] if room < len(shown) else []
    if not names:
        reasons = "; ".join(f"{one.name}: {one.reason}" for one in left_out[:3])
        raise StudyError(f"none of the cases can be used. {reasons}")
    count, truths = len(names), torch.zeros(len(names), 0)
    return OwnCases(
        Pool(torch.cat(found), truths, tuple(names), tuple(names), count, answering, True), tuple(left_out)
    )


def _shown(
    case: NewCase, new: NewFile, trained: Trained, answering: Answering, left_out: list[Quarantined]
) -> Tensor:
    """(n, C, *S) or (n, F) as the network is shown them; none, and a reason, where they do not fit it."""
    shape = shown_shape(trained.task, trained.learned.shape).inputs
    inputs = torch.from_numpy(np.ascontiguousarray(case.inputs))
    try:
        if case.pair is not None:
            raise StudyError("is a pair of images, of which no single answer is explained")
        demand_fit(case, trained)
        if can(trained.task, "unusable") and (found := abilities(trained.task).unusable(inputs)) is not None:
            raise StudyError(f"cannot be used: {found[1]}")
        if not patched(trained.task):
            return inputs
        return torch.cat(list(_patches(inputs, shape, trained, answering)))
    except WardroundError as error:
        left_out.append(Quarantined(new.name, str(error)))
        return torch.zeros(0, *shape)


def _patches(inputs: Tensor, shape: tuple[int, ...], trained: Trained, answering: Answering) -> Iterator[Tensor]:
    """Of every image the patch about the middle of what the model outlines in all of it."""
    patch = shape[1:]
    for one in inputs:
        with asked(answering.network), torch.no_grad():
            answer = abilities(trained.task).logits(answering.network, one[None]).argmax(1)[0].cpu()
        start = tuple(middle - side // 2 for middle, side in zip(middle_of(answer, one), patch, strict=True))
        yield cut_patches([one], [answer], (start,), patch)[0]


def _room(shown: Tensor) -> int:
    """How many cases of this size are looked at."""
    return min(MOST_CASES, MOST_VALUES // max(1, shown[:1].numel()))


def _names(case: NewCase) -> list[str]:
    return [f"{case.name}, {part}" for part in case.parts] or [case.name] * len(case.inputs)
