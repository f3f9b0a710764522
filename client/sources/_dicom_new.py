"""New DICOM series without labels: every series below a folder as a volume, and where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import nibabel as nib
import numpy as np

from client.new_cases import NewCase
from client.sources._dicom_geometry import Stack, tilt_in_words
from client.sources._dicom_index import Choice
from client.sources._dicom_pixels import read_image
from client.sources._dicom_series import Series, listed, read_headers, series_of, stacks_of
from client.sources._dicom_tilt import straightened
from client.sources._dicom_volume import turned
from client.sources._nifti_volume import Turn, Volume
from client.sources._volume_new import Lying
from common.data.cases import Quarantined
from common.errors import FileError, SourceError

LONGEST_WORDS = 40


@dataclass(frozen=True)
class WantedSeries:
    """What a study says of the series that it learns from; see source "dicom". "" takes all. classes: how many."""

    modality: str = ""
    series: str = ""
    tilt: Literal["refuse", "resample"] = "refuse"
    classes: int = 1


class ToCase(Protocol):
    """How a source makes a case of a volume."""

    def __call__(self, name: str, volume: Volume, lying: Lying, remarks: tuple[str, ...]) -> NewCase:
        """Raises SourceError where it cannot be prepared."""
        ...


def new_series(folder: Path, wanted: WantedSeries, to_case: ToCase) -> Iterator[NewCase | Quarantined]:
    """Cases of all series below the folder that fit, one at a time, and what cannot be used, by name and reason.

    Raises SourceError where no series is there, or none fits.
    """
    headers = read_headers(listed(folder))
    every = series_of(headers.images, folder)
    choice = Choice(wanted.modality, wanted.series, "")
    fitting = [one for one in every if choice.takes(one)]
    yield from headers.broken
    if not fitting:
        there = ", ".join(sorted({f"{one.first.modality} {one.first.description}".strip() for one in every})[:5])
        raise SourceError(
            f"has no series of modality {wanted.modality or 'any'!r} described as {wanted.series or 'anything'!r}, "
            f"as the study learned from. There are: {there or 'none'}"
        )
    for one in fitting:
        yield from _of_series(folder, one, wanted, to_case)


def _of_series(
    folder: Path, series: Series, wanted: WantedSeries, to_case: ToCase
) -> Iterator[NewCase | Quarantined]:
    if series.fault:
        yield Quarantined(series.title, series.fault)
        return
    for phase, stack in stacks_of(series):
        title = f"{series.title}, {phase}" if phase else series.title
        try:
            if isinstance(stack, str):
                raise SourceError(stack)
            volume, lying, remarks = _volume(folder, stack, wanted)
            yield to_case(name_of(series, phase), volume, lying, remarks)
        except SourceError as error:
            yield Quarantined(title, str(error))
        except FileError as error:
            yield Quarantined(title, f"{error.args[0]} {error.reason}")


def _volume(folder: Path, stack: Stack, wanted: WantedSeries) -> tuple[Volume, Lying, tuple[str, ...]]:
    """The stack as `Dicom` reads it, and its own lattice: columns, rows, slices."""
    if stack.tilted and wanted.tilt == "refuse":
        raise SourceError(tilt_in_words(stack))
    image, affine = read_image(folder, stack), stack.affine
    remarks: tuple[str, ...] = ()
    labels = np.zeros(image.shape, np.uint8)
    if stack.tilted:
        straight = straightened(image, labels, stack)
        image, labels, affine = straight.image, straight.labels, straight.affine
        remarks = ("its gantry was tilted: the outline lies in the straight box that its slices were moved into",)
    volume = turned(image, labels, affine, wanted.classes)
    to_ras: Any = nib.io_orientation(affine)  # type: ignore[no-untyped-call]
    return volume, Lying(Turn(image.shape, np.asarray(to_ras, np.float64)), affine), remarks


def name_of(series: Series, phase: str) -> str:
    """Of files: number, description and the end of the UID, by which it is told from all others."""
    words = "-".join(filter(None, (series.first.number, series.first.description, phase)))
    plain = "".join(one if one.isalnum() or one in "-_" else "-" for one in words)[:LONGEST_WORDS].strip("-")
    return "_".join(filter(None, ("series", plain, series.uid.rpartition(".")[2][-8:])))
