"""This hospital: its name, its cases, its patient-wise split. Opened once, kept warm."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import cast

from torch import nn

from client.partition import Partition
from client.pool import key_of, own_cases
from client.source import Source
from client.splitting import split
from common.cases import Cases, SiteId
from common.catalogue import PARTITIONS, SOURCES
from common.cohorts import Cohorts
from common.errors import SourceError, StudyError
from common.names import RULE, fault_of
from common.options import Entry
from common.parameters import new_network
from common.study import Split, Study, parse_json
from common.task import Task

HOSPITALS_KEPT_WARM = 1024


@dataclass(frozen=True)
class Hospital:
    """One hospital of a study, ready to train: cases by split, task, and a network to write parameters into.

    study: with the hospital's own place for its data. digest: SHA-256 of the study as it was approved, hexadecimal,
    the same at every hospital.
    """

    site: SiteId
    study: Study
    task: Task
    splits: Mapping[str, Cases]
    network: nn.Module
    digest: str

    @cached_property
    def roster(self) -> tuple[SiteId, ...]:
        """Names of all hospitals of the study, sorted: of its roster, or, where it has none, of its data."""
        return self.study.federation.names or site_names(self.study)

    @cached_property
    def cohorts(self) -> Cohorts:
        """The hospitals of every round."""
        return Cohorts.of(self.study, self.roster)

    @property
    def train(self) -> Cases:
        """The cases it learns from."""
        return self.splits["train"]


def site_names(study: Study) -> tuple[SiteId, ...]:
    """Names of the study's hospitals, sorted: the source's own, or numbered where a partition makes them.

    Raises SourceError for a name that could not be a folder's.
    """
    if study.partition is None:
        names = cast(Source, SOURCES.build(study.source)).sites()
        for name in names:
            if (fault := fault_of(name)) is not None:
                raise SourceError(f"a hospital's name must be {RULE}; {name[:80]!r} {fault}.")
        return names
    count = cast(Partition, PARTITIONS.build(study.partition)).hospitals
    return tuple(f"hospital-{index:0{len(str(count - 1))}d}" for index in range(count))


def open_hospital(
    study_json: str,
    index: int,
    data_folder: str | None = None,
    folder: Path | None = None,
    without: frozenset[str] = frozenset(),
) -> Hospital:
    """Hospital number `index` of the study's sorted names.

    data_folder: the hospital's own place for its data. folder: its own folder, where large cases are kept prepared.
    without: persons whose cases are left out. Raises SourceError where the data is absent and StudyError where the
    study cannot be run here.
    """
    return _opened(study_json, index, data_folder, folder, without)


@lru_cache(maxsize=HOSPITALS_KEPT_WARM)
def _opened(
    study_json: str, index: int, data_folder: str | None, folder: Path | None, without: frozenset[str]
) -> Hospital:
    study = parse_json(study_json)
    if data_folder is not None:
        options = {**study.source.options, "folder": data_folder}
        study = replace(study, source=Entry(study.source.name, options))
    names = site_names(study)
    if not 0 <= index < len(names):
        raise SourceError(f"hospital number {index} does not exist; the study has {len(names)}.")
    if study.federation.roster and names[index] not in study.federation.names:
        raise StudyError(f"hospital {names[index]!r} is not in the study's roster (federation.roster).")
    table = json.loads(study.json)
    splits = _splits(key_of(table), json.dumps(table["split"], sort_keys=True), index, folder, without)
    task = study.build_task()
    network = new_network(task, splits["train"].shape, study.seed)
    return Hospital(names[index], study, task, splits, network, sha256(study_json.encode()).hexdigest())


@lru_cache(maxsize=HOSPITALS_KEPT_WARM)
def _splits(
    pool_key: str, split_json: str, index: int, folder: Path | None, without: frozenset[str]
) -> Mapping[str, Cases]:
    """Kept for studies that differ only in training: in one process they share the cases."""
    shares = Split(**json.loads(split_json))
    return split(own_cases(pool_key, index, folder, without), shares, json.loads(pool_key)["seed"])
