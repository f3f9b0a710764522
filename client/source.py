"""The role of a source: where cases come from. Entries live in `client/sources/`."""

from __future__ import annotations

from typing import Protocol

from common.cases import Cases, SiteId
from common.pooled_statistics import Pooled


class Source(Protocol):
    """A frozen dataclass of options (`folder` above all) in `client/sources/`.

    A broken case is quarantined (`Cases.quarantined`), not fatal; missing data raises SourceError that says
    which folder was looked in and how to get the data.
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
        """All cases of one hospital, or of everybody (None, where `has_sites` is False).

        `Cases.patients` names persons: all scans and sessions of one, under one name. `seed` is the study's: only
        sources that synthesise or draw use it. Order never depends on the order of files in a directory.
        """
        ...
