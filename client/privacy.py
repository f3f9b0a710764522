"""A hospital's half of a privacy mechanism: what its update is where the study promises differential privacy.

Spending is written to the hospital's ledger before any noise is drawn, so that a crash can only count too much.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from client import same_order
from client.charged_orders import charge_once
from client.clipping import SHRINKING
from client.hospital import Hospital
from client.ledger import Charge
from client.private_training import PrivateTrainer, refuse_batch_norm
from client.training import Trainer
from common.privacy.facts import facts_of
from common.privacy.mechanism import Facts, Mechanism
from common.privacy.mechanisms.distributed import Distributed
from common.privacy.mechanisms.dpsgd import Dpsgd
from common.privacy.mechanisms.hospital import Hospital as HospitalLevel
from common.privacy.noise_source import NoiseSource
from common.privacy.share_room import share_of
from common.study.catalogue import AGGREGATIONS
from common.study.expected_patients import expected_patients
from common.sums.aggregations._fixed_point import share_room
from common.sums.exchange import Number
from common.sums.mean import Mean
from common.sums.update import Update, Vector
from common.wire.orders import REPEATED, Order

BELOW = "below"
"""Statistic: the share of hospitals whose update was not clipped."""


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
        mechanism cannot work.
        """
        refuse_batch_norm(self.hospital.network)
        self.mechanism.check(self.facts)
        if isinstance(self.mechanism, Dpsgd):
            return self._noisy_steps(self.mechanism, correction)
        self._charge(same_order.digest_of(self.order, correction))
        if isinstance(self.mechanism, Distributed):
            return self._share(self.mechanism), 1
        assert isinstance(self.mechanism, HospitalLevel)
        return self._clipped(self.mechanism, correction)

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
        spare = self.mechanism.spare_rounds if isinstance(self.mechanism, Distributed) else 0
        return self.hospital.study.rounds + spare

    def _noisy_steps(self, mechanism: Dpsgd, correction: Vector | None) -> tuple[Update, int]:
        """Of one hospital alone its noise is enough, so that the same update may be sent again in any other sum."""
        folder, study = self.sources.folder, self.hospital.digest
        digest = same_order.digest_of(self.order, correction)
        with same_order.alone(folder):
            found = same_order.recall(folder, study, digest)
            if found is None:
                self._charge(digest)
                found = self._trained(mechanism, correction)
                same_order.keep(folder, study, digest, *found)
            else:
                self.said[REPEATED] = 1
        return found

    def _trained(self, mechanism: Dpsgd, correction: Vector | None) -> tuple[Update, int]:
        assert self.order.work is not None
        trainer = self._trainer(mechanism.sampling_rate(self.facts), mechanism.clip_norm, mechanism.noise(self.facts))
        if self.order.work.sends == "gradient":
            return trainer.gradient_update(), 1
        return trainer.local_update(self.order.work.proximal_mu, correction)

    def _share(self, mechanism: Distributed) -> Update:
        """Whole multiples of the grid: the clipped sum, and this hospital's share of the noise."""
        trainer, facts = self._trainer(mechanism.sampling_rate, mechanism.clip_norm, 1.0), self.facts
        total = trainer.clipped_sum()
        largest = mechanism.value_room(facts, total.size, self._share_room)
        noise = self.sources.noise("noise").discrete_gaussian(total.size, mechanism.share_sigma(facts, total.size))
        share = share_of(total, mechanism.grid, largest, noise)
        return Update((share,), mechanism.sampling_rate * facts.patients)

    @property
    def _share_room(self) -> int:
        return share_room(AGGREGATIONS.build(self.hospital.study.aggregation))

    def _clipped(self, mechanism: HospitalLevel, correction: Vector | None) -> tuple[Update, int]:
        """The mean change, of weight 1: every hospital counts alike, and none for more than the clip norm."""
        assert self.order.work is not None
        hospital = self.hospital
        rng = self.sources.draws("training")
        training = hospital.study.training.in_round(self.order.round)
        trainer = Trainer(hospital.task, hospital.network, hospital.train, training, rng)
        if self.order.work.sends == "gradient":
            update, steps = trainer.gradient_update(), 1
        else:
            update, steps = trainer.local_update(self.order.work.proximal_mu, correction)
        clip_norm = self.order.clip_norm or mechanism.clip_norm
        change = update.vectors[0].astype(np.float64) / update.weight
        norm = float(np.linalg.norm(change))
        kept = (change * min(1.0, clip_norm * SHRINKING / norm if norm else 1.0)).astype(np.float32)
        below = {BELOW: Mean.of([float(norm <= clip_norm)])} if mechanism.adaptive else {}
        return Update((kept,), 1.0, below), steps

    def _trainer(self, sampling_rate: float, clip_norm: float, noise_multiplier: float) -> PrivateTrainer:
        hospital = self.hospital
        return PrivateTrainer(
            hospital.task,
            hospital.network,
            hospital.train,
            hospital.study.training.in_round(self.order.round),
            clip_norm=clip_norm,
            noise_multiplier=noise_multiplier,
            unit=self.mechanism.unit,
            sampling_rate=sampling_rate,
            rng=self.sources.draws("sampling"),
            noise=self.sources.noise("noise"),
            public_size=expected_patients(hospital.study.federation, hospital.site),
            counted=None if hospital.counted is None else hospital.counted["train"],
        )
