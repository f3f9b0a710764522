"""Whether a PACS can be reached and does what a study needs of it: each point in a line, with what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from client.sources._pacs_http import Pacs
from client.sources._pacs_query import said
from client.sources._pacs_settings import read_settings
from common.errors import SourceError

FIRST = [("limit", "1"), ("offset", "0"), ("includefield", "StudyDescription")]


@dataclass(frozen=True)
class Point:
    """What was tried. well: None where it could not be tried. words: what came of it."""

    what: str
    well: bool | None
    words: str


def look(folder: Path) -> Iterator[Point]:
    """Every point in turn; what rests on one that failed is not tried. Raises SourceError for unusable settings."""
    settings = read_settings(folder)
    with Pacs(folder, settings) as pacs:
        yield Point("settings", True, f"{folder / 'pacs.toml'}: {settings.url}")
        found: dict[str, str] = {}
        for what, work in STEPS:
            try:
                yield Point(what, True, work(pacs, found))
            except SourceError as error:
                yield Point(what, False, str(error))
                return
            if "study" not in found:
                yield Point("images", None, "the PACS lists no study: what follows could not be tried")
                return


def _query(pacs: Pacs, found: dict[str, str]) -> str:
    rows = pacs.rows("studies", FIRST)
    if rows:
        found["study"] = said(rows[0], "StudyInstanceUID")
    if len(rows) > 1:
        return f"answers, and gives {len(rows)} studies where one was asked for: it does not know limit"
    return "answers, and lets this hospital in"


def _pages(pacs: Pacs, found: dict[str, str]) -> str:
    second = pacs.rows("studies", [("limit", "1"), ("offset", "1")])
    if second and said(second[0], "StudyInstanceUID") == found["study"]:
        raise SourceError("gives its first study again as its second: it does not know offset, and only the first "
                          "page of a list can be read")  # fmt: skip
    return "lists can be read page by page"


def _filters(pacs: Pacs, found: dict[str, str]) -> str:
    rows = pacs.rows("studies", [("PatientID", "wardround-asks-for-nobody"), ("limit", "1")])
    if rows:
        return "overlooks a filter: each study is held against the filters here, which takes longer"
    return "keeps to filters"


def _series(pacs: Pacs, found: dict[str, str]) -> str:
    rows = pacs.rows(f"studies/{found['study']}/series", [("limit", "1")])
    if not rows:
        raise SourceError("lists no series of its first study")
    found["series"] = said(rows[0], "SeriesInstanceUID")
    images = pacs.rows(f"studies/{found['study']}/series/{found['series']}/instances", [("limit", "1")])
    if not images:
        raise SourceError("lists no image of its first series")
    found["image"] = said(images[0], "SOPInstanceUID")
    return "lists series and images"


def _metadata(pacs: Pacs, found: dict[str, str]) -> str:
    path = f"studies/{found['study']}/series/{found['series']}/instances/{found['image']}/metadata"
    return f"tells {len(pacs.rows(path)[0])} attributes of an image without its pixels"


def _image(pacs: Pacs, found: dict[str, str]) -> str:
    path = f"studies/{found['study']}/series/{found['series']}/instances/{found['image']}"
    with pacs.parts(path) as parts:
        sizes = [sum(map(len, pieces)) for pieces in parts]
    if len(sizes) != 1:
        raise SourceError(f"gives {len(sizes)} files for one image")
    return f"gives an image as it is stored ({sizes[0]} bytes)"


STEPS: tuple[tuple[str, Callable[[Pacs, dict[str, str]], str]], ...] = (
    ("query (QIDO-RS)", _query),
    ("pages", _pages),
    ("filters", _filters),
    ("series", _series),
    ("metadata (WADO-RS)", _metadata),
    ("images (WADO-RS)", _image),
)
