"""NIfTI files of a folder by name: directly in it, or below BIDS folders (`sub-04/ses-1/...`)."""

from __future__ import annotations

from pathlib import Path

ENDINGS = (".nii.gz", ".nii")


def nifti_files(images: Path) -> dict[str, Path]:
    """Every volume by its name: "p7", or "sub-04/ses-1/sub-04_ses-1_T1w" below a BIDS folder."""
    paths = [*images.glob("[!.]*.nii*"), *images.glob("sub-*/**/[!.]*.nii*")]
    return {_name(path, images): path for path in sorted(paths) if path.name.endswith(ENDINGS)}


def _name(path: Path, images: Path) -> str:
    return path.relative_to(images).as_posix().removesuffix(".gz").removesuffix(".nii")
