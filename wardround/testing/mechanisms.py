"""What every privacy mechanism must promise, and say that it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, ClassVar, get_args

import numpy as np
import pytest

from common.errors import StudyError
from common.learning.client_work import Sends, Training
from common.privacy.abilities import abilities, can, colluding, statistics_of
from common.privacy.accounting import epsilon_of
from common.privacy.clipped import clipped
from common.privacy.mechanism import AtServer, Facts, Mechanism, Noised, Place
from common.privacy.noise import SeededNoise
from common.privacy.release import Release, Unit
from common.seeding import generator
from common.sums.abilities import EXACT_FLOAT32
from common.sums.mean import Mean
from common.sums.update import Update, Vector
from wardround.testing.laws import check_options

PARAMETERS, REPEATS = 200, 60
TOO_LITTLE = 0.96
"""12,000 draws tell a standard deviation to 0.65 %: so much less is six times that, a chance of 1e-9."""
HUGE = 1e4


class MechanismTests:
    """Inherit, and bind `mechanism` to one; `facts` to those of a hospital and a study in which it can work.

    Both halves are played on made-up gradients of PARAMETERS numbers: every unit is in every step, and one of them
    would move a sum a thousand times farther than a clip norm permits.
    """

    mechanism: Mechanism
    facts: ClassVar[Facts] = Facts(
        patients=60,
        cases=120,
        hospitals=5,
        rounds=4,
        sends="gradient",
        training=Training(batch_size="full"),
        fewest=4,
        reveals="sum",
    )

    @pytest.fixture
    def made(self) -> Any:
        """The mechanism."""
        return self.mechanism

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Any) -> None:
        """A promise must not change after it was made. Mend: @dataclass(frozen=True)."""
        check_options(made)

    def test_it_says_whom_it_hides_and_who_adds_the_noise(self, made: Any) -> None:
        """The report's sentences are made of it. Mend: `unit` and `place` are among the words of their types."""
        assert made.unit in get_args(Unit), f"unit {made.unit!r} is none of {get_args(Unit)}"
        assert made.place in get_args(Place), f"place {made.place!r} is none of {get_args(Place)}"

    def test_its_releases_cost_what_an_accountant_can_work_out(self, made: Any) -> None:
        """An unbounded cost promises nothing. Mend: `round_releases` returns one Release for each noisy sum."""
        made.check(self.facts)
        releases = made.round_releases(self.facts)
        assert releases and all(isinstance(one, Release) for one in releases), f"releases are {releases}"
        bound = epsilon_of(releases, made.delta)
        assert isfinite(bound.epsilon) and bound.epsilon > 0, f"one round costs epsilon {bound.epsilon}"

    def test_two_rounds_cost_more_than_one(self, made: Any) -> None:
        """What was let out stays out. Mend: a round's releases are all that it lets out, whatever came before."""
        once = made.round_releases(self.facts)
        one, two = (epsilon_of(list(once) * times, made.delta).epsilon for times in (1, 2))
        assert two > one, f"two rounds cost {two}, one costs {one}"

    def test_a_delta_that_a_hospital_with_few_units_makes_meaningless_is_refused(self, made: Any) -> None:
        """Whoever publishes one unit in `units` whole keeps delta = 1 / units. Mend:
        common.privacy.accounting.check_delta(self.delta, units) in `check`."""
        crowd = int(2 / made.delta)
        counted = ("hospitals", "fewest") if made.unit == "hospital" else ("patients", "cases")
        with pytest.raises(StudyError, match=r"delta"):
            made.check(replace(self.facts, **dict.fromkeys(counted, crowd)))  # type: ignore[arg-type]

    def test_its_noise_hides_what_one_unit_adds(self, made: Any) -> None:
        """What is charged is what is done: noise over the most that one unit, or one hospital, moves what is read.
        Mend: clip every unit alone, and draw noise of `round_releases`' noise_multiplier times that clip norm."""
        outliers = [_gradient(HUGE), _gradient(1.0), _gradient(1e-3)]
        quiet = self._read(made, np.zeros(PARAMETERS, np.float32), 0)
        moved = max(float(np.linalg.norm(self._read(made, one, 0) - quiet)) for one in outliers)
        noises = [self._read(made, np.zeros(PARAMETERS, np.float32), seed) for seed in range(REPEATS)]
        spread = float((np.array(noises) - np.mean(noises, 0)).std(ddof=1))
        wanted = min(one.noise_multiplier for one in made.round_releases(self.facts)) * moved
        assert moved > 0, "one unit moves nothing: nothing is learned"
        assert spread >= TOO_LITTLE * wanted, f"the noise is {spread:.4g}, and {wanted:.4g} is charged for"

    def test_nothing_leaves_beside_what_it_declares(self, made: Any) -> None:
        """A loss, or a weight that follows the sample, tells of a unit. Mend: name in `statistics` what the promise
        covers, and let the weight be a public number."""
        found = [self._at(made, gradient, 0, 1) for gradient in (_gradient(HUGE), np.zeros(PARAMETERS, np.float32))]
        updates = [made.hospital_update(at)[0] for at in found]
        for update in updates:
            assert [(one.shape, one.dtype) for one in update.vectors] == [((PARAMETERS,), np.float32)]
            assert set(update.statistics) <= set(statistics_of(made)), f"it tells {sorted(update.statistics)}"
        assert updates[0].weight == updates[1].weight > 0, "its weight tells of a unit"

    def _at(self, made: Any, outlier: Vector, seed: int, hospital: int) -> _Hospital:
        asked = abilities(made).asked_clip_norm({}) if can(made, "asked_clip_norm") else 0.0
        return _Hospital(self.facts, outlier if hospital == 1 else 0 * outlier, asked, seed * 100 + hospital)

    def _read(self, made: Any, outlier: Vector, seed: int) -> Vector:
        """What the reader of the promise sees of a round: as many hospitals' noise as the promise counts on."""
        counted = {"hospital": 1, "shares": self.facts.fewest - colluding(made), "server": self.facts.hospitals}
        updates = [
            made.hospital_update(self._at(made, outlier, seed, one + 1))[0] for one in range(counted[made.place])
        ]
        total = updates[0]
        for update in updates[1:]:
            total = total + update
        if can(made, "release"):
            total, _ = made.release(total, {}, AtServer(self.facts, SeededNoise(generator(seed, "server"))))
        return np.asarray(total.vectors[0], np.float64)


def _gradient(norm: float) -> Vector:
    direction = generator(1, "outlier").normal(size=PARAMETERS)
    return np.asarray(norm * direction / np.linalg.norm(direction), np.float32)


@dataclass(frozen=True)
class _Steps:
    """Every unit in every step: one that is the outlier's, and as many others as the facts say, which add nothing."""

    facts: Facts
    outlier: Vector
    clip_norm: float
    noised: Noised | None

    @property
    def expected_units(self) -> float:
        return float(self.facts.patients)

    def clipped_sum(self) -> Vector:
        return clipped(self.outlier.astype(np.float64), self.clip_norm)

    def unit_gradients(self) -> Iterator[Vector]:
        yield self.outlier

    def noisy_sum(self) -> Vector:
        assert self.noised is not None, "a noisy sum is asked for of steps that were given no noise"
        return self.noised(self.clipped_sum())

    def gradient_update(self) -> Update:
        return Update((self.noisy_sum(),), self.expected_units)

    def local_update(self) -> tuple[Update, int]:
        return self.gradient_update(), 1


@dataclass(frozen=True)
class _Hospital:
    """`common.privacy.mechanism.AtHospital` of made-up gradients; its draws are the seed's."""

    facts: Facts
    outlier: Vector
    clip_norm: float
    seed: int
    room: int = EXACT_FLOAT32

    @property
    def length(self) -> int:
        return PARAMETERS

    @property
    def sends(self) -> Sends:
        return self.facts.sends

    def noise(self, purpose: str) -> SeededNoise:
        return SeededNoise(self.draws(purpose))

    def draws(self, purpose: str) -> np.random.Generator:
        return generator(self.seed, "made up", purpose)

    def steps(self, unit: Unit, sampling_rate: float, clip_norm: float, noised: Noised | None = None) -> _Steps:
        return _Steps(self.facts, self.outlier, clip_norm, noised)

    def own_update(self) -> tuple[Update, int]:
        weight = float(self.facts.cases)
        return Update(((self.outlier * weight).astype(np.float32),), weight, {"loss": Mean.of([1.0])}), 1
