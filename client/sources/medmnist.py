"""Image sets in the MedMNIST layout, 2D or 3D: one .npz with images and labels for train, val and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from client.source import Source
from client.sources._folders import existing
from client.sources._npz import read_npz
from common.data.cases import Cases, SiteId, no_truth
from common.data.pooled_statistics import Pooled
from common.errors import SourceError
from common.study.checks import listed
from common.study.spelling import unknown

REMEDY = "Put one .npz of medmnist.com there, or name its folder with --set source.folder=..."
MOST_CLASSES = 1000
CLASSES = Pooled(
    "the number of classes from the largest label of all", "source.classes = []", "name them all in source.classes"
)
PARTS = {"train": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class MedMnist:
    """`file` in `folder`; if not given, the only .npz there. Every image is a patient of its own, named by
    its place in the published file.

    classes: their names; where not given, they are numbered up to the largest label there is. Images are (C, H, W) in
    [0, 1], grey or colour; volumes, as in the sets whose names end in 3D, are (1, D, H, W).

    unlabelled: the images alone, for a task without labels: the file needs none.
    """

    folder: str = ""
    file: str = ""
    classes: tuple[str, ...] = ()
    unlabelled: bool = False
    has_sites: ClassVar[bool] = False
    persons: ClassVar[str] = "The file does not say whose an image is: each is taken for a person of its own."

    def __post_init__(self) -> None:
        if self.classes:
            listed("source 'medmnist'", 2, classes=self.classes)

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        """The number of classes, unless they are named."""
        return () if self.classes or self.unlabelled else (CLASSES,)

    def sites(self) -> tuple[SiteId, ...]:
        """None: a study divides it."""
        return ()

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """All images, in the order train, validation, test. inputs: (N, C, [D,] H, W); targets: (N,)."""
        kinds = ("images",) if self.unlabelled else ("images", "labels")
        arrays = _load(_only_file(existing(self.folder, "medmnist", REMEDY), self.file), kinds)
        images = np.concatenate([_channels_first(arrays[f"{part}_images"], part) for part in PARTS])
        counts = {part: len(arrays[f"{part}_images"]) for part in PARTS}
        split = np.concatenate([np.full(count, PARTS[part]) for part, count in counts.items()])
        names = np.array([f"{part}-{i:06d}" for part, count in counts.items() for i in range(count)])
        targets, classes = self._truth(arrays, counts)
        return Cases.of(images, targets, names, classes, given_split=split, prescribed=("validation", "test"))

    def _truth(
        self, arrays: Mapping[str, NDArray[np.uint8]], counts: Mapping[str, int]
    ) -> tuple[NDArray[Any], tuple[str, ...]]:
        if self.unlabelled:
            return no_truth(sum(counts.values())), ()
        labels = [_labels(arrays[f"{part}_labels"], count, part) for part, count in counts.items()]
        targets = np.concatenate(labels)
        return targets, self._classes(int(targets.max()) + 1)

    def _classes(self, count: int) -> tuple[str, ...]:
        if self.classes and len(self.classes) < count:
            raise SourceError(f"the labels go up to {count - 1}, and {len(self.classes)} classes are named.")
        return self.classes or tuple(f"class {index}" for index in range(max(count, 2)))


def _only_file(folder: Path, name: str) -> Path:
    found = {path.name: path for path in sorted(folder.glob("*.npz"))}
    if name and name not in found:
        raise unknown(f"file in {folder}", name, found)
    if not name and len(found) != 1:
        raise SourceError(f"{folder} holds {len(found)} .npz files; name one with --set source.file=... {REMEDY}")
    return found[name] if name else next(iter(found.values()))


def _load(path: Path, kinds: Sequence[str]) -> Mapping[str, NDArray[np.uint8]]:
    """Arrays of all parts; nothing in the file is ever unpickled."""
    arrays = read_npz(path, [f"{part}_{kind}" for part in PARTS for kind in kinds])
    shapes = {arrays[f"{part}_images"].shape[1:] for part in PARTS}
    if len(shapes) != 1:
        raise SourceError(f"images of the parts of {path.name} differ in shape: {sorted(shapes)}.")
    return arrays


def _channels_first(images: NDArray[np.uint8], part: str) -> NDArray[np.float32]:
    colour = images.ndim == 4 and images.shape[-1] in (1, 3)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.size == 0:
        raise SourceError(
            f"{part}_images must be (N, H, W), (N, H, W, 1 or 3) or (N, D, H, W) of uint8; "
            f"they are {images.shape} of {images.dtype}."
        )
    stacked = np.moveaxis(images, -1, 1) if colour else images[:, None]
    return np.ascontiguousarray(stacked, dtype=np.float32) / np.float32(255)


def _labels(labels: NDArray[np.uint8], count: int, part: str) -> NDArray[np.int64]:
    if labels.size != count or not np.issubdtype(labels.dtype, np.integer):
        raise SourceError(f"{part}_labels must hold one whole number an image; it is {labels.shape} for {count}.")
    if labels.min() < 0 or labels.max() >= MOST_CLASSES:
        raise SourceError(f"{part}_labels must lie between 0 and {MOST_CLASSES - 1}.")
    return labels.reshape(count).astype(np.int64)


source: type[Source] = MedMnist
