"""Registrations by this library, run as a module in a process of its own, as its peers are.

python -m experiments.benchmarks._registration_ours FOLDER WORK TRANSFORM SIMILARITY

Files are those of `_registration_peers.py`. A first search on small blobs loads what is loaded lazily.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.displacement import sampled
from common.registration.linear import Linear
from common.registration.record import Registration
from common.registration.register import register
from common.registration.transform import Transform


def read(path: Path) -> Image:
    """From .npz."""
    with np.load(path) as file:
        values = file["values"]
        return Image(values, Geometry.of(values.shape, file["spacing_mm"], file["origin_mm"]))


def blobs(dimensions: int) -> list[Image]:
    """A small pair."""
    geometry = Geometry.of((32,) * dimensions)
    squared = [sum((axis - middle) ** 2 for axis in np.indices(geometry.shape)) for middle in (15, 16.5)]
    return [Image(np.exp(-part / 60), geometry) for part in squared]


def main(folder: Path, work: str, transform: str, similarity: str) -> None:
    """Search for each case, and write what was found."""
    torch.set_num_threads(1)

    def search(fixed: Image, moving: Image) -> Registration:
        before = "none" if work == "displacement" else "affine"
        return register(moving, fixed, transform, similarity, before=before)

    for number, place in enumerate(sorted(folder.iterdir())):
        fixed, moving = read(place / "fixed.npz"), read(place / "moving.npz")
        if number == 0:
            search(*blobs(fixed.geometry.dimensions))
        began = process_time()
        found = search(fixed, moving)
        seconds = process_time() - began
        told: dict[str, Any] = {"seconds": seconds, "settings": found.similarity, "doubted": bool(found.doubts)}
        np.savez(place / "result.npz", **_described(found.transform, fixed.geometry), **told)


def _described(found: Transform, geometry: Geometry) -> dict[str, Any]:
    if isinstance(found, Linear):
        return {"matrix": found.matrix.numpy()}
    return {"field": sampled(found, geometry).vectors.numpy()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:5])
