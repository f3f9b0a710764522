"""Privacy mechanisms of somebody else's, both halves in one file outside the program."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from common.privacy.accounting import check_delta
from common.privacy.clipped import clipped
from common.privacy.mechanism import AtHospital, AtServer, Facts, Mechanism, Place, ServerState
from common.privacy.noise import add_gaussian
from common.privacy.release import Release, Unit
from common.privacy.sampling import PoissonSteps
from common.sums.update import Update, Vector


@dataclass(frozen=True)
class Normalised:
    """Every case's gradient is brought to a length below 1 rather than cut (Bu et al. 2023, Automatic clipping)."""

    place: ClassVar[Place] = "hospital"
    unit: ClassVar[Unit] = "patient"
    noise_multiplier: float = 1.0
    delta: float = 1e-3
    rate: float = 0.5
    stability: float = 0.01

    def check(self, facts: Facts) -> None:
        check_delta(self.delta, facts.patients)

    def round_releases(self, facts: Facts) -> tuple[Release, ...]:
        return (Release(self.noise_multiplier, self.rate, 1),)

    def poisson(self, facts: Facts) -> PoissonSteps:
        return PoissonSteps(self.rate, 1)

    def hospital_update(self, at: AtHospital) -> tuple[Update, int]:
        steps = at.steps(self.unit, self.rate, 1.0)
        total: Vector = np.zeros(at.length, np.float32)
        for gradient in steps.unit_gradients():
            total = total + gradient / (np.linalg.norm(gradient) + self.stability)
        noisy = add_gaussian(total, self.noise_multiplier, at.noise("noise")).astype(np.float32)
        return Update((noisy,), steps.expected_units), 1


@dataclass(frozen=True)
class ServerNoise:
    """The server's noise on a sum of clipped changes; the clip norm halves from round to round."""

    place: ClassVar[Place] = "server"
    unit: ClassVar[Unit] = "hospital"
    weighs_alike: ClassVar[bool] = True
    epsilon: float | None = None
    noise_multiplier: float = 0.5
    clip_norm: float = 0.25
    delta: float = 0.1

    def check(self, facts: Facts) -> None:
        check_delta(self.delta, facts.hospitals)

    def round_releases(self, facts: Facts) -> tuple[Release, ...]:
        return (Release(self.noise_multiplier, 1.0, 1),)

    def clip_norms(self, number: int) -> tuple[float, float]:
        return (self.clip_norm / 2 ** (number - 1),) * 2

    def asked_clip_norm(self, kept: ServerState) -> float:
        return float(kept["next"][0]) if kept else self.clip_norm

    def hospital_update(self, at: AtHospital) -> tuple[Update, int]:
        update, steps = at.own_update()
        change = update.vectors[0].astype(np.float64) / update.weight
        return Update((clipped(change, at.clip_norm),), 1.0), steps

    def release(self, total: Update, kept: ServerState, at: AtServer) -> tuple[Update, ServerState]:
        clip_norm = self.asked_clip_norm(kept)
        deviation = self.noise_multiplier * (clip_norm + at.rounding)
        noisy = tuple(add_gaussian(np.asarray(one, np.float64), deviation, at.noise) for one in total.vectors)
        return replace(total, vectors=noisy), {"next": np.array([clip_norm / 2])}


@dataclass(frozen=True)
class Talkative(Normalised):
    """Lets out what it did not declare."""

    def hospital_update(self, at: AtHospital) -> tuple[Update, int]:
        update, steps = super().hospital_update(at)
        return replace(update, statistics=at.own_update()[0].statistics), steps


@dataclass(frozen=True)
class Noiseless(Normalised):
    """Forgets its noise."""

    def hospital_update(self, at: AtHospital) -> tuple[Update, int]:
        return at.steps(self.unit, self.rate, 1.0).local_update()


@dataclass(frozen=True)
class HalfAtServer(Normalised):
    """Says that the server adds the noise, and has no half there."""

    place: ClassVar[Place] = "server"


@dataclass(frozen=True)
class Ungridded(Normalised):
    """A share of noise that no sum keeps exact."""

    place: ClassVar[Place] = "shares"


@dataclass(frozen=True)
class Misspelt(ServerNoise):
    """A member of which nothing would ever be asked."""

    repeatabel: ClassVar[bool] = True


mechanism: type[Mechanism] = Normalised
