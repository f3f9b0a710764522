"""Volumes as hospitals and archives hold them: a folder with a table of hospitals, and BIDS with sessions."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

SITES = ("Bergen", "Leuven", "Porto")
SPACING_MM = ((1.0, 1.0, 1.2), (0.94, 0.94, 1.5), (1.1, 1.1, 1.0))
TURNED = 0.1
"""Radians: heads are never straight in a scanner, and so no axis of the lattice is one of the patient."""


def make_nifti(folder: Path, persons: int, side: int) -> None:
    """images/ and labels/ with files of the same names; sites.csv: patient (a file's name), site."""
    rng = np.random.default_rng(3)
    lines = ["patient,site"]
    for person in range(persons * len(SITES)):
        site, name = person % len(SITES), f"case_{person + 1:03d}"
        image, labels = head(side, site, rng)
        _write(folder / "images" / f"{name}.nii.gz", image, site)
        _write(folder / "labels" / f"{name}.nii.gz", labels, site)
        lines.append(f"{name},{SITES[site]}")
    (folder / "sites.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")


def make_bids(folder: Path, persons: int, side: int) -> None:
    """T1w of one or two sessions a person, side files as dcm2niix writes them, outlines in derivatives/manual."""
    rng = np.random.default_rng(4)
    about = {"Name": "Three hospitals", "BIDSVersion": "1.10.0"}
    outlines = folder / "derivatives" / "manual"
    for place, more in (
        (folder, {}),
        (outlines, {"DatasetType": "derivative", "GeneratedBy": [{"Name": "by hand"}]}),
    ):
        place.mkdir(parents=True, exist_ok=True)
        (place / "dataset_description.json").write_text(json.dumps({**about, **more}), encoding="utf-8")
    lines = ["participant_id\tage\tsex\tsite"]
    for person in range(persons * len(SITES)):
        site, subject = person % len(SITES), f"sub-{person + 1:02d}"
        lines.append(f"{subject}\t{rng.integers(20, 80) if person % 5 else 'n/a'}\t{'FM'[person % 2]}\t{SITES[site]}")
        for session in ("ses-01", "ses-02")[: 1 + person % 2]:
            image, labels = head(side, site, rng)
            stem = f"{subject}/{session}/anat/{subject}_{session}"
            _write(folder / f"{stem}_T1w.nii.gz", image, site)
            _write(outlines / f"{stem}_dseg.nii.gz", labels, site)
            (folder / f"{stem}_T1w.json").write_text(json.dumps({"MagneticFieldStrength": 3}), encoding="utf-8")
    (folder / "participants.tsv").write_text("\n".join([*lines, ""]), encoding="utf-8")


def head(side: int, site: int, rng: np.random.Generator) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """A noisy head of int16 with a bright ball in it, (side, side + 4, side - 4), and the ball's labels."""
    shape = (side, side + 4, side - 4)
    axes = np.ogrid[tuple(slice(length) for length in shape)]
    around = sum(((axis / length - 0.5) / 0.45) ** 2 for axis, length in zip(axes, shape, strict=True)) < 1
    middle = rng.uniform(0.4, 0.6, 3) * shape
    squares = sum((axis - place) ** 2 for axis, place in zip(axes, middle, strict=True))
    ball = squares < (rng.uniform(0.15, 0.25) * side) ** 2
    image = (300 + 100 * site) * around + 400 * ball + rng.normal(0, 40, shape)
    return image.clip(0, 4000).astype(np.int16), ball.astype(np.uint8)


def _write(path: Path, values: NDArray[np.generic], site: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(TURNED), -np.sin(TURNED)], [np.sin(TURNED), np.cos(TURNED)]]
    file = nib.Nifti1Image(values, turn @ np.diag([*SPACING_MM[site], 1.0]))  # type: ignore[no-untyped-call]
    file.header.set_xyzt_units("mm", "sec")  # type: ignore[no-untyped-call]
    file.to_filename(path)
