"""What a query takes from a PACS, on the hospital's own disk: fetched once, checked against the PACS, resumed.

    FOLDER/from-pacs/QUERY/STUDY/SERIES/IMAGE.dcm and SERIES/.held.json: what the PACS said of the series when it was
    fetched whole. QUERY/.found.json: what all of it was at the last check.

A series is held when `.held.json` has the state that the PACS tells, and its files have the sizes they had; else
whatever is missing of it is fetched, and what the PACS no longer has is removed. Every file is checked to be the
image that was asked for before it is kept.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.sources._dicom_headers import quiet, read_dataset, word
from client.sources._pacs_http import Pacs, PacsError, UnreachableError
from client.sources._pacs_query import Answered, Asked, Query, asked
from client.sources._pacs_settings import PacsSettings, read_settings
from common.data.cases import Quarantined
from common.errors import FileError, SourceError
from common.files import access as files
from common.files.json_files import read_table, write_json
from common.files.locks import held

PLACE = "from-pacs"
HELD, FOUND, LOCK, INCOMING = ".held.json", ".found.json", ".lock", "incoming"
LEAST_FREE_BYTES = 1 << 30
HOUR_S = 3600
Heard = Callable[[str, int, int], None]
"""Told the title of a series that is looked at, which one it is, and of how many."""
_checked: dict[tuple[Path, Query], tuple[float, Held]] = {}
"""What this process checked last, and when."""


@dataclass(frozen=True)
class Held:
    """places: folders of series below the hospital's. left_out: what the PACS has and cannot be used, and why."""

    places: tuple[str, ...]
    left_out: tuple[Quarantined, ...]


def held_series(folder: Path, query: Query, heard: Heard | None = None) -> Held:
    """All series of a query, on the disk. Raises SourceError where they cannot be had at all."""
    settings = read_settings(folder)
    key, now = (folder.resolve(), query), time.monotonic()
    if key in _checked and now - _checked[key][0] < settings.recheck_s:
        return _checked[key][1]
    found = _synchronised(folder, settings, query, heard)
    _checked[key] = (time.monotonic(), found)
    return found


def _synchronised(folder: Path, settings: PacsSettings, query: Query, heard: Heard | None) -> Held:
    name = f"{PLACE}/{query.digest}"
    try:
        files.private_folder(folder, PLACE)
        with held(files.private_folder(folder, name), LOCK, "is being filled", busy=lambda: None):
            return _checked_against(folder / name, settings, query, folder, heard)
    except FileError as error:
        raise SourceError(f"{error} Images from the PACS are kept there.") from error


def _checked_against(place: Path, settings: PacsSettings, query: Query, folder: Path, heard: Heard | None) -> Held:
    try:
        with Pacs(folder, settings) as pacs:
            answered = asked(pacs, query)
            found = _fetched(Fetching(pacs, place), answered, heard)
    except UnreachableError as error:
        before = _before(place, settings)
        if before is None:
            raise
        remark = Quarantined("the PACS", f"{error}; what it held at the last check is used")
        return _whole(folder, Held(before.places, (*before.left_out, remark)))
    table = {
        "checked": time.time(),
        "series": list(found.places),
        "left_out": [[one.name, one.reason] for one in found.left_out],
    }
    write_json(place, FOUND, table, durable=True)
    return found


def _whole(folder: Path, before: Held) -> Held:
    """Without series that were being fetched anew when the PACS went away: some of their slices are not there."""
    broken = [place for place in before.places if not read_table(folder, f"{place}/{HELD}").get("state")]
    lost = [Quarantined(place, "was being fetched anew when the PACS went away") for place in broken]
    return Held(tuple(place for place in before.places if place not in broken), (*before.left_out, *lost))


def _before(place: Path, settings: PacsSettings) -> Held | None:
    """What was whole at the last check, where that is not too long ago."""
    table = read_table(place, FOUND)
    age_s = time.time() - float(table.get("checked", 0))
    if not table or not -HOUR_S < age_s < settings.offline_hours * HOUR_S:
        return None
    return Held(tuple(table["series"]), tuple(Quarantined(*pair) for pair in table["left_out"]))


def _fetched(fetching: Fetching, answered: Answered, heard: Heard | None) -> Held:
    place = fetching.place
    _remove_others(place, {f"{one.study}/{one.series}" for one in answered.series})
    places, left_out = [], list(answered.left_out)
    for number, one in enumerate(answered.series, start=1):
        if heard is not None:
            heard(one.title, number, len(answered.series))
        try:
            fetching.bring(one)
            places.append(f"{place.parent.name}/{place.name}/{one.study}/{one.series}")
        except PacsError:
            raise
        except SourceError as error:
            left_out.append(Quarantined(one.title, str(error)))
    return Held(tuple(places), tuple(left_out))


@dataclass
class Fetching:
    """Series as they are fetched into `place`, within what the hospital's settings allow altogether."""

    pacs: Pacs
    place: Path
    used_bytes: int = 0

    def bring(self, one: Asked) -> None:
        """Make the folder of a series hold its images and no others. Raises SourceError for this series alone,
        PacsError for all.
        """
        name = f"{one.study}/{one.series}"
        there = self._kept(name, one)
        is_same = read_table(self.place, f"{name}/{HELD}").get("state") == one.state
        if there and not is_same and not self._is_going_on(name, one):
            self._drop(name, there)
            there = ()
        missing = set(one.images) - set(there)
        if is_same and not missing:
            return
        begun = {"state": "", "coming": one.state, "boot": _boot()}
        write_json(self.place, f"{name}/{HELD}", begun, durable=True)
        self.pacs.patiently(lambda: self._fetch(name, one, missing))
        sizes = {uid: (self.place / name / f"{uid}.dcm").stat().st_size for uid in one.images}
        write_json(self.place, f"{name}/{HELD}", {"state": one.state, "sizes": sizes}, durable=True)

    def _is_going_on(self, name: str, one: Asked) -> bool:
        """Whether what is there was begun for the same series, and no loss of power came between."""
        table = read_table(self.place, f"{name}/{HELD}")
        return table.get("coming") == one.state and table.get("boot") == _boot()

    def _kept(self, name: str, one: Asked) -> tuple[str, ...]:
        """Images that are there and wanted; whatever else is, or was left by a crash, is removed."""
        kept = []
        sizes = read_table(self.place, f"{name}/{HELD}").get("sizes", {})
        for found in files.names(self.place, name):
            uid = found.removesuffix(".dcm")
            size = (self.place / name / found).lstat().st_size
            if found.endswith(".dcm") and uid in one.images and sizes.get(uid, size) == size:
                kept.append(uid)
                self._use(size)
            elif found != HELD:
                files.remove(self.place, f"{name}/{found}")
        return tuple(kept)

    def _drop(self, name: str, uids: Sequence[str]) -> None:
        for uid in uids:
            files.remove(self.place, f"{name}/{uid}.dcm")

    def _fetch(self, name: str, one: Asked, missing: set[str]) -> None:
        """The whole series at once where none of it is there; else each image by itself."""
        path = f"studies/{one.study}/series/{one.series}"
        if len(missing) == len(one.images):
            self._take(name, one, missing, path)
        for uid in sorted(missing):
            self._take(name, one, missing, f"{path}/instances/{uid}")
            if uid in missing:
                raise SourceError(f"the PACS does not give its image {uid}")

    def _take(self, name: str, one: Asked, missing: set[str], path: str) -> None:
        with self.pacs.parts(path) as parts:
            for pieces in parts:
                try:
                    uid = self._written(name, one, pieces)
                    if uid not in missing:
                        raise SourceError(
                            f"the PACS gives the image {uid[:64]!r}, which was not asked for or came twice"
                        )
                    files.rename(self.place, f"{name}/{INCOMING}", f"{name}/{uid}.dcm")
                finally:
                    files.remove(self.place, f"{name}/{INCOMING}")
                missing.discard(uid)

    def _written(self, name: str, one: Asked, pieces: Iterator[bytes]) -> str:
        """The UID of an image that is kept as INCOMING."""
        with files.writing(self.place, f"{name}/{INCOMING}") as file:
            for piece in pieces:
                self._use(len(piece))
                file.write(piece)
        dataset = read_dataset(self.place, f"{name}/{INCOMING}", pixels=False)
        with quiet():
            if word(dataset, "SeriesInstanceUID") != one.series or word(dataset, "StudyInstanceUID") != one.study:
                raise SourceError("the PACS gives an image of another series than was asked for")
            if word(dataset, "PatientID") != one.patient:
                raise SourceError("its images name another patient than the PACS' list of studies does")
            return word(dataset, "SOPInstanceUID")

    def _use(self, count: int) -> None:
        self.used_bytes += count
        if self.used_bytes > self.pacs.settings.most_gb * 1e9:
            raise PacsError(
                f"the study's images take more than {self.pacs.settings.most_gb:g} GB (pacs.toml: most_gb)"
            )
        if shutil.disk_usage(self.place).free < LEAST_FREE_BYTES + count:
            raise PacsError(f"the disk of {self.place} is all but full: images from the PACS are kept there")


def _boot() -> str:
    """Of this start of the machine: files are not flushed one by one, and one start later may be empty."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _remove_others(place: Path, wanted: set[str]) -> None:
    """Series that the PACS no longer has, or gives to others than the query takes."""
    for study in files.names(place):
        for series in () if study.startswith(".") else files.names(place, study):
            if f"{study}/{series}" not in wanted and (place / study / series).is_dir():
                shutil.rmtree(place / study / series)
        if not study.startswith(".") and not files.names(place, study):
            (place / study).rmdir()
