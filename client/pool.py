"""A study that divides one data set among hospitals: everybody's cases, who has which, and what a process keeps.

Where many hospitals share a process they share the pool, each with the indices of its own cases. A process of one
hospital keeps that hospital's cases and lets the pool go. Where processes are forked from one that has read the pool
(`warm`), they share its memory and copy nothing.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from client.consent import COLUMN, Called
from client.participants import taking_part
from client.partition import Partition
from client.prepared import cases_of
from client.source import Source
from common.data.cases import Cases, SiteId
from common.errors import SourceError
from common.seeding import generator
from common.study.catalogue import PARTITIONS, SOURCES
from common.study.options import Entry

HOSPITALS_KEPT_WARM = 1 << 14
ONE_HOSPITAL = "WARDROUND_ONE_HOSPITAL"
"""In the environment of a process that is one hospital's alone."""
POOL_FILE = "WARDROUND_POOL"
"""In the environment of the process that hospitals' processes are forked from: the file that names their pool."""

_warmed: set[str] = set()


def key_of(table: Mapping[str, Any]) -> str:
    """What decides the cases of a study's hospitals before they are split, as JSON."""
    return json.dumps({name: table.get(name) for name in ("source", "partition", "seed", "plugins")}, sort_keys=True)


@lru_cache(maxsize=4)
def numbered_names(count: int) -> tuple[SiteId, ...]:
    """What hospitals are called that a partition makes."""
    return tuple(f"hospital-{index:0{len(str(count - 1))}d}" for index in range(count))


@dataclass(frozen=True)
class Whose:
    """Which hospital's cases. key: see `key_of`. is_own: the source's folder is its own, whole, and never divided.

    folder, withdrawn: as in `cases_of`.
    """

    key: str
    site: SiteId
    is_own: bool = False
    folder: Path | None = None
    withdrawn: frozenset[str] = frozenset()


def own_cases(whose: Whose, called: Called | None = None) -> Cases:
    """The cases of a hospital's persons who take part. called: as in `taking_part`.

    Raises SourceError where the data know no hospital of this name, or nobody takes part.
    """
    table: dict[str, Any] = json.loads(whose.key)
    source = cast(Source, SOURCES.build(entry_of(table["source"])))
    own = taking_part(source, _read(whose), whose.withdrawn, called)
    if source.has_sites or whose.is_own:
        return own
    partition = cast(Partition, PARTITIONS.build(entry_of(table["partition"])))
    index = _number(whose.site, numbered_names(partition.hospitals))
    adapted = partition.adapt(own, index, generator(table["seed"], index, "scanner"))
    if adapted is not own and os.environ.get(ONE_HOSPITAL):
        _read.cache_clear()
    return adapted


def says_consent(whose: Whose) -> bool:
    """Whether these data say who consents, so that the study's name matters to who takes part."""
    return COLUMN in _read(whose).columns


def let_go() -> None:
    """Keep no hospital's own cases: somebody of them may have withdrawn."""
    _read.cache_clear()


@lru_cache(maxsize=HOSPITALS_KEPT_WARM)
def _read(whose: Whose) -> Cases:
    """A hospital's cases before consent is asked for: studies of other names share them."""
    table: dict[str, Any] = json.loads(whose.key)
    entry, seed = entry_of(table["source"]), table["seed"]
    source, plugins = cast(Source, SOURCES.build(entry)), table.get("plugins")
    if source.has_sites:
        names = source.sites()
        site = names[_number(whose.site, names)]
        return cases_of(source, entry, site, seed, whose.folder, whose.withdrawn, plugins)
    if whose.is_own:
        return cases_of(source, entry, None, seed, whose.folder, whose.withdrawn, plugins)
    count = cast(Partition, PARTITIONS.build(entry_of(table["partition"]))).hospitals
    index = _number(whose.site, numbered_names(count))
    own = _part(whose.key, index)
    return replace(own, quarantined=own.quarantined[index::count])  # nobody's: each is named once


def _number(site: SiteId, names: Sequence[SiteId]) -> int:
    if site not in names:
        raise SourceError(
            f"the data here name no hospital {site!r}; they name {', '.join(names) or 'none'}: call it "
            f"{site!r} in file, folder or column there, or its node by their name (site)."
        )
    return names.index(site)


def warm(key: str) -> None:
    """Read the pool here, for the processes that will be forked from this one."""
    divided(key)
    _warmed.add(key)
    gc.collect()
    gc.freeze()


def close() -> None:
    """Let the pool go, to be read again."""
    divided.cache_clear()
    _warmed.clear()


def _part(key: str, index: int) -> Cases:
    cases, assigned = divided(key)
    own = cases.take(np.flatnonzero(assigned == index))
    if key in _warmed or not os.environ.get(ONE_HOSPITAL):
        return own
    own = own.copied()
    divided.cache_clear()
    return own


@lru_cache(maxsize=2)
def divided(key: str) -> tuple[Cases, NDArray[np.int64]]:
    """Everybody's cases and the hospital of each, of the study that `key` is of."""
    table: dict[str, Any] = json.loads(key)
    entry, seed = entry_of(table["source"]), table["seed"]
    source = cast(Source, SOURCES.build(entry))
    cases = cases_of(source, entry, None, seed, plugins=table.get("plugins"))
    partition = cast(Partition, PARTITIONS.build(entry_of(table["partition"])))
    return cases, partition.assign(cases, generator(seed, "partition"))


def entry_of(table: Mapping[str, Any]) -> Entry:
    """A study's table of one entry as a name and its options."""
    return Entry(table["name"], {name: value for name, value in table.items() if name != "name"})
