"""This hospital: its name, its cases, its patient-wise split. Opened once, kept warm."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from client import pool
from client.consent import Called
from client.labelled import divided
from client.partition import Partition
from client.pool import HOSPITALS_KEPT_WARM, Whose, key_of, numbered_names
from client.source import Source
from client.splitting import UNLABELLED, Places, split
from client.warm_networks import WarmNetworks
from common.data.cases import Cases, SiteId
from common.data.names import RULE, fault_of, refuse_alike
from common.errors import SourceError, StudyError
from common.learning.abilities import abilities, can
from common.learning.device import chosen, placed
from common.learning.parameters import new_network
from common.learning.task import Task
from common.seeding import generator
from common.study.catalogue import PARTITIONS, SOURCES
from common.study.held_out import part_of
from common.study.options import Entry
from common.study.split_settings import Split
from common.study.study import Study, parse_json
from common.sums.cohorts import Cohorts

CASES_LOOKED_AT = 64
_Place = tuple[str, int | None, str | None, Path | None, SiteId | None]
_withdrawn: dict[_Place, frozenset[str]] = {}
"""Who had withdrawn when a hospital was opened last."""
_networks = WarmNetworks()


@dataclass(frozen=True)
class Hospital:
    """One hospital of a study, ready to train: cases by split, task, and a network to write parameters into.

    made: gives that network. study: with the hospital's own place for its data. digest: SHA-256 of the study as it
    was approved, hexadecimal, the same at every hospital. counted: patients and cases of every part as they were told
    when the run began, where persons withdrew since from a study that promises privacy: noise, rates and weights stay
    what they were. withdrawn: how many did since, where that may be told. left: all who ever withdrew here, in one
    form. unlabelled: training cases whose labels the study does not use; they are in none of the splits. hashes: of
    its persons, by key, kept warm by `kept_split`.
    """

    site: SiteId
    study: Study
    task: Task
    splits: Mapping[str, Cases]
    made: Callable[[], nn.Module] = field(compare=False, repr=False)
    digest: str
    counted: Mapping[str, tuple[int, int]] | None = None
    withdrawn: int = 0
    unlabelled: Cases | None = None
    hashes: dict[bytes, Any] = field(default_factory=dict, compare=False, repr=False)
    left: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def network(self) -> nn.Module:
        """To write parameters into. One and the same while a request is answered; later it may be a new one."""
        return self.made()

    @cached_property
    def roster(self) -> tuple[SiteId, ...]:
        """Names of all hospitals of the study, sorted: of its roster, or, where it has none, of its data."""
        known = self.study.federation.names or site_names(self.study)
        return known if self.site in known else (self.site,)

    @cached_property
    def cohorts(self) -> Cohorts:
        """The hospitals of every round."""
        return _cohorts(_Approved(self.digest, self.study), self.roster)

    def training_draws(self, number: int) -> np.random.Generator:
        """What round `number` draws where nothing is private: which cases, in which order, and their augmentation."""
        return generator(self.study.seed, number, self.site, "training")

    def sizes(self, part: str) -> tuple[int, int]:
        """Patients and cases of a part, as they are told and as noise is worked out by."""
        if self.counted is not None:
            return self.counted[part]
        return len(np.unique(self.splits[part].patients)), len(self.splits[part])

    @property
    def everybody(self) -> Mapping[str, Cases]:
        """The cases of every part, and by the name UNLABELLED those that only their labels keep from training."""
        return self.splits if self.unlabelled is None else {**self.splits, UNLABELLED: self.unlabelled}

    @property
    def train(self) -> Cases:
        """The cases it learns from."""
        return self.splits["train"]


@dataclass(frozen=True)
class _Approved:
    """A study by the digest of what was approved."""

    digest: str
    study: Study = field(compare=False)


@lru_cache(maxsize=8)
def _cohorts(approved: _Approved, roster: tuple[SiteId, ...]) -> Cohorts:
    """Shared by all hospitals of a process: to work them out takes time that grows with their number."""
    return Cohorts.of(approved.study, roster)


@lru_cache(maxsize=8)
def _demand_names(names: tuple[SiteId, ...]) -> None:
    """Raise SourceError for a name that could not be a folder's. Looked at once: each hospital asks for all."""
    for name in names:
        if (fault := fault_of(name)) is not None:
            raise SourceError(f"a hospital's name must be {RULE}; {name[:80]!r} {fault}.")
    refuse_alike("hospitals", names)


def site_names(study: Study) -> tuple[SiteId, ...]:
    """Names of the study's hospitals, sorted: the source's own, or numbered where a partition makes them.

    Raises SourceError for a name that could not be a folder's.
    """
    if study.partition is None:
        source = cast(Source, SOURCES.build(study.source))
        if not source.has_sites:
            raise StudyError(
                f"source {study.source.name!r} does not say which hospital a case is from, and the study has no "
                "[partition]: it runs in hospitals only, each on a folder of its own (data-folder)."
            )
        names = source.sites()
        _demand_names(tuple(names))
        return names
    return numbered_names(cast(Partition, PARTITIONS.build(study.partition)).hospitals)


def open_hospital(
    study_json: str,
    index: int | None,
    data_folder: str | None = None,
    folder: Path | None = None,
    withdrawn: frozenset[str] = frozenset(),
    site: SiteId | None = None,
    places: Places | None = None,
    device: torch.device | None = None,
) -> Hospital:
    """Hospital number `index` of the study's sorted names, or the one that its node's configuration calls `site`.

    data_folder: the hospital's own place for its data, which is then its own, whole: a study's partition divides a
    pool in simulation, and never a hospital's own folder. folder: its own folder, where large cases are kept
    prepared. withdrawn: persons, in one form, whose cases are left out. places: see `split`. device: of its
    network; None: as the environment asks. Raises SourceError where
    the data is absent and StudyError where the study cannot be run here.
    """
    place = (study_json, index, data_folder, folder, site)
    if _withdrawn.setdefault(place, withdrawn) != withdrawn:
        _withdrawn[place] = withdrawn
        _let_go()
    return _opened(study_json, index, data_folder, folder, withdrawn, site, places, device or chosen())


def close_all() -> None:
    """Read everything again: a run that goes on in the same process may find that the data changed."""
    _let_go()
    pool.close()


def _let_go() -> None:
    """Nothing stays in memory of those who withdrew."""
    for kept in (_opened, _splits):
        kept.cache_clear()
    _networks.clear()
    pool.let_go()


@lru_cache(maxsize=HOSPITALS_KEPT_WARM)
def _opened(
    study_json: str,
    index: int | None,
    data_folder: str | None,
    folder: Path | None,
    withdrawn: frozenset[str],
    site: SiteId | None,
    places: Places | None,
    device: torch.device,
) -> Hospital:
    study, is_own = parse_json(study_json), data_folder is not None
    if is_own:
        options = {**study.source.options, "folder": data_folder}
        study = replace(study, source=Entry(study.source.name, options))
    name = site or _numbered(study, index, is_own)
    if study.federation.roster and name not in study.federation.names:
        raise StudyError(f"hospital {name!r} is not in the study's roster (federation.roster).")
    table = json.loads(study.json)
    digest, persons = sha256(study_json.encode()).hexdigest(), Whose(key_of(table), name, is_own, folder, withdrawn)
    called = Called.of(study, digest) if pool.says_consent(persons) else None
    part = _part(study, name)
    splits = _splits(persons, json.dumps(table["split"], sort_keys=True), called, places, part)
    labelled, unlabelled = divided(splits["train"], study, name, places)
    splits = {**splits, "train": labelled}
    if study.training.bootstrap is not None:
        rng = generator(study.seed, name, "bootstrap", study.training.bootstrap)
        splits = {**splits, "train": _drawn(splits["train"], rng)}
    task = study.build_task()
    refuse_unusable(task, name, splits)
    shape = splits["train"].shape

    def drawn() -> nn.Module:
        return placed(new_network(task, shape, study.seed, study.training), device)

    whose = (study_json, index, data_folder, folder, withdrawn, site, places, device)
    made = partial(_networks.of, whose, (study_json, shape, device), drawn)
    made()  # what cannot be built is told before the first round
    return Hospital(name, study, task, splits, made, digest, unlabelled=unlabelled, left=withdrawn)


def refuse_unusable(task: Task, name: SiteId, splits: Mapping[str, Cases]) -> None:
    """Raise SourceError where the task says that nothing follows from a case: training on it would spoil the sum."""
    if not can(task, "unusable"):
        return
    for part, cases in splits.items():
        for start in range(0, len(cases), CASES_LOOKED_AT):
            rows = np.arange(start, min(start + CASES_LOOKED_AT, len(cases)))
            if (found := abilities(task).unusable(cases.batch(rows).inputs)) is not None:
                row, why = found
                raise SourceError(
                    f"hospital {name!r}: case {start + row + 1} of {len(cases)} of the part {part!r}, of person "
                    f"{str(cases.patients[start + row])!r}, cannot be used: {why}."
                )


def _drawn(cases: Cases, rng: np.random.Generator) -> Cases:
    """All cases of as many patients, drawn with replacement."""
    patients = np.unique(cases.patients)
    if not len(patients):
        return cases
    rows = [np.flatnonzero(cases.patients == patient) for patient in rng.choice(patients, len(patients))]
    return cases.take(np.concatenate(rows))


def _numbered(study: Study, index: int | None, is_own: bool) -> SiteId:
    """Whose number that is. In its own folder a hospital's table may list its own patients only."""
    names = study.federation.names if is_own and study.federation.roster else site_names(study)
    if is_own and len(names) == 1:
        return names[0]
    if index is None or not 0 <= index < len(names):
        raise SourceError(f"hospital number {index} does not exist; the study has {len(names)}.")
    return names[index]


def _part(study: Study, name: SiteId) -> str | None:
    """The part that all of the hospital's cases are in, where the study divides hospitals."""
    if not study.split.is_by_hospital:
        return None
    return part_of(study.split, study.seed, study.federation.names or site_names(study), name)


@lru_cache(maxsize=HOSPITALS_KEPT_WARM)
def _splits(
    whose: Whose, split_json: str, called: Called | None, places: Places | None, part: str | None
) -> Mapping[str, Cases]:
    """Kept for studies that differ only in training: in one process they share the cases."""
    shares = Split(**json.loads(split_json))
    return split(pool.own_cases(whose, called), shares, json.loads(whose.key)["seed"], places, part)
