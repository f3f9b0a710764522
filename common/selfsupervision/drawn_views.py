"""What makes the views of a batch's cases, drawn by a generator or, of cases as they are held, by each case alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.data.cases import Batch
from common.errors import StudyError
from common.seeding import case_generators
from common.selfsupervision.augmentation import Augmentation
from common.selfsupervision.held import generators_of
from common.selfsupervision.pipeline import Pipeline
from common.study.catalogue import AUGMENTATIONS
from common.study.options import Entry
from common.study.plugins import Trust, current_trust

Views = Mapping[str, Entry]
"""What makes each view, by its name: crops of several sizes are of several entries."""
MOST_BUILT = 64
_BUILT: dict[str, tuple[Trust, Augmentation]] = {}


def drawn_views(
    augmentation: Entry | Views, inputs: Tensor, names: Iterable[str], rng: np.random.Generator
) -> dict[str, Tensor]:
    """(N, P) of each view by name. A case shown alone is seen as it is among others.

    augmentation: of all views, or of each by its name, as DINO's global and local crops need it.
    """
    return _drawn(augmentation, inputs, tuple(names), case_generators(rng, len(inputs)))


def held_views(augmentation: Entry | Views, batch: Batch, names: Iterable[str]) -> Mapping[str, Tensor]:
    """Views that the batch brings; where it brings none, those that follow from each case alone."""
    wanted = tuple(names)
    if all(name in batch.columns for name in wanted):
        return {name: batch.tensor(name) for name in wanted}
    return _drawn(augmentation, batch.inputs, wanted, generators_of(batch.inputs, "views"))


def seen(augmentation: Entry, inputs: Tensor, drawn: Tensor, size: tuple[int, ...] | None = None) -> Tensor:
    """The inputs as one view shows them, in their own precision and on their own device.

    size: of the view, (*S), such as a local crop's; the inputs' own where it is not given. Raises StudyError where a
    person's own augmentation gives anything else.
    """
    wanted = size or tuple(inputs.shape[2:])
    views = _built(augmentation).apply(inputs, drawn.to(inputs.device), wanted)
    if views.shape != (*inputs.shape[:2], *wanted) or views.dtype != inputs.dtype:
        raise StudyError(
            f"augmentation {augmentation.name!r} must give views of shape {(*inputs.shape[:2], *wanted)} in "
            f"{inputs.dtype}; it gave {tuple(views.shape)} in {views.dtype}."
        )
    return views


def _drawn(
    augmentation: Entry | Views, inputs: Tensor, names: Sequence[str], generators: list[np.random.Generator]
) -> dict[str, Tensor]:
    shape, rows = tuple(inputs.shape[1:]), dict[str, NDArray[np.float32]]()
    for name in names:
        rows[name] = _of_one_view(
            augmentation if isinstance(augmentation, Entry) else augmentation[name], generators, shape
        )
    return {name: torch.from_numpy(row).to(inputs.device) for name, row in rows.items()}


def _of_one_view(
    entry: Entry, generators: Sequence[np.random.Generator], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    pipeline = _built(entry)
    if isinstance(pipeline, Pipeline) and type(pipeline).draw is Pipeline.draw:
        return pipeline.draw_each(generators, shape)
    tried = generators or [np.random.default_rng(0)]
    rows = [np.asarray(pipeline.draw(rng, shape), np.float32) for rng in tried]
    if any(row.ndim != 1 or row.shape != rows[0].shape for row in rows):
        raise StudyError(
            f"augmentation {entry.name!r} must draw one row of numbers, as long for each case; it drew "
            f"{', '.join(sorted({str(row.shape) for row in rows}))} numbers."
        )
    return np.stack(rows)[: len(generators)]


def _built(entry: Entry) -> Augmentation:
    """Once for as long as the same code may be run: a step asks several times."""
    key, trust = repr(entry), current_trust()
    found = _BUILT.get(key)
    if found is None or found[0] is not trust:
        if len(_BUILT) >= MOST_BUILT:
            _BUILT.clear()
        found = _BUILT[key] = trust, cast(Augmentation, AUGMENTATIONS.build(entry))
    return found[1]
