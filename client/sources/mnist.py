"""MNIST from its four idx files, gzipped or not, with its own test set."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from client.source import Source
from client.sources._folders import existing
from common.data.cases import Cases, SiteId
from common.data.pooled_statistics import Pooled
from common.errors import FileError, SourceError
from common.files.access import read_all

REMEDY = (
    "It needs train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, "
    "each plain or with .gz; name their folder with --set source.folder=..."
)
UNSIGNED_BYTE = 0x08
SIDE, DIGITS = 28, 10
LARGEST_FILE_BYTES = 1 << 27
"""The largest of the four, of 60,000 images, is 47 MB."""


@dataclass(frozen=True)
class Mnist:
    """Digits as (1, 28, 28) images in [0, 1].

    Every image is a patient of its own, named by its place in the published files.

    folder: of the four idx files.
    """

    folder: str = ""
    has_sites: ClassVar[bool] = False
    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()
    persons: ClassVar[str] = "The files do not say who wrote a digit: each image is taken for a person of its own."

    def sites(self) -> tuple[SiteId, ...]:
        """None: a study divides it."""
        return ()

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """All images, training before test. inputs: (N, 1, 28, 28); targets: (N,)."""
        folder = existing(self.folder, "mnist", REMEDY)
        parts = [_part(folder, part) for part in ("train", "t10k")]
        images, labels = np.concatenate([part[0] for part in parts]), [part[1] for part in parts]
        names = [
            f"{part}-{i:05d}" for part, of in zip(("train", "test"), labels, strict=True) for i in range(len(of))
        ]
        return Cases.of(
            (images[:, None] / np.float32(255)).astype(np.float32),
            np.concatenate(labels).astype(np.int64),
            np.array(names),
            tuple(map(str, range(DIGITS))),
            given_split=np.array([name.partition("-")[0] for name in names]),
            prescribed=("test",),
        )


def _part(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images = read_idx(folder, f"{part}-images-idx3-ubyte", 3)
    labels = read_idx(folder, f"{part}-labels-idx1-ubyte", 1)
    if images.shape[1:] != (SIDE, SIDE) or len(images) != len(labels) or len(labels) == 0:
        raise SourceError(
            f"{folder} holds {part} images of shape {images.shape} for {len(labels)} labels; "
            f"as many images of {SIDE} x {SIDE} as labels are needed."
        )
    if labels.max() >= DIGITS:
        raise SourceError(f"{part} labels of {folder} must be digits; the largest is {labels.max()}.")
    return images, labels


def read_idx(folder: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    """The array of an idx file. Raises SourceError where it is absent, truncated, or not what its name says."""
    data = _bytes(folder, name)
    if len(data) < 4 + 4 * dimensions or data[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
        raise SourceError(f"{folder / name} is not an idx file of unsigned bytes in {dimensions} dimensions.")
    shape = struct.unpack(f">{dimensions}I", data[4 : 4 + 4 * dimensions])
    body = data[4 + 4 * dimensions :]
    if len(body) != prod(shape):
        raise SourceError(f"{folder / name} says {shape} and holds {len(body)} bytes.")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def _bytes(folder: Path, name: str) -> bytes:
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.is_file():
        return _whole(plain)
    if not packed.is_file():
        raise SourceError(f"there is no {plain}, nor {packed.name}. {REMEDY}")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(_whole(packed))) as file:
            data = file.read(LARGEST_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{packed} is not a whole gzip file.") from error
    if len(data) > LARGEST_FILE_BYTES:
        raise SourceError(f"{packed} unpacks to more than {LARGEST_FILE_BYTES} bytes.")
    return data


def _whole(path: Path) -> bytes:
    try:
        return read_all(path, LARGEST_FILE_BYTES)
    except FileError as error:
        raise SourceError(str(error)) from error


source: type[Source] = Mnist
