"""A study's own cases, without some of its hospitals, columns or places: what an ablation trains on again.

It is the source of studies that `experiments.ablating` makes, in simulation. No person writes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from client.pool import Whose, key_of, numbered_names, own_cases
from client.source import Source
from common.data.cases import Cases, SiteId
from common.data.pooled_statistics import Pooled
from common.errors import SourceError, StudyError
from common.study.catalogue import PARTITIONS, SOURCES
from common.study.options import Entry


@dataclass(frozen=True)
class Reduced:
    """of: the study's source. partition: how it is divided there; left out where the source knows hospitals.
    hospitals: names of those that are left out. columns: places of a table's columns that are left out. region: of an
    image, first and behind the last place along each axis, such as (0, 8, 4, 12): what is left out.

    What is left out of a case is 0 in every case, in training as in tests. A constant tells nothing, whichever it is,
    and the network keeps its shape.
    """

    of: Entry
    partition: Entry | None = None
    hospitals: tuple[str, ...] = ()
    columns: tuple[int, ...] = ()
    region: tuple[int, ...] = ()

    @property
    def has_sites(self) -> bool:
        """Always: those of a partition have been made."""
        return True

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        """As of the study's source."""
        return tuple(getattr(self._source(), "pooled_statistics", ()))

    @property
    def persons(self) -> str:
        """As of the study's source."""
        return str(getattr(self._source(), "persons", "The study's source does not say what a person is."))

    def sites(self) -> tuple[SiteId, ...]:
        """Those of the study that are not left out."""
        return tuple(site for site in self._all_sites() if site not in self.hospitals)

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """Of a hospital, as the study itself would have them, but for what is left out."""
        if site not in self.sites():
            raise SourceError(f"there is no hospital {site!r}; there are {', '.join(self.sites())}.")
        made = None if self.partition is None else _table(self.partition)
        whole = own_cases(Whose(key_of({"source": _table(self.of), "partition": made, "seed": seed}), site))
        return whole.with_columns(inputs=self._without(np.asarray(whole.inputs)))

    def _without(self, inputs: NDArray[Any]) -> NDArray[Any]:
        if not (self.columns or self.region):
            return inputs
        left = inputs.copy()
        if self.columns:
            if inputs.ndim != 2 or max(self.columns) >= inputs.shape[1]:
                raise StudyError(f"columns {list(self.columns)} are left out of cases of shape {inputs.shape[1:]}.")
            left[:, list(self.columns)] = 0
        if self.region:
            if len(self.region) != 2 * (inputs.ndim - 2):
                raise StudyError(f"region {list(self.region)} is left out of cases of shape {inputs.shape[1:]}.")
            ends = zip(self.region[::2], self.region[1::2], strict=True)
            left[(slice(None), slice(None), *(slice(a, b) for a, b in ends))] = 0
        return left

    def _all_sites(self) -> tuple[SiteId, ...]:
        if self.partition is None:
            return self._source().sites()
        return numbered_names(int(PARTITIONS.build(self.partition).hospitals))

    def _source(self) -> Source:
        return cast(Source, SOURCES.build(self.of))


def _table(entry: Entry) -> dict[str, Any]:
    """As a study's table of it."""
    return dict(_plain({"name": entry.name, **entry.options}))


def _plain(value: Any) -> Any:
    """Entries in options, again as tables."""
    if isinstance(value, Entry):
        return _table(value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


source: type[Source] = Reduced
