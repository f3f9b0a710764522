"""Images and labels of a folder in any layout, put together to scans by names that fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unicodedata import normalize

from client.sources._nifti_files import nifti_files, passed_over
from client.sources._volume_patterns import ENDINGS, Pattern
from client.sources._volume_scans import Found
from common.errors import SourceError, StudyError

LABEL_ENDINGS = tuple(
    mark + word for mark in "_-" for word in ("seg", "label", "labels", "mask", "segmentation", "dseg", "gt")
)
IMAGE_ENDINGS = ("_image", "_img", "-image", "-img")
Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Layout:
    """images: one entry a channel; labels: one entry for all classes, or one a class, or none.

    An entry with {fields} is a pattern, one without a folder, in which a file has the name that the case has in the
    first folder of images. unlabelled: labels are in no scan, and only say what is no image. Raises StudyError for
    entries that cannot belong together.
    """

    images: tuple[str, ...]
    labels: tuple[str, ...]
    unlabelled: bool = False

    def __post_init__(self) -> None:
        if not self.images:
            raise StudyError("source.images names no image: a folder or a pattern is needed.")
        for kind, entries in (("images", self.images), ("labels", self.labels)):
            for text in entries:
                _refuse_unlike(Pattern(text, f"source.{kind}"), self.images[0])
        if len(set(self.images + self.labels)) < len(self.images + self.labels):
            raise StudyError("source.images and source.labels name one place twice: write a pattern for each.")

    @property
    def has_sites(self) -> bool:
        """Whether a field says which hospital a file is from."""
        return "{site}" in self.images[0]

    def found(self, folder: Path) -> list[Found]:
        """Every scan with its channels and labels, and whatever lies about that is part of none."""
        channels = [_Entry.of(text, "images", folder) for text in self.images[1:]]
        labels = [_Entry.of(text, "labels", folder) for text in self.labels]
        others = {path for entry in (*channels, *labels) for paths in entry.files.values() for path in paths}
        scans = list(self._first(folder, others))
        taken = [] if self.unlabelled else labels
        scans = [_with_files(scan, channels, taken) for scan in scans]
        unused = [one for entry in (*channels, *taken) for one in entry.unused()]
        if not scans:
            unused = [replace(one, fault=f"no file fits source.images = {self.images[0]!r}") for one in unused]
        return [*scans, *unused, *self._passed_over(folder, others)]

    def _passed_over(self, folder: Path, others: set[Path]) -> Iterator[Found]:
        """Volumes in the folders of images and of labels that no case is made of, for they lie or end otherwise."""
        seen = set(others)
        for text in dict.fromkeys((*self.images, *(() if self.unlabelled else self.labels))):
            for path, why in passed_over(folder / text) if "{" not in text else ():
                if path not in seen:
                    seen.add(path)
                    yield Found(_below(path, folder), fault=why)

    def _first(self, folder: Path, others: set[Path]) -> Iterator[Found]:
        """Scans by their first channel: what fits an entry of another kind too, as x_seg.nii does, is of that one."""
        text = self.images[0]
        if "{" not in text:
            yield from (Found(name, (path,)) for name, path in nifti_files(folder / text).items())
            return
        grouped: dict[Fields, list[Path]] = defaultdict(list)
        for path, fields in Pattern(text, "source.images").found(folder):
            if path not in others:
                grouped[tuple(fields.items())].append(path)
        for pairs, paths in grouped.items():
            fields = dict(pairs)
            name = "_".join(fields.values())
            if len(paths) > 1:
                files = " and ".join(_below(path, folder) for path in paths[:3])
                fault = f"{len(paths)} files fit its pattern ({files}): name what they differ in, with {{session}}"
                yield Found(name, tuple(paths), fields=fields, fault=fault)
            else:
                yield Found(name, tuple(paths), others=(_stem(_below(paths[0], folder)),), fields=fields)


@dataclass
class _Entry:
    """The files of one entry but the first: by their fields, or by their names in a folder."""

    text: str
    folder: Path
    files: Mapping[str | Fields, list[Path]]
    used: set[Path]

    @classmethod
    def of(cls, text: str, kind: str, folder: Path) -> _Entry:
        files: dict[str | Fields, list[Path]] = defaultdict(list)
        if "{" in text:
            for path, fields in Pattern(text, f"source.{kind}").found(folder):
                files[tuple(sorted(fields.items()))].append(path)
        else:
            for name, path in nifti_files(folder / text).items():
                files[name].append(path)
        return cls(text, folder, files, set())

    def path_for(self, scan: Found, endings: Sequence[str] = ()) -> Path:
        """The one file of a scan. Raises SourceError with what was looked for."""
        paths = self._paths(scan, endings)
        if len(paths) != 1:
            raise SourceError(self._fault(scan, paths))
        self.used.add(paths[0])
        return paths[0]

    def unused(self) -> Iterator[Found]:
        """Files that are part of no scan."""
        for path in sorted({path for paths in self.files.values() for path in paths} - self.used):
            name = _stem(_below(path, self.folder))
            yield Found(name, labels=(path,), fault=f"there is no image for {_below(path, self.folder)}")

    def _paths(self, scan: Found, endings: Sequence[str]) -> list[Path]:
        if "{" in self.text:
            wanted = set(Pattern(self.text, "source").fields)
            return self.files.get(tuple(sorted((k, v) for k, v in scan.fields.items() if k in wanted)), [])
        stem = scan.fields.get("patient", scan.name)
        stems = [stem, *(stem.removesuffix(ending) for ending in IMAGE_ENDINGS if endings and stem.endswith(ending))]
        if exact := next((self.files[one] for one in stems if one in self.files), []):
            return exact
        return [path for one in stems for ending in endings for path in self.files.get(one + ending, [])]

    def _fault(self, scan: Found, paths: Sequence[Path]) -> str:
        if paths:
            return f"several files could be of it: {' and '.join(_below(path, self.folder) for path in paths[:3])}"
        looked_for = self.text
        for key, value in scan.fields.items():
            looked_for = looked_for.replace(f"{{{key}}}", value)
        if "{" not in self.text:
            looked_for = f"{self.text}/{scan.fields.get('patient', scan.name)}.nii.gz"
        return f"there is no {looked_for}"


def _with_files(scan: Found, channels: Sequence[_Entry], labels: Sequence[_Entry]) -> Found:
    """The scan with its further channels and its labels, or why it lacks one."""
    if scan.fault:
        return scan
    faults: list[str] = []
    images, outlines = list(scan.images), list[Path]()
    for entries, into, endings in ((channels, images, ()), (labels, outlines, LABEL_ENDINGS)):
        for entry in entries:
            try:
                into.append(entry.path_for(scan, endings))
            except SourceError as error:
                faults.append(str(error))
    return Found(scan.name, tuple(images), tuple(outlines), scan.others, scan.fields, "; ".join(faults))


def _refuse_unlike(pattern: Pattern, first: str) -> None:
    """Raise StudyError where a pattern has fields that the first pattern of images has not, or no common one."""
    known = set(Pattern(first, "source.images").fields)
    if "{" not in pattern.text:
        if "*" in pattern.text or "?" in pattern.text or pattern.text.endswith(ENDINGS):
            raise StudyError(
                f"{pattern.where} {pattern.text!r} needs a field that tells cases apart, such as {{patient}}, or "
                "must be a folder."
            )
        return
    if set(pattern.fields) - known or not known:
        raise StudyError(
            f"{pattern.where} {pattern.text!r} has fields {sorted(pattern.fields)}; those of the first image are "
            f"{sorted(known)}, and no others can be told by it."
        )


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _stem(name: str) -> str:
    return normalize("NFC", name.removesuffix(".gz").removesuffix(".nii"))
