"""One cheat, played against what hospitals answer, as a finding: what came back, and who would have refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.errors import StudyError, WardroundError
from common.study.study import Study
from common.sums.update import Update
from common.wire.train_requests import Order
from experiments.access import Answers
from experiments.attack import Finding, Reconstruction
from experiments.attacks.cheating.orders import BINS, carrier_of, work_of
from experiments.evidence.budget import Budget
from experiments.observation import Observation

NOBODY: Mapping[SiteId, Order] = MappingProxyType({})
LEAST_S = 5.0
"""Each attack has: cut off after an order or two it would show what no patient coordinator stops at."""
Back = tuple[tuple[SiteId, ...], NDArray[np.float32]]
"""Whom inputs are said to be of, and (N, ...) the inputs."""


@dataclass(frozen=True)
class Played:
    """The last order, what came back of it, and what some hospitals were sent in its place."""

    order: Order
    back: tuple[Back, ...]
    instead: Mapping[SiteId, Order] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class _Noted:
    """Hospitals, and the first of what they were asked; each attack asks them for itself."""

    answers: Answers
    first: tuple[Order, Mapping[SiteId, Order]] | None = None

    @property
    def sites(self) -> tuple[SiteId, ...]:
        """As they are."""
        return self.answers.sites

    def answer(self, order: Order, instead: Mapping[SiteId, Order] = NOBODY) -> Update:
        """As they do."""
        self.first = (order, instead) if self.first is None else self.first
        return self.answers.answer(order, instead)

    def refused(self, order: Order, instead: Mapping[SiteId, Order] = NOBODY) -> Mapping[str, str]:
        """Why they refuse this, or the order that began it: whoever refuses that is asked nothing more."""
        found = self.answers.refused(order, instead)
        if all(found.values()) or self.first is None or self.first[0] is order:
            return found
        begun = self.answers.refused(*self.first)
        return {kept: reason or begun.get(kept, "") for kept, reason in found.items()}

    def rounding(self, order: Order, largest: float) -> float:
        """As they do."""
        return self.answers.rounding(order, largest)


Play = Callable[[Observation, Study, Answers, Budget], Played]


def own_network_of(observed: Observation) -> tuple[Study, bool]:
    """The study as it is, for models that need no network of the coordinator's own."""
    return observed.study, False


def finding_of(
    name: str,
    observed: Observation,
    options: Mapping[str, Any],
    play: Play,
    seconds: float,
    carrier: Callable[[Observation], tuple[Study, bool]] = carrier_of,
) -> Finding:
    """What the answers to the last order held, had hospitals not looked at what they were sent.

    play: raises StudyError where this cannot be played, saying why. seconds: after which, or after LEAST_S,
    it begins no other order. carrier: which study is sent.
    """
    budget, there = Budget(max(seconds, LEAST_S)), observed.access.answers
    try:
        if there is None:
            raise StudyError("hospitals cannot be asked anything here.")
        study, own_study = carrier(observed)
        answers = _Noted(there)
        played = play(observed, study, answers, budget)
    except WardroundError as error:
        return Finding(name, observed.observer, False, str(error).rstrip("."), settings=dict(options))
    sent = played.order.round
    back = tuple(Reconstruction(sent, sites, inputs, study=study) for sites, inputs in played.back)
    settings = {
        **options,
        "own_study": own_study,
        "sends": work_of(study).sends,
        "units": BINS if own_study else "as the study says",
        **played.settings,
        "refused": dict(answers.refused(played.order, played.instead)),
    }
    return Finding(name, observed.observer, True, "", budget.spent, settings=settings, reconstructions=back)
