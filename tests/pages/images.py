"""What pages take for granted of images: scans, k-space, outlines of several hands, and what moved."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from common.data.geometry import Geometry
from common.data.image import Image, write_image
from common.data.series import Series, write_series
from common.registration.itk_files import write_transform
from common.registration.linear import Linear
from common.registration.sampling import resample

LATTICE = Geometry.of((48, 56, 24), 1.0, (-20, -30, -10))
MIDDLE = (40, 50, 20)
"""Where docs have the seed of what they outline."""
FEW = Geometry.of((20, 18, 16), 2.0, (-20, -18, -16))
SLICE = Geometry.of((32, 30), 1.0)
HEART = Geometry.of((32, 32, 1), (1.0, 1.0, 4.0), (5.0, -20.0, 3.0))


def lay_scans(place: Path) -> None:
    """A head with a bright part, of which the outline is known, and a plane of it as NumPy and as k-space."""
    away = np.linalg.norm(np.moveaxis(np.indices(LATTICE.shape), 0, -1) - MIDDLE, axis=-1)
    part = (away < 8).astype(np.uint8)
    head = 60 + 100 * part + np.random.default_rng(0).normal(0, 4, LATTICE.shape)
    (place / "new-scans").mkdir()
    for name in ("scan", "more", "new-scans/one", "other"):
        write_image(Image(head.astype(np.float32), LATTICE), place / f"{name}.nii.gz")
    for name in ("true", "labels", "other-labels"):
        write_image(Image(part, LATTICE), place / f"{name}.nii.gz")
    plane = head[16:, 24:, 20].astype(np.float32)
    write_image(
        Image(head[16:, 24:, 19:21].astype(np.float32), Geometry.of((32, 32, 2), 1.0)), place / "brain.nii.gz"
    )
    write_image(Image(plane, Geometry.of(plane.shape, 1.0)), place / "small.nii.gz")
    kspace = centred_fourier(plane) * (np.arange(32) % 3 != 1)
    np.save(place / "scan.npy", plane)
    np.save(place / "kspace.npy", kspace)
    with h5py.File(place / "scan.h5", "w") as file:
        file["kspace"] = kspace


def centred_fourier(plane: NDArray[np.floating]) -> NDArray[np.complex64]:
    """(..., Y, X), orthonormal, with the zero frequency in the middle."""
    axes = (-2, -1)
    swapped = np.fft.fft2(np.fft.ifftshift(plane, axes=axes), norm="ortho")
    return np.asarray(np.fft.fftshift(swapped, axes=axes), np.complex64)


def lay_outlines(place: Path) -> None:
    """Folders of label maps of two cases, all but `true/` a little off; chances and images in the place of labels."""
    true = np.zeros(FEW.shape, np.uint8)
    true[5:12, 6:12, 4:12] = 1
    hands = {
        name: np.roll(true, shift, 0)
        for shift, name in enumerate(("true", "predicted", "first", "again", "ben", "cleo"))
    }
    hands |= {"chances": np.float32(0.2) + np.float32(0.6) * true, "images": np.float32(0.9) * true}
    for name, values in hands.items():
        (place / name).mkdir()
        for case in ("a", "b"):
            write_image(Image(values, FEW), place / name / f"{case}.nii.gz")


def lay_moves(place: Path) -> None:
    """A scene shifted, seen at two visits and by three persons, transforms between, and a muscle that narrows."""
    scene = Image(
        gaussian_filter(np.random.default_rng(0).normal(size=(28, 26, 24)), 2),
        Geometry.of((28, 26, 24), 2.0, (-28, -26, -24)),
    )
    shift = Linear.of(np.eye(3), [3.0, -2.0, 1.0])
    write_image(resample(scene, FEW, shift.inverse()), place / "moving.nii.gz")
    write_image(resample(scene, FEW, Linear.identity(3)), place / "fixed.nii.gz")
    for name in ("found.h5", "first.tfm", "second.h5"):
        write_transform(shift, place / name)
    (place / "points.csv").write_text("name,x,y,z\nnose,1,2,3\near,-4,0.5,2\n")
    tissue = 100 + 60 * gaussian_filter(np.random.default_rng(1).normal(size=SLICE.shape), 3)
    for seed, name in enumerate(("first-visit", "second-visit", "a", "b", "c")):
        noise = np.random.default_rng(seed).normal(size=SLICE.shape)
        write_image(Image(tissue + noise, SLICE), place / f"{name}.nii.gz")
    lay_beat(place)


def lay_beat(place: Path) -> None:
    """A series of two volumes and its muscle, a ring."""
    texture = gaussian_filter(np.random.default_rng(2).normal(size=HEART.shape), (1.5, 1.5, 0))
    write_series(
        Series(np.stack([texture, np.roll(texture, 1, 0)]).astype(np.float32), HEART, 0.04), place / "beat.nii.gz"
    )
    away = np.hypot(*(np.indices(HEART.shape)[:2] - 15.5))
    write_image(Image(((away > 6) & (away < 12)).astype(np.uint8), HEART), place / "muscle.nii.gz")
