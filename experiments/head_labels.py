"""The phantoms' label map of the head, from the maps of the MNI152 2009a atlas; run by hand, never by a study.

    python -m experiments.head_labels FOLDER

FOLDER holds T1-weighted intensity and probabilities of grey and white matter, 1 mm voxels, the brain alone, as the
Python packages nilearn 0.13.1 and 0.14.1 carry them in nilearn/datasets/data. The result is
`client/sources/_mni152_head.json`.
"""

from __future__ import annotations

import base64
import json
import lzma
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.sources._phantom_atlas import AIR, BONE, CSF, DEEP_GREY, FILE, GREY, SCALP, WHITE, Atlas, Labels
from common.errors import SourceError

LOWEST_MM, HIGHEST_MM = -30, 50
"""The slab kept, along the body axis."""
CSF_LAYER_MM, BONE_LAYER_MM, SCALP_LAYER_MM = 2.5, 5.5, 6.0
"""Layers put around the atlas, which ends at the brain: subarachnoid space, skull, scalp."""

_FILES = "mni_icbm152_{map}_tal_nlin_sym_09a_converted.nii.gz"
_SHA256 = {
    "t1": "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
    "gm": "97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed",
    "wm": "382d92812de4744f9c86c7a0e4f680dc317a0a50e4da1f0153618a6798c7b7db",
}
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

_NOTICE = (
    "Derived from the MNI152 (ICBM 2009a, nonlinear, symmetric) atlas: tissues of the head, 1 mm voxels. "
    "Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill "
    "University. Permission to use, copy, modify, and distribute this software and its documentation for any purpose "
    "and without fee is hereby granted, provided that the above copyright notice appear in all copies. The authors "
    "and McGill University make no representations about the suitability of this software for any purpose. It is "
    'provided "as is" without express or implied warranty. The authors are not responsible for any data loss, '
    "equipment damage, property loss, or injury to subjects or patients resulting from the use or misuse of this "
    "software package."
)


def main(folder: str) -> None:
    """Write the label map."""
    FILE.write_text(as_json(head(Path(folder))), encoding="utf-8")


def head(folder: Path) -> Atlas:
    """The head. Raises SourceError where a map is absent or is another one."""
    from scipy import ndimage

    t1, origin_mm = _slab(folder, "t1")
    grey, white = _slab(folder, "gm")[0], _slab(folder, "wm")[0]
    labels = brain_labels(t1, grey, white)
    deep = _deep_grey_region(t1.shape, origin_mm) & (t1 > _DARKEST_GREY) & (t1 < _BRIGHTEST_GREY)
    deep &= (grey > _LEAST_DEEP_GREY_SHARE) & (labels != CSF)
    labels[ndimage.binary_opening(deep)] = DEEP_GREY
    _add_head(labels)
    return Atlas(np.ascontiguousarray(labels), origin_mm)


def as_json(atlas: Atlas) -> str:
    """The map with its notice; labels: base85 of the XZ of one byte a voxel, z fastest."""
    packed = lzma.compress(atlas.labels.tobytes(), preset=9 | lzma.PRESET_EXTREME)
    about = {
        "notice": _NOTICE,
        "tissues": ["air", "fluid", "grey", "white", "deep grey", "bone", "scalp"],
        "shape": list(atlas.labels.shape),
        "origin_mm": atlas.origin_mm.tolist(),
        "labels": base64.b85encode(packed).decode(),
    }
    return json.dumps(about, indent=1) + "\n"


def brain_labels(t1: NDArray[np.uint8], grey: NDArray[np.uint8], white: NDArray[np.uint8]) -> Labels:
    """The likeliest of CSF, grey and white in each voxel of the brain; AIR outside, where T1 is 0.

    grey, white: probabilities in 255ths; what they leave of 255 is fluid.
    """
    brain = t1 > 0
    fluid = 255 - grey.astype(np.int16) - white
    labels = np.where(white > grey, WHITE, GREY).astype(np.uint8)
    labels[(fluid > np.maximum(grey, white)) | (t1 < _DARKEST_GREY)] = CSF
    return labels * brain


def _slab(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    import nibabel as nib

    path = folder / _FILES.format(map=name)
    if not path.is_file() or sha256(path.read_bytes()).hexdigest() != _SHA256[name]:
        raise SourceError(f"{path} is not the map that the phantoms' head is made from.")
    image = nib.load(path)
    assert isinstance(image, nib.Nifti1Image) and image.affine is not None
    origin_mm = np.array(image.affine[:3, 3], np.float32)
    first = int(LOWEST_MM - origin_mm[2])
    volume = np.asarray(image.dataobj)[:, :, first : first + HIGHEST_MM - LOWEST_MM]
    origin_mm[2] = LOWEST_MM
    return volume, origin_mm


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
    from scipy import ndimage

    outside = labels == AIR
    coarse_mm = 2 * ndimage.distance_transform_edt(outside[::2, ::2, ::2])
    distance_mm = coarse_mm.astype(np.float32)
    for axis, length in enumerate(labels.shape):
        distance_mm = np.take(np.repeat(distance_mm, 2, axis), np.arange(length), axis)
    edges_mm = np.cumsum([CSF_LAYER_MM, BONE_LAYER_MM, SCALP_LAYER_MM])
    layers = np.array([CSF, BONE, SCALP, AIR], np.uint8)
    labels[outside] = layers[np.digitize(distance_mm[outside], edges_mm)]


if __name__ == "__main__":
    main(sys.argv[1])
