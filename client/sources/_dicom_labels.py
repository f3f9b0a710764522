"""Labels of DICOM series in NIfTI files, found by a pattern and laid in the series' own place."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from client.sources._dicom_index import Chosen
from client.sources._nifti_volume import Reading, Volume, read_scan
from common.errors import SourceError, StudyError
from common.study.spelling import unknown

FIELDS = ("patient", "person", "site", "study", "series", "number", "description")
ENDINGS = (".nii.gz", ".nii")
AFFINE_TOLERANCE_MM = 0.01
"""NIfTI holds its affine in float32, and in quaternions rounds more."""


@dataclass(frozen=True)
class LabelFiles:
    """pattern: a path below the folder of data with {fields}. Raises StudyError for one that leads out of it."""

    pattern: str

    def __post_init__(self) -> None:
        if not self.pattern.endswith(ENDINGS):
            raise StudyError(f"source.labels {self.pattern!r} must end in .nii or .nii.gz.")
        if self.pattern.startswith("/") or ".." in self.pattern.split("/") or set(self.pattern) & set("\\\0"):
            raise StudyError(f"source.labels must be a path below the source's folder; it is {self.pattern!r}.")
        for name in re.findall(r"\{([^{}]*)\}", self.pattern):
            if name not in FIELDS:
                raise unknown("field of source.labels", name, FIELDS)

    def name_for(self, chosen: Chosen) -> str:
        """The path below the folder that belongs to a series; "" where its tags lead elsewhere."""
        first = chosen.series.first
        values = {
            "patient": first.patient_id,
            "person": chosen.person,
            "site": chosen.site,
            "study": first.study,
            "series": first.series,
            "number": first.number,
            "description": first.description,
        }
        used = [values[name] for name in re.findall(r"\{([^{}]*)\}", self.pattern)]
        if any(not value or set(value) & set("/\\\0") or value in (".", "..") for value in used):
            return ""
        return re.sub(r"\{([^{}]*)\}", lambda found: values[found[1]], self.pattern)

    def files(self, folder: Path) -> tuple[str, ...]:
        """All files that the pattern fits, sorted."""
        fits = re.sub(r"\{[^{}]*\}", "*", re.sub(r"([*?[])", r"[\1]", self.pattern))
        return tuple(sorted(path.relative_to(folder).as_posix() for path in folder.glob(fits) if path.is_file()))

    def labelled(self, folder: Path, chosen: Chosen, volume: Volume, reading: Reading) -> Volume:
        """The volume with the labels of its file. Raises SourceError where there is none, or it lies elsewhere."""
        name = self.name_for(chosen)
        if not name:
            raise SourceError(f"has tags that make no file's name of {self.pattern}")
        if not (folder / name).is_file():
            raise SourceError(f"has no labels: there is no {name}")
        found = read_scan((folder / name,), (folder / name,), reading)
        if found.labels.shape != volume.labels.shape:
            raise SourceError(f"is {volume.labels.shape} and its labels, {name}, are {found.labels.shape}")
        if not np.allclose(found.affine, volume.affine, atol=AFFINE_TOLERANCE_MM):
            raise SourceError(f"and its labels, {name}, lie in different places (their affines differ)")
        return replace(volume, labels=found.labels)
