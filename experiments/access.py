"""What an adversary may ask of hospitals, or is handed, beside what it sees of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from common.data.cases import Cases, SiteId
    from common.privacy.release import Release
    from common.sums.update import Update, Vector
    from common.wire.train_requests import Order
    from experiments.evidence.answered_maps import AnsweredMaps
    from experiments.evidence.releases import Released
    from experiments.noisy_sums import Recomputed

Need = Literal[
    "candidates",
    "population",
    "answers",
    "training",
    "tests",
    "federation",
    "recomputed",
    "public",
    "release",
    "maps",
]
"""Members of `Access` that an attack may declare in `needs`."""
NEEDS: tuple[Need, ...] = get_args(Need)


class Answers(Protocol):
    """Hospitals that answer whatever a coordinator sends: their own code, asked by one that cheats."""

    @property
    def sites(self) -> tuple[SiteId, ...]:
        """Whom one order goes to; their answers come back as one sum, or alone where the study reveals each."""
        ...

    def answer(self, order: Order, instead: Mapping[SiteId, Order] = ...) -> Update:
        """The sum of what they answer, rounded and noised as they would, whatever they think of the order.

        instead: of the same round and study, to some hospitals in the order's place.
        """
        ...

    def refused(self, order: Order, instead: Mapping[SiteId, Order] = ...) -> Mapping[str, str]:
        """Why hospitals' own checks refuse the orders, by what they keep: "first", "later", "listed"; "" where one
        does not. It belongs into a finding's settings, as `refused`."""
        ...

    def rounding(self, order: Order, largest: float) -> float:
        """The most that any number of an answer is off, of answers whose largest number is `largest`."""
        ...


@dataclass(frozen=True)
class Signals:
    """n units of training data with gradients of an auditor's choice: zero but for one value, no two at one place.

    coordinates: (n,) of these places, below P. values: (n,) float32.
    """

    coordinates: NDArray[np.int64]
    values: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.coordinates)

    def take(self, chosen: NDArray[np.int64] | slice) -> Signals:
        """Some of them."""
        return Signals(self.coordinates[chosen], self.values[chosen])


class PrivateSteps(Protocol):
    """One hospital's private training as it is, but for the auditor's hand in its sums."""

    @property
    def length(self) -> int:
        """P, the number of parameters, idle ones included that are there for signals alone."""
        ...

    @property
    def clip_norm(self) -> float:
        """The most a case's gradient may add to a sum, in L2, as claimed."""
        ...

    @property
    def sampling_rate(self) -> float:
        """Chance of a case to be in a step's sum."""
        ...

    def step(self, signals: Signals) -> tuple[Vector, Vector]:
        """Sample these as the hospital's own units, clip and add in those drawn, add the noise, release, move on.

        Returns the released sum, (P,), and the clipped sum of the hospital's own cases that is in it.
        """
        ...

    def losses(self, cases: Cases) -> NDArray[np.float64]:
        """(N,) of the model as it is by now."""
        ...


class PrivateTraining(Protocol):
    """One hospital's private training, which can be done again as often as an auditor likes."""

    @property
    def steps(self) -> int:
        """Noisy sums in the whole study."""
        ...

    @property
    def delta(self) -> float:
        """Of the promise."""
        ...

    @property
    def cases(self) -> Cases:
        """The hospital's own, which an auditor knows."""
        ...

    def promised(self, steps: int) -> Release:
        """What is claimed of so many noisy sums."""
        ...

    def begun(self, more: Cases | None = None) -> PrivateSteps:
        """From the study's first model, on the hospital's cases and `more`."""
        ...

    def alone(self) -> PrivateSteps:
        """The same code on no unit but the auditor's, which is quicker: a promise holds whatever the data are."""
        ...


@dataclass(frozen=True)
class Played:
    """What came of a small federation: the headline score on all test cases, NaN where there is no model.

    taken_back: how often a round was. ended: why it ended before its last round, "" where it did not.
    """

    score: float
    taken_back: int = 0
    ended: str = ""


class Federation(Protocol):
    """Small federations of the study's hospitals, of which one sends what it likes, run anew."""

    def score(self, kind: str, strategy: str) -> float:
        """The headline score on all test cases; NaN where the model diverged. kind: of poison, "" for none."""
        ...

    def played(self, kind: str, defended: bool) -> Played:
        """By the study's own strategy and aggregation, with its `[defence]`, or one it could have, and without."""
        ...


@dataclass(frozen=True)
class Access:
    """Each member is empty or None where its adversary cannot.

    candidates: cases a membership attack is asked about, by hospital, in an order that tells nothing. population:
    others of the same kind, which nobody trained on. answers: hospitals that can be sent orders. training: by
    hospital, its private training, to be done again with the auditor's hand in it. tests: by hospital, cases that the
    final model is asked about, with their truth. federation: to be poisoned. recomputed: what hospitals sent with
    noise, beside the same without. public: cases of the same kind that anybody can get, and that are of no patient of
    the study. release: of the study's patients, with what is known of them. maps: sums of what a model looks at, that
    its hospitals answered.
    """

    candidates: Mapping[SiteId, Cases] = field(default_factory=dict)
    population: Cases | None = None
    answers: Answers | None = None
    training: Mapping[SiteId, PrivateTraining] = field(default_factory=dict)
    tests: Mapping[SiteId, Cases] = field(default_factory=dict)
    federation: Federation | None = None
    recomputed: Recomputed | None = None
    public: Cases | None = None
    release: Released | None = None
    maps: AnsweredMaps | None = None

    def has(self, need: Need) -> bool:
        """Whether this member is there."""
        found = getattr(self, need)
        return bool(found) if isinstance(found, Mapping) else found is not None
