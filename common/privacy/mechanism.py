"""The role of a privacy mechanism: where noise goes in, how much, and what a round of it costs whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from common.learning.work import Sends, Training
from common.privacy.release import Release, Unit
from common.sums.exchange import Reveals

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


class Mechanism(Protocol):
    """A frozen dataclass of options; entries live in `common/privacy/mechanisms/`.

    It describes: what runs in a hospital is in `client/`, what runs at the server in `server/`.
    """

    place: ClassVar[Place]
    secret_rounding: ClassVar[bool]
    """Whether the promise counts on nobody knowing how values are rounded to whole numbers before they are added up.

    Where it does not, real hospitals round by draws from the study's seed, as simulated ones do, and models stay
    comparable; where it does, by the system's. A mechanism that does not say counts on it.
    """

    @property
    def unit(self) -> Unit:
        """Whose presence is hidden."""
        ...

    @property
    def delta(self) -> float:
        """The chance, roughly, that epsilon does not hold."""
        ...

    def check(self, facts: Facts) -> None:
        """Raise StudyError where these settings cannot keep their promise or cannot work."""
        ...

    def round_releases(self, facts: Facts) -> tuple[Release, ...]:
        """What one round with this hospital lets out about its units, as the reader of the promise sees it."""
        ...
