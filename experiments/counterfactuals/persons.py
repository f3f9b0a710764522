"""Whose counterfactuals are shown: test patients of the run's simulated hospitals, or a file of images and causes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from client.hospital import open_hospital, site_names
from client.sources._npz import read_npz
from common.data.cases import Cases, concatenate
from common.errors import SourceError, StudyError, WardroundError
from common.files.access import read_text
from common.study.spelling import unknown
from common.study.study import parse
from experiments.prediction.trained import STUDY, Trained

IMAGES, VALUES = "images", "causes"


@dataclass(frozen=True)
class Whose:
    """hospital, patient: "" for all. file: of `images` and `causes` in the place of the run's own test patients."""

    hospital: str = ""
    patient: str = ""
    file: Path | None = None


def cases_of(trained: Trained, whose: Whose) -> tuple[Cases, np.ndarray]:
    """The cases, and the hospital of each. Raises StudyError or SourceError where there are none."""
    if whose.file is not None:
        cases = _of_file(whose.file, trained)
        return cases, np.full(len(cases), whose.file.name)
    cases, sites = _of_hospitals(trained, whose.hospital)
    if not whose.patient:
        return cases, sites
    own = np.flatnonzero(cases.patients == whose.patient)
    if not len(own):
        raise unknown("test patient", whose.patient, tuple(map(str, np.unique(cases.patients))))
    return cases.take(own), sites[own]


def _of_hospitals(trained: Trained, hospital: str) -> tuple[Cases, np.ndarray]:
    study = parse(read_text(trained.folder, STUDY))
    try:
        names = site_names(study)
        if hospital and hospital not in names:
            raise unknown("hospital", hospital, names)
        held = [(name, open_hospital(study.json, index).splits["test"]) for index, name in enumerate(names)
                if hospital in ("", name)]  # fmt: skip
    except SourceError as error:
        raise SourceError(
            f"{error} Without the hospitals' data, name a file: --images patients.npz, with arrays '{IMAGES}' and "
            f"'{VALUES}'."
        ) from error
    parts = [(name, cases) for name, cases in held if len(cases)]
    if not parts:
        raise StudyError(f"no test patient at {hospital or 'any hospital'}: see split.test of the study.")
    return concatenate([cases for _, cases in parts]), np.repeat(
        [name for name, _ in parts], [len(cases) for _, cases in parts]
    )


def _of_file(file: Path, trained: Trained) -> Cases:
    try:
        arrays = read_npz(file, (IMAGES, VALUES))
        images, values = (np.asarray(arrays[name], np.float32) for name in (IMAGES, VALUES))
    except (WardroundError, ValueError, TypeError) as error:
        raise StudyError(f"--images {file}: {error}") from error
    wanted = trained.learned.shape.inputs
    causes = tuple(getattr(trained.task, "answer_names", ()))
    if images.shape[1:] != wanted or values.shape != (len(images), len(causes)) or not len(images):
        raise StudyError(
            f"--images {file}: '{IMAGES}' must be (N, {', '.join(map(str, wanted))}) and '{VALUES}' "
            f"(N, {len(causes)}), of {', '.join(causes)}; they are {images.shape} and {values.shape}."
        )
    if not (np.isfinite(images).all() and np.isfinite(values).all()):
        raise StudyError(f"--images {file} holds numbers that are not finite.")
    return Cases.of(images, values, [f"image {number}" for number in range(1, len(images) + 1)])
