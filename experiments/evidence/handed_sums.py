"""Private rounds done again whose noise is on a sum over hospitals, with an auditor's hand in the sum.

Each mechanism's own code runs: of shares of noise, one hospital's half with the auditor's units among its own, and
the halves of as many others as the promise counts on; of noise at the server, the half of every hospital that the
auditor makes up, and the server's.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from client.hospital import Hospital
from client.privacy import Private, PrivateRound
from client.private_training import PrivateTrainer
from common.data.cases import Cases, concatenate
from common.errors import StudyError
from common.learning.client_work import Sends, Work
from common.learning.parameters import Layout, read, write
from common.privacy.abilities import abilities, clip_norm_of, colluding
from common.privacy.mechanism import AtServer, Facts, Mechanism
from common.privacy.noise_source import NoiseSource
from common.privacy.release import Release
from common.privacy.study_facts import mechanism_of
from common.sums.update import Update, Vector
from common.wire.train_requests import Order
from experiments.access import Signals
from experiments.evidence.ground_truth import facts_of_hospital
from experiments.evidence.local_training import local_training
from experiments.evidence.planted import Fault
from experiments.evidence.private_steps import NO_FAULT, ROOM_FOR_SIGNALS, Hand, HandedTrainer
from experiments.evidence.replayed import sources
from experiments.evidence.target_model import Target

ROOM_FOR_HOSPITALS = 3_000
"""Places for updates of made-up hospitals, each of which is clipped by itself."""
UNITS_ARE_HOSPITALS = "a hospital is what this promise is about, and no case of one"


@dataclass(frozen=True)
class _Rounds:
    """What both have in common. fault, repeat: as in `experiments.evidence.private_steps.Repeatable`."""

    hospital: Hospital
    fault: Fault = NO_FAULT
    repeat: int = 0
    most_steps: int | None = None

    @property
    def claimed(self) -> Mechanism:
        """As the study has it, without a fault."""
        found = mechanism_of(self.hospital.study)
        assert found is not None
        return found

    @property
    def faulty(self) -> Hospital:
        """As its code is asked to work."""
        network = deepcopy(self.hospital.network)
        return replace(self.hospital, study=self.fault.study(self.hospital), made=lambda: network)

    @property
    def facts(self) -> Facts:
        """Of the hospital, whose sums alone are seen."""
        return replace(facts_of_hospital(self.hospital), reveals="sum")

    @property
    def steps(self) -> int:
        """Noisy sums in the whole study, or as many as are done again."""
        rounds = self.hospital.study.rounds
        return rounds if self.most_steps is None else min(rounds, self.most_steps)

    @property
    def delta(self) -> float:
        """Of the promise."""
        return self.claimed.delta

    @property
    def cases(self) -> Cases:
        """Of training."""
        return self.hospital.train

    def promised(self, steps: int) -> Release:
        """What is claimed of so many noisy sums."""
        (release,) = self.claimed.round_releases(self.facts)
        return replace(release, steps=steps, variation=0.0)


class SharesAgain(_Rounds):
    """Of distributed noise. Implements `experiments.access.PrivateTraining`."""

    def begun(self, more: Cases | None = None) -> SumOfShares:
        """From the study's first model."""
        hospital = self.faulty
        cases = hospital.train if more is None else concatenate([hospital.train, more])
        own = replace(hospital, splits={**hospital.splits, "train": cases}, counted=_told(hospital))
        return SumOfShares(self, own, alone=False)

    def alone(self) -> SumOfShares:
        """On the auditor's units."""
        hospital = self.faulty
        return SumOfShares(self, replace(hospital, counted=_told(hospital)), alone=True)


def _told(hospital: Hospital) -> dict[str, tuple[int, int]]:
    """Numbers of patients and cases, which rates and noise go by, whatever is added."""
    return {part: hospital.sizes(part) for part in hospital.splits}


@dataclass
class SumOfShares:
    """One round after the other. Implements `experiments.access.PrivateSteps`."""

    rounds: SharesAgain
    hospital: Hospital
    alone: bool
    number: int = 0

    @property
    def length(self) -> int:
        """P, with places for signals alone."""
        return Layout.of(self.hospital.network).length + self._idle

    @property
    def _idle(self) -> int:
        return max(0, ROOM_FOR_SIGNALS - Layout.of(self.hospital.network).length)

    @property
    def clip_norm(self) -> float:
        """As claimed."""
        return clip_norm_of(self.rounds.claimed) or 0.0

    @property
    def sampling_rate(self) -> float:
        """As claimed."""
        return abilities(self.rounds.claimed).poisson(self.rounds.facts).rate

    def step(self, signals: Signals) -> tuple[Vector, Vector]:
        """The sum of all shares of a round, and this hospital's own part of it."""
        self.number += 1
        hand = Hand(signals)
        released = self._share(hand, self.alone, 0)
        facts = self.rounds.facts
        for other in range(1, max(facts.fewest - colluding(self.rounds.claimed), 1)):
            released = released + self._share(Hand(), True, other)
        self._move(released)
        return released, hand.own

    def losses(self, cases: Cases) -> NDArray[np.float64]:
        """Of the model as it is by now."""
        hospital = self.hospital
        return Target(hospital.task, deepcopy(hospital.network)).losses(read(hospital.network), cases)

    def _share(self, hand: Hand, alone: bool, other: int) -> Vector:
        """Of this hospital, or of another that has nobody."""
        trainer: Any = partial(HandedTrainer, hand=hand, idle=self._idle, alone=alone)
        mechanism = mechanism_of(self.hospital.study)
        assert mechanism is not None
        order = Order(self.hospital.study.json, self.number, read(self.hospital.network), Work("gradient"))
        draws = sources(self.hospital, self.number, self.rounds.fault, ("audit", self.rounds.repeat, other))
        at = PrivateRound(
            Private(self.hospital, order, mechanism, draws), trainer=cast(type[PrivateTrainer], trainer)
        )
        return cast(Vector, mechanism.hospital_update(at)[0].vectors[0])

    def _move(self, released: Vector) -> None:
        """A step along the sum, divided by how many patients are expected in it."""
        hospital, parameters = self.hospital, read(self.hospital.network)
        patients, _ = hospital.sizes("train")
        rate = local_training(hospital.study, self.number).learning_rate / (self.sampling_rate * max(patients, 1))
        write(hospital.network, parameters - np.float32(rate) * released[: parameters.size])


class ServerAgain(_Rounds):
    """Of noise at the server. Implements `experiments.access.PrivateTraining`."""

    def begun(self, more: Cases | None = None) -> ServerSums:
        """Raises StudyError where cases are to be put in."""
        if more is not None:
            raise StudyError(UNITS_ARE_HOSPITALS)
        return self.alone()

    def alone(self) -> ServerSums:
        """Of hospitals that the auditor makes up."""
        return ServerSums(self)


@dataclass
class ServerSums:
    """One round after the other. Implements `experiments.access.PrivateSteps`; each signal is a hospital's update.

    Hospitals' own updates are left out, for they would be taken off again; the clip norm stays what it is at first.
    """

    rounds: ServerAgain
    number: int = 0
    sampling_rate: float = 1.0

    @property
    def length(self) -> int:
        """Of places for signals; no model is trained."""
        return ROOM_FOR_HOSPITALS

    @property
    def clip_norm(self) -> float:
        """As claimed."""
        return clip_norm_of(self.rounds.claimed) or 0.0

    def step(self, signals: Signals) -> tuple[Vector, Vector]:
        """The noisy sum of these hospitals' updates, and nothing for those there are."""
        self.number += 1
        mechanism, total = self.rounds.claimed, np.zeros(self.length)
        asked = self.rounds.fault.order(_order(self.number, self.clip_norm)).clip_norm
        facts = self.rounds.facts
        for vector in _vectors(signals, self.length):
            at = _MadeUp(facts, vector, asked)
            total += mechanism.hospital_update(at)[0].vectors[0]
        update = Update((total,), float(max(len(signals), 1)))
        draws = sources(self.rounds.hospital, self.number, self.rounds.fault, ("audit", self.rounds.repeat))
        released, _ = abilities(mechanism).release(update, {}, AtServer(facts, draws.noise("noise")))
        return np.asarray(released.vectors[0], np.float32), np.zeros(self.length, np.float32)

    def losses(self, cases: Cases) -> NDArray[np.float64]:
        """Of nobody. Raises StudyError."""
        raise StudyError(UNITS_ARE_HOSPITALS)


def _order(number: int, clip_norm: float) -> Order:
    return Order("", number, np.zeros(0, np.float32), None, clip_norm=clip_norm)


def _vectors(signals: Signals, length: int) -> Iterator[Vector]:
    for place, value in zip(signals.coordinates, signals.values, strict=True):
        vector = np.zeros(length, np.float32)
        vector[place] = value
        yield vector


@dataclass(frozen=True)
class _MadeUp:
    """A hospital whose training came to `vector`, as its half of a mechanism sees it."""

    facts: Facts
    vector: Vector
    clip_norm: float
    sends: Sends = "delta"
    room: int = 0
    said: dict[str, float] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """See `common.privacy.mechanism.AtHospital`."""
        return len(self.vector)

    def own_update(self) -> tuple[Update, int]:
        """See `common.privacy.mechanism.AtHospital`."""
        return Update((self.vector,), 1.0), 1

    def noise(self, purpose: str) -> NoiseSource:
        """None: the server adds it."""
        raise StudyError(UNITS_ARE_HOSPITALS)

    def draws(self, purpose: str) -> np.random.Generator:
        """None."""
        raise StudyError(UNITS_ARE_HOSPITALS)

    def steps(self, *_: object, **__: object) -> Any:
        """None."""
        raise StudyError(UNITS_ARE_HOSPITALS)
