"""A BIDS data set of volumes with labels: sub- is the person, sessions and runs are that person's scans."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from client.source import Source
from client.sources._bids_files import BidsFile, Wanted, best, bids_files, out_of_place
from client.sources._folders import existing, inside
from client.sources._site_table import Columns, Listed, listed
from client.sources._volume_scans import Found, Sorted, by_site
from client.sources._volume_source import VolumeSource
from common.data.names import in_one_form
from common.errors import StudyError

REMEDY = "Name the folder of a BIDS data set, in which sub-XX/ are, with --set source.folder=..."
PARTICIPANTS = "participants.tsv"
SAME_SCAN = ("sub", "ses", "run")
"""What all channels of a scan have in common, as far as their names say it."""


@dataclass(frozen=True)
class Bids(VolumeSource):
    """Files sub-XX/[ses-YY/]anat/sub-XX_[ses-YY_]T1w.nii.gz, labels in derivatives/ or beside them.

    images: suffixes, one a channel: ["T1w", "FLAIR"]; with entities where a suffix alone is not enough
    ("acq-fast_T1w"). Each file of the first is a scan, the others and the labels are found by subject, session, run
    and whatever else their names share.
    labels: a suffix of files of all classes ("dseg"), or a list, one a class (["label-lesion_mask"]); "" for none.
    derivatives: the folder of labels below derivatives/; "" for the data set itself and all of derivatives/.
    sessions: those that are taken, as ["1", "2"]; () for all.
    table: participants.tsv. site_column: the column of hospitals in it, "" where it has none. person_column: the
    column of persons, where two subjects are one person or one name is that of two; "" where sub- is the person (or a
    column "person" says who).
    hospitals: "folders" where each folder in `folder` is the data set of the hospital it is called after; sub-04 of
    two hospitals is then one person, unless their tables' column of persons says otherwise.

    Without hospitals a study divides the persons. Who is in the table and has no scan, and the other way round, is
    put aside and said.

    The other options: see VolumeSource.
    """

    name: ClassVar[str] = "bids"
    remedy: ClassVar[str] = REMEDY
    sites_by: ClassVar[str] = "source.site_column, a column of participants.tsv, or source.hospitals = 'folders'"
    persons: ClassVar[str] = (
        "All sessions and runs of one sub- are of one person, at all hospitals. A person is who sub- names, or who "
        "the column person of participants.tsv does, or another that the study names."
    )

    table: str = PARTICIPANTS
    images: str | tuple[str, ...] = "T1w"
    labels: str | tuple[str, ...] = "dseg"
    derivatives: str = ""
    sessions: tuple[str, ...] = ()
    site_column: str = ""
    person_column: str = ""
    hospitals: str = "column"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hospitals not in ("column", "folders"):
            raise StudyError(f"source 'bids'.hospitals must be 'column' or 'folders'; it is {self.hospitals!r}.")
        if self.hospitals == "folders" and self.site_column:
            raise StudyError("source 'bids'.site_column has no use where hospitals are folders.")
        if not self._wanted("images"):
            raise StudyError("source 'bids'.images names no image: a suffix such as T1w is needed.")
        count = len(self._wanted("labels"))
        if self.one_a_class and not self.unlabelled and count != len(self.classes) - 1:
            raise StudyError(
                f"source 'bids'.labels lists {count} suffixes, one for each of classes but the first; there are "
                f"{len(self.classes)} classes."
            )

    @property
    def has_sites(self) -> bool:
        """Whether a column, or folders, say which hospital a person is of."""
        return bool(self.site_column) or self.hospitals == "folders"

    @property
    def one_a_class(self) -> bool:
        """Whether labels are a list."""
        return isinstance(self.labels, tuple)

    @property
    def files_a_case(self) -> int:
        """One for each entry of `images`."""
        return len(self._wanted("images"))

    def scans(self) -> Sorted:
        """Scans of every hospital. Raises SourceError where folder or table are absent or make no sense."""
        if self.hospitals == "column":
            return self._by_site(self._sets()[0], self.table)
        every = {in_one_form(path.name): self._by_site(path, f"{path.name}/{self.table}") for path in self._sets()}
        return {site: tuple(one for each in own.values() for one in each) for site, own in every.items()}

    def tables(self) -> tuple[Path, ...]:
        """participants.tsv of every data set that has one."""
        return tuple(path for each in self._sets() if (path := inside(each, self.table)).is_file())

    def _sets(self) -> tuple[Path, ...]:
        """Folders of data sets."""
        folder = existing(self.folder, "bids", REMEDY)
        if self.hospitals == "column":
            return (folder,)
        return tuple(path for path in sorted(folder.iterdir()) if any(path.glob("sub-*")))

    def _by_site(self, folder: Path, table_name: str) -> Sorted:
        table = self._listed(folder)
        demanded = bool(self.site_column) or any(row.says_person for row in (table or {}).values())
        return by_site(list(self._found(folder)), table, table_name, demanded)

    def _listed(self, folder: Path) -> dict[str, Listed] | None:
        if not (self.site_column or self.person_column or self.handed_on) and not (folder / self.table).is_file():
            return None
        columns = Columns(
            self.site_column, "participant_id", self.person_column, ("person",), self.consent_column, self.handed_on
        )
        return listed(inside(folder, self.table), columns, REMEDY)

    def _found(self, folder: Path) -> Iterator[Found]:
        """A scan for each image of the first channel, and subjects that have none."""
        by_place: dict[tuple[str, str], list[BidsFile]] = defaultdict(list)
        for file in self._files(folder):
            by_place[file.place].append(file)
        subjects = {path.name.removeprefix("sub-") for path in folder.glob("sub-*") if path.is_dir()}
        first = self._wanted("images")[0]
        for (subject, _), files in sorted(by_place.items()):
            for file in files:
                if first.fits(file) and file.path.relative_to(folder).parts[0].startswith("sub-"):
                    subjects.discard(subject)
                    yield self._scan(file, files, folder)
        for path in out_of_place(folder):
            name = path.relative_to(folder).as_posix()
            yield Found(name, fault="it is not where BIDS has volumes, as sub-XX/ses-YY/anat/sub-XX_ses-YY_T1w")
        for subject in sorted(subjects):
            where = " in the sessions that the study names" if self.sessions else ""
            yield Found(f"sub-{subject}", fields=_fields(subject), fault=f"it has no image {first.text}{where}")

    def _files(self, folder: Path) -> Iterator[BidsFile]:
        """Files of the sessions that are taken, in the data set and in its derivatives."""
        above = folder / "derivatives"
        inner = [above, *sorted(path for path in above.glob("*") if path.is_dir())]
        for place in (folder, *([inside(above, self.derivatives)] if self.derivatives else inner)):
            for file in bids_files(place):
                if not self.sessions or file.entities.get("ses", "") in self.sessions:
                    yield file

    def _scan(self, file: BidsFile, files: Sequence[BidsFile], folder: Path) -> Found:
        faults = [file.contradiction] if file.contradiction else []

        def paths(kind: str, like: Mapping[str, str], wanted: Sequence[Wanted]) -> tuple[Path, ...]:
            found = []
            for one in wanted:
                fitting = best([each for each in files if one.fits(each)], one.apart_from(like))
                found += [each.path for each in fitting]
                if len(fitting) != 1:
                    names = " and ".join(each.path.relative_to(folder).as_posix() for each in fitting[:3])
                    tell = f"{len(fitting)} files could be: {names}. Write more of their names in source.{kind}"
                    faults.append(tell if fitting else f"there is no {kind.removesuffix('s')} {one.text} for it")
            return tuple(found)

        same_scan = {key: value for key, value in file.entities.items() if key in SAME_SCAN}
        images = (file.path, *paths("images", same_scan, self._wanted("images")[1:]))
        labels = () if self.unlabelled else paths("labels", file.entities, self._wanted("labels"))
        name = file.path.relative_to(folder).as_posix().removesuffix(".gz").removesuffix(".nii")
        subject = file.entities["sub"]
        return Found(name, images, labels, (subject,), _fields(subject), "; ".join(faults))

    def _wanted(self, kind: Literal["images", "labels"]) -> tuple[Wanted, ...]:
        given: str | tuple[str, ...] = getattr(self, kind)
        texts = given if isinstance(given, tuple) else (given,) if given else ()
        return tuple(Wanted(text, f"source 'bids'.{kind}") for text in texts)


def _fields(subject: str) -> dict[str, str]:
    return {"person": f"sub-{subject}"}


source: type[Source] = Bids
