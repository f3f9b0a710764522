"""The noise of a finished run's recorded updates: what was sent, less the same sums made again without noise.

Where a round is one noisy sum (gradients, and distributed noise), it is read off what was recorded. Where a round is
many noisy steps, the recorded update tells only their total, each of whose parts was worked out at a model that the
noise before it had moved. So the hospital's own code is run again on the recorded order, and each step's gradient is
taken as its optimiser is handed it; that these were the steps behind what was sent shows in what this code sends,
which must be the recorded update. Neither way looks at what a noise source says of itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from client.hospital import Hospital
from common.data.cases import SiteId
from common.errors import StudyError
from common.learning.parameters import Layout
from common.seeding import generator
from common.sums.update import Update, Vector
from common.wire.train_requests import Order, from_payload
from experiments.evidence.budget import Budget, WorkClock
from experiments.evidence.clean_sums import CleanSums, blocks_of
from experiments.evidence.ground_truth import hospital_of
from experiments.evidence.loudest import loudest
from experiments.evidence.planted import Fault
from experiments.evidence.promised_noise import NOT_KNOWN, Promise, adds_at_server, expected_units, promise_of
from experiments.evidence.recomputed_updates import Orders, as_added
from experiments.evidence.replayed import HONEST, Replayed, drawn, replayed
from experiments.evidence.server_noise import server_noise
from experiments.noisy_sums import Floats, NoisySum, Sample, SentNoise
from experiments.observation import Observation

MOST_VALUES = 50_000
"""Of noise: enough to tell two hundredths of its deviation."""
LEAST_STEPS = 4
"""Of a round, of a network with more values than that."""
NO_PROMISE = "no differential privacy was promised, so that there is no noise to test"
CORRECTED = "every step is corrected by a control variate, which was not recorded step by step"
CUT = "every noisy gradient is shortened afterwards (training.clip_gradient_norm), so that it cannot be told apart"
COMPRESSED = (
    "updates are compressed after their noise was added (federation.compression), so that it cannot be told apart"
)
ALIKE = 1e-3
"""In deviations of the noise: up to here what was sent is what the code run again sends."""
NEVER_ASKED = "no update of any hospital was recorded"


@dataclass(frozen=True)
class Recorded:
    """Evidence on the noise of a run. Implements `experiments.noisy_sums.Recomputed`.

    fault: of code that answers the same orders, in the place of what was recorded; None: as recorded. most_values: of
    noise, at which to stop.
    """

    observed: Observation
    orders: Orders
    fault: Fault | None = None
    most_values: int = MOST_VALUES

    def sent_noise(self, seconds: float, rng: np.random.Generator) -> SentNoise:
        """See Recomputed."""
        study = self.observed.study
        words = () if self.fault is None else ("planted", int(rng.integers(1 << 62)))
        if study.privacy is None:
            return SentNoise(reason=NO_PROMISE)
        if not self.orders:
            return SentNoise(reason=NEVER_ASKED)
        if adds_at_server(study):
            return server_noise(self.observed, self.orders, self.fault, words)
        site = min(site for _, site in self.orders)
        hospital = hospital_of(study, site)
        if promise_of(hospital, Layout.of(hospital.network).length) is None:
            return SentNoise(reason=NOT_KNOWN.format(name=study.privacy.name))
        if any(from_payload(order).control is not None for order in self.orders.values()):
            return SentNoise(reason=CORRECTED)
        if study.federation.compression is not None:
            return SentNoise(reason=COMPRESSED)
        if study.training.clip_gradient_norm is not None:
            return SentNoise(reason=CUT)
        return self._of_hospitals(seconds, words)

    def _of_hospitals(self, seconds: float, words: tuple[object, ...]) -> SentNoise:
        budget, found = Budget(seconds, WorkClock()), _Found()
        for number, sites in self._rounds():
            if found.sums and (found.values > self.most_values or not budget.left):
                break
            answers = [self._answer(site, number, words) for site in sites]
            found.add(answers, self._off(number, sites, answers))
        if not found.answers:
            return SentNoise(reason=NEVER_ASKED)
        first = found.answers[0]
        return SentNoise(
            tuple(found.sums),
            blocks_of(first.hospital.network),
            tuple(found.samples),
            found.steps,
            found.off,
            loudest(first.hospital, first.order, first.promise, self.fault or HONEST),
            direct=not first.replay.steps,
        )

    def _rounds(self) -> Iterator[tuple[int, tuple[SiteId, ...]]]:
        """Rounds with those whose updates are looked at together, from both ends to the middle.

        What is planted needs no sum of all to stand beside it, where every hospital's noise is enough by itself.
        """
        asked = sorted({number for number, _ in self.orders})
        from_both_ends = (number for pair in zip(asked, reversed(asked), strict=True) for number in pair)
        for number in dict.fromkeys(from_both_ends):
            yield from self._groups(number)

    def _groups(self, number: int) -> Iterator[tuple[int, tuple[SiteId, ...]]]:
        asked = sorted(site for one, site in self.orders if one == number)
        if self.fault is not None or any(one.round == number for one in self.observed.singles):
            present = {one.site for one in self.observed.singles if one.round == number}
            yield from ((number, (site,)) for site in asked if self.fault is not None or site in present)
            return
        yield from ((number, one.sites) for one in self.observed.sums if one.round == number)

    def _answer(self, site: SiteId, number: int, words: tuple[object, ...]) -> _Answer:
        hospital, order = hospital_of(self.observed.study, site), from_payload(self.orders[number, site])
        promise = promise_of(hospital, order.parameters.size)
        assert promise is not None
        most = max(LEAST_STEPS, self.most_values // order.parameters.size + 1)
        again = replayed(hospital, order, self.fault or HONEST, words, most)
        rng = drawn(hospital, number, "sampling", words)
        return _Answer(hospital, order, promise, again, CleanSums(hospital, promise, rng))

    def _off(self, number: int, sites: Sequence[SiteId], answers: Sequence[_Answer]) -> tuple[Floats, float]:
        """What was sent, and by how much the code run again sends something else, in deviations of the noise."""
        again = np.sum([self._added(one) for one in answers], axis=0)
        sent = again if self.fault is not None else _sent(self.observed, number, sites).vectors[0].astype(np.float64)
        deviation = sqrt(sum(one.deviation_sent**2 for one in answers))
        return sent, float(np.abs(sent - again).max(initial=0.0)) / deviation

    def _added(self, answer: _Answer) -> Floats:
        """As it goes into a sum: rounded, and cut to the sum's range."""
        update, study, key = answer.replay.update, self.observed.study, (answer.order.round, answer.hospital.site)
        if self.fault is None:
            update = as_added(study, update, self.orders[key], generator(study.seed, *key, "protocol"))
        return update.vectors[0].astype(np.float64)


@dataclass(frozen=True)
class _Answer:
    """A hospital's answer to an order, run again."""

    hospital: Hospital
    order: Order
    promise: Promise
    replay: Replayed
    clean: CleanSums

    @property
    def deviation_sent(self) -> float:
        """Roughly, of the noise in what is sent: of local steps the noise of all, times the rate that moves it."""
        if not self.replay.steps:
            return self.promise.deviation
        return float(np.std(self.replay.update.vectors[0])) or 1.0

    def sums(self) -> Iterator[tuple[NoisySum, Sample]]:
        """Each noisy sum of its own, one by one."""
        if not self.replay.steps:
            yield self._only()
            return
        expected = expected_units(self.hospital, self.promise)
        for index, step in enumerate(self.replay.steps):
            beside = self._beside(step.parameters)[: step.gradient.size]
            released = (step.gradient.astype(np.float64) - beside) * expected
            without, claimed, units = self.clean.next(step.parameters)
            sites, number = (self.hospital.site,), self.order.round
            yield (
                NoisySum(number, sites, index, released, without, self.promise.deviation),
                self._sample(claimed, step.taken, units),
            )

    def _only(self) -> tuple[NoisySum, Sample]:
        """Of a round that is one sum."""
        without, claimed, units = self.clean.next(self.order.parameters)
        released = self.replay.update.vectors[0].astype(np.float64)
        sites, number = (self.hospital.site,), self.order.round
        return (
            NoisySum(number, sites, 0, released, without, self.promise.deviation),
            self._sample(claimed, self.replay.taken[0], units),
        )

    def _sample(self, claimed: tuple[int, ...], taken: tuple[int, ...], units: int) -> Sample:
        return Sample(self.order.round, self.hospital.site, claimed, taken, units, self.promise.sampling_rate)

    def _beside(self, parameters: Vector) -> Floats:
        """What the study adds to a gradient that looks at no case."""
        work = self.order.work
        mu = 0.0 if work is None else work.proximal_mu
        return np.multiply(mu, parameters.astype(np.float64) - self.order.parameters, dtype=np.float64)


@dataclass
class _Found:
    """Evidence as it comes in."""

    sums: list[NoisySum] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    steps: dict[tuple[int, SiteId], tuple[int, int]] = field(default_factory=dict)
    answers: list[_Answer] = field(default_factory=list)
    off: float = 0.0
    values: int = 0

    def add(self, answers: Sequence[_Answer], sent: tuple[Floats, float]) -> None:
        """The answers of those in one sum, and what was sent."""
        self.answers += answers[: 1 if not self.answers else 0]
        self.off = max(self.off, sent[1])
        for one in answers:
            made = one.replay.made or 1
            self.steps[one.order.round, one.hospital.site] = (one.promise.steps, made)
        if sent[1] > ALIKE and not answers[0].replay.steps:
            self.sums.append(self._whole(answers, sent[0]))
            self.values += sent[0].size
            return
        found = [pair for one in answers for pair in one.sums()]
        self.sums += [noisy for noisy, _ in found]
        self.samples += [sample for _, sample in found]
        self.values += sum(noisy.released.size for noisy, _ in found)

    def _whole(self, answers: Sequence[_Answer], sent: Floats) -> NoisySum:
        """What was sent together, where it is not what each sends when run again: of a round that is one sum."""
        without = np.sum([one.clean.next(one.order.parameters)[0] for one in answers], axis=0)
        deviation = sqrt(sum(one.promise.deviation**2 for one in answers))
        sites = tuple(one.hospital.site for one in answers)
        return NoisySum(answers[0].order.round, sites, 0, sent, without, deviation)


def _sent(observed: Observation, number: int, sites: Sequence[SiteId]) -> Update:
    """As recorded, of these hospitals together."""
    if len(sites) == 1:
        for one in observed.singles:
            if one.round == number and one.site == sites[0]:
                return one.update
    for added in observed.sums:
        if added.round == number and added.sites == tuple(sites):
            return added.update
    raise StudyError(f"what {', '.join(sites)} sent in round {number} was not recorded.")
