"""Series of DICOM files, wherever the files lie: whose they are, and their slices as stacks."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import combinations
from pathlib import Path

from client.sources._dicom_frames import CONTOURS, IMAGE, SEGMENTATION, read_header
from client.sources._dicom_geometry import SAME_PLACE_MM, Frames, Stack, places_mm, stacked
from client.sources._dicom_headers import LARGEST_FILE_BYTES, Frame, Header, has_prefix
from common.data.cases import Quarantined
from common.errors import FileError, SourceError
from common.files import access as files

MOST_FILES = 2_000_000
DICOM_ENDINGS = (".dcm", ".dicom", ".dic", ".ima")
UNSAID = ("DICOMDIR", "THUMBS.DB", "DESKTOP.INI")
"""Files that every disk of DICOM has; nobody misses them."""
NAMES_SHOWN = 3


@dataclass(frozen=True)
class Listing:
    """Files of a tree by their paths below its folder, sorted, with size and time: what headers are remembered by."""

    folder: Path
    files: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Headers:
    """All that a tree's headers say. broken: files by name that look like DICOM and cannot be used, and why.

    segmentations: and structure sets. others: how many files are no volumes, by what they are, and the names of some.
    """

    folder: Path
    images: tuple[Header, ...]
    segmentations: tuple[Header, ...]
    broken: tuple[Quarantined, ...]
    others: tuple[Quarantined, ...]


@dataclass(frozen=True)
class Series:
    """All images of one SeriesInstanceUID. fault: why it cannot be used as a whole, "" if it can."""

    uid: str
    headers: tuple[Header, ...]
    fault: str

    @property
    def first(self) -> Header:
        """What it says of patient, study and place, which is the same in all its files unless it has a fault."""
        return self.headers[0]

    @property
    def title(self) -> str:
        """What a person knows it by."""
        about = f"{self.first.number} {self.first.description}".strip() or self.first.modality
        return f"series {about} ({self.uid}) in {self.first.name.rpartition('/')[0] or '.'}"


def listed(folder: Path, below: Iterable[str] = ("",), without: Iterable[str] = ()) -> Listing:
    """Every file in the folders `below` the folder, but hidden ones and `without`. Opens none, follows no link.

    A folder that is a link, or cannot be listed, stands for all in it: reading it will say why that is left out.
    """
    left_out = set(without)
    found: list[tuple[str, int, int]] = []

    def closed(error: OSError) -> None:
        found.append((Path(str(error.filename)).relative_to(folder).as_posix(), -1, -1))

    for start in below:
        for place, folders, names in os.walk(folder / start, onerror=closed):
            folders[:] = [one for one in folders if not one.startswith(".")]
            for name in (*names, *(one for one in folders if Path(place, one).is_symlink())):
                path = Path(place, name)
                word = path.relative_to(folder).as_posix()
                if not name.startswith(".") and name.upper() not in UNSAID and word not in left_out:
                    about = path.lstat()
                    found.append((word, about.st_size, about.st_mtime_ns))
            if len(found) > MOST_FILES:
                raise SourceError(f"{folder} holds more than {MOST_FILES} files: name a folder with fewer.")
    return Listing(folder, tuple(sorted(found)))


@lru_cache(maxsize=2)
def read_headers(listing: Listing) -> Headers:
    """The headers of all files; the same listing, sizes and times included, is read once."""
    images, segmentations, broken = [], [], []
    others: dict[str, list[str]] = defaultdict(list)
    for name, _, _ in listing.files:
        try:
            header = _header(listing.folder, name)
        except (SourceError, FileError) as error:
            broken.append(Quarantined(name, error.reason if isinstance(error, FileError) else str(error)))
            continue
        if header is None:
            others["no DICOM"].append(name)
        elif header.kind == IMAGE:
            images.append(header)
        elif header.kind in (SEGMENTATION, CONTOURS):
            segmentations.append(header)
        else:
            others[header.kind].append(name)
    counted = (counted_files(kind, names) for kind, names in sorted(others.items()) if kind)
    return Headers(listing.folder, tuple(images), tuple(segmentations), tuple(broken), tuple(counted))


def _header(folder: Path, name: str) -> Header | None:
    """None for a file that neither is nor is named like DICOM."""
    if has_prefix(folder, name):
        return read_header(folder, name)
    last = name.rpartition("/")[2]
    if last.lower().endswith(DICOM_ENDINGS) or "." not in last or last.replace(".", "").isdigit():
        raise SourceError("is no DICOM file: after a preamble of 128 bytes it must say DICM")
    return None


def counted_files(kind: str, names: Sequence[str]) -> Quarantined:
    shown = ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
    return Quarantined("1 file" if len(names) == 1 else f"{len(names)} files", f"{kind}, left out: {shown}")


def series_of(headers: Iterable[Header], folder: Path) -> tuple[Series, ...]:
    """Images by SeriesInstanceUID, in the order of patients, dates, studies and series."""
    by_uid: dict[str, list[Header]] = defaultdict(list)
    for header in headers:
        by_uid[header.series].append(header)
    found = [_series(uid, sorted(own, key=lambda one: one.name), folder) for uid, own in by_uid.items()]
    return tuple(sorted(found, key=_order))


def _order(series: Series) -> tuple[str, ...]:
    first = series.first
    return first.patient_id, first.issuer, first.study_date, first.study, first.number.zfill(8), series.uid


def _series(uid: str, headers: list[Header], folder: Path) -> Series:
    try:
        headers = _without_copies(headers, folder)
    except (SourceError, FileError) as error:
        return Series(uid, tuple(headers), str(error))
    faults = [f"{header.name} {header.fault}" for header in headers if header.fault]
    if len({(header.patient_id, header.issuer) for header in headers}) > 1:
        faults.append("its files name several patients")
    elif len({header.study for header in headers}) > 1:
        faults.append("its files name several studies")
    elif len(units := sorted({header.units for header in headers} - {""})) > 1:
        faults.append(f"its files give their numbers in several units ({', '.join(units)[:80]})")
    elif len({header.frame_of_reference for header in headers}) > 1:
        faults.append("its files lie in several frames of reference, so that nothing says how far apart they are")
    more = f" (and {len(faults) - 1} files more)" if len(faults) > 1 else ""
    return Series(uid, tuple(headers), f"{faults[0]}{more}" if faults else "")


def _without_copies(headers: list[Header], folder: Path) -> list[Header]:
    """Each image once. Raises SourceError where two files say that they are the same image and are not."""
    kept: dict[str, Header] = {}
    for header in headers:
        before = kept.setdefault(header.instance or header.name, header)
        if before is not header and _digest(folder, before.name) != _digest(folder, header.name):
            raise SourceError(
                f"{before.name} and {header.name} say that they are one image (SOPInstanceUID) and differ"
            )
    return list(kept.values())


def _digest(folder: Path, name: str) -> bytes:
    return sha256(files.read(folder, name, LARGEST_FILE_BYTES)).digest()


def stacks_of(series: Series) -> Iterator[tuple[str, Stack | str]]:
    """Every stack of a series with what tells it from the others ("" for the only one), or why it is none."""
    frames = tuple(frame for header in series.headers for frame in header.frames)
    try:
        parts = _phases(frames)
    except SourceError as error:
        yield "", str(error)
        return
    for phase, part in sorted(parts.items()):
        try:
            yield phase, stacked(part)
        except SourceError as error:
            yield phase, str(error)


def _phases(frames: Frames) -> dict[str, Frames]:
    """Frames by the fewest tags that tell apart those at one place, where those make as many stacks as there are."""
    if not frames:
        raise SourceError("has no image")
    at_one_place = _most_at_one_place(frames)
    tags = range(len(frames[0].phase))
    if at_one_place == 1 or len({len(frame.phase) for frame in frames}) > 1:
        return {"": frames}
    for chosen in (*combinations(tags, 1), *combinations(tags, 2)):
        parts: dict[str, list[Frame]] = defaultdict(list)
        for frame in frames:
            parts[", ".join(frame.phase[tag] for tag in chosen)].append(frame)
        if len(parts) == at_one_place and all(_most_at_one_place(part) == 1 for part in parts.values()):
            return {phase: tuple(part) for phase, part in parts.items()}
    return {"": frames}


def _most_at_one_place(frames: Sequence[Frame]) -> int:
    counts: Counter[int] = Counter()
    group, last = 0, None
    for place in sorted(places_mm(frames)):
        group += last is None or place - last > SAME_PLACE_MM
        counts[group] += 1
        last = place
    return max(counts.values())
