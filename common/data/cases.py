"""Cases: what a hospital holds, in named columns, and what a network is shown of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.data import names
from common.data.columns import Column, Ragged, Stacked, Values, column_of, joined
from common.errors import SourceError

SiteId = names.SiteId
Given = Column | Values | Sequence[Values]
WITHOUT_FLOAT64 = ("mps",)
"""Types of devices that cannot hold numbers of double precision."""
TensorOrWords = Tensor | tuple[Tensor, ...] | tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """What a network is built for: the shape of one input, channels first, and the number of classes.

    An axis of 0 differs from case to case. classes: 0 where targets are no classes.
    """

    inputs: tuple[int, ...]
    classes: int


@dataclass(frozen=True)
class Quarantined:
    """A case that could not be used. The reason stays in the hospital; only the count may leave."""

    name: str
    reason: str


@dataclass(frozen=True)
class Cases:
    """N cases in named columns of any dtype; a column may lie in a mapped file and is then read batch by batch.

    inputs: (N, channels, ...) or (N, features) float32. targets: (N,) or (N, ...), integers where they are class
    indices, else real numbers; (N, 0) where no truth was read (`no_truth`). patients: (N,) words, one for each
    person: all scans and sessions of one never part, and the same word at two hospitals is the same person. Others
    a source may have, and a task may ask for:

        given_split     (N,) of "train", "validation", "test", where the data set prescribes it
        spacing_mm      (N, D) float64, of the axes of an input
        affine          (N, 4, 4) float64, voxel to world in mm, RAS
        displacement    (N, D, *S) float32, of pairs of images whose true displacement in voxels is known
        removed         (N, classes) int64, voxels of each class of the truth that preprocessing cut away
        time, event     (N,) follow-up, and whether it ended in the event
        site            (N,) words

    classes: names of all classes, also of those that this hospital has no case of; () where targets are no classes.
    prescribed: which of validation and test the data set prescribes, whether or not this hospital has any.
    """

    columns: Mapping[str, Column]
    classes: tuple[str, ...] = ()
    prescribed: tuple[str, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            named = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise SourceError(f"columns of cases differ in length: {named}.")
        if self.columns["inputs"].dtype != np.float32:
            raise SourceError(f"inputs must be float32; they are {self.columns['inputs'].dtype}.")
        if self.columns["targets"].dtype == np.float64:
            raise SourceError("targets that are real numbers must be float32; they are float64.")

    @classmethod
    def of(
        cls,
        inputs: Given,
        targets: Given,
        patients: Values | Sequence[str],
        classes: tuple[str, ...] = (),
        *,
        prescribed: tuple[str, ...] = (),
        quarantined: tuple[Quarantined, ...] = (),
        spacing_mm: NDArray[np.float64] | tuple[float, ...] = (),
        **others: Given | None,
    ) -> Cases:
        """Cases of arrays, of one array a case where shapes differ, or of columns.

        Args:
            inputs: (N, ...) float32.
            targets: (N, ...) whole numbers, or float32.
            patients: (N,) whose each case is.
            classes: what whole numbers among targets stand for.
            prescribed: the split of each case, where the source says it.
            quarantined: what could not be used, and why.
            spacing_mm: (N, D), a tuple of D where it is that of all, () where it is not known.
            others: further columns (N, ...) by name; None is no column.

        Returns:
            The cases, checked.

        Raises:
            SourceError: columns that do not fit each other.
        """
        columns: dict[str, Column] = {"inputs": column_of(inputs), "targets": column_of(targets)}
        columns["patients"] = Stacked(np.asarray(patients, dtype=np.str_))
        columns |= {name: column_of(values) for name, values in others.items() if values is not None}
        if isinstance(spacing_mm, tuple):
            spacing_mm = np.tile(np.asarray(spacing_mm, np.float64), (len(columns["inputs"]), 1))
        columns |= {"spacing_mm": Stacked(spacing_mm)} if spacing_mm.shape[1] else {}
        return cls(columns, classes, prescribed, quarantined)

    def __len__(self) -> int:
        return len(self.columns["inputs"])

    @property
    def shape(self) -> Shape:
        """The shape a network for these cases is built for."""
        return Shape(self.columns["inputs"].item, len(self.classes))

    @property
    def unlabelled(self) -> bool:
        """Whether there is no truth: a study of images alone."""
        targets = self.columns["targets"]
        return isinstance(targets, Stacked) and targets.item == (0,)

    @property
    def most_values(self) -> int:
        """Numbers in the largest input."""
        column = self.columns["inputs"]
        return (
            max((value.size for value in column.values), default=0)
            if isinstance(column, Ragged)
            else prod(column.item)
        )

    @cached_property
    def label_counts(self) -> tuple[int, ...]:
        """Cases of each class, or pixels of each where a case has many; () where targets are no classes."""
        counts: Counter[int] = Counter()
        for targets in self.pieces("targets") if self.classes else ():
            counts.update(dict(zip(*(part.tolist() for part in np.unique(targets, return_counts=True)), strict=True)))
        return tuple(counts[label] for label in range(len(self.classes)))

    @property
    def inputs(self) -> NDArray[np.float32]:
        """All inputs in memory. Raises SourceError where cases differ in shape."""
        return cast(NDArray[np.float32], self.array("inputs"))

    @property
    def targets(self) -> Values:
        """All targets in memory. Raises SourceError where cases differ in shape."""
        return self.array("targets")

    @property
    def patients(self) -> NDArray[np.str_]:
        """(N,) the person of every case."""
        return self.array("patients")

    @property
    def given_split(self) -> NDArray[np.str_] | None:
        """(N,) words where the data set prescribes a split."""
        return self.array("given_split") if "given_split" in self.columns else None

    @property
    def displacement(self) -> NDArray[np.float32] | None:
        """(N, D, *S) in voxels where it is known."""
        return self.array("displacement") if "displacement" in self.columns else None

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """The spacing of all inputs; () where it is not known, or differs."""
        return _common_row(self.array("spacing_mm")) if "spacing_mm" in self.columns else ()

    def array(self, name: str) -> Values:
        """A whole column in memory. Raises SourceError where cases differ in its shape."""
        values = self.columns[name].gather()
        if isinstance(values, tuple):
            raise SourceError(f"{name} differ in shape from case to case, where one shape is needed.")
        return values

    def pieces(self, name: str) -> Iterator[Values]:
        """A column without holding all of it: single numbers and words all at once, larger values case by case."""
        column = self.columns[name]
        if not column.item:
            yield self.array(name)
            return
        for index in range(len(column)):
            yield column.gather(slice(index, index + 1))[0]

    def take(self, indices: NDArray[np.integer]) -> Cases:
        """The cases at `indices`, in that order. What is large is not copied."""
        rows = np.asarray(indices)
        return replace(self, columns={name: column.take(rows) for name, column in self.columns.items()})

    def with_columns(self, **changed: Given | None) -> Cases:
        """The same cases with other or more columns; None leaves a column out."""
        columns = {name: column for name, column in self.columns.items() if name not in changed}
        columns |= {name: column_of(values) for name, values in changed.items() if values is not None}
        return replace(self, columns=columns)

    def without_truth(self) -> Cases:
        """The same cases, of which nothing that labels say is left."""
        gone: dict[str, Given | None] = dict.fromkeys(("removed", "unsampled"))
        return replace(self.with_columns(targets=no_truth(len(self)), **gone), classes=())

    def copied(self) -> Cases:
        """The same cases with columns of their own in memory: what they were taken from can be let go."""
        return replace(self, columns={name: _copied(column) for name, column in self.columns.items()})

    def batch(self, indices: NDArray[np.integer] | slice = slice(None)) -> Batch:
        """Tensors of the cases at `indices`."""
        return Batch({name: _tensors(column.gather(indices)) for name, column in self.columns.items()})


@dataclass(frozen=True)
class Batch:
    """The columns of some cases as tensors: integers and truth values as int64, real numbers as they are.

    Targets that are real numbers are float32. A column of words is a tuple of words; one whose cases differ in shape
    is a tuple of tensors, one a case.
    """

    columns: Mapping[str, TensorOrWords] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        inputs: Tensor,
        targets: Tensor,
        patients: Iterable[str],
        *,
        spacing_mm: tuple[float, ...] = (),
        **others: TensorOrWords | None,
    ) -> Batch:
        """A batch of tensors; None in `others`: no column. spacing_mm: of all, () where it is not known."""
        columns = {"inputs": inputs, "targets": targets, "patients": tuple(patients), **others}
        if spacing_mm:
            columns["spacing_mm"] = torch.tensor(spacing_mm, dtype=torch.float64).repeat(len(inputs), 1)
        return cls({name: values for name, values in columns.items() if values is not None})

    def __len__(self) -> int:
        return len(self.columns["inputs"])

    @property
    def inputs(self) -> Tensor:
        """(N, ...) float32. Raises SourceError where cases differ in shape."""
        return self.tensor("inputs")

    @property
    def targets(self) -> Tensor:
        """(N, ...) int64 or float32. Raises SourceError where cases differ in shape."""
        return self.tensor("targets")

    @property
    def patients(self) -> tuple[str, ...]:
        """The person of every case."""
        return cast(tuple[str, ...], self.columns["patients"])

    @property
    def displacement(self) -> Tensor | None:
        """(N, D, *S) in voxels where it is known."""
        return self.tensor("displacement") if "displacement" in self.columns else None

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """The spacing of all inputs; () where it is not known, or differs."""
        return _common_row(self.tensor("spacing_mm").cpu().numpy()) if "spacing_mm" in self.columns else ()

    @property
    def spacings_mm(self) -> tuple[tuple[float, ...], ...]:
        """The spacing of every case; () where it is not known."""
        if "spacing_mm" not in self.columns:
            return ()
        return tuple(map(tuple, self.tensor("spacing_mm").tolist()))

    def to(self, device: torch.device) -> Batch:
        """The same cases on a device; real numbers of double precision stay where a device has none."""
        if device.type == "cpu" and all(one.is_cpu for one in self.columns.values() if isinstance(one, Tensor)):
            return self
        return Batch({name: _moved(values, device) for name, values in self.columns.items()})

    def tensor(self, name: str) -> Tensor:
        """A column whose cases have one shape. Raises SourceError where they have not."""
        values = self.columns[name]
        if isinstance(values, Tensor):
            return values
        if len({one.shape for one in values if isinstance(one, Tensor)}) != 1:
            raise SourceError(
                f"{name} differ in shape from case to case: the task must draw patches (task.patch), or the source "
                "bring them to one size (source.size)."
            )
        return torch.stack(cast(tuple[Tensor, ...], values))

    def each(self, name: str) -> tuple[Tensor, ...]:
        """A column's values case by case, whether or not they have one shape."""
        values = self.columns[name]
        return tuple(values.unbind()) if isinstance(values, Tensor) else cast(tuple[Tensor, ...], values)

    def take(self, indices: Sequence[int] | slice) -> Batch:
        """The cases at `indices`, in that order."""
        chosen = list(range(len(self)))[indices] if isinstance(indices, slice) else list(indices)
        rows = torch.tensor(chosen, dtype=torch.int64)
        columns: dict[str, TensorOrWords] = {}
        for name, values in self.columns.items():
            taken = values[rows] if isinstance(values, Tensor) else tuple(values[row] for row in chosen)
            columns[name] = cast(TensorOrWords, taken)
        return Batch(columns)

    def between(self, start: int, stop: int) -> Batch:
        """The cases from `start` on and before `stop`; their values are this batch's own, and no copies."""
        return Batch({name: values[start:stop] for name, values in self.columns.items()})

    def with_columns(self, **changed: TensorOrWords | None) -> Batch:
        """The same cases with other or more columns; None leaves a column out."""
        columns = {**self.columns, **changed}
        return Batch({name: values for name, values in columns.items() if values is not None})


def _moved(values: TensorOrWords, device: torch.device) -> TensorOrWords:
    if isinstance(values, Tensor):
        return values if device.type in WITHOUT_FLOAT64 and values.dtype == torch.float64 else values.to(device)
    return cast(TensorOrWords, tuple(_moved(one, device) if isinstance(one, Tensor) else one for one in values))


def no_truth(count: int) -> NDArray[np.float32]:
    """(count, 0) targets of cases whose truth is not read."""
    return np.zeros((count, 0), np.float32)


def join(batches: Sequence[Batch]) -> Batch:
    """All cases of several batches, in order, with the columns that all of them have. At least one batch."""
    shared = [name for name in batches[0].columns if all(name in batch.columns for batch in batches)]
    return Batch({name: _joined([batch.columns[name] for batch in batches]) for name in shared})


def concatenate(parts: Sequence[Cases | Quarantined]) -> Cases:
    """All cases in order, with the columns that every part has; what is quarantined is kept beside them.

    Args:
        parts: cases, and what could not be used.

    Returns:
        One table of all.

    Raises:
        SourceError: there is no case, or parts disagree on classes or the number of an input's axes.
    """
    cases = [part for part in parts if isinstance(part, Cases)]
    if not cases:
        raise SourceError("there is no usable case.")
    first = cases[0]
    for part in cases[1:]:
        refuse_unlike(part, first)
    shared = [name for name in first.columns if all(name in part.columns for part in cases)]
    left_out = [part for part in parts if isinstance(part, Quarantined)]
    return replace(
        first,
        columns={name: joined([part.columns[name] for part in cases]) for name in shared},
        quarantined=(*(one for part in cases for one in part.quarantined), *left_out),
    )


def refuse_unlike(part: Cases, first: Cases) -> None:
    """Raise SourceError unless two parts agree on classes, channels and the number of an input's axes."""
    ours, theirs = part.shape.inputs, first.shape.inputs
    if part.classes != first.classes or len(ours) != len(theirs) or ours[:1] != theirs[:1]:
        raise SourceError(f"cases do not fit together: {part.shape} and {first.shape}.")


def _copied(column: Column) -> Column:
    values = column.gather()
    if isinstance(values, tuple):
        return Ragged(tuple(np.array(value) for value in values))
    return Stacked(np.array(values))


def _common_row(rows: NDArray[Any]) -> tuple[float, ...]:
    return tuple(map(float, rows[0])) if len(rows) and (rows == rows[0]).all() else ()


def _tensors(values: Values | tuple[Values, ...]) -> TensorOrWords:
    if isinstance(values, tuple):
        return tuple(_tensor(value) for value in values)
    if values.dtype.kind in "US":
        return tuple(map(str, values))
    return _tensor(values)


def _tensor(values: Values) -> Tensor:
    """A tensor of its own: nothing that is done to it reaches the cases."""
    if values.dtype.kind in "iub":
        return torch.from_numpy(values.astype(np.int64))
    own = values.flags.owndata and values.flags.c_contiguous and values.flags.writeable
    return torch.from_numpy(values if own else np.array(values, order="C"))


def _joined(parts: Sequence[TensorOrWords]) -> TensorOrWords:
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if len(tensors) == len(parts) and len({tensor.shape[1:] for tensor in tensors}) == 1:
        return torch.cat(tensors)
    return cast(TensorOrWords, tuple(value for part in parts for value in part))
