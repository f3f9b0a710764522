"""NIfTI files of a folder by name: directly in it, or below BIDS folders (`sub-04/ses-1/...`).

Names are in Unicode NFC, in whatever form a disk keeps them: a Mac's "Jürgen" is the table's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

ENDINGS = (".nii.gz", ".nii")
OTHER_ENDINGS = (".img", ".hdr", ".mgz", ".mgh", ".mha", ".mhd", ".nrrd", ".nhdr", ".minc", ".mnc", ".dcm")
"""Of volumes that are not read."""


def nifti_files(images: Path) -> dict[str, Path]:
    """Every volume by its name: "p7", or "sub-04/ses-1/sub-04_ses-1_T1w" below a BIDS folder."""
    return {_name(path, images): path for path in _read(images)}


def passed_over(images: Path) -> Iterator[tuple[Path, str]]:
    """Files of volumes in a folder or below it that `nifti_files` does not give, sorted, and why."""
    read = _read(images)
    given = set(nifti_files(images).values())
    for path in sorted(images.rglob("*")):
        name = path.name.lower()
        is_link = path.is_symlink() and path.is_dir()
        if path in given or not (is_link or name.endswith((*ENDINGS, *OTHER_ENDINGS))) or _is_hidden(path, images):
            continue
        if is_link:
            yield path, "is a link to a folder, which is not followed: put the files there, or name that folder"
        elif path in read:
            yield path, "is there twice, as .nii and as .nii.gz: keep one of them"
        elif name.endswith(OTHER_ENDINGS):
            yield path, "is no NIfTI file: convert it, or move it elsewhere"
        elif path.name.endswith(ENDINGS):
            yield path, f"lies in a folder of its own below {images.name}: name it by a pattern, or move it there"
        else:
            yield path, "ends in capitals: rename it to .nii or .nii.gz"


def given_name(path: Path) -> str:
    """A file's name without its ending."""
    return normalize("NFC", path.name.removesuffix(".gz").removesuffix(".nii"))


def _read(images: Path) -> list[Path]:
    paths = {*images.glob("[!.]*.nii*"), *images.glob("sub-*/**/[!.]*.nii*")}
    return [path for path in sorted(paths) if path.name.endswith(ENDINGS)]


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts) or not path.exists()


def _name(path: Path, images: Path) -> str:
    return (path.relative_to(images).parent / given_name(path)).as_posix()
