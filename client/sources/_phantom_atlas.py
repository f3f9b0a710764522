"""A label map of the head, made from the MNI152 2009a atlas by `experiments/head_labels.py`.

The atlas is an average of 152 real brains (Fonov et al. 2009, doi 10.1016/S1053-8119(09)70884-5). Its notice is in
NOTICE and beside the labels. Only the slab around the basal ganglia and the lateral ventricles is here, where every
tissue is seen. The map is JSON, since Flower carries no binary files to a node.
"""

from __future__ import annotations

import base64
import json
import lzma
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import SourceError

AIR, CSF, GREY, WHITE, DEEP_GREY, BONE, SCALP, LESION = range(8)

FILE = Path(__file__).with_name("_mni152_head.json")
_SHA256 = "8a0bff65ab0403c454f4db8e3d7edb2b6fcef7c7d3db406dc46bda7838a6dd9c"
"""Of the labels themselves: others would give other masks for the same seed."""

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Atlas:
    """labels: (X, Y, Z) uint8 tissues, 1 mm voxels; origin_mm: (3,) of the first voxel's centre, x right, y front."""

    labels: Labels
    origin_mm: NDArray[np.float32]

    def tissue_at(self, points_mm: tuple[NDArray[np.float32], ...]) -> Labels:
        """The tissue of the voxel nearest to each point (x, y and z of any one shape); air outside."""
        last = self.labels.shape
        index = np.zeros(points_mm[0].shape, np.int32)
        inside = np.ones(points_mm[0].shape, bool)
        for axis, coordinate in enumerate(points_mm):
            nearest = np.floor(coordinate - (self.origin_mm[axis] - 0.5)).astype(np.int32)
            inside &= (nearest >= 0) & (nearest < last[axis])
            index = index * last[axis] + np.clip(nearest, 0, last[axis] - 1)
        return np.take(self.labels.reshape(-1), index) * inside


@lru_cache(maxsize=1)
def atlas() -> Atlas:
    """The head, in some 20 ms. Raises SourceError where the map is absent, changed or damaged."""
    return _read(FILE)


def _read(path: Path) -> Atlas:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        packed = lzma.decompress(base64.b85decode(kept["labels"]))
        shape, origin_mm = tuple(kept["shape"]), np.array(kept["origin_mm"], np.float32)
    except (OSError, ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        raise SourceError(f"{path} is absent or damaged: install Wardround again.") from error
    if sha256(packed).hexdigest() != _SHA256:
        raise SourceError(f"{path} is not the head that masks are made from: install Wardround again.")
    labels = np.frombuffer(packed, np.uint8).reshape(shape)
    return Atlas(labels, origin_mm)
