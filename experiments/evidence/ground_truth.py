"""The cases an update was computed from: hospitals opened again, in simulation only, and their draws repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.hospital import Hospital, open_hospital, site_names
from client.private_training import PrivateTrainer
from client.training import Trainer
from common.data.cases import Batch, Shape, SiteId
from common.learning.abilities import NAMES
from common.learning.task import Task
from common.privacy.abilities import abilities, can
from common.privacy.mechanism import Facts
from common.privacy.study_facts import facts_of, mechanism_of
from common.seeding import generator
from common.study.catalogue import STRATEGIES
from common.study.study import Study
from common.sums.mean import Mean

Shown = dict[int, tuple[Tensor, Tensor]]
"""Inputs and targets by number of the case."""


@dataclass(frozen=True)
class Truth:
    """Cases as a network was shown them. inputs: (N, ...) float32; targets: (N, ...); patients, sites: (N,) words.

    A patient is the same person at every site.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.int64]
    patients: tuple[str, ...]
    sites: tuple[SiteId, ...]

    def __len__(self) -> int:
        return len(self.inputs)


def others_than(truth: Truth, everybody: Truth) -> NDArray[np.int64]:
    """Numbers of everybody's cases that are of no patient behind the truth, at whatever hospital."""
    behind = set(truth.patients)
    return np.array([i for i, patient in enumerate(everybody.patients) if patient not in behind], np.int64)


def truth_of(study: Study, number: int, sites: Sequence[SiteId]) -> Truth:
    """Every case behind the update of round `number` by `sites`, each once, as it was shown first.

    The draws of the hospital's own code are repeated with the words it seeds them by, on a loss that is always zero.
    """
    sends = STRATEGIES.load(study.strategy.name).sends
    return _joined([_of_site(hospital_of(study, site), number, sends) for site in sites])


def all_training_cases(study: Study) -> Truth:
    """Everybody's training cases, hospital by hospital."""
    return _all_cases(study, site_names(study), ("train",))


def all_cases(study: Study, sites: Sequence[SiteId]) -> Truth:
    """Cases of all that took part, trained on or not: the crowd among which a reconstruction has to find its own
    patient. Whoever took no part is not opened: what kept it out may keep it shut.
    """
    return _all_cases(study, sites, ("train", "validation", "test"))


def _all_cases(study: Study, sites: Sequence[SiteId], splits: Sequence[str]) -> Truth:
    parts = []
    for site in sites:
        for cases in (hospital_of(study, site).splits[name] for name in splits):
            if len(cases):
                batch = cases.batch()
                parts.append(Truth(batch.inputs.numpy(), batch.targets.numpy(), batch.patients, (site,) * len(cases)))
    return _joined(parts)


def hospital_of(study: Study, site: SiteId) -> Hospital:
    """The hospital of that name, with its data."""
    return open_hospital(study.json, site_names(study).index(site))


def _of_site(hospital: Hospital, number: int, sends: str) -> Truth:
    shown = _shown_privately(hospital, number) if _samples(hospital.study) else _shown(hospital, number, sends)
    indices = sorted(shown)
    shape = hospital.train.shape.inputs
    return Truth(
        np.array([shown[index][0].numpy() for index in indices], np.float32).reshape(-1, *shape),
        np.array([shown[index][1].numpy() for index in indices]),
        tuple(map(str, hospital.train.patients[indices])),
        (hospital.site,) * len(indices),
    )


def _samples(study: Study) -> bool:
    """Whether hospitals draw Poisson samples: then the first words of their draws are others."""
    mechanism = mechanism_of(study)
    return mechanism is not None and can(mechanism, "poisson")


def _shown_privately(hospital: Hospital, number: int) -> Shown:
    """As `PrivateTrainer.clipped_sum` draws: a sample, then each of its cases augmented alone, step by step."""
    study = hospital.study
    mechanism = mechanism_of(study)
    assert mechanism is not None
    drawn = abilities(mechanism).poisson(facts_of_hospital(hospital))
    rng = generator(study.seed, number, hospital.site, "sampling")
    trainer = PrivateTrainer(
        hospital.task,
        hospital.network,
        hospital.train,
        study.training,
        clip_norm=1.0,
        noised=lambda total: total,
        unit=mechanism.unit,
        sampling_rate=drawn.rate,
        rng=rng,
    )
    shown: Shown = {}
    for _ in range(drawn.steps):
        for index in trainer.sample():
            batch = hospital.task.augment(hospital.train.batch(np.array([index])), rng)
            shown.setdefault(int(index), (batch.inputs[0].clone(), batch.targets[0].clone()))
    return shown


def facts_of_hospital(hospital: Hospital) -> Facts:
    """What a mechanism knows of it."""
    patients = len(np.unique(hospital.train.patients))
    return facts_of(hospital.study, patients, len(hospital.train), len(site_names(hospital.study)), hospital.site)


def _shown(hospital: Hospital, number: int, sends: str) -> Shown:
    recorder = _Recorder(hospital.task)
    numbered = hospital.train.with_columns(patients=np.arange(len(hospital.train)).astype(np.str_))
    rng = generator(hospital.study.seed, number, hospital.site, "training")
    trainer = Trainer(recorder, deepcopy(hospital.network), numbered, hospital.study.training, rng)
    if sends == "gradient":
        trainer.gradient_update()
    else:
        trainer.train()
    return recorder.shown


@dataclass(frozen=True)
class _Recorder:
    """The task, with a loss that teaches nothing; keeps what was shown, by number of the case."""

    headline: ClassVar[str] = "none"

    task: Task
    shown: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """Whatever the task declares beyond its role."""
        if name not in NAMES:
            raise AttributeError(name)
        return getattr(self.task, name)

    def loss_of(self, network: nn.Module, batch: Batch, group: str) -> Tensor:
        return self.loss(network, batch)

    def build_network(self, shape: Shape) -> nn.Module:
        return self.task.build_network(shape)

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        changed = self.task.augment(batch, rng)
        for index, inputs, targets in zip(batch.patients, changed.inputs, changed.targets, strict=True):
            self.shown.setdefault(int(index), (inputs.clone(), targets.clone()))
        return changed

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        nothing = torch.stack([parameter.sum() for parameter in network.parameters()]).sum() * 0
        return nothing + nothing.new_zeros(len(batch))

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        return self.task.score(network, batch)

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        return self.task.predict(network, inputs)


def _joined(parts: Sequence[Truth]) -> Truth:
    return Truth(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.targets for part in parts]),
        tuple(patient for part in parts for patient in part.patients),
        tuple(site for part in parts for site in part.sites),
    )
