"""The role of a source: where cases come from. Entries live in `client/sources/`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from client.consent import COLUMN
from common.data.cases import Cases, Quarantined, SiteId, concatenate
from common.data.pooled_statistics import Pooled
from common.errors import SourceError

REASONS_SHOWN = 3


class Source(Protocol):
    """A frozen dataclass of options (`folder` above all) in `client/sources/`.

    A broken case is quarantined (`Cases.quarantined`), not fatal; missing data raises SourceError that says
    which folder was looked in and how to get the data. What it can have beside these members is in
    `client.source_abilities`.
    """

    @property
    def has_sites(self) -> bool:
        """Whether the data says which hospital a case is from; if not, a study needs a `[partition]`."""
        ...

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        """Whatever one person's presence or values change in the cases, names or prescribed split of another.

        () where every person's cases depend on that person and on public constants alone: only then may a study
        promise privacy to a person or a case. A source that does not say is taken to compute something.
        """
        ...

    @property
    def persons(self) -> str:
        """How it knows which cases are of one person, in words that end "A person is ..."."""
        ...

    def sites(self) -> tuple[SiteId, ...]:
        """Names of the hospitals, sorted; () where `has_sites` is False. Reads no pixel."""
        ...

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """All cases of one hospital. Order never depends on the order of files in a directory.

        Args:
            site: its name, of `sites()`; None for everybody, where `has_sites` is False.
            seed: the study's; only sources that synthesise or draw use it.

        Returns:
            Cases whose `patients` name persons: all scans and sessions of one, under one name.

        Raises:
            SourceError: nothing can be used, and why.
        """
        ...


class Streaming(Protocol):
    """What a source offers beside `cases` where its data may not fit in memory.

    A part is computed from its own files and the options alone, so that it can be kept prepared on the disk.
    """

    def files(self, site: SiteId | None) -> tuple[Path, ...]:
        """Every original file that `cases(site)` would read, sorted. Opens tables, no image."""
        ...

    def parts(self, site: SiteId | None, seed: int) -> Iterator[Cases | Quarantined]:
        """The same cases in the same order, one file's or person's at a time."""
        ...


def gathered(parts: Iterable[Cases | Quarantined], absent: str) -> Cases:
    """All parts as the cases of a hospital, in memory.

    Args:
        parts: cases, and what could not be used.
        absent: what is said where nothing can be used; the first reasons follow it.

    Returns:
        One table of all.

    Raises:
        SourceError: nothing can be used.
    """
    found = _with_consent(list(parts))
    if any(isinstance(part, Cases) for part in found):
        return concatenate(found)
    raise SourceError(" ".join([absent, *reasons([part for part in found if isinstance(part, Quarantined)])]))


def reasons(left_out: Sequence[Quarantined]) -> list[str]:
    """The first kinds of reasons in brackets, each of one case, with the number of the others of its kind."""
    alike: dict[str, list[Quarantined]] = {}
    for one in left_out:
        kind = re.sub(rf"(?<!\w){re.escape(one.name)}(?!\w)", "*", one.reason)
        alike.setdefault(kind, []).append(one)
    kinds = list(alike.values())[:REASONS_SHOWN]
    more = [f"; {len(ones) - 1} more alike" * (len(ones) > 1) for ones in kinds]
    return [f"({ones[0].name}: {ones[0].reason}{others})" for ones, others in zip(kinds, more, strict=True)]


def _with_consent(parts: list[Cases | Quarantined]) -> list[Cases | Quarantined]:
    """Where one part says who consents, a part that does not says that nothing is known of it."""
    if not any(isinstance(part, Cases) and COLUMN in part.columns for part in parts):
        return parts
    return [
        part.with_columns(**{COLUMN: np.full(len(part), "")})
        if isinstance(part, Cases) and COLUMN not in part.columns
        else part
        for part in parts
    ]
