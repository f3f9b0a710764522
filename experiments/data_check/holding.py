"""What one hospital holds: a table of measures, a row a case, with its persons already in their splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.splitting import split
from common.data.cases import Cases, Quarantined, SiteId
from common.study.split_settings import Split
from common.wire.train_requests import SPLITS
from experiments.data_check.measures import Measured

Rows = NDArray[np.int64]
LEVELS = (0, 1, 50, 99, 100)
VOLUME_AXES = 3
"""Channels, and two of the image; a volume has more."""


@dataclass(frozen=True)
class Holding:
    """rows: measures of every case, () of them where nothing can be used. dtypes: of the cases' columns.

    parts: whether the source gave files, series or persons one by one, whose number is then in the measure `part`.
    unlike: cases that cannot stand beside the others. features: what a table calls the columns of its inputs, if it
    tells. fault: why reading stopped, "" where it did not.
    """

    site: SiteId
    rows: Measured = field(default_factory=dict, repr=False)
    classes: tuple[str, ...] = ()
    prescribed: tuple[str, ...] = ()
    dtypes: Mapping[str, str] = field(default_factory=dict)
    quarantined: tuple[Quarantined, ...] = ()
    unlike: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    parts: bool = False
    fault: str = ""

    def __len__(self) -> int:
        return len(self.rows.get("patients", ()))

    def of_hospital(
        self, site: SiteId, chosen: Rows, quarantined: tuple[Quarantined, ...], unlike: tuple[str, ...], fault: str
    ) -> Holding:
        """Some of the cases, as those of a hospital."""
        rows = {name: values[chosen] for name, values in self.rows.items()}
        return replace(self, site=site, rows=rows, quarantined=quarantined, unlike=unlike, fault=fault)

    def split(self, shares: Split, seed: int, place: str | None = None) -> Holding:
        """With a measure `split` of every case: the part that the study puts its person in. place: of all of them."""
        if not len(self):
            return self
        numbers = np.arange(len(self))
        bare = Cases.of(
            np.zeros((len(self), 1), np.float32),
            numbers,
            self.rows["patients"],
            prescribed=self.prescribed,
            given_split=self.rows.get("given_split"),
        )
        places = np.empty(len(self), dtype="<U10")
        for name, part in split(bare, shares, seed, part=place).items():
            places[part.targets] = name
        return replace(self, rows={**self.rows, "split": places})

    @property
    def patients(self) -> NDArray[np.str_]:
        """(N,) the person of every case."""
        return self.rows["patients"] if len(self) else np.empty(0, np.str_)

    @cached_property
    def persons(self) -> tuple[str, ...]:
        """Everybody, by name."""
        return tuple(np.unique(self.patients).tolist())

    @property
    def scans(self) -> int | None:
        """Files, series or sessions that cases are of; None where the source does not tell."""
        return len(np.unique(self.rows["part"])) if self.parts and len(self) else None

    def where(self, place: str) -> Rows:
        """Rows of the cases of a split."""
        return np.flatnonzero(self.rows["split"] == place) if len(self) else np.empty(0, np.int64)

    @cached_property
    def persons_of(self) -> dict[str, int]:
        """Persons in every split."""
        return {place: len(set(self.patients[self.where(place)].tolist())) for place in SPLITS}

    @cached_property
    def cases_of(self) -> dict[str, int]:
        """Cases in every split."""
        return {place: len(self.where(place)) for place in SPLITS}

    @property
    def is_image(self) -> bool:
        """Whether inputs have axes, and are no rows of a table."""
        return "quantiles" in self.rows

    @property
    def has_masks(self) -> bool:
        """Whether the truth is a class a pixel."""
        counts = self.rows.get("class_counts")
        return counts is not None and bool(len(counts)) and bool((counts.sum(axis=1) > 1).any())

    @property
    def counted(self) -> str:
        """What classes are counted of."""
        if not self.has_masks:
            return "cases"
        return "voxels" if self.rows["shape"].shape[1] > VOLUME_AXES else "pixels"

    @property
    def class_totals(self) -> dict[str, int]:
        """Cases, or pixels, of each class."""
        counts = self.rows.get("class_counts")
        if counts is None:
            return {}
        return dict(zip(self.classes, counts.sum(axis=0).tolist(), strict=False))

    @cached_property
    def shapes(self) -> dict[str, int]:
        """How many cases there are of each shape, the commonest first."""
        if not len(self):
            return {}
        shapes, counts = np.unique(self.rows["shape"], axis=0, return_counts=True)
        order = np.lexsort((np.arange(len(counts)), -counts))
        return {" x ".join(map(str, shapes[k].tolist())): int(counts[k]) for k in order}

    def feature_name(self, column: int) -> str:
        """What a table calls a column of the inputs, or its number."""
        return self.features[column] if column < len(self.features) else f"feature {column + 1}"

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """The least value, 1 %, 50 %, 99 % and the largest, of all images; () where there is none.

        Percentiles are those of all cases together, each with equal weight.
        """
        if not self.is_image or not np.isfinite(self.rows["quantiles"]).any():
            return ()
        values = self.rows["quantiles"].astype(np.float64)
        return tuple(float(one) for one in np.nanpercentile(values, LEVELS))

    @cached_property
    def is_constant(self) -> NDArray[np.bool_]:
        """(N,) whether an image has one value throughout."""
        if not self.is_image:
            return np.zeros(len(self), bool)
        quantiles = self.rows["quantiles"]
        return np.asarray(quantiles[:, 0] == quantiles[:, -1])

    def named(self, rows: NDArray[Any]) -> tuple[str, ...]:
        """Cases as a person would find them: whose, and which of how many."""
        found = []
        numbers, counts = self._numbered
        for row in np.asarray(rows, np.int64).tolist():
            person = str(self.patients[row])
            found.append(person if counts[person] == 1 else f"{person} (case {numbers[row]} of {counts[person]})")
        return tuple(found)

    def scan_named(self, row: int) -> str:
        """The file or series that a case is of: its person, and which of how many."""
        person = self.patients[row]
        parts = np.unique(self.rows["part"][self.patients == person]).tolist()
        if len(parts) < 2:
            return str(person)
        return f"{person} (file or series {parts.index(self.rows['part'][row]) + 1} of {len(parts)})"

    @cached_property
    def _numbered(self) -> tuple[list[int], dict[str, int]]:
        counts: dict[str, int] = {}
        numbers = []
        for person in self.patients.tolist():
            counts[person] = counts.get(person, 0) + 1
            numbers.append(counts[person])
        return numbers, counts
