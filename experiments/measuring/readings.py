"""Outlines of one structure by several raters: who read what, and how well any two readings agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.data.image import Image
from common.errors import ImageError
from common.metrics.agreement import fleiss_kappa
from common.metrics.definitions import figures
from common.metrics.pair import Pair, Settings
from common.metrics.staple import staple
from experiments.measuring.metrics_table import MOST_LABELS, Row, pairs, read_pair

BETWEEN = ("dice", "kappa", "hausdorff_95_mm", "average_symmetric_mm", "absolute_volume_error_ml")
"""Figures that are the same whichever of two readings comes first."""
WITH_CONSENSUS = ("dice", "kappa", "hausdorff_95_mm", "sensitivity", "specificity", "volume_error_ml")


@dataclass(frozen=True)
class Reading:
    """number: which of an observer's readings, from 1. name: as it is shown."""

    observer: str
    number: int
    place: Path
    name: str


@dataclass(frozen=True)
class Agreement:
    """row: figures of one label of one case. first, second: names of the readings. kind: intra, of one observer;
    inter, of two; consensus, of the consensus, the first, and a reading.
    """

    kind: str
    first: str
    second: str
    row: Row

    @property
    def flat(self) -> dict[str, object]:
        """As a line of a table that holds all kinds."""
        told = {name: self.row.figures.get(name, float("nan")) for name in dict.fromkeys((*BETWEEN, *WITH_CONSENSUS))}
        return {
            "kind": self.kind,
            "first": self.first,
            "second": self.second,
            "case": self.row.case,
            "label": self.row.label,
            **told,
        }


def readings_of(paths: Sequence[Path]) -> tuple[Reading, ...]:
    """Of files or folders, each by itself or as NAME=PATH; equal names are one observer at several times.

    Raises ImageError for fewer than two, for one place twice, and for unnamed ones that cannot be told apart.
    """
    if len(paths) < 2:
        raise ImageError(f"raters are compared with each other: two paths at least; {len(paths)} came.")
    named = [_named(path) for path in paths]
    if len({place.absolute() for _, place in named}) != len(named):
        raise ImageError("a rater's path was given twice: they would agree with themselves.")
    spellings = [(_stem(place), str(Path(place.parent.name) / _stem(place)), str(place)) for _, place in named]
    taken = Counter(word for (name, _), own in zip(named, spellings, strict=True) for word in {name or "", *own})
    seen: Counter[str] = Counter()
    found = []
    for (name, place), own in zip(named, spellings, strict=True):
        observer = name or next((word for word in own if taken[word] == 1), str(place))
        seen[observer] += 1
        found.append((observer, seen[observer], place))
    return tuple(
        Reading(who, number, place, f"{who} ({number})" if seen[who] > 1 else who) for who, number, place in found
    )


def cases_of(readings: Sequence[Reading]) -> list[tuple[str, tuple[Path, ...]]]:
    """Name of every case and its file of each reading. Raises ImageError where a file has no partner."""
    first = readings[0].place
    if not first.is_dir():
        for reading in readings:
            if not reading.place.is_file():
                raise ImageError(f"there is no file {reading.place}; raters are all files or all folders.")
        return [(_stem(first), tuple(reading.place for reading in readings))]
    columns = [pairs(reading.place, first) for reading in readings]
    return [(name, tuple(column[place][1] for column in columns)) for place, (name, _, _) in enumerate(columns[0])]


def read_case(files: Sequence[Path]) -> list[Image]:
    """Label maps of one case. Raises ImageError where they do not lie in one place."""
    read = [read_pair(file, files[0]) for file in files]
    plane = min((image for pair in read for image in pair), key=lambda image: image.values.ndim)
    values = [image.values.reshape(plane.values.shape) for image, _ in read]
    return [Image(one, plane.geometry) for one in values]


def agreements(
    case: str,
    readings: Sequence[Reading],
    images: Sequence[Image],
    settings: Settings,
    labels: Sequence[int] | None = None,
) -> Iterator[Agreement]:
    """Of each label and each two readings, and of each reading with the consensus."""
    spacing, maps = images[0].geometry.spacing_mm, [image.values for image in images]
    agreed = consensus(readings, images)
    for label in labels_of(case, images, labels):
        masks = [one == label for one in maps]
        for i, j in combinations(range(len(readings)), 2):
            pair = Pair.of(masks[i], masks[j], spacing, settings)
            kind = "intra" if readings[i].observer == readings[j].observer else "inter"
            row = Row(case, label, figures(pair, BETWEEN), pair.state)
            yield Agreement(kind, readings[i].name, readings[j].name, row)
        for reading, mask in zip(readings, masks, strict=True):
            pair = Pair.of(agreed == label, mask, spacing, settings)
            yield Agreement(
                "consensus", "consensus", reading.name, Row(case, label, figures(pair, WITH_CONSENSUS), pair.state)
            )


def consensus(readings: Sequence[Reading], images: Sequence[Image]) -> NDArray[np.int64]:
    """STAPLE of `counted` readings."""
    return staple([images[place].values for place in counted(readings)]).truth


def counted(readings: Sequence[Reading]) -> list[int]:
    """Places of the first reading of every observer, so that each counts once; of a lone observer all."""
    first = [place for place, reading in enumerate(readings) if reading.number == 1]
    return first if len(first) > 1 else list(range(len(readings)))


def fleiss(
    case: str, readings: Sequence[Reading], images: Sequence[Image], labels: Sequence[int] | None = None
) -> dict[int, float]:
    """Fleiss' kappa of each label over all voxels, of the same readings as the consensus."""
    kept = [images[place].values for place in counted(readings)]
    return {label: fleiss_kappa([one == label for one in kept]) for label in labels_of(case, images, labels)}


def labels_of(case: str, images: Sequence[Image], labels: Sequence[int] | None) -> list[int]:
    """All but 0 that anybody gave, or `labels`. Raises ImageError for too many."""
    if labels is not None:
        return [int(label) for label in labels]
    found = sorted(set().union(*(np.unique(image.values).tolist() for image in images)) - {0})
    if len(found) > MOST_LABELS:
        raise ImageError(f"case {case} has {len(found)} labels; name those to be measured with --label.")
    return found


def observers_of(readings: Sequence[Reading]) -> Mapping[str, list[str]]:
    """The paths that each observer's readings are of."""
    found: dict[str, list[str]] = {}
    for reading in readings:
        found.setdefault(reading.observer, []).append(str(reading.place))
    return found


def _named(path: Path) -> tuple[str | None, Path]:
    name, sign, place = str(path).partition("=")
    return (name, Path(place)) if sign and name and place and not path.exists() else (None, path)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")
