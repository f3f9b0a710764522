"""Folders of NIfTI volumes with labels in any layout, whole or in slices, and a table of hospitals and persons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from client.source import Source
from client.sources._folders import existing, inside
from client.sources._nifti_scans import Layout
from client.sources._site_table import Columns, Listed, listed
from client.sources._volume_scans import Sorted, by_site
from client.sources._volume_source import VolumeSource
from common.errors import StudyError

REMEDY = (
    "Name the folder of your volumes, --set source.folder=..., and its table, source.table; or fetch the hippocampus "
    "set: wardround data fetch hippocampus"
)
PERSONS = (
    "A person is who the table's column person (subject, participant_id) names, or a pattern's {person}, or sub- of "
    "a BIDS name; files that have none of these are each taken for a person of its own."
)


@dataclass(frozen=True)
class Nifti(VolumeSource):
    """images and labels: folders in which files have the same names (labels perhaps with _seg, _mask, _label at the
    end), or patterns of files below `folder`: images = "*/anat/{patient}_T1w.nii.gz", labels =
    "outlines/{patient}_seg.nii.gz". {patient}, {person}, {session} and {site} stand for parts of names; where
    {session} is there, {patient} is the person. A list of images: one a channel. A list of labels: one a class, its
    voxels those above 0, where two overlap the later one's; one entry: all classes; "": none, and all is class 0.

    table: a file in the folder, separated by , ; | or tabs, with the columns patient (`patient_column`), a file's
    name without its ending, or what {patient} stands for; site (`site_column`, "" where it tells of no hospital); and
    where one person has several files person (`person_column`). Without hospitals in table or pattern a study
    divides the persons. Without a column of persons `sub-04` of BIDS names is a person, at all hospitals the same;
    else each file is one. What the table names and is not there, what is there and not in it, and images or labels
    without the other are put aside and said.

    The other options: see VolumeSource.

    patient_column: the column of `table` with files' names; "" for patient. site_column: that of hospitals.
    person_column: that of persons; "" for person, where it has one.
    """

    name: ClassVar[str] = "nifti"
    remedy: ClassVar[str] = REMEDY
    sites_by: ClassVar[str] = "source.table with a column site, or {site} in source.images"
    persons: ClassVar[str] = PERSONS

    classes: tuple[str, ...] = ("background", "anterior", "posterior")
    images: str | tuple[str, ...] = "images"
    labels: str | tuple[str, ...] = "labels"
    patient_column: str = ""
    site_column: str = "site"
    person_column: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        layout = self._layout()
        if self.one_a_class and not self.unlabelled and len(layout.labels) != len(self.classes) - 1:
            raise StudyError(
                f"source 'nifti'.labels lists {len(layout.labels)} files, one for each of classes but the first; "
                f"there are {len(self.classes)} classes."
            )

    @property
    def has_sites(self) -> bool:
        """Whether a table or the pattern says which hospital a patient is from."""
        return bool(self.table and self.site_column) or self._layout().has_sites

    @property
    def one_a_class(self) -> bool:
        """Whether labels are a list."""
        return isinstance(self.labels, tuple)

    @property
    def files_a_case(self) -> int:
        """One for each entry of `images`."""
        return len(self._layout().images)

    def new_scans(self, folder: Path) -> tuple[tuple[str, tuple[Path, ...]], ...]:
        """Names and images of a folder of new data that is laid out as the study's own; () where it is not."""
        count = self.files_a_case
        found = [one for one in self._layout().found(folder) if len(one.images) == count]
        return tuple((one.name.replace("/", "_"), one.images) for one in found)

    def scans(self) -> Sorted:
        """Scans of every hospital. Raises SourceError where folder or table are absent or make no sense."""
        folder = existing(self.folder, "hippocampus", REMEDY)
        return by_site(self._layout().found(folder), self._listed(folder), self.table)

    def tables(self) -> tuple[Path, ...]:
        """The table, where the study names one."""
        return (inside(existing(self.folder, "hippocampus", REMEDY), self.table),) if self.table else ()

    def _listed(self, folder: Path) -> dict[str, Listed] | None:
        if not self.table:
            self._demand_table()
            return None
        names = (self.site_column, self.patient_column, self.person_column)
        columns = Columns(*names, consent=self.consent_column, keep=self.handed_on)
        return listed(inside(folder, self.table), columns, REMEDY)

    def _layout(self) -> Layout:
        def entries(given: str | tuple[str, ...]) -> tuple[str, ...]:
            return given if isinstance(given, tuple) else (given,) if given else ()

        return Layout(entries(self.images), entries(self.labels), self.unlabelled)


source: type[Source] = Nifti
