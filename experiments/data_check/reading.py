"""A study's folder read dry: the cases of one hospital after the other, part by part, kept nowhere.

A laptop reads all hospitals of a study: those that the data name, or those that its partition makes. In a hospital
the folder is its own, whole, whatever the study's partition says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import cast

from client.partition import Partition
from client.pool import numbered_names
from client.source import Source
from client.source_abilities import input_names, streaming
from common.data.cases import Cases, Quarantined, SiteId
from common.errors import StudyError
from common.study.catalogue import PARTITIONS, SOURCES
from common.study.options import Entry
from common.study.spelling import unknown
from common.study.study import Study

POOL = "all hospitals"
NAMELESS = "this hospital"


@dataclass(frozen=True)
class Stream:
    """name: the hospital's, or POOL of cases that a partition divides. site: as the source calls it."""

    name: SiteId
    site: SiteId | None
    source: Source
    seed: int

    @property
    def has_parts(self) -> bool:
        """Whether the source gives a file's, series' or person's cases at a time."""
        return streaming(self.source) is not None

    def files(self) -> int | None:
        """How many original files there are to read; None where the source does not say."""
        parted = streaming(self.source)
        return None if parted is None else len(parted.files(self.site))

    def features(self) -> tuple[str, ...]:
        """What the source calls the columns of its inputs; () where it does not say."""
        return input_names(self.source) or ()

    def parts(self) -> Iterator[Cases | Quarantined]:
        """All cases, and whatever cannot be used. Raises WardroundError as the source does."""
        parted = streaming(self.source)
        if parted is not None:
            yield from parted.parts(self.site, self.seed)
        else:
            yield self.source.cases(self.site, self.seed)


@dataclass(frozen=True)
class Reading:
    """Everything there is to read. hospitals: all names. partition: of the pool, where there is one stream of it."""

    study: Study
    streams: tuple[Stream, ...]
    hospitals: tuple[SiteId, ...]
    partition: Partition | None = None
    is_own: bool = False
    chosen: SiteId | None = None


def reading_of(study: Study, own_folder: str | None, site: SiteId | None) -> Reading:
    """What to read. own_folder: a hospital's own, None at a laptop. site: this hospital alone.

    Raises StudyError where nothing says which hospitals there are, UnknownNameError for a hospital that is not there.
    """
    if own_folder is not None:
        study = replace(study, source=Entry(study.source.name, {**study.source.options, "folder": own_folder}))
    source = cast(Source, SOURCES.build(study.source))
    _demand_rostered(study, site if own_folder is not None else None)
    if source.has_sites:
        return _named_by_data(study, source, site, own_folder is not None)
    if own_folder is not None:
        names = study.federation.names
        name = site or (names[0] if len(names) == 1 else NAMELESS)
        return Reading(study, (Stream(name, None, source, study.seed),), (name,), is_own=True)
    if study.partition is None:
        raise StudyError(
            f"source {study.source.name!r} does not say which hospital a case is from, and the study has no "
            "[partition]: check a hospital's own folder, with --folder."
        )
    partition = cast(Partition, PARTITIONS.build(study.partition))
    hospitals = numbered_names(partition.hospitals)
    _demand(site, hospitals)
    stream = Stream(POOL, None, source, study.seed)
    return Reading(study, (stream,), hospitals, partition, chosen=site)


def _named_by_data(study: Study, source: Source, site: SiteId | None, is_own: bool) -> Reading:
    hospitals = source.sites()
    _demand(site, hospitals)
    wanted = hospitals if site is None else (site,)
    streams = tuple(Stream(name, name, source, study.seed) for name in wanted)
    return Reading(study, streams, wanted, is_own=is_own)


def _demand(site: SiteId | None, hospitals: tuple[SiteId, ...]) -> None:
    if site is not None and site not in hospitals:
        raise unknown("hospital", site, hospitals)


def _demand_rostered(study: Study, site: SiteId | None) -> None:
    if site is not None and study.federation.roster:
        _demand(site, study.federation.names)


Told = Callable[[int], None]
"""Called with the number of cases read of a hospital so far."""
