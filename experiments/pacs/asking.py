"""A study's source, where that is a PACS, with the folder of the hospital that asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from common.data.cases import Quarantined
from common.errors import StudyError
from common.files.access import private_folder
from common.study.catalogue import SOURCES
from common.study.options import Entry

if TYPE_CHECKING:
    from client.sources._pacs_cache import Heard
    from client.sources.dicomweb import DicomWeb
    from common.study.study import Study

NAME = "dicomweb"


def source_of(study: Study, folder: Path | None) -> DicomWeb:
    """Raises StudyError where the study's data are of another kind."""
    if study.source.name != NAME:
        raise StudyError(
            f"the study's source is {study.source.name!r}: one that takes its data from a PACS says [source] name = "
            f"'{NAME}'."
        )
    options = {**study.source.options, **({} if folder is None else {"folder": str(folder)})}
    found: DicomWeb = SOURCES.build(Entry(NAME, options))
    return found


def fetch(source: DicomWeb, out: Path, heard: Heard | None = None) -> tuple[int, tuple[Quarantined, ...]]:
    """Copy what a study takes into the folder `out`, a folder a series; how many files, and what is left out.

    Raises StudyError where something is there already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StudyError(f"{out} holds something already: name a folder that is not there yet.")
    private_folder(out)
    count = 0
    left_out: list[Quarantined] = []
    for folder, held in source.fetched(heard):
        left_out += held.left_out
        for place in held.places:
            count += sum(1 for _ in _copied(folder / place, out / "/".join(Path(place).parts[-2:])))
    return count, tuple(left_out)


def _copied(place: Path, to: Path) -> Iterator[Path]:
    private_folder(to.parents[1], f"{to.parent.name}/{to.name}")
    for path in sorted(place.glob("*.dcm")):
        shutil.copyfile(path, to / path.name)
        yield to / path.name
