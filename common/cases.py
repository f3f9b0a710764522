"""Cases: what a hospital holds, in columns, and what a network is shown of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import SourceError

SiteId = str


@dataclass(frozen=True)
class Shape:
    """What a network is built for: the shape of one input, channels first, and the number of classes."""

    inputs: tuple[int, ...]
    classes: int


@dataclass(frozen=True)
class Quarantined:
    """A case that could not be used. The reason stays in the hospital; only the count may leave."""

    name: str
    reason: str


@dataclass(frozen=True)
class Cases:
    """N cases in columns.

    inputs: (N, channels, ...) or (N, features) float32. targets: (N,) or (N, ...) integers, class indices.
    patients: (N,) words, one for each person: all scans and sessions of one never part, and the same word at two
    hospitals is the same person. classes: names of all classes, also of those that this hospital has no case of.
    given_split: (N,) of "train", "validation", "test" where the data set prescribes it, else None. prescribed: which
    of validation and test the data set prescribes, whether or not this hospital has any. spacing_mm: pixel spacing
    of all inputs, empty where it has no meaning or differs. spacings_mm: (N, D), each case's own, else None.
    displacement: (N, D, *S) float32, of pairs of images whose true displacement in voxels is known, else None.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.integer]
    patients: NDArray[np.str_]
    classes: tuple[str, ...]
    given_split: NDArray[np.str_] | None = None
    spacing_mm: tuple[float, ...] = ()
    quarantined: tuple[Quarantined, ...] = field(default=())
    displacement: NDArray[np.float32] | None = None
    prescribed: tuple[str, ...] = ()
    spacings_mm: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.inputs), len(self.targets), len(self.patients)}
        if len(lengths) != 1:
            raise SourceError(f"inputs, targets and patients differ in length: {sorted(lengths)}.")
        if self.inputs.dtype != np.float32:
            raise SourceError(f"inputs must be float32; they are {self.inputs.dtype}.")

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def shape(self) -> Shape:
        """The shape a network for these cases is built for."""
        return Shape(tuple(self.inputs.shape[1:]), len(self.classes))

    def take(self, indices: NDArray[np.integer]) -> Cases:
        """The cases at `indices`, in that order."""
        split = None if self.given_split is None else self.given_split[indices]
        return replace(
            self,
            inputs=self.inputs[indices],
            targets=self.targets[indices],
            patients=self.patients[indices],
            given_split=split,
            displacement=None if self.displacement is None else self.displacement[indices],
            spacings_mm=None if self.spacings_mm is None else self.spacings_mm[indices],
        )

    def batch(self, indices: NDArray[np.integer] | slice = slice(None)) -> Batch:
        """Tensors of the cases at `indices`."""
        return Batch(
            inputs=torch.from_numpy(np.ascontiguousarray(self.inputs[indices])),
            targets=torch.from_numpy(self.targets[indices].astype(np.int64)),
            patients=tuple(map(str, self.patients[indices])),
            spacing_mm=self.spacing_mm,
            displacement=None if self.displacement is None else torch.from_numpy(self.displacement[indices]),
            spacings_mm=() if self.spacings_mm is None else tuple(map(tuple, self.spacings_mm[indices].tolist())),
        )


@dataclass(frozen=True)
class Batch:
    """inputs: (N, ...) float32; targets: (N,) or (N, ...) int64; patients: N words; the others: as in Cases.

    spacings_mm: one a case, empty where they are not known one by one.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    patients: tuple[str, ...]
    spacing_mm: tuple[float, ...] = ()
    displacement: torch.Tensor | None = None
    spacings_mm: tuple[tuple[float, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)


def concatenate(parts: Sequence[Cases]) -> Cases:
    """All cases of several hospitals, in order. They must agree on shape and classes."""
    first = parts[0]
    for part in parts[1:]:
        if part.shape != first.shape or part.classes != first.classes:
            raise SourceError(f"cases do not fit together: {part.shape} and {first.shape}.")
    splits = [part.given_split for part in parts if part.given_split is not None]
    fields = [part.displacement for part in parts if part.displacement is not None]
    spacings = [part.spacings_mm for part in parts if part.spacings_mm is not None]
    return replace(
        first,
        displacement=np.concatenate(fields) if len(fields) == len(parts) else None,
        spacings_mm=np.concatenate(spacings) if len(spacings) == len(parts) else None,
        inputs=np.concatenate([part.inputs for part in parts]),
        targets=np.concatenate([part.targets for part in parts]),
        patients=np.concatenate([part.patients for part in parts]),
        given_split=np.concatenate(splits) if len(splits) == len(parts) else None,
        spacing_mm=first.spacing_mm if len({part.spacing_mm for part in parts}) == 1 else (),
        quarantined=tuple(q for part in parts for q in part.quarantined),
    )
