"""NIfTI files of a folder by name: directly in it, or below BIDS folders (`sub-04/ses-1/...`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ENDINGS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class NiftiFile:
    """name: of the file without its ending; below BIDS folders with them. person: whose it is. path: of the image."""

    name: str
    person: str
    path: Path


def nifti_files(images: Path) -> dict[str, Path]:
    """Every volume by its name: "p7", or "sub-04/ses-1/sub-04_ses-1_T1w" below a BIDS folder."""
    paths = [*images.glob("[!.]*.nii*"), *images.glob("sub-*/**/[!.]*.nii*")]
    return {_name(path, images): path for path in sorted(paths) if path.name.endswith(ENDINGS)}


def path_of(name: str, found: Mapping[str, Path], images: Path) -> Path:
    """The file that a table calls `name`: as in `nifti_files`, or by its last part where no other has that.

    Where there is none, the path that is missing.
    """
    if name in found:
        return found[name]
    lasts = Counter(each.rpartition("/")[2] for each in found)
    by_last = {each.rpartition("/")[2]: path for each, path in found.items() if lasts[each.rpartition("/")[2]] == 1}
    return by_last.get(name, images / f"{name}.nii.gz")


def _name(path: Path, images: Path) -> str:
    return path.relative_to(images).as_posix().removesuffix(".gz").removesuffix(".nii")
