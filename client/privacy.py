"""A hospital's round under a privacy mechanism: charged, handed to the mechanism's own half, and looked at.

Which mechanism it is, nothing here knows. Spending is written to the hospital's ledger before any noise is drawn, so
that a crash can only count too much.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from client import update_cache
from client.charge_once import charge_once
from client.hospital import Hospital
from client.ledger import Charge
from client.private_training import LocalTerms, PrivateTrainer, refuse_batch_norm
from client.training import Trainer
from common.errors import StudyError
from common.learning.abilities import task_in_round
from common.learning.client_work import Sends, Work
from common.learning.parameters import Layout
from common.privacy.abilities import is_repeatable, spare_rounds, statistics_of
from common.privacy.mechanism import Facts, Mechanism, Noised
from common.privacy.noise_source import NoiseSource
from common.privacy.release import Unit
from common.privacy.study_facts import facts_of
from common.study.catalogue import AGGREGATIONS
from common.study.expected_patients import expected_patients
from common.sums.abilities import room_for_whole_steps
from common.sums.exchange import Number
from common.sums.update import Update, Vector
from common.wire.train_requests import REPEATED, Order


@dataclass(frozen=True)
class Sources:
    """Where a hospital's secret draws come from. draws: a generator for a purpose; noise: likewise."""

    draws: Callable[[str], np.random.Generator]
    noise: Callable[[str], NoiseSource]
    folder: Path | None


@dataclass(frozen=True)
class Private:
    """A hospital's training under the study's mechanism, in one round. said: what is told beside the update."""

    hospital: Hospital
    order: Order
    mechanism: Mechanism
    sources: Sources
    said: MutableMapping[str, Number] = field(default_factory=dict)

    def update(self, correction: Vector | None = None) -> tuple[Update, int]:
        """The update as the mechanism lets it out, and the number of local steps.

        Raises BudgetSpentError where the hospital's limit or the study's rounds forbid it, StudyError where the
        mechanism cannot work or lets out what it did not declare.
        """
        refuse_batch_norm(self.hospital.network)
        self.mechanism.check(self.facts)
        digest = update_cache.digest_of(self.order, correction)
        if is_repeatable(self.mechanism):
            return self._once(digest, correction)
        self._charge(digest)
        return self._trained(correction)

    @property
    def facts(self) -> Facts:
        """What the mechanism knows of this hospital."""
        patients, cases = self.hospital.sizes("train")
        hospitals = len(self.hospital.roster)
        return facts_of(self.hospital.study, patients, cases, hospitals, self.hospital.site)

    def _charge(self, order_digest: str) -> None:
        """Without a folder, as in Flower's simulation, there is no ledger; without a patient there is no charge."""
        if self.sources.folder is None or not len(self.hospital.train):
            return
        hospital, mechanism = self.hospital, self.mechanism
        charge = Charge(
            hospital.digest,
            hospital.study.title,
            self.order.round,
            mechanism.unit,
            mechanism.delta,
            tuple(mechanism.round_releases(self.facts)),
            tuple(map(str, hospital.train.patients)),
            self._most,
        )
        charge_once(self.sources.folder, order_digest, charge)

    @property
    def _most(self) -> int | None:
        """Where the noise is the coordinator's own, no count here could hold it to its promise."""
        if self.mechanism.place == "server":
            return None
        return self.hospital.study.rounds + spare_rounds(self.mechanism)

    def _once(self, digest: str, correction: Vector | None) -> tuple[Update, int]:
        """An order that comes again gets the same update again, which costs nothing."""
        folder, study = self.sources.folder, self.hospital.digest
        with update_cache.alone(folder):
            found = update_cache.recall(folder, study, digest)
            if found is None:
                self._charge(digest)
                found = self._trained(correction)
                update_cache.keep(folder, study, digest, *found)
            else:
                self.said[REPEATED] = 1
        return found

    def _trained(self, correction: Vector | None) -> tuple[Update, int]:
        at = PrivateRound(self, correction)
        update, steps = self.mechanism.hospital_update(at)
        self._demand_declared(update, at.length)
        return update, steps

    def _demand_declared(self, update: Update, length: int) -> None:
        """What leaves is one vector and the means that the mechanism names: nothing slips out beside the noise."""
        shapes = [(vector.shape, vector.dtype) for vector in update.vectors]
        if shapes != [((length,), np.dtype(np.float32))] or not np.isfinite(update.vectors[0]).all():
            raise StudyError(
                "a mechanism's hospital half must let out one finite vector of float32, as long as the model."
            )
        undeclared = sorted({*update.statistics} - {*statistics_of(self.mechanism)})
        if undeclared:
            raise StudyError(
                f"a mechanism's hospital half let out {', '.join(undeclared)} beside the update; name what the "
                "promise covers in `statistics`, and leave out what it does not."
            )


@dataclass(frozen=True)
class PrivateRound:
    """The hospital as its half of a mechanism sees it (`common.privacy.mechanism.AtHospital`).

    trainer: of noisy steps; another class may have a hand in its sums, as an auditor's has.
    """

    private: Private
    correction: Vector | None = None
    trainer: type[PrivateTrainer] = PrivateTrainer
    _noises: dict[str, NoiseSource] = field(default_factory=dict)
    _drawn: dict[str, np.random.Generator] = field(default_factory=dict)

    @property
    def facts(self) -> Facts:
        """See AtHospital."""
        return self.private.facts

    @property
    def length(self) -> int:
        """See AtHospital."""
        return Layout.of(self.private.hospital.network).length

    @property
    def sends(self) -> Sends:
        """See AtHospital."""
        return self._work.sends

    @property
    def clip_norm(self) -> float:
        """See AtHospital."""
        return self.private.order.clip_norm

    @property
    def room(self) -> int:
        """See AtHospital."""
        entry = self.private.hospital.study.aggregation
        return room_for_whole_steps(AGGREGATIONS.build(entry), entry.name, len(self.private.hospital.roster))

    def noise(self, purpose: str) -> NoiseSource:
        """One stream a purpose: a seed's would begin anew, and repeat itself."""
        if purpose not in self._noises:
            self._noises[purpose] = self.private.sources.noise(purpose)
        return self._noises[purpose]

    def draws(self, purpose: str) -> np.random.Generator:
        """Likewise."""
        if purpose not in self._drawn:
            self._drawn[purpose] = self.private.sources.draws(purpose)
        return self._drawn[purpose]

    def steps(
        self, unit: Unit, sampling_rate: float, clip_norm: float, noised: Noised | None = None
    ) -> PrivateTrainer:
        """See AtHospital."""
        hospital = self.private.hospital
        return self.trainer(
            task_in_round(hospital.task, self.private.order.round),
            hospital.network,
            hospital.train,
            hospital.study.training.in_round(self.private.order.round),
            clip_norm=clip_norm,
            noised=noised or _refuse_without_noise,
            unit=unit,
            sampling_rate=sampling_rate,
            rng=self.draws("sampling"),
            public_size=expected_patients(hospital.study.federation, hospital.site),
            counted=None if hospital.counted is None else hospital.counted["train"],
            terms=LocalTerms(self._work.proximal_mu, self.correction),
        )

    def own_update(self) -> tuple[Update, int]:
        """See AtHospital."""
        hospital, order = self.private.hospital, self.private.order
        training = hospital.study.training.in_round(order.round)
        task = task_in_round(hospital.task, order.round)
        trainer = Trainer(task, hospital.network, hospital.train, training, self.draws("training"))
        if self._work.sends == "gradient":
            return trainer.gradient_update(), 1
        return trainer.local_update(self._work.proximal_mu, self.correction)

    @property
    def _work(self) -> Work:
        assert self.private.order.work is not None
        return self.private.order.work


def _refuse_without_noise(total: Vector) -> Vector:
    raise StudyError("a mechanism that gave no noise for its steps asked for a noisy one.")
