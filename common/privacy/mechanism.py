"""The role of a privacy mechanism: where noise goes in, how much, what a round of it costs whom, and both its halves.

Both halves stand in the mechanism's own file, and know nothing of files, ledgers or messages: whoever calls them has
charged the round before, and looks at what comes back (`client.privacy`, `server.server_half`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from common.learning.client_work import Sends, Training
from common.privacy.noise_source import NoiseSource
from common.privacy.release import Release, Unit
from common.sums.exchange import Reveals
from common.sums.update import Update, Vector

Place = Literal["hospital", "server", "shares"]
"""Who adds noise: each hospital enough for itself, the server to the sum, or each hospital its share of the sum's."""


@dataclass(frozen=True)
class Facts:
    """What is known of one hospital, and of the study, before the first round; all of it is public.

    patients, cases: of training, as told, or as the study expects them. sends: what hospitals send, "gradient" or
    "delta". hospitals: in the federation. fewest: hospitals whose shares of noise a promise counts on. reveals: what
    the coordinator can read.
    """

    patients: int
    cases: int
    hospitals: int
    rounds: int
    sends: Sends
    training: Training
    fewest: int = 1
    reveals: Reveals = "each"


Noised = Callable[[Vector], Vector]
"""Of a clipped sum, (P,) float32, what may leave: of the same shape."""
ServerState = Mapping[str, NDArray[np.float64]]
"""What a server half keeps from round to round by name, one number each, (1,): the checkpoint has it."""


class NoisySteps(Protocol):
    """A hospital's steps over Poisson samples of its units, of whose sums only noised ones leave."""

    @property
    def expected_units(self) -> float:
        """How many units a step takes on average, as far as is public: the weight of a step's sum."""
        ...

    def clipped_sum(self) -> Vector:
        """(P,) float32 WITHOUT noise: of one sample drawn anew, each gradient clipped in L2; zeros if empty."""
        ...

    def unit_gradients(self) -> Iterator[Vector]:
        """(P,) float32 each, neither clipped nor noised, of one sample drawn anew: for a clip of one's own."""
        ...

    def noisy_sum(self) -> Vector:
        """(P,) float32: `clipped_sum` as `noised` lets it out."""
        ...

    def gradient_update(self) -> Update:
        """One noisy sum, with the expected number of units as its weight and nothing beside it."""
        ...

    def local_update(self) -> tuple[Update, int]:
        """What local steps along noisy sums come to, and their number: n_k times the change, of a public weight."""
        ...


class AtHospital(Protocol):
    """A hospital in one round, as its half of the mechanism sees it. Nothing that it gives may leave as it is."""

    @property
    def facts(self) -> Facts:
        """What is known of this hospital and the study; all of it is public."""
        ...

    @property
    def length(self) -> int:
        """P: how many numbers an update has."""
        ...

    @property
    def sends(self) -> Sends:
        """What this round asks for."""
        ...

    @property
    def clip_norm(self) -> float:
        """As the server steers it, within what `clip_norms` says that it can be; 0 where it steers none."""
        ...

    @property
    def room(self) -> int:
        """The most whole numbers that a value given in whole steps may have where hospitals' updates are added up.

        Raises StudyError where the aggregation does not say how it rounds.
        """
        ...

    def noise(self, purpose: str) -> NoiseSource:
        """Of the system in deployment, of the seed in simulation; the same stream goes on for the same purpose."""
        ...

    def draws(self, purpose: str) -> np.random.Generator:
        """Likewise, for draws that are secret and are no noise."""
        ...

    def steps(self, unit: Unit, sampling_rate: float, clip_norm: float, noised: Noised | None = None) -> NoisySteps:
        """Steps in which each unit has a part by chance, on its own, and adds a bounded vector.

        Args:
            unit: whose presence is hidden.
            sampling_rate: chance of each unit to have a part in a step, from 0 to 1.
            clip_norm: the largest L2 norm of what a unit adds.
            noised: adds the noise to a step's sum; without it `noisy_sum` and what is made of it raise StudyError.

        Returns:
            The steps of this round's training.
        """
        ...

    def own_update(self) -> tuple[Update, int]:
        """The update of ordinary training, unclipped and WITHOUT noise, with its statistics; the number of steps."""
        ...


@dataclass(frozen=True)
class AtServer:
    """The server in one round. facts: of any hospital, for what is the same in all of them.

    noise: of this round. rounding: by how much sums of updates of weight 1 may lie farther apart in L2 than updates
    do, since they were rounded to whole numbers: noise for the sum has to pay for it.
    """

    facts: Facts
    noise: NoiseSource
    rounding: float = 0.0


class Mechanism(Protocol):
    """A frozen dataclass of options; entries live in `common/privacy/mechanisms/`, both halves in one file.

    What it can have beside these members, the server's half among them, is in `common.privacy.abilities`.
    """

    place: ClassVar[Place]

    @property
    def unit(self) -> Unit:
        """Whose presence is hidden."""
        ...

    @property
    def delta(self) -> float:
        """The chance, roughly, that epsilon does not hold."""
        ...

    def check(self, facts: Facts) -> None:
        """Refuse settings that cannot keep their promise or cannot work.

        Args:
            facts: of a hospital and the study: cases, patients, rounds, steps.

        Raises:
            StudyError: they cannot.
        """
        ...

    def round_releases(self, facts: Facts) -> tuple[Release, ...]:
        """What one round with a hospital lets out about its units, as the reader of the promise sees it.

        Args:
            facts: of the hospital and the study.

        Returns:
            Releases for the accountant to add up.
        """
        ...

    def hospital_update(self, at: AtHospital) -> tuple[Update, int]:
        """Hospital half. Beside the update goes nothing but the means that it declares as `statistics`.

        Args:
            at: the hospital in one round: its data, its model, its noise.

        Returns:
            The update as it leaves, one vector (P,) float32 of a public weight, and how many steps were made.

        Raises:
            StudyError: it cannot work with these settings.
        """
        ...
