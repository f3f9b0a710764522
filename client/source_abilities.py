"""What a source has beyond its role: members that are optional and declared. One that is absent is not possible.

The program asks for them here, and never for the name or the class of a source. `sites_by` is asked for where a
study is read (`common.study.study`), and so are `pooled_statistics` and `persons` of the role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

from client.new_cases import Kind, Learned, NewCase, NewFile, PreparesNew, columns_digest
from client.source import Source, Streaming
from common.asking.records import Records
from common.data.cases import Cases, Quarantined, SiteId
from common.errors import StudyError

NewScans = Callable[[Path], tuple[tuple[str, tuple[Path, ...]], ...]]


class SourceAbilities(Protocol):
    """The optional members. No source has all of them."""

    sites_by: ClassVar[str]
    """Options by which the data tell a case's hospital, in words that end a sentence."""
    label: str
    """What a number that is learned is called."""
    new_kinds: ClassVar[tuple[Kind, ...]]
    """Kinds of files that `new_cases` prepares."""
    asked: Mapping[str, Any]
    """Option: columns of words of its cases that questions read, and what they hold (`client.sources._asked`)."""
    unlabelled: bool
    """Option: whether it reads images alone, and its cases have no truth (`common.data.cases.no_truth`)."""
    levels: Mapping[str, tuple[str, ...]]
    """The words that a column of its records may hold, by the options alone: read where there are no data as well."""

    def input_names(self) -> tuple[str, ...]:
        """What the columns of its inputs are called, in order."""
        ...

    def scaled(self, cases: Cases) -> Cases:
        """These cases by what is computed from them: called once, when whoever takes no part is gone."""
        ...

    def files(self, site: SiteId | None) -> tuple[Path, ...]:
        """Every original file that `cases(site)` would read, sorted. Opens tables, no image."""
        ...

    def parts(self, site: SiteId | None, seed: int) -> Iterator[Cases | Quarantined]:
        """The same cases in the same order, one file's or person's at a time, each by its own files alone."""
        ...

    def records(self, site: SiteId | None, seed: int) -> Records:
        """Every case's row as it was written, whole numbers and words, of the same persons in the same order.

        No column names persons. Without this member, questions read columns of `cases` that hold one value a case.
        """
        ...

    def new_cases(self, new: NewFile, learned: Learned) -> Iterator[NewCase | Quarantined]:
        """Cases of one file that nobody trained on. Raises SourceError where it cannot be used at all."""
        ...

    def new_scans(self, folder: Path) -> tuple[tuple[str, tuple[Path, ...]], ...]:
        """Name and files, one a channel, of each scan in a folder of files that are used together."""
        ...


NAMES = tuple(name for name in (*SourceAbilities.__annotations__, *vars(SourceAbilities)) if name[0] != "_")
TOGETHER = (("files", "parts"), ("parts", "files"), ("new_kinds", "new_cases"), ("new_cases", "new_kinds"))
"""The first is of no use without the second."""


def can(source: Source, member: str) -> bool:
    """Whether a source has an optional member."""
    assert member in NAMES, member
    return getattr(source, member, None) is not None


def abilities(source: Source) -> SourceAbilities:
    """The source, whose optional members are asked for only after `can`."""
    return cast(SourceAbilities, source)


def streaming(source: Source) -> Streaming | None:
    """The source, where it gives a file's or person's cases at a time; else None."""
    return cast(Streaming, source) if can(source, "parts") and can(source, "files") else None


def scaled(source: Source, cases: Cases) -> Cases:
    """The cases by what the source computes from all of a hospital's together; as they are for most."""
    return abilities(source).scaled(cases) if can(source, "scaled") and len(cases) else cases


def input_names(source: Source) -> tuple[str, ...] | None:
    """What the columns of its inputs are called; None where it does not say."""
    return tuple(abilities(source).input_names()) if can(source, "input_names") else None


def digest_of_columns(source: Source) -> str:
    """Of the names of the inputs' columns, in order; "" where the source knows none."""
    names = input_names(source)
    return "" if names is None else columns_digest(names)


def label_of(source: Source) -> str:
    """What a number that is learned is called; "" where it does not say."""
    label: Any = getattr(source, "label", "")
    return label if isinstance(label, str) else ""


def preparing_new(source: Source, name: str) -> PreparesNew:
    """The source, for new files. Raises StudyError where it has no way to prepare any."""
    if not (can(source, "new_cases") and can(source, "new_kinds")):
        raise StudyError(
            f"source {name!r} reads one data set as it is published, and has no way to prepare new files "
            "(new_kinds, new_cases): train on a source of files, such as 'nifti', 'dicom', 'images', 'table' or "
            "'npz'."
        )
    return cast(PreparesNew, source)


def new_scans(source: Source) -> NewScans | None:
    """How files of a folder belong together; None where each is a case."""
    return abilities(source).new_scans if can(source, "new_scans") else None
