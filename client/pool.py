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
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from client.partition import Partition
from client.prepared import cases_of
from client.source import Source
from common.cases import Cases, SiteId
from common.catalogue import PARTITIONS, SOURCES
from common.errors import SourceError
from common.options import Entry
from common.seeding import generator

ONE_HOSPITAL = "WARDROUND_ONE_HOSPITAL"
"""In the environment of a process that is one hospital's alone."""
POOL_FILE = "WARDROUND_POOL"
"""In the environment of the process that hospitals' processes are forked from: the file that names their pool."""

_warmed: set[str] = set()


def key_of(table: Mapping[str, Any]) -> str:
    """What decides the cases of a study's hospitals before they are split, as JSON."""
    return json.dumps({name: table.get(name) for name in ("source", "partition", "seed", "plugins")}, sort_keys=True)


def numbered_names(count: int) -> tuple[SiteId, ...]:
    """What hospitals are called that a partition makes."""
    return tuple(f"hospital-{index:0{len(str(count - 1))}d}" for index in range(count))


def own_cases(key: str, site: SiteId, is_own: bool, folder: Path | None, without: frozenset[str]) -> Cases:
    """The cases of a hospital. is_own: the source's folder is its own, whole, and is never divided.

    folder, without: as in `cases_of`. Raises SourceError where the data know no hospital of this name.
    """
    table: dict[str, Any] = json.loads(key)
    entry, seed = entry_of(table["source"]), table["seed"]
    source, plugins = cast(Source, SOURCES.build(entry)), table.get("plugins")
    if source.has_sites:
        names = source.sites()
        return cases_of(source, entry, names[_number(site, names)], seed, folder, without, plugins)
    if is_own:
        return cases_of(source, entry, None, seed, folder, without, plugins)
    partition = cast(Partition, PARTITIONS.build(entry_of(table["partition"])))
    index = _number(site, numbered_names(partition.hospitals))
    own = _part(key, index)
    own = replace(own, quarantined=own.quarantined[index :: partition.hospitals])  # nobody's: each is named once
    return partition.adapt(own, index, generator(seed, index, "scanner"))


def _number(site: SiteId, names: Sequence[SiteId]) -> int:
    if site not in names:
        raise SourceError(f"the data here name no hospital {site!r}; they name {', '.join(names) or 'none'}.")
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
