"""A label map of the head, from the MNI152 2009a atlas that comes inside the nilearn wheel.

The atlas is an average of 152 real brains (Fonov et al. 2009, doi 10.1016/S1053-8119(09)70884-5): T1-weighted
intensity and probabilities of grey and white matter, 1 mm voxels, the brain alone. Its notice is in NOTICE. Only
the slab around the basal ganglia and the lateral ventricles is read, where every tissue is seen.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray
from scipy import ndimage

from common.errors import SourceError

AIR, CSF, GREY, WHITE, DEEP_GREY, BONE, SCALP, LESION = range(8)

LOWEST_MM, HIGHEST_MM = -30, 50
"""The slab kept, along the body axis."""
CSF_LAYER_MM, BONE_LAYER_MM, SCALP_LAYER_MM = 2.5, 5.5, 6.0
"""Layers put around the atlas, which ends at the brain: subarachnoid space, skull, scalp."""

_FILES = "datasets/data/mni_icbm152_{map}_tal_nlin_sym_09a_converted.nii.gz"
_SHA256 = {
    "t1": "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
    "gm": "97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed",
    "wm": "382d92812de4744f9c86c7a0e4f680dc317a0a50e4da1f0153618a6798c7b7db",
}
"""The same in nilearn 0.13.1 and 0.14.1; other maps would give other masks for the same seed."""
_DARKEST_GREY = 150
"""Atlas T1 below this is mostly fluid: sulci that averaging 152 brains has blurred."""
_BRIGHTEST_GREY = 208
_LEAST_DEEP_GREY_SHARE = 90

_DEEP_GREY_REGIONS = (
    ((11.0, -18.0, 7.0), (13.0, 18.0, 12.0)),
    ((24.0, 3.0, 1.0), (12.0, 21.0, 15.0)),
    ((13.0, 14.0, 10.0), (9.0, 16.0, 15.0)),
)
"""Centre and half-axes, mm, of generous ellipsoids about thalamus, lentiform nucleus and caudate of one side."""

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
    """The head, in about half a second. Raises SourceError where nilearn's maps are absent or not the pinned ones."""
    t1, origin_mm = _slab("t1")
    grey, white = _slab("gm")[0], _slab("wm")[0]
    labels = brain_labels(t1, grey, white)
    deep = _deep_grey_region(t1.shape, origin_mm) & (t1 > _DARKEST_GREY) & (t1 < _BRIGHTEST_GREY)
    deep &= (grey > _LEAST_DEEP_GREY_SHARE) & (labels != CSF)
    labels[ndimage.binary_opening(deep)] = DEEP_GREY
    _add_head(labels)
    labels = np.ascontiguousarray(labels)
    labels.setflags(write=False)
    return Atlas(labels, origin_mm)


def brain_labels(t1: NDArray[np.uint8], grey: NDArray[np.uint8], white: NDArray[np.uint8]) -> Labels:
    """The likeliest of CSF, grey and white in each voxel of the brain; AIR outside, where T1 is 0.

    grey, white: probabilities in 255ths; what they leave of 255 is fluid.
    """
    brain = t1 > 0
    fluid = 255 - grey.astype(np.int16) - white
    labels = np.where(white > grey, WHITE, GREY).astype(np.uint8)
    labels[(fluid > np.maximum(grey, white)) | (t1 < _DARKEST_GREY)] = CSF
    return labels * brain


def _slab(name: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    image = Nifti1Image.from_bytes(gzip.decompress(_atlas_bytes(_atlas_file(name), name)))
    assert image.affine is not None
    origin_mm = np.array(image.affine[:3, 3], np.float32)
    first = int(LOWEST_MM - origin_mm[2])
    volume = np.asarray(image.dataobj)[:, :, first : first + HIGHEST_MM - LOWEST_MM]
    origin_mm[2] = LOWEST_MM
    return volume, origin_mm


def _atlas_bytes(path: Path, name: str) -> bytes:
    content = path.read_bytes()
    if sha256(content).hexdigest() != _SHA256[name]:
        raise SourceError(
            f"{path} is not the MNI152 atlas that masks are made from: it was changed or damaged. "
            "Run `pip install --force-reinstall --no-deps nilearn`."
        )
    return content


def _atlas_file(name: str) -> Path:
    """A map inside the nilearn package, which is found and not imported: that would cost a second."""
    spec = find_spec("nilearn")
    folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    path = None if folder is None else folder / _FILES.format(map=name)
    if path is None or not path.is_file():
        raise SourceError(
            f"the MNI152 atlas ({name}) is not here: it comes with the package nilearn. Run `pip install nilearn`."
        )
    return path


def _deep_grey_region(shape: tuple[int, ...], origin_mm: NDArray[np.float32]) -> NDArray[np.bool_]:
    x, y, z = (
        (np.arange(length) + start).reshape([-1 if axis == dim else 1 for dim in range(3)])
        for axis, (length, start) in enumerate(zip(shape, origin_mm, strict=True))
    )
    region = np.zeros(shape, bool)
    for centre, half in _DEEP_GREY_REGIONS:
        scaled = [(p - c) / h for p, c, h in zip((np.abs(x), y, z), centre, half, strict=True)]
        region |= scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2 < 1
    return region


def _add_head(labels: Labels) -> None:
    """Fluid, bone and scalp around the brain, from the distance to it; reckoned at 2 mm, an eighth of the work."""
    outside = labels == AIR
    coarse_mm = 2 * ndimage.distance_transform_edt(outside[::2, ::2, ::2])
    distance_mm = coarse_mm.astype(np.float32)
    for axis, length in enumerate(labels.shape):
        distance_mm = np.take(np.repeat(distance_mm, 2, axis), np.arange(length), axis)
    edges_mm = np.cumsum([CSF_LAYER_MM, BONE_LAYER_MM, SCALP_LAYER_MM])
    layers = np.array([CSF, BONE, SCALP, AIR], np.uint8)
    labels[outside] = layers[np.digitize(distance_mm[outside], edges_mm)]
