"""Cases of other people that anybody can get, as an adversary would have them beside a run."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from client.source import Source
from client.sources._npz import npz_contents
from common.data.cases import Cases, Shape, SiteId, concatenate
from common.errors import StudyError
from common.study.catalogue import SOURCES
from common.study.options import Entry, options_of
from common.study.study import Study

ENDING, LAYOUTS, PUBLISHED = ".npz", ("npz", "medmnist"), "train_images"


def public_cases(place: Path, study: Study, shape: Shape) -> Cases:
    """Of an .npz file as sources `npz` or `medmnist` read it, or of a folder as the study's own source does.

    Raises SourceError where these cannot read it, StudyError where a case is not of the study's shape.
    """
    source = _source_of(place, study)
    sites: tuple[SiteId | None, ...] = source.sites() if source.has_sites else (None,)
    cases = concatenate([source.cases(site, study.seed) for site in sites])
    if cases.shape.inputs != shape.inputs:
        raise StudyError(
            f"--public {place} has cases of shape {cases.shape.inputs}, and the study's network sees {shape.inputs}."
        )
    return cases


def _source_of(place: Path, study: Study) -> Source:
    own = study.source
    if place.is_dir():
        if "folder" not in options_of(SOURCES.load(own.name)):
            raise StudyError(f"--public {place} is a folder, and the study's source {own.name!r} reads none.")
        return cast(Source, SOURCES.build(Entry(own.name, {**own.options, "folder": str(place)})))
    if place.suffix.lower() != ENDING or not place.is_file():
        raise StudyError(f"--public {place} is neither a folder nor an {ENDING} file.")
    name = own.name if own.name in LAYOUTS else _layout(place)
    options = {key: value for key, value in own.options.items() if key != "site"} if name == own.name else {}
    return cast(Source, SOURCES.build(Entry(name, {**options, "folder": str(place.parent), "file": place.name})))


def _layout(place: Path) -> str:
    return "medmnist" if PUBLISHED in npz_contents(place) else "npz"
